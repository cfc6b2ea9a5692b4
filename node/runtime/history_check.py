"""What the stored rows of a block must be, derived from the genesis, the chain before it and the
bytes of its transactions. Pure: rows in, `IntegrityViolation` or nothing out.

The chain of headers is certified by seals; a header commits to its transactions, evidence, state
and to the ballots on its parent; a transaction's bytes fix its nullifiers and notes, and what a
year's settlement says; the state commits to all notes, nullifiers and closed bins by running
hashes, and holds balances, stakes and tallies. So every row of the history hangs on a signature of
q banks, and a changed one shows.

A seal hangs on nothing but itself. Its signatures are verified, and its bytes have a digest beside
them; the proofs of its ballots take milliseconds, so they are verified at every so many heights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

from crypto.errors import Rejected
from crypto.merkle import EMPTY_ROOT, leaf_hash, merkle_root, merkle_root_of_hashes
from crypto.transaction import Mint, Transfer, transaction_id
from node.consensus.certificates import CertificateInvalid, verify_seal
from node.consensus.messages import Seal
from node.consensus.signatures import Verifier
from node.ledger import accumulators
from node.ledger.active_set import MINIMUM_BANKS, ActiveSet
from node.ledger.ballots import verify_ballot_certificate, verify_parent_ballots
from node.ledger.blocks import HEADER_BYTES, Block, Header
from node.ledger.encoding import MalformedEncoding
from node.ledger.genesis import Genesis
from node.ledger.governance import LedgerTransaction
from node.ledger.rejection import Rejection
from node.ledger.rules import decode
from node.ledger.state import LedgerState, genesis_header
from node.ledger.types import Height
from node.runtime.voting_record_check import TallyWalk, check_pots, check_votes
from node.storage.errors import IntegrityViolation
from node.storage.history_reader import BlockHistory, LedgerBooks, Rows, TransactionHistory
from node.storage.row_digests import require_seal


def damaged(table: str, height: int | None, detail: str) -> IntegrityViolation:
    """Return the error to raise."""
    return IntegrityViolation(table, height, detail)


class ChainWalk:
    """Takes the stored blocks from height 0 on, and knows what the next must follow from."""

    def __init__(
        self,
        genesis: Genesis,
        verifier: Verifier,
        origin: Height,
        proofs_at: Callable[[Height], bool] = lambda height: False,
    ) -> None:
        """Up to `origin` only headers are stored, the block at `origin` included (a snapshot).

        `proofs_at` chooses the heights at which the proofs of all ballots are verified again.
        """
        self._genesis = genesis
        self._proofs_at = proofs_at
        self._verifier = verifier
        self._origin = origin
        self._previous: Header | None = None
        self._active_set = genesis.active_set([bank.index for bank in genesis.banks])
        self._parent_set = self._active_set
        """That decided the block before the next."""
        self.tallies = TallyWalk(genesis, origin)
        self._sequence: int | None = None if origin else 0

    @property
    def height(self) -> Height:
        """Of the block that must come next."""
        return Height(0 if self._previous is None else self._previous.height + 1)

    @property
    def wants_whole(self) -> bool:
        """Whether of the next block more than the header is stored."""
        return self.height > self._origin

    def take(self, history: BlockHistory) -> None:
        """Check everything that is stored of the next block; raises `IntegrityViolation`."""
        header = self._check_header(history)
        if header.height > 0 and (self.wants_whole or history.stored.seal):
            self._check_seal(header, history)
        if self.wants_whole and header.height > 0:
            self._check_block(header, history)
        if header.height == self._origin:
            self.tallies.begin(header)
        self._parent_set = self._active_set
        if header.next_set_hash != self._active_set.set_hash:
            self._active_set = self._next_set(header)
        self._previous = header

    def _check_header(self, history: BlockHistory) -> Header:
        height, stored = self.height, history.stored
        try:
            header = Header.decode(stored.header)
        except MalformedEncoding as error:
            raise damaged("blocks", height, f"the header: {error}") from error
        if header.block_id != stored.block_id:
            raise damaged("blocks", height, "the header does not have the block's hash")
        if header.height != height or header.chain_id != self._genesis.chain_id:
            raise damaged("blocks", height, "the header is of another height or chain")
        if self._previous is None:
            if header != genesis_header(self._genesis):
                raise damaged("blocks", height, "block 0 is not that of the genesis")
        elif header.parent_id != self._previous.block_id:
            raise damaged("blocks", height, "the header does not name the block before it")
        if (
            history.previous_hash != (header.parent_id if height else None)
            or history.merkle_root != header.transactions_root
            or history.time_ms != header.time_ms
            or history.miner != (header.proposer if height else None)
            or history.state_root != header.post_state_root
            or history.transaction_count != header.transaction_count
        ):
            raise damaged("blocks", height, "the columns beside the header say something else")
        return header

    def _check_seal(self, header: Header, history: BlockHistory) -> None:
        require_seal(history.stored.seal, history.seal_digest, header.height)
        try:
            seal = Seal.decode(history.stored.seal)
            if (seal.height, seal.block_id) != (header.height, header.block_id):
                raise damaged("blocks", header.height, "the seal is of another block")
            verify_seal(seal, self._genesis.chain_id, self._active_set, self._verifier)
            if self._proofs_at(header.height):
                certificate = seal.published()
                verify_ballot_certificate(certificate, self._genesis.chain_id, self._active_set)
        except (MalformedEncoding, CertificateInvalid, Rejection) as error:
            raise damaged("blocks", header.height, f"the seal: {error}") from error

    def _next_set(self, header: Header) -> ActiveSet:
        """Find the set that the header names: few banks come or go at once."""
        everyone = [bank.index for bank in self._genesis.banks]
        present = set(self._active_set.banks)
        for count in range(1, len(everyone) + 1):
            for changed in combinations(everyone, count):
                banks = sorted(present.symmetric_difference(changed))
                if len(banks) >= MINIMUM_BANKS:
                    candidate = self._genesis.active_set(banks)
                    if candidate.set_hash == header.next_set_hash:
                        return candidate
        raise damaged("blocks", header.height, "the header names an active set of nobody")

    def _check_block(self, header: Header, history: BlockHistory) -> None:
        height = header.height
        try:
            block = Block.decode(history.stored.encoded)
        except MalformedEncoding as error:
            raise damaged("blocks", height, f"the lists: {error}") from error
        if history.stored.encoded[:HEADER_BYTES] != header.encode():
            raise damaged("blocks", height, "the header has another encoding")
        for items, root in (
            (block.evidence, header.evidence_root),
            (block.parent_ballots, header.ballots_root),
        ):
            if (merkle_root(items) if items else EMPTY_ROOT) != root:
                raise damaged("blocks", height, "evidence or ballots do not have the header's root")
        if history.batch != (header.block_id, header.transactions_root):
            raise damaged("transaction_batches", height, "the batch is not this block's")
        leaves = [item.leaf_hash for item in history.transactions]
        leaves_hold = merkle_root_of_hashes(leaves) == header.transactions_root
        stored_ids = tuple([item.transaction_id for item in history.transactions])
        if stored_ids != block.transaction_ids:
            table = "blocks" if leaves_hold else "transactions"
            raise damaged(table, height, "the block's list and the rows differ")
        decoded = [self._check_transaction(height, item) for item in history.transactions]
        if not leaves_hold:
            raise damaged("transactions", height, "the leaves do not have the header's root")
        self._check_sequence(height, history)
        check_effects(height, history, decoded)
        assert self._previous is not None, "a block has a parent"
        check_votes(self._previous, block, history)
        if self._proofs_at(height):
            self._check_ballots(self._previous, block)
        self.tallies.take(self._previous, block, decoded, history)

    def _check_ballots(self, parent: Header, block: Block) -> None:
        for verdict in verify_parent_ballots(block.parent_ballots, parent, self._parent_set):
            if isinstance(verdict, Rejection):
                raise damaged("blocks", block.height, f"a ballot on the parent: {verdict}")

    def _check_transaction(self, height: int, row: TransactionHistory) -> LedgerTransaction:
        name = row.transaction_id.hex()[:16]
        if row.body is None or transaction_id(row.body) != row.transaction_id:
            raise damaged("transaction_bodies", height, f"body of {name} does not have its id")
        if (row.leaf_hash, row.size) != (leaf_hash(row.body), len(row.body)):
            raise damaged("transactions", height, f"row of {name} is not about its body")
        try:
            transaction = decode(row.body, self._genesis)
        except (Rejected, Rejection) as error:
            raise damaged("transaction_bodies", height, f"body of {name}: {error}") from error
        transfer = transaction if isinstance(transaction, Transfer) else None
        wanted = (
            int(transaction.kind),
            transaction.asset if isinstance(transaction, Transfer | Mint) else None,
            transfer.fee if transfer else 0,
            transfer.redeem if transfer else 0,
        )
        if (row.kind, row.asset, int(row.fee), int(row.redeem)) != wanted:
            raise damaged("transactions", height, f"row of {name} is not what its body says")
        return transaction

    def _check_sequence(self, height: int, history: BlockHistory) -> None:
        for place, row in enumerate(history.transactions):
            if self._sequence is None:
                self._sequence = row.sequence_number
            if (row.position, row.sequence_number) != (place, self._sequence):
                raise damaged("transactions", height, "the numbering has a gap")
            self._sequence += 1


def check_effects(
    height: int, history: BlockHistory, transactions: Sequence[LedgerTransaction]
) -> None:
    """Compare nullifier and note rows of a block with what its transactions say."""
    spent = [spend.nullifier for item in transactions for spend in item.inputs]
    if [row[1] for row in history.nullifiers] != spent:
        raise damaged("nullifiers", height, "the rows are not what the transactions spend")
    made = [
        (row.sequence_number, index, getattr(item, "asset", None), output.encode())
        for row, item in zip(history.transactions, transactions, strict=True)
        for index, output in enumerate(item.outputs)
    ]
    if [tuple(row[1:]) for row in history.notes] != made:
        raise damaged("notes", height, "the rows are not the outputs of the transactions")
    for table, rows in (("nullifiers", history.nullifiers), ("notes", history.notes)):
        if any(row[0] != rows[0][0] + place for place, row in enumerate(rows)):
            raise damaged(table, height, "the numbering has a gap")


class ListWalk:
    """Recomputes the running hash of one of the three lists that the state certifies."""

    def __init__(self, table: str) -> None:
        """`table`: notes, nullifiers or bins."""
        self._table = table
        self._accumulator = accumulators.EMPTY
        self.count = 0

    def take(self, state: LedgerState, rows: Rows) -> bool:
        """Take the next rows, read at one moment with this state; return whether all were seen.

        Raises `IntegrityViolation`.
        """
        certified = {
            "notes": state.notes,
            "nullifiers": state.nullifiers,
            "bins": state.closed_bins,
        }[self._table]
        for row in rows:
            if row[0] != self.count:
                raise damaged(self._table, None, f"row {self.count} is missing")
            if self.count == certified.count:
                raise damaged(self._table, None, f"there are more than the {self.count} certified")
            self._accumulator = self._next(row)
            self.count += 1
        if self.count < certified.count:
            if not rows:
                raise damaged(self._table, None, f"row {self.count} is missing")
            return False
        if self._accumulator != certified.accumulator:
            raise damaged(self._table, None, "the rows do not have the hash that the state names")
        return True

    def _next(self, row: tuple[Any, ...]) -> bytes:
        if self._table == "nullifiers":
            return accumulators.add_nullifier(self._accumulator, row[1])
        if self._table == "bins":
            return accumulators.add_closed_bin(
                self._accumulator, bin_id=row[1], count=row[2], digest=row[3]
            )
        _, asset, bin_id, position, output_index, output = row
        return accumulators.add_note(
            self._accumulator,
            asset=asset or b"",
            bin_id=bin_id,
            position=position,
            output_index=output_index,
            output=output,
        )


def check_books(books: LedgerBooks, origin: Height) -> None:
    """Compare what mirrors the state, and what must add up to it; raises `IntegrityViolation`.

    A ledger that began with a snapshot lacks the account entries before it.
    """
    state = LedgerState.decode(books.state)
    height = state.height
    mirror = [
        (
            *(bank.index, bank.stake, bank.balance, bank.offences, bank.active),
            *(bank.blocks_created, bank.creator_fees, bank.active),
        )
        for bank in state.banks
    ]
    if [tuple(map(int, row)) for row in books.banks] != [tuple(map(int, row)) for row in mirror]:
        raise damaged("banks", height, "banks or miners do not mirror the state")
    stakes = {row[0]: int(row[1]) for row in books.stakes}
    if stakes != {bank.index: bank.stake for bank in state.banks}:
        raise damaged("treasury", height, "stakes less penalties are not the banks' stakes")
    if books.treasury_rows != (books.treasury_count, books.treasury_count):
        raise damaged("treasury", height, f"there are not {books.treasury_count} rows in a row")
    check_pots(state, books.pots, books.rewards, books.damaged_settlement)
    if books.damaged_evidence is not None:
        evidence_id, at = books.damaged_evidence
        raise damaged("evidence", at, f"item {evidence_id.hex()[:16]} does not have its hash")
    if books.damaged_conflict is not None:
        number, at = books.damaged_conflict
        raise damaged("ballot_conflicts", at, f"the ballots of number {number} do not conflict")
    if origin:
        return
    if books.account_rows != (books.account_entry_count, books.account_entry_count):
        raise damaged("account_entries", height, "the numbering has a gap")
    balances = {row[0]: int(row[1]) for row in books.balances if int(row[1])}
    if balances != {bank.index: bank.balance for bank in state.banks if bank.balance}:
        raise damaged("account_entries", height, "the entries are not the banks' balances")
