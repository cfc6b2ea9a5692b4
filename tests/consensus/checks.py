"""What must hold in every run, looked at from outside: by the bytes sent and the blocks applied.

Agreement, validity, durability before sending, and that no correct bank ever signs what would
convict it (BFT-12 sections 1, 4, 9). A violation raises `Violation` where it happens.
"""

from __future__ import annotations

from node.consensus.certificates import verify_seal
from node.consensus.effects import Persist
from node.consensus.evidence import StatementLog
from node.consensus.messages import Commit, Message, Proposal, Seal, Timeout, Vote
from node.consensus.record import DurableRecord
from node.consensus.signing import Decision
from node.ledger.active_set import ActiveSet
from node.ledger.blocks import Block, Header
from node.ledger.types import BankIndex, BlockId, Height
from tests.consensus import toy_ledger
from tests.consensus.oracle import OracleVerifier


class Violation(AssertionError):
    """A property of the protocol does not hold."""


class Checks:
    def __init__(self, genesis: Header, active_set: ActiveSet) -> None:
        self.active_set = active_set
        self.chain: dict[Height, Header] = {genesis.height: genesis}
        self.sealed: dict[Height, BlockId] = {}
        self.statements = StatementLog()
        self.points: dict[BankIndex, tuple[int, int, int]] = {}
        self.byzantine: frozenset[int] = frozenset()
        """Banks whose statements prove nothing about the core."""

    def persisted(self, bank: BankIndex, effect: Persist) -> None:
        """(height, view, step) only grows: what the rollback guard relies on (D4)."""
        point = (effect.height, effect.view, effect.step)
        if point <= self.points.get(bank, (0, 0, 0)):
            raise Violation(f"bank {bank} persisted {point} after {self.points[bank]}")
        self.points[bank] = point

    def sent(
        self,
        bank: BankIndex,
        message: Message,
        record: bytes | None,
        blocks: dict[BlockId, Block],
    ) -> None:
        if isinstance(message, Seal):
            self._one_seal_per_height(message.height, message.block_id)
        if bank in self.byzantine or not isinstance(message, Proposal | Vote | Commit | Timeout):
            return
        self._durable_first(message, record, blocks)
        conflicts = self.statements.observe(message)
        if conflicts:
            raise Violation(f"correct bank {bank} could be convicted: {conflicts[0]}")

    def applied(self, bank: BankIndex, block: Block, seal: Seal) -> None:
        header = block.header
        verify_seal(seal, toy_ledger.CHAIN_ID, self.active_set, OracleVerifier())
        self._one_seal_per_height(header.height, header.block_id)
        if seal.block_id != header.block_id:
            raise Violation(f"bank {bank} applied a block under another block's seal")
        parent = self.chain[Height(header.height - 1)]
        known = self.chain.setdefault(header.height, header)
        if known.block_id != header.block_id or header.parent_id != parent.block_id:
            raise Violation(f"bank {bank} left the chain at height {header.height}")
        if any(identifier.startswith(b"BAD") for identifier in block.transaction_ids):
            raise Violation(f"bank {bank} applied an invalid block at height {header.height}")

    def _one_seal_per_height(self, height: Height, block_id: BlockId) -> None:
        if self.sealed.setdefault(height, block_id) != block_id:
            raise Violation(f"two blocks are sealed at height {height}")

    def _durable_first(
        self,
        statement: Proposal | Vote | Commit | Timeout,
        encoded: bytes | None,
        blocks: dict[BlockId, Block],
    ) -> None:
        """D1: what leaves is on disk. D2: so is the block that an approval stands for."""
        record = None if encoded is None else DurableRecord.decode(encoded)
        if record is None:
            raise Violation(
                f"bank {statement.bank} sent a statement without any record: {statement}"
            )
        durable = (record.proposed, record.voted, record.committed, record.timeout)
        if statement not in durable:
            raise Violation(f"bank {statement.bank} sent what is not on disk: {statement}")
        needed = _vouched_for(statement)
        if needed is not None and needed not in blocks:
            raise Violation(f"bank {statement.bank} vouches for a block that is not on disk")


def _vouched_for(statement: Proposal | Vote | Commit | Timeout) -> BlockId | None:
    """Return the block that a bank must be able to produce after saying this."""
    match statement:
        case Proposal():
            return statement.block.block_id
        case Vote(decision=Decision.APPROVE) | Commit():
            return statement.block_id
        case _:
            return None
