"""A small ledger with real wallets and real proofs, for tests.

Ring base 4 keeps a proof cheap, so nothing here stands in for anything: transactions are proven,
verified, executed, built into blocks and validated again by the production code. `Chain` plays the
host: it keeps what the state does not hold, as the storage of a bank does, and it remembers the
hidden values, so that tests can compare the public totals with the truth.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from crypto.ballot import prove_possession
from crypto.build import Payment, SpendableNote, build_issue, build_transfer
from crypto.errors import NotMine
from crypto.note import SessionKeys, scan_output
from crypto.randomness import Coins
from crypto.ring import ClosedBin
from crypto.signature import public_key_of, sign
from crypto.transaction import Kind
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import VerifiedBallot
from node.ledger.block_validity import BuiltBlock, build_block, parent_set, validate_block
from node.ledger.blocks import Block, Header
from node.ledger.effects import Transition, genesis_transition
from node.ledger.facts import BlockFacts, CarriesTransaction, FactsNeeded, facts_needed
from node.ledger.genesis import AssetDefinition, BankDefinition, Genesis, Parameters, Sector
from node.ledger.governance import (
    Approval,
    GovernanceKind,
    LedgerTransaction,
    ReadmissionTerms,
    approve_terms,
    assemble_approved,
    sign_stake_movement,
)
from node.ledger.offences import Offence, VerifiedEvidence
from node.ledger.proofs import AdmissionView, VerifiedTransaction, verify_transactions
from node.ledger.reexecution import reexecute
from node.ledger.rejection import Reason, Rejection
from node.ledger.rules import decode
from node.ledger.state import LedgerState, genesis_header
from node.ledger.transition import execute
from node.ledger.types import Amount, AssetId, BankIndex, Height, TimeMs, View
from tests.ledger import booth
from tests.ledger.booth import ballot_key

BASE = AssetId(b"base-asset-00001")
GOLD = AssetId(b"gold-asset-00002")
GENESIS_TIME_MS = TimeMs(1_774_981_800_000)
"""2026-04-01 00:00 at UTC+05:30, the first instant of FY2026."""
FEE = 100
FAR = 1_000
"""An expiry beyond every height that a test reaches."""


def seeded(name: str) -> Coins:
    """Repeatable coins; `.take` is a `RandomBytes`."""
    return Coins(hashlib.sha256(name.encode()).digest())


def issuer_secret(bank: int) -> bytes:
    return hashlib.sha256(b"issuer %d" % bank).digest()


def consensus_secret(bank: int) -> bytes:
    return hashlib.sha256(b"consensus %d" % bank).digest()


def make_genesis(
    banks: int = 4, limit: int = 1_000_000, parameters: Parameters | None = None
) -> Genesis:
    """A genesis of `banks` banks; bank 3 may issue no gold."""
    genesis = Genesis(
        name="test ledger",
        time_ms=GENESIS_TIME_MS,
        parameters=parameters or Parameters(ring_base=4, transfer_fee=Amount(FEE)),
        banks=tuple(
            BankDefinition(
                index=BankIndex(bank),
                name=f"Bank {bank}",
                sector=Sector.PUBLIC if bank % 3 else Sector.PRIVATE,
                consensus_key=public_key_of(consensus_secret(bank)),
                ballot_key=ballot_key(bank).public,
                ballot_possession=bytes(64),
                issuer_key=public_key_of(issuer_secret(bank)),
                initial_stake=Amount(45_000 + bank),
            )
            for bank in range(banks)
        ),
        assets=(
            AssetDefinition(
                BASE, "INR", 2, True, {BankIndex(bank): Amount(limit) for bank in range(banks)}
            ),
            AssetDefinition(
                GOLD, "XAU", 4, False, {BankIndex(bank): Amount(limit) for bank in range(3)}
            ),
        ),
        opener_key=ballot_key(999).public,
        draw_commitment=hashlib.sha256(b"draw seeds").digest(),
    )
    coins = seeded("possessions")
    return genesis.with_possessions(
        [
            prove_possession(ballot_key(bank), genesis.chain_id, bank, coins.take)
            for bank in range(banks)
        ]
    )


def comparable(transition: Transition) -> tuple[object, ...]:
    """A transition by value; closed bins are compared by what their digests commit to."""
    bins = [
        (item.bin.bin_id, item.bin.count, item.bin.digest, item.closed_at_height)
        for item in transition.closed_bins
    ]
    return (replace(transition, closed_bins=()), bins)


@dataclass
class OwnedNote:
    """A note with its hidden part, as its owner's wallet keeps it."""

    asset: bytes
    bin_id: int
    position: int
    value: int
    spend_key: int
    blinding: int
    nullifier: bytes


@dataclass
class History:
    """What a host keeps outside the state: the part of a storage that the rules ask."""

    spent: set[bytes] = field(default_factory=set)
    known_notes: set[bytes] = field(default_factory=set)
    closed_bins: dict[int, ClosedBin] = field(default_factory=dict)
    sealed: set[bytes] = field(default_factory=set)

    def copy(self) -> History:
        return History(
            set(self.spent), set(self.known_notes), dict(self.closed_bins), set(self.sealed)
        )

    def facts(self, needed: FactsNeeded) -> BlockFacts:
        return BlockFacts(
            spent=frozenset(self.spent.intersection(needed.nullifiers)),
            known_notes=frozenset(self.known_notes.intersection(needed.one_time_keys)),
            closed_bins={
                bin_id: self.closed_bins[bin_id]
                for bin_id in needed.bin_ids
                if bin_id in self.closed_bins
            },
            sealed_transactions=frozenset(self.sealed.intersection(needed.transaction_ids)),
        )

    def record(self, transition: Transition, transaction_ids: Iterable[bytes]) -> None:
        self.spent.update(item.nullifier for item in transition.nullifiers)
        self.known_notes.update(note.output.one_time_key for note in transition.notes)
        self.closed_bins.update({item.bin.bin_id: item.bin for item in transition.closed_bins})
        self.sealed.update(transaction_ids)


def refusal(rejection: Rejection) -> tuple[Reason, str, int | None]:
    """All that a rejection says."""
    return rejection.reason, rejection.message, rejection.transaction_index


def approve(terms: ReadmissionTerms, bank: int) -> Approval:
    return approve_terms(
        terms, BankIndex(bank), lambda statement: sign(consensus_secret(bank), statement)
    )


class Chain:
    """One bank's ledger, and one wallet that everybody pays."""

    def __init__(self, genesis: Genesis | None = None, seed: str = "chain") -> None:
        self.genesis = genesis or make_genesis()
        self.transition = genesis_transition(self.genesis)
        self.header: Header = genesis_header(self.genesis)
        self.history = History()
        self.keys = SessionKeys.derive(seed.encode(), 0)
        self.unspent: list[OwnedNote] = []
        self.coins = seeded(seed)
        self.proves_ballots = True
        """Whether ballots carry proofs; see `booth.vouched`."""

    def fork(self) -> Chain:
        """An independent copy that goes on from here."""
        twin = copy.copy(self)
        twin.history = self.history.copy()
        twin.unspent = list(self.unspent)
        return twin

    @property
    def state(self) -> LedgerState:
        return self.transition.state

    @property
    def height(self) -> Height:
        return self.state.height

    # What wallets and issuing banks do

    def payments(self, values: Sequence[int]) -> list[Payment]:
        return [Payment(self.keys.address, value) for value in values]

    def mint(
        self,
        values: Sequence[int],
        *,
        bank: int = 0,
        asset: bytes = BASE,
        kind: Kind = Kind.ISSUE,
        expiry: int = FAR,
        chain_id: bytes | None = None,
    ) -> bytes:
        return build_issue(
            kind=kind,
            chain_id=chain_id or self.genesis.chain_id,
            asset=asset,
            amount=sum(values),
            issuer_secret=issuer_secret(bank),
            payments=self.payments(values),
            expiry=expiry,
            random_bytes=self.coins.take,
        )

    def transfer(
        self,
        notes: Sequence[OwnedNote],
        *,
        fee: int | None = None,
        redeem: int = 0,
        account: bytes | None = None,
        split: int = 2,
        expiry: int = FAR,
    ) -> bytes:
        """Pay everything but fee and redeemed amount back to the wallet, in `split` outputs."""
        asset = notes[0].asset
        if fee is None:
            fee = self.genesis.parameters.transfer_fee if asset == BASE else 0
        rest = sum(note.value for note in notes) - fee - redeem
        values = [rest // split] * (split - 1)
        values.append(rest - sum(values))
        if account is None:
            account = self.genesis.account_of(BankIndex(1)) if redeem else bytes(32)
        return build_transfer(
            chain_id=self.genesis.chain_id,
            asset=asset,
            inputs=[self.spendable(note) for note in notes],
            payments=self.payments(values),
            fee=fee,
            redeem=redeem,
            account=account,
            expiry=expiry,
            random_bytes=self.coins.take,
            rings_certified=True,
        )

    def spendable(self, note: OwnedNote) -> SpendableNote:
        return SpendableNote(
            self.history.closed_bins[note.bin_id],
            note.position,
            note.value,
            note.spend_key,
            note.blinding,
        )

    def mature(self, asset: bytes = BASE) -> list[OwnedNote]:
        """Unspent notes whose bin is closed, in ledger order."""
        return [
            note
            for note in self.unspent
            if note.asset == asset and note.bin_id in self.history.closed_bins
        ]

    def move_stake(
        self,
        kind: GovernanceKind,
        amount: int,
        *,
        bank: int = 1,
        nonce: int | None = None,
        expiry: int = FAR,
        chain_id: bytes | None = None,
        secret: bytes | None = None,
    ) -> bytes:
        return sign_stake_movement(
            kind=kind,
            chain_id=chain_id or self.genesis.chain_id,
            bank=BankIndex(bank),
            amount=Amount(amount),
            nonce=self.state.banks[bank].stake_nonce if nonce is None else nonce,
            expiry=Height(expiry),
            issuer_secret=secret or issuer_secret(bank),
        )

    def terms(self, bank: int, expiry: int = FAR) -> ReadmissionTerms:
        """What the banks of the present active set would be asked to approve."""
        return ReadmissionTerms(
            self.genesis.chain_id,
            BankIndex(bank),
            self.state.active_set(self.genesis).set_hash,
            self.state.governance_nonce,
            expiry,
        )

    def readmission(
        self, terms: ReadmissionTerms, approvers: Iterable[int] | None = None
    ) -> bytes:
        """Approved by these banks, or by as many of the active ones as it takes."""
        active = self.state.active_set(self.genesis)
        chosen = active.banks[: active.quorum] if approvers is None else approvers
        return assemble_approved(terms, [approve(terms, bank) for bank in chosen])

    # What a bank does

    def decode(self, raw: bytes) -> LedgerTransaction:
        return decode(raw, self.genesis)

    def facts(self, items: Iterable[LedgerTransaction | CarriesTransaction]) -> BlockFacts:
        return self.history.facts(facts_needed(items))

    def judge(self, raws: Sequence[bytes]) -> tuple[VerifiedTransaction | Rejection, ...]:
        """Verdicts as admission gives them; undecodable bytes need no facts."""
        facts = self.facts(self.decode(raw) for raw in raws)
        view = AdmissionView(self.genesis, self.state, facts)
        return verify_transactions(raws, view, self.coins.take)

    def verify(self, *raws: bytes) -> tuple[VerifiedTransaction, ...]:
        verdicts = self.judge(raws)
        rejected = [verdict for verdict in verdicts if isinstance(verdict, Rejection)]
        if rejected:
            raise rejected[0]
        return tuple(item for item in verdicts if isinstance(item, VerifiedTransaction))

    def refusal_at_admission(self, raw: bytes) -> tuple[Reason, str]:
        """How admission refuses these bytes; a voter calls the same function."""
        try:
            facts = self.facts([self.decode(raw)])
        except Rejection:
            facts = self.facts([])
        view = AdmissionView(self.genesis, self.state, facts)
        (verdict,) = verify_transactions([raw], view, self.coins.take)
        assert isinstance(verdict, Rejection)
        assert verdict.reason.is_deterministic
        assert not verdict.reason.is_not_yet
        return verdict.reason, verdict.message

    def refusal_in_block(self, *raws: bytes) -> tuple[Reason, str, int | None]:
        """Admission lets these in; the builder leaves the last one out, and a voter refuses it."""
        verified = self.verify(*raws)
        built = self.build(verified)
        (out,) = built.dropped
        assert out.transaction_id == verified[-1].transaction_id
        try:
            execute(
                self.genesis,
                self.state,
                height=Height(self.height + 1),
                time_ms=built.block.header.time_ms,
                proposer=self.leader(),
                transactions=verified,
                facts=self.facts(verified),
            )
        except Rejection as rejection:
            assert refusal(rejection) == refusal(out.rejection.at(len(raws) - 1))
            return refusal(out.rejection)
        raise AssertionError("a voter would let it in")

    @property
    def parent_set(self) -> ActiveSet:
        """The banks that decided the tip."""
        return parent_set(self.genesis, self.state)

    def votes(self, **chosen: Any) -> tuple[VerifiedBallot, ...]:
        """Ballots about the tip, none about the genesis; see `booth.votes`."""
        if self.height and not self.proves_ballots:
            assert not chosen, "a filler approves by the first quorum"
            return booth.vouched(self.parent_set, self.header)
        return booth.votes(self.parent_set, self.header, **chosen) if self.height else ()

    def leader(self, view: int = 0) -> BankIndex:
        return self.state.active_set(self.genesis).leader(Height(self.height + 1), View(view))

    def build(
        self,
        candidates: Sequence[VerifiedTransaction] = (),
        *,
        after_ms: int = 1_000,
        view: int = 0,
        evidence: Sequence[VerifiedEvidence] = (),
        ballots: Sequence[VerifiedBallot] | None = None,
    ) -> BuiltBlock:
        return build_block(
            self.genesis,
            self.state,
            self.header,
            view=View(view),
            proposer=self.leader(view),
            clock_ms=TimeMs(self.header.time_ms + after_ms),
            candidates=candidates,
            facts=self.facts(candidates),
            evidence=evidence,
            ballots=self.votes() if ballots is None else ballots,
        )

    def validate(
        self,
        block: Block,
        transactions: Sequence[VerifiedTransaction | Rejection],
        clock_ms: int | None = None,
        evidence: Sequence[VerifiedEvidence | Rejection] = (),
    ) -> Transition:
        verified = [item for item in transactions if isinstance(item, VerifiedTransaction)]
        return validate_block(
            self.genesis,
            self.state,
            self.header,
            block,
            transactions,
            self.facts(verified),
            clock_ms=None if clock_ms is None else TimeMs(clock_ms),
            evidence=evidence,
            ballots=booth.verdicts(block.parent_ballots, self.header, self.parent_set),
        )

    def apply(self, block: Block, transition: Transition) -> None:
        self.transition = transition
        self.header = block.header
        self.history.record(transition, block.transaction_ids)
        self._scan(transition)

    def evidence(
        self,
        bank: int,
        height: int | None = None,
        offence: Offence = Offence.DOUBLE_VOTE,
        size: int = 64,
    ) -> VerifiedEvidence:
        """Verified evidence against a bank; what proves it is none of the ledger's business."""
        at = Height(self.height + 1 if height is None else height)
        active = self.state.active_set_at(self.genesis, at)
        raw = f"{offence} by {bank} at {at} ".encode().ljust(size, b".")
        set_hash = active.set_hash if active is not None else bytes(32)
        return VerifiedEvidence(raw, offence, BankIndex(bank), at, set_hash)

    def seal(
        self, *raws: bytes, after_ms: int = 1_000, evidence: Sequence[VerifiedEvidence] = ()
    ) -> BuiltBlock:
        """Verify, build, validate what was built as another bank would, and apply it."""
        built = self.build(self.verify(*raws), after_ms=after_ms, evidence=evidence)
        assert built.dropped == ()
        assert set(built.evidence) == set(evidence)
        validated = self.validate(
            built.block, built.transactions, built.block.header.time_ms, built.evidence
        )
        assert comparable(validated) == comparable(built.transition)
        assert comparable(self.reexecute(built)) == comparable(built.transition)
        self.apply(built.block, built.transition)
        return built

    def reexecute(self, built: BuiltBlock) -> Transition:
        """Execute the next block as who has its bytes and the state alone."""
        raws = [item.raw for item in built.transactions]
        header = built.block.header
        return reexecute(
            self.genesis,
            self.state,
            self.header,
            header,
            raws,
            evidence=built.evidence,
            ballots=built.ballots,
        )

    def seal_matured(self, *raws: bytes) -> BuiltBlock:
        """Seal a block late enough for every open bin to close with it."""
        self.seal(*raws)
        return self.seal(after_ms=self.genesis.parameters.bin_age_ms)

    def _scan(self, transition: Transition) -> None:
        spent = {item.nullifier for item in transition.nullifiers}
        self.unspent = [note for note in self.unspent if note.nullifier not in spent]
        for note in transition.notes:
            try:
                received = scan_output(
                    note.output, note.output_index, note.asset, self.genesis.chain_id, self.keys
                )
            except NotMine:
                continue
            owned = OwnedNote(
                note.asset,
                note.bin_id,
                note.position,
                received.value,
                received.spend_key,
                received.blinding,
                received.nullifier,
            )
            self.unspent.append(owned)
