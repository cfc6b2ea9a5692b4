"""The exact bytes under every signed statement (BFT-12 section 2).

Layout, in the canonical encoding of `node.ledger.encoding`:
`blob("bft12/1") | chain_id[32] | type u8 | set_hash(h)[32] | h u64 | v u32 | who u16 | fields`.
The set hash binds a statement to the keys and the quorum of its height, so a certificate can be
read under one active set only. Certificates attached to a Proposal or a Timeout prove themselves
and stay outside the signature, so that two conflicting statements are evidence without them. A
ballot stays outside too: signing it would tie an anonymous ballot to its bank for ever.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property, lru_cache

from node.ledger.active_set import ActiveSet
from node.ledger.encoding import Writer
from node.ledger.types import HASH_BYTES, BankIndex, BlockId, Height, View

DOMAIN = b"bft12/1"


class StatementType(IntEnum):
    """What a signature says; part of the signed bytes."""

    PROPOSAL = 1
    VOTE = 2
    COMMIT = 3
    TIMEOUT = 4


class Decision(IntEnum):
    """The two answers to a proposal."""

    APPROVE = 1
    REJECT = 2


_TYPES = {kind: Writer().u8(kind).finish() for kind in StatementType}
_VIEW_AND_BANK = struct.Struct(">IH")
_HIGHEST_VIEW = struct.Struct(">i")
_APPROVAL = Writer().u8(Decision.APPROVE).text("").optional(None, Writer.u32).finish()


@dataclass(frozen=True)
class SigningContext:
    """What every statement of one height has in common."""

    chain_id: bytes
    set_hash: bytes
    height: Height

    @staticmethod
    def of(chain_id: bytes, active_set: ActiveSet, height: Height) -> SigningContext:
        return _context(chain_id, active_set.set_hash, height)

    def proposal(self, view: View, bank: BankIndex, block_id: BlockId) -> bytes:
        """Return the bytes that a proposer signs."""
        return self._begin(StatementType.PROPOSAL, view, bank) + _fixed(block_id)

    def approval(self, view: View, bank: BankIndex, block_id: BlockId) -> bytes:
        """Return the bytes of an APPROVE vote, which a quorum certificate collects."""
        return self._begin(StatementType.VOTE, view, bank) + _fixed(block_id) + _APPROVAL

    def vote(
        self,
        view: View,
        bank: BankIndex,
        block_id: BlockId,
        decision: Decision,
        reason: str,
        transaction_index: int | None,
    ) -> bytes:
        """Return the bytes of a vote; an approval has no reason and no transaction index."""
        begun = self._begin(StatementType.VOTE, view, bank) + _fixed(block_id)
        answer = Writer().u8(decision).text(reason).optional(transaction_index, Writer.u32)
        return begun + answer.finish()

    def commit(self, view: View, bank: BankIndex, block_id: BlockId) -> bytes:
        """Return the bytes of a commit, which a seal collects."""
        return self._begin(StatementType.COMMIT, view, bank) + _fixed(block_id)

    def timeout(self, view: View, bank: BankIndex, highest_view: View) -> bytes:
        """Return the bytes of a timeout, which a timeout certificate collects."""
        return self._begin(StatementType.TIMEOUT, view, bank) + _HIGHEST_VIEW.pack(highest_view)

    def _begin(self, kind: StatementType, view: View, bank: BankIndex) -> bytes:
        before, after = self._around_type
        return before + _TYPES[kind] + after + _VIEW_AND_BANK.pack(view, bank)

    @cached_property
    def _around_type(self) -> tuple[bytes, bytes]:
        """What all statements of a height share: a certificate checks ten of them at once."""
        before = Writer().blob(DOMAIN).fixed(self.chain_id, HASH_BYTES).finish()
        return before, Writer().fixed(self.set_hash, HASH_BYTES).u64(self.height).finish()


@lru_cache(maxsize=64)
def _context(chain_id: bytes, set_hash: bytes, height: Height) -> SigningContext:
    """Every certificate of a height is checked in the same context."""
    return SigningContext(chain_id, set_hash, height)


def _fixed(block_id: BlockId) -> bytes:
    assert len(block_id) == HASH_BYTES, "a block id is a hash"
    return block_id
