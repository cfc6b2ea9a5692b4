"""One bank's blocks, checked from the genesis alone: links, ballots, Merkle roots.

Nothing is taken from the bank's word: every header must follow from the one before it, every block
must be certified by ballots of q banks of the active set, which is derived from the genesis and the
sealed headers at which it changed, and carry the votes on the block before it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from crypto.merkle import merkle_root
from crypto.transaction import transaction_id
from node.cli.doctor_report import Finding, FindingKind
from node.client.errors import VerificationError
from node.client.record_check import RecordCheck
from node.client.verification import SealVerifier
from node.ledger.blocks import Block, Header
from node.ledger.encoding import MalformedEncoding
from node.ledger.genesis import Genesis
from node.ledger.state import genesis_header
from node.ledger.types import BankIndex, BlockId, TransactionId
from node.wire.records import PublishedBlock, PublishedSetChange


@dataclass(slots=True)
class ChainCheck:
    """Takes one bank's stored blocks from height 0 on, and keeps what it finds."""

    bank: BankIndex
    genesis: Genesis
    verifier: SealVerifier
    set_changes: Sequence[PublishedSetChange] = ()
    records: RecordCheck | None = None
    """Shared by the checks of all banks; None leaves the votes unchecked."""
    findings: list[Finding] = field(default_factory=list)
    block_ids: list[BlockId] = field(default_factory=list)
    """By height."""
    transaction_ids: list[Sequence[TransactionId]] = field(default_factory=list)
    """By height."""
    ballots_roots: list[bytes] = field(default_factory=list)
    """By height; of blocks that the bank never had, empty."""
    seals_verified: int = 0
    first_height: int = 1
    """The lowest height above genesis of which the bank shows the whole block."""
    _previous: Header | None = None

    def take(self, stored: PublishedBlock) -> None:
        """Check the next block; the first is that of height 0."""
        height = len(self.block_ids)
        try:
            header = Header.decode(stored.header)
            block = Block.decode(stored.block) if height else None
        except MalformedEncoding as error:
            self._find(height, FindingKind.HEADER, f"the stored block does not decode: {error}")
            self.block_ids.append(BlockId(b""))
            self.transaction_ids.append(())
            self.ballots_roots.append(b"")
            self._previous = None
            return
        self.block_ids.append(header.block_id)
        self.transaction_ids.append(() if block is None else block.transaction_ids)
        self.ballots_roots.append(header.ballots_root)
        fault = self._link_fault(height, header, block)
        if fault:
            self._find(height, FindingKind.HEADER, fault)
        previous, self._previous = self._previous, header
        # A block that nobody certified would count the votes on its parent a second time.
        is_certified = block is not None and self._check_certificate(height, stored)
        if is_certified and block is not None and previous is not None:
            self._check_votes(previous, block)

    def skip_to(self, first_height: int, block_ids: Sequence[BlockId]) -> None:
        """Go on at a later height: the bank joined by a snapshot and names the blocks before it."""
        self.first_height = first_height
        self.block_ids += block_ids
        self.transaction_ids += [()] * len(block_ids)
        self.ballots_roots += [b""] * len(block_ids)
        self._previous = None

    def take_bodies(self, height: int, stored: PublishedBlock) -> bool:
        """Recompute a block's Merkle root from its stored transactions; return whether it holds."""
        try:
            block = Block.decode(stored.block)
        except MalformedEncoding as error:
            self._find(height, FindingKind.HEADER, f"the stored block does not decode: {error}")
            return False
        ids = tuple(TransactionId(transaction_id(raw)) for raw in stored.transactions)
        if ids != block.transaction_ids:
            fault = "stored transactions are not those that the block names"
        elif merkle_root(stored.transactions) != block.header.transactions_root:
            fault = "stored transactions do not have the Merkle root of the header"
        elif block.header.block_id != self.block_ids[height]:
            fault = "the bank shows two blocks of one height"
        else:
            return True
        self._find(height, FindingKind.TRANSACTIONS_ROOT, fault)
        return False

    def _link_fault(self, height: int, header: Header, block: Block | None) -> str:
        if height == 0:
            first = genesis_header(self.genesis)
            return "" if header == first else "block 0 is not that of this genesis"
        previous = self._previous
        if header.chain_id != self.genesis.chain_id:
            return "the block is of another chain"
        if header.height != height:
            return f"the block at this height says that it is of height {header.height}"
        if header.parent_id != self.block_ids[height - 1]:
            return "the block does not name the block before it as its parent"
        if previous is not None and header.time_ms < previous.time_ms:
            return "the block is older than the one before it"
        if block is None or block.header != header:
            return "the stored block has another header"
        if header.transaction_count != len(block.transaction_ids):
            return "the block names another number of transactions than its header"
        if merkle_root(block.evidence) != header.evidence_root:
            return "the block's evidence does not have the Merkle root of the header"
        return ""

    def _check_certificate(self, height: int, stored: PublishedBlock) -> bool:
        try:
            self.verifier.verify_header(
                stored.header, stored.certificate, self._changes_below(height)
            )
        except VerificationError as error:
            self._find(height, FindingKind.SEAL, str(error))
            return False
        self.seals_verified += 1
        return True

    def _check_votes(self, parent: Header, block: Block) -> None:
        if self.records is None or block.header.parent_id != parent.block_id:
            return
        try:
            active_set = self.verifier.active_set_at(
                parent.height, self._changes_below(parent.height)
            )
        except VerificationError:
            # What is wrong with the changes, the certificates have told.
            return
        fault = self.records.take(parent, block, active_set)
        if fault:
            self._find(block.height, FindingKind.VOTING_RECORDS, fault)

    def _changes_below(self, height: int) -> list[PublishedSetChange]:
        return [
            change for change in self.set_changes if Header.decode(change.header).height < height
        ]

    def _find(self, height: int, kind: FindingKind, message: str) -> None:
        self.findings.append(Finding(height, self.bank, kind, message))


def diverging_banks(
    block_ids: dict[BankIndex, list[BlockId]], last_height: int
) -> Collection[Finding]:
    """Compare the banks' block ids height by height; report each bank where it first leaves most.

    A bank that has fewer blocks is compared as far as it goes.
    """
    findings: dict[BankIndex, Finding] = {}
    for height in range(last_height + 1):
        here = {
            bank: ids[height]
            for bank, ids in block_ids.items()
            if bank not in findings and height < len(ids)
        }
        if len(set(here.values())) <= 1:
            continue
        counted: dict[BlockId, int] = {}
        for block_id in here.values():
            counted[block_id] = counted.get(block_id, 0) + 1
        common = max(counted, key=lambda block_id: counted[block_id])
        for bank, block_id in here.items():
            if block_id != common:
                findings[bank] = Finding(
                    height,
                    bank,
                    FindingKind.DIVERGENCE,
                    f"has block {block_id.hex()[:16]} where {counted[common]} banks have "
                    f"{common.hex()[:16]}",
                )
    return list(findings.values())
