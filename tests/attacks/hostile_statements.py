"""The second table: whole transactions with honest bytes and a false or forbidden statement.

Everything is proven and signed as a wallet or an issuing bank would, so each is refused for the
one rule that it breaks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from crypto.build import Payment, build_issue, build_transfer
from crypto.ring import ClosedBin
from crypto.transaction import NO_ACCOUNT, Kind
from node.ledger.types import BankIndex
from tests.attacks.forgeries import (
    forge_mint,
    forge_transfer,
    ring_of_the_thief,
    sealed_outputs,
)
from tests.attacks.hostile_bytes import (
    EXISTS,
    INVALID,
    OPEN_BIN,
    OTHER_BIN,
    STATE,
    U64_MAX,
    Bases,
    Case,
)
from tests.attacks.transaction_fields import MINT_FIELDS, TRANSFER_FIELDS
from tests.ledger.chain import BASE, FAR, FEE, GOLD, Chain, OwnedNote, issuer_secret

OUTSIDER = b"an issuer that nobody registered"
NO_ASSET = b"no-such-asset-99"


def _note(chain: Chain) -> OwnedNote:
    """A note of bin 0 that no base transaction spends."""
    return chain.mature()[-1] if chain.mature()[-1].bin_id != 0 else chain.mature()[2]


def _transfer_with(
    bases: Bases,
    *,
    asset: bytes = BASE,
    fee: int = FEE,
    redeem: int = 0,
    account: bytes = NO_ACCOUNT,
    expiry: int = FAR,
    chain_id: bytes | None = None,
) -> bytes:
    chain = bases.chain
    note = chain.mature(asset)[-1]
    rest = note.value - fee - redeem
    return build_transfer(
        chain_id=chain_id or chain.genesis.chain_id,
        asset=asset,
        inputs=[chain.spendable(note)],
        payments=[Payment(chain.keys.address, rest)],
        fee=fee,
        redeem=redeem,
        account=account,
        expiry=expiry,
        random_bytes=chain.coins.take,
        rings_certified=True,
    )


def _mint_with(
    bases: Bases,
    *,
    amount: int = 5,
    kind: Kind = Kind.ISSUE,
    asset: bytes = BASE,
    secret: bytes = b"",
    expiry: int = FAR,
    chain_id: bytes | None = None,
) -> bytes:
    chain = bases.chain
    return build_issue(
        kind=kind,
        chain_id=chain_id or chain.genesis.chain_id,
        asset=asset,
        amount=amount,
        issuer_secret=secret or issuer_secret(0),
        payments=[Payment(chain.keys.address, amount)],
        expiry=expiry,
        random_bytes=chain.coins.take,
    )


TERMS: list[tuple[str, Callable[[Bases], bytes], str, str]] = [
    ("transfer without fee", lambda b: _transfer_with(b, fee=0), INVALID, "fee"),
    ("transfer of too low a fee", lambda b: _transfer_with(b, fee=FEE - 1), INVALID, "fee"),
    ("transfer of too high a fee", lambda b: _transfer_with(b, fee=FEE + 1), INVALID, "fee"),
    ("transfer of gold with fee", lambda b: _transfer_with(b, asset=GOLD), INVALID, "fee"),
    (
        "transfer made for another ledger",
        lambda b: _transfer_with(b, chain_id=b"\x07" * 32),
        INVALID,
        "chain",
    ),
    ("transfer expired", lambda b: _transfer_with(b, expiry=1), STATE, "expired"),
    (
        "transfer that never expires",
        lambda b: _transfer_with(b, expiry=U64_MAX),
        STATE,
        "expiry-too-far",
    ),
    (
        "transfer redeemed to nobody",
        lambda b: _transfer_with(b, redeem=5, account=b"\x05" * 32),
        INVALID,
        "account",
    ),
    (
        "transfer of gold redeemed",
        lambda b: _transfer_with(
            b,
            asset=GOLD,
            fee=0,
            redeem=5,
            account=b.chain.genesis.account_of(BankIndex(1)),
        ),
        INVALID,
        "redeem-asset",
    ),
    (
        "issue made for another ledger",
        lambda b: _mint_with(b, chain_id=b"\x07" * 32),
        INVALID,
        "chain",
    ),
    ("issue of no asset", lambda b: _mint_with(b, asset=NO_ASSET), INVALID, "asset"),
    ("issue by an outsider", lambda b: _mint_with(b, secret=OUTSIDER), STATE, "issuer"),
    (
        "issue of gold by a bank without a limit",
        lambda b: _mint_with(b, asset=GOLD, secret=issuer_secret(3)),
        STATE,
        "issuer",
    ),
    (
        "issue one above the limit",
        lambda b: _mint_with(b, amount=1_000_001, secret=issuer_secret(3)),
        STATE,
        "issuance-limit",
    ),
    (
        "issue above what is left of the limit",
        lambda b: _mint_with(b, amount=1_000_000),
        STATE,
        "issuance-limit",
    ),
    (
        "issue of all there is",
        lambda b: _mint_with(b, amount=U64_MAX),
        STATE,
        "issuance-limit",
    ),
    ("issue expired", lambda b: _mint_with(b, expiry=1), STATE, "expired"),
    (
        "issue that never expires",
        lambda b: _mint_with(b, expiry=U64_MAX),
        STATE,
        "expiry-too-far",
    ),
    (
        "payout one above the account",
        lambda b: _mint_with(
            b,
            kind=Kind.PAYOUT,
            amount=b.chain.state.banks[1].balance + 1,
            secret=issuer_secret(1),
        ),
        STATE,
        "insufficient-account",
    ),
    (
        "payout far above the account",
        lambda b: _mint_with(b, kind=Kind.PAYOUT, amount=10_000, secret=issuer_secret(2)),
        STATE,
        "insufficient-account",
    ),
    (
        "payout by an outsider",
        lambda b: _mint_with(b, kind=Kind.PAYOUT, secret=OUTSIDER),
        STATE,
        "issuer",
    ),
    (
        "payout of gold",
        lambda b: _mint_with(b, kind=Kind.PAYOUT, asset=GOLD),
        INVALID,
        "payout-asset",
    ),
]
"""BFT-12 18 and IDX1 8.2: proven to the letter, against the rules of this ledger."""


def _pays(too_much: int) -> Callable[[Bases], bytes]:
    def build(bases: Bases) -> bytes:
        note = _note(bases.chain)
        return forge_transfer(bases.chain, note, [note.value - FEE + too_much])

    return build


def _over_a_false_ring(bases: Bases) -> bytes:
    chain = bases.chain
    note = next(item for item in chain.mature() if item.bin_id == 0)
    ring = ring_of_the_thief(chain, note, OTHER_BIN)
    return forge_transfer(chain, note, [note.value - FEE], ring=ring, position=0)


def _over_the_open_bin(bases: Bases) -> bytes:
    chain = bases.chain
    note = next(item for item in chain.mature() if item.bin_id == 0)
    closed = chain.history.closed_bins[0]
    ring = ClosedBin(OPEN_BIN, closed.asset, closed.notes, closed.count, closed.ring_base)
    return forge_transfer(chain, note, [note.value - FEE], ring=ring)


def _mint_forged(
    bases: Bases,
    values: list[int],
    *,
    amount: int,
    claimed: list[int] | None = None,
    kind: Kind = Kind.ISSUE,
    bank: int = 0,
) -> bytes:
    outputs = sealed_outputs(bases.chain, values)
    return forge_mint(
        bases.chain,
        outputs,
        values,
        amount=amount,
        issuer_secret=issuer_secret(bank),
        claimed_values=claimed,
        kind=kind,
    )


LIES: list[tuple[str, Callable[[Bases], bytes], str, str]] = [
    ("transfer that pays one too much", _pays(1), INVALID, "spend"),
    ("transfer that pays one too little", _pays(-1), INVALID, "spend"),
    ("transfer that creates a fortune", _pays(2**63), INVALID, "spend"),
    (
        "transfer of a negative amount proven as positive",
        lambda b: forge_transfer(
            b.chain,
            _note(b.chain),
            [_note(b.chain).value - FEE + 500, -500],
            claimed_values=[_note(b.chain).value - FEE + 500, 500],
        ),
        INVALID,
        "range",
    ),
    (
        "transfer with a second nullifier of the note",
        lambda b: forge_transfer(
            b.chain,
            _note(b.chain),
            [_note(b.chain).value - FEE],
            spend_key=_note(b.chain).spend_key + 1,
        ),
        INVALID,
        "spend",
    ),
    (
        "transfer of somebody else's position",
        lambda b: forge_transfer(b.chain, _note(b.chain), [_note(b.chain).value - FEE], position=0),
        INVALID,
        "spend",
    ),
    ("transfer over a ring that nobody sealed", _over_a_false_ring, INVALID, "range"),
    ("transfer over the open bin", _over_the_open_bin, STATE, "bin-open"),
    (
        "issue of more than its amount",
        lambda b: _mint_forged(b, [600, 401], amount=1_000),
        INVALID,
        "issue",
    ),
    (
        "issue of less than its amount",
        lambda b: _mint_forged(b, [600, 399], amount=1_000),
        INVALID,
        "issue",
    ),
    (
        "issue of a negative output",
        lambda b: _mint_forged(b, [1_500, -500], amount=1_000, claimed=[1_500, 500]),
        INVALID,
        "range",
    ),
    (
        "issue in another bank's name",
        lambda b: forge_mint(
            b.chain,
            sealed_outputs(b.chain, [5]),
            [5],
            amount=5,
            issuer_secret=issuer_secret(0),
            claimed_issuer=b.chain.genesis.banks[2].issuer_key,
        ),
        INVALID,
        "signature",
    ),
    (
        "payout of more than its amount",
        lambda b: _mint_forged(b, [2, 2], amount=3, kind=Kind.PAYOUT, bank=1),
        INVALID,
        "issue",
    ),
]
"""IDX1 6, 7: well-bound proofs of false statements."""


def repetition_cases() -> Iterator[Case]:
    """IDX1 8.5: nothing that the ledger holds, or the transaction itself, comes twice."""
    transfer, mint = TRANSFER_FIELDS, MINT_FIELDS
    yield Case(
        "transfer of one note twice",
        lambda b: transfer["J1"].put(b.transfer, transfer["J0"].of(b.transfer)),
        EXISTS,
        "nullifier",
    )
    yield Case(
        "transfer of a note spent before",
        lambda b: transfer["J0"].put(b.transfer, min(b.chain.history.spent)),
        EXISTS,
        "nullifier",
    )
    yield Case(
        "another transfer of a note spent before",
        lambda b: transfer["J1"].put(b.transfer, min(b.chain.history.spent)),
        EXISTS,
        "nullifier",
    )
    for kind, fields in (("transfer", transfer), ("issue", mint), ("payout", mint)):
        yield Case(
            f"{kind} with one output key twice",
            lambda b, kind=kind, fields=fields: fields["P1"].put(
                b.of(kind), fields["P0"].of(b.of(kind))
            ),
            EXISTS,
            "note",
        )
        for name in ("P0", "P1"):
            yield Case(
                f"{kind} with {name} of a sealed note",
                lambda b, kind=kind, fields=fields, name=name: fields[name].put(
                    b.of(kind), max(b.chain.history.known_notes)
                ),
                EXISTS,
                "note",
            )


def statements() -> list[Case]:
    """Every case that is built and proven whole."""
    return [*(Case(*case) for case in (*TERMS, *LIES)), *repetition_cases()]
