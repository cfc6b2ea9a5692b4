"""A ledger small enough to be obviously right, for tests of the consensus alone.

A transaction id that begins with `BAD` is invalid; the state root is a hash over the parent's and
the transaction ids; the transactions root is a hash over the ids.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from node.consensus.events import Approved, BodyUnusable, Rejected, Verdict
from node.ledger.active_set import ActiveSet, Member
from node.ledger.blocks import Block, Header
from node.ledger.types import BankIndex, BlockId, Height, TimeMs, TransactionId, View
from node.simulation.ballot_oracle import BallotOracle, ballot_key, opener_key
from node.simulation.ledger import Built, Examined, Valid
from node.simulation.oracle import public_key

CHAIN_ID = hashlib.sha256(b"toy chain").digest()
EMPTY = hashlib.sha256(b"nothing").digest()
MAX_SKEW_MS = 5_000


def active_set_of(keys: dict[BankIndex, bytes]) -> ActiveSet:
    members = [
        Member(bank, key, ballot_key(bank).public) for bank, key in sorted(keys.items())
    ]
    return ActiveSet(tuple(members), opener_key().public)


def transaction_id(number: int, *, invalid: bool = False) -> TransactionId:
    prefix = b"BAD" if invalid else b"TXN"
    return TransactionId(prefix + number.to_bytes(29, "big"))


def genesis_header(active_set: ActiveSet) -> Header:
    return Header(
        chain_id=CHAIN_ID,
        height=Height(0),
        parent_id=BlockId(bytes(32)),
        original_view=View(0),
        proposer=BankIndex(0),
        time_ms=TimeMs(0),
        transactions_root=transactions_root(()),
        evidence_root=EMPTY,
        ballots_root=EMPTY,
        transaction_count=0,
        post_state_root=EMPTY,
        next_set_hash=active_set.set_hash,
    )


def transactions_root(ids: tuple[TransactionId, ...]) -> bytes:
    return hashlib.sha256(b"transactions" + b"".join(ids)).digest()


def state_root(parent: Header, ids: tuple[TransactionId, ...]) -> bytes:
    return hashlib.sha256(b"state" + parent.post_state_root + b"".join(ids)).digest()


def build(
    parent: Header,
    *,
    view: int,
    proposer: int,
    ids: tuple[TransactionId, ...] = (),
    clock_ms: int = 1,
) -> Block:
    header = Header(
        chain_id=CHAIN_ID,
        height=Height(parent.height + 1),
        parent_id=parent.block_id,
        original_view=View(view),
        proposer=BankIndex(proposer),
        time_ms=TimeMs(max(clock_ms, parent.time_ms + 1)),
        transactions_root=transactions_root(ids),
        evidence_root=EMPTY,
        ballots_root=EMPTY,
        transaction_count=len(ids),
        post_state_root=state_root(parent, ids),
        next_set_hash=parent.next_set_hash,
    )
    return Block(header, (), (), ids)


def judge(parent: Header, block: Block, *, clock_ms: int | None) -> Verdict:
    """Judge a block on its parent; `clock_ms` None does not judge the clock."""
    header = block.header
    if header.transactions_root != transactions_root(block.transaction_ids):
        return BodyUnusable("the ids do not hash to the header's root")
    if header.parent_id != parent.block_id:
        return Rejected("parent", deterministic=True)
    if header.time_ms <= parent.time_ms:
        return Rejected("time", deterministic=True)
    for index, identifier in enumerate(block.transaction_ids):
        if identifier.startswith(b"BAD"):
            return Rejected("spend", deterministic=True, transaction_index=index)
    if header.post_state_root != state_root(parent, block.transaction_ids):
        return Rejected("state-root", deterministic=True)
    if clock_ms is not None and header.time_ms > clock_ms + MAX_SKEW_MS:
        return Rejected("clock", deterministic=False)
    return Approved()


@dataclass(frozen=True)
class ToyPoint:
    header: Header
    active_set: ActiveSet


class ToyLedger:
    """This ledger as the simulator's engine asks for it."""

    def __init__(self, bank_count: int) -> None:
        keys = {BankIndex(bank): public_key(bank) for bank in range(bank_count)}
        active_set = active_set_of(keys)
        self.genesis = ToyPoint(genesis_header(active_set), active_set)
        self.ballot_oracle = BallotOracle(CHAIN_ID)
        self._made = 0

    def build(
        self,
        point: ToyPoint,
        *,
        view: View,
        proposer: BankIndex,
        clock_ms: int,
        candidates: Sequence[TransactionId],
        evidence: Sequence[bytes],
        ballots: Sequence[bytes],
    ) -> Built:
        ids = tuple(candidates)
        return Built(
            build(point.header, view=view, proposer=proposer, ids=ids, clock_ms=clock_ms)
        )

    def poison(self, block: Block, invalid: Sequence[TransactionId]) -> Block:
        ids = (*block.transaction_ids, *invalid)
        root = transactions_root(ids)
        header = replace(block.header, transactions_root=root, transaction_count=len(ids))
        return Block(header, (), (), ids)

    def judge(
        self, point: ToyPoint, block: Block, *, clock_ms: int | None
    ) -> Valid | Rejected | BodyUnusable:
        verdict = judge(point.header, block, clock_ms=clock_ms)
        if isinstance(verdict, Approved):
            return Valid(ToyPoint(block.header, point.active_set))
        return verdict

    def admit(self, point: ToyPoint, transaction_id: TransactionId) -> bool | None:
        return not transaction_id.startswith(b"BAD")

    def bin_due_ms(self, point: ToyPoint) -> int | None:
        return None

    def examine(self, point: ToyPoint, item: bytes) -> Examined:
        return Examined(None, "the toy ledger punishes nobody")

    def transaction(self, *, invalid: bool) -> TransactionId:
        self._made += 1
        return transaction_id(self._made, invalid=invalid)
