"""Building and proving transactions: what a wallet and an issuing bank do (IDX1 3.2, 6.2, 7.3,
7.6).

Provers check what they are about to prove, and raise ProvingError instead of making a proof that no
bank would accept or that would hurt its maker. All coins are hedged (IDX1 12.5).

Proving is not constant-time: run it on the owner's machine (IDX1 12.3).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from crypto.curve import Point, encode_point, multiply
from crypto.encoding import U64_MAX, u64
from crypto.errors import ProvingError, Rejected
from crypto.generators import ASSET_BYTES, key_generator
from crypto.issue import prove_issue
from crypto.layout import CHAIN_ID_BYTES, KEY_BYTES, MAX_INPUTS, MAX_OUTPUTS, MEMO_BYTES, Kind
from crypto.note import Address, SealedOutput, seal_output
from crypto.pedersen import commit, encode_commitment
from crypto.randomness import SYSTEM_RANDOMNESS, Coins, RandomBytes, hedge
from crypto.range_proof import prove_range
from crypto.ring import ClosedBin
from crypto.scalar import ORDER, encode_scalar
from crypto.signature import public_key_of
from crypto.spend import SpendWitness, nullifier_point, prove_spend
from crypto.transaction import (
    NO_ACCOUNT,
    NO_BLOBS,
    core_digest,
    mint_head,
    proof_digest,
    transfer_head,
)

NO_MEMO = bytes(MEMO_BYTES)


@dataclass(frozen=True, slots=True)
class Payment:
    """One output to make: who gets how much, in minor units, and the 32 bytes it is told."""

    address: Address
    value: int = field(repr=False)
    memo: bytes = field(default=NO_MEMO, repr=False)


@dataclass(frozen=True, slots=True)
class SpendableNote:
    """One note to spend: its closed bin, its position there, and what scanning it gave."""

    closed_bin: ClosedBin
    position: int
    value: int = field(repr=False)
    spend_key: int = field(repr=False)
    blinding: int = field(repr=False)


def build_transfer(
    *,
    chain_id: bytes,
    asset: bytes,
    inputs: Sequence[SpendableNote],
    payments: Sequence[Payment],
    fee: int = 0,
    redeem: int = 0,
    account: bytes = NO_ACCOUNT,
    expiry: int,
    random_bytes: RandomBytes = SYSTEM_RANDOMNESS,
    rings_certified: bool = False,
) -> bytes:
    """The bytes of a proven TRANSFER; change is a payment to oneself (IDX1 5.2).

    A wallet must not prove over a ring it was merely told: a false ring names the spender, a point
    outside the subgroup in it does too (IDX1 4.4, 10.3). So every ring is checked to lie in the
    subgroup, once per `ClosedBin` object, unless `rings_certified` says that the caller compared
    the bins' digests with certified ledger state. Only the comparison protects against a ring of
    false notes.

    Raises ProvingError when inputs and payments do not balance, a value is outside u64, a note is
    listed twice, is padding or does not open with the given secrets, counts or sizes are wrong, or
    a ring is unsound; AddressInvalid for an address that cannot be paid.
    """
    _check_sizes(chain_id, asset, payments, expiry)
    _check_transfer(asset, inputs, payments, (fee, redeem), account)
    if not rings_certified:
        _check_rings(inputs)
    for note in inputs:
        _check_opening(note, asset)
    head = transfer_head(
        chain_id=chain_id,
        asset=asset,
        input_count=len(inputs),
        output_count=len(payments),
        fee=fee,
        redeem=redeem,
        account=account,
        expiry=expiry,
    )
    coins = _building_coins(random_bytes, _input_secrets(inputs), head, payments)
    sealed = _seal_all(payments, asset, chain_id, coins)
    blindings = _input_blindings(inputs, sealed, coins)
    commitments = [
        encode_commitment(asset, note.value, blinding)
        for note, blinding in zip(inputs[:-1], blindings, strict=False)
    ] + [b""]
    nullifier_points = [nullifier_point(note.spend_key) for note in inputs]
    nullifiers = [encode_point(point) for point in nullifier_points]
    outputs = [item.output.encode() for item in sealed]
    core = core_digest(
        head,
        [
            u64(note.closed_bin.bin_id) + note.closed_bin.digest + nullifier + commitment
            for note, nullifier, commitment in zip(inputs, nullifiers, commitments, strict=True)
        ],
        outputs,
    )
    range_proof = _prove_outputs(core, asset, payments, sealed, random_bytes)
    digest = proof_digest(core, range_proof)
    spend_proofs = _prove_spends(
        digest, inputs, nullifier_points, blindings, commitments, random_bytes
    )
    wire_inputs = [
        u64(note.closed_bin.bin_id) + nullifier + commitment
        for note, nullifier, commitment in zip(inputs, nullifiers, commitments, strict=True)
    ]
    return b"".join((head, *wire_inputs, *outputs, NO_BLOBS, range_proof, *spend_proofs))


def _prove_spends(
    digest: bytes,
    inputs: Sequence[SpendableNote],
    nullifier_points: Sequence[Point],
    blindings: Sequence[int],
    commitments: Sequence[bytes],
    random_bytes: RandomBytes,
) -> list[bytes]:
    """One spend proof per input, in order (IDX1 7.3); `commitments` ends with an empty one."""
    return [
        prove_spend(
            digest=digest,
            index=index,
            witness=SpendWitness(
                note.closed_bin, note.position, note.spend_key, (note.blinding - blinding) % ORDER
            ),
            nullifier=nullifier_points[index],
            commitment=commitment,
            random_bytes=random_bytes,
        )
        for index, (note, blinding, commitment) in enumerate(
            zip(inputs, blindings, commitments, strict=True)
        )
    ]


def build_issue(
    *,
    kind: Kind,
    chain_id: bytes,
    asset: bytes,
    amount: int,
    issuer_secret: bytes,
    payments: Sequence[Payment],
    expiry: int,
    ring_base: int | None = None,
    random_bytes: RandomBytes = SYSTEM_RANDOMNESS,
) -> bytes:
    """The bytes of a proven and signed ISSUE or PAYOUT (IDX1 5.3, 7.6).

    `issuer_secret` is the Ed25519 seed of the registered issuer key. A mint spends nothing, so it
    does not depend on `ring_base`, which is accepted for callers that pass a ledger's parameters
    along. Raises ProvingError when the payments do not sum to the amount or a size, count or kind
    is wrong; AddressInvalid for an address that cannot be paid.
    """
    _check_sizes(chain_id, asset, payments, expiry)
    if kind not in (Kind.ISSUE, Kind.PAYOUT):
        raise ProvingError(f"kind {int(kind)} mints nothing")
    if not 1 <= amount <= U64_MAX:
        raise ProvingError("the amount lies outside 1 .. 2^64 - 1")
    if sum(payment.value for payment in payments) != amount:
        raise ProvingError("the payments do not sum to the amount")
    if len(issuer_secret) != KEY_BYTES:
        raise ProvingError(f"an issuer secret has {KEY_BYTES} bytes")
    head = mint_head(
        kind=kind,
        chain_id=chain_id,
        asset=asset,
        output_count=len(payments),
        amount=amount,
        issuer=public_key_of(issuer_secret),
        expiry=expiry,
    )
    coins = _building_coins(random_bytes, issuer_secret, head, payments)
    sealed = _seal_all(payments, asset, chain_id, coins)
    outputs = [item.output.encode() for item in sealed]
    core = core_digest(head, [], outputs)
    range_proof = _prove_outputs(core, asset, payments, sealed, random_bytes)
    issue_proof = prove_issue(
        digest=proof_digest(core, range_proof),
        blindings=[item.blinding for item in sealed],
        issuer_secret=issuer_secret,
        random_bytes=random_bytes,
    )
    return b"".join((head, *outputs, NO_BLOBS, range_proof, issue_proof))


def _check_sizes(chain_id: bytes, asset: bytes, payments: Sequence[Payment], expiry: int) -> None:
    if len(chain_id) != CHAIN_ID_BYTES or len(asset) != ASSET_BYTES:
        raise ProvingError(f"a chain id has {CHAIN_ID_BYTES} bytes, an asset {ASSET_BYTES}")
    if not 1 <= len(payments) <= MAX_OUTPUTS:
        raise ProvingError(f"{len(payments)} payments are outside 1 .. {MAX_OUTPUTS}")
    if not 0 <= expiry <= U64_MAX:
        raise ProvingError("the expiry height lies outside 0 .. 2^64 - 1")
    for payment in payments:
        if not 0 <= payment.value <= U64_MAX:
            raise ProvingError("a payment's value lies outside 0 .. 2^64 - 1")


def _check_transfer(
    asset: bytes,
    inputs: Sequence[SpendableNote],
    payments: Sequence[Payment],
    public_amounts: tuple[int, int],
    account: bytes,
) -> None:
    fee, redeem = public_amounts
    if not 1 <= len(inputs) <= MAX_INPUTS:
        raise ProvingError(f"{len(inputs)} inputs are outside 1 .. {MAX_INPUTS}")
    if not (0 <= fee <= U64_MAX and 0 <= redeem <= U64_MAX):
        raise ProvingError("fee or redeem lies outside 0 .. 2^64 - 1")
    if len(account) != KEY_BYTES or (redeem == 0) != (account == NO_ACCOUNT):
        raise ProvingError("an account of 32 bytes belongs to a redeemed amount, and only to one")
    if len({(note.closed_bin.bin_id, note.position) for note in inputs}) != len(inputs):
        raise ProvingError("a note is listed twice")
    if len({note.closed_bin.ring_base for note in inputs}) != 1:
        raise ProvingError("the rings have different bases")
    for note in inputs:
        if note.closed_bin.asset != asset:
            raise ProvingError(f"bin {note.closed_bin.bin_id} is of another asset")
        if not 0 <= note.position < note.closed_bin.count:
            raise ProvingError(f"position {note.position} holds no real note")
        if not 0 <= note.value <= U64_MAX:
            raise ProvingError("a note's value lies outside 0 .. 2^64 - 1")
    paid = sum(payment.value for payment in payments) + fee + redeem
    if sum(note.value for note in inputs) != paid:
        raise ProvingError("the inputs do not sum to payments, fee and redeem")


def _check_rings(inputs: Sequence[SpendableNote]) -> None:
    for note in inputs:
        try:
            note.closed_bin.require_strict_points()
        except Rejected as error:
            raise ProvingError(f"bin {note.closed_bin.bin_id} is unsound: {error}") from None


def _check_opening(note: SpendableNote, asset: bytes) -> None:
    if note.spend_key % ORDER == 0:
        raise ProvingError("the spend key is zero")
    one_time_key, commitment = note.closed_bin.notes[note.position]
    if encode_point(multiply(key_generator(), note.spend_key)) != one_time_key:
        raise ProvingError("the spend key does not open the note")
    if encode_point(commit(asset, note.value, note.blinding)) != commitment:
        raise ProvingError("value and blinding do not open the note")


def _input_secrets(inputs: Sequence[SpendableNote]) -> bytes:
    return b"".join(encode_scalar(note.spend_key) + encode_scalar(note.blinding) for note in inputs)


def _building_coins(
    random_bytes: RandomBytes, secret: bytes, head: bytes, payments: Sequence[Payment]
) -> Coins:
    statement = head + b"".join(
        payment.address.encode() + u64(payment.value) + payment.memo for payment in payments
    )
    return hedge(random_bytes, secret, statement)


def _seal_all(
    payments: Sequence[Payment], asset: bytes, chain_id: bytes, coins: Coins
) -> list[SealedOutput]:
    return [
        seal_output(
            address=payment.address,
            value=payment.value,
            memo=payment.memo,
            index=index,
            asset=asset,
            chain_id=chain_id,
            random_bytes=coins.take,
        )
        for index, payment in enumerate(payments)
    ]


def _input_blindings(
    inputs: Sequence[SpendableNote], sealed: Sequence[SealedOutput], coins: Coins
) -> list[int]:
    """b'_i: free for all but the last, whose C' is derived from the rest (IDX1 7.1)."""
    free = coins.scalars(len(inputs) - 1)
    derived = sum(item.blinding for item in sealed) - sum(free)
    return [*free, derived % ORDER]


def _prove_outputs(
    core: bytes,
    asset: bytes,
    payments: Sequence[Payment],
    sealed: Sequence[SealedOutput],
    random_bytes: RandomBytes,
) -> bytes:
    return prove_range(
        core=core,
        asset=asset,
        values=[payment.value for payment in payments],
        blindings=[item.blinding for item in sealed],
        commitments=[item.output.commitment for item in sealed],
        random_bytes=random_bytes,
    )
