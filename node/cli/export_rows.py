"""From verified blocks and treasury rows to rows of `export_schema`, one block at a time.

Every block is held to the genesis: ballots, contents, the voting record that it carries. The
movements of a block are the word of the bank that lists them, so they are held to the block (its
fees, its evidence) and, added up, to a sealed state.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from crypto.merkle import merkle_root
from node.client import SealVerifier
from node.client.certified_blocks import verify_stored_block
from node.client.errors import HeaderInvalid, RecordsInvalid
from node.consensus.evidence_items import decode_item
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import Decision, ballot_message, ballot_tag, ballot_view
from node.ledger.blocks import Block, Header
from node.ledger.effects import TreasuryKind
from node.ledger.encoding import MalformedEncoding
from node.ledger.genesis import Genesis
from node.ledger.rejection import Rejection
from node.ledger.rules import decode
from node.ledger.treasury import CREATOR_SHARE
from node.ledger.types import Height
from node.ledger.voting_record import check_voting_record
from node.runtime.consortium_directory import short_name
from node.runtime.transaction_summary import FEE, REDEEMED, TransactionSummary
from node.wire.records import PublishedBlock, PublishedSetChange, TreasuryMovement

Row = Mapping[str, object]

_EVIDENCE_OF_PENALTY = re.compile(r"evidence ([0-9a-f]{64})$", re.ASCII)


@dataclass(slots=True)
class BlockRows:
    """What one block adds to each table."""

    blocks: list[Row] = field(default_factory=list)
    transactions: list[Row] = field(default_factory=list)
    votes: list[Row] = field(default_factory=list)
    treasury: list[Row] = field(default_factory=list)
    evidence: list[Row] = field(default_factory=list)

    def of(self, table: str) -> Sequence[Row]:
        """Return the rows of a table by its name."""
        rows: Sequence[Row] = getattr(self, table)
        return rows


class BlockReader:
    """Takes blocks in order of height and makes rows of them."""

    def __init__(
        self,
        genesis: Genesis,
        verifier: SealVerifier | None,
        set_changes: Sequence[PublishedSetChange],
        first: Height,
    ) -> None:
        """The block of height `first` is the first to take.

        Without a verifier ballots are not verified; transactions must still fit the header.
        """
        self._genesis = genesis
        self._verifier = verifier
        self._set_changes = set_changes
        self._height = first
        self._parent: Header | None = None
        self._parent_set: ActiveSet | None = None

    def begin_after(self, stored: PublishedBlock) -> None:
        """Take the block before the first one, whose votes the first one records.

        Raises as `take`.
        """
        self._parent = self._read_header(stored)
        if self._verifier is not None:
            self._parent_set = self._set_at(self._verifier, self._parent.height)

    def take(self, stored: PublishedBlock, movements: Sequence[TreasuryMovement]) -> BlockRows:
        """Return the rows of the next block and of the treasury movements that it made.

        Raises `VerificationError` subclasses for what does not hold, `HeaderInvalid` for another
        block than the next one.
        """
        header, block = self._read(stored)
        if header.height != self._height:
            raise HeaderInvalid(f"the bank showed block {header.height} for block {self._height}")
        if self._parent is not None and header.parent_id != self._parent.block_id:
            raise HeaderInvalid(f"block {header.height} does not follow the one before it")
        self._check_votes(block)
        summaries = [TransactionSummary.of(raw, self._genesis) for raw in stored.transactions]
        penalties = _penalties(movements)
        rows = BlockRows(
            transactions=[
                self._transaction_row(header, index, raw, summary)
                for index, (raw, summary) in enumerate(
                    zip(stored.transactions, summaries, strict=True)
                )
            ],
            votes=[] if block is None else _vote_rows(block),
            treasury=[_treasury_row(movement) for movement in movements],
            evidence=[] if block is None else _evidence_rows(block, penalties),
        )
        fees = sum(summary.amounts[FEE].amount for summary in summaries if FEE in summary.amounts)
        if self._verifier is not None:
            _require_movements(header, fees, movements, rows.evidence, penalties)
        rows.blocks.append(_block_row(header, block, stored.transactions, fees))
        self._parent, self._height = header, Height(header.height + 1)
        if self._verifier is not None:
            self._parent_set = self._set_at(self._verifier, header.height)
        return rows

    def _read(self, stored: PublishedBlock) -> tuple[Header, Block | None]:
        if self._verifier is not None:
            certified = verify_stored_block(self._verifier, stored, self._set_changes)
            return certified.header, certified.block
        header = self._read_header(stored)
        if merkle_root(stored.transactions) != header.transactions_root:
            raise RecordsInvalid(f"block {header.height} has other transactions than its header")
        try:
            return header, Block.decode(stored.block) if header.height else None
        except MalformedEncoding as error:
            raise RecordsInvalid(f"block {header.height} does not decode: {error}") from error

    @staticmethod
    def _read_header(stored: PublishedBlock) -> Header:
        try:
            return Header.decode(stored.header)
        except MalformedEncoding as error:
            raise HeaderInvalid(f"a header does not decode: {error}") from error

    def _set_at(self, verifier: SealVerifier, height: Height) -> ActiveSet:
        changes = [
            change for change in self._set_changes if Header.decode(change.header).height < height
        ]
        return verifier.active_set_at(height, changes)

    def _check_votes(self, block: Block | None) -> None:
        """Verify the record that a block carries of the votes on its parent (BFT-12 17)."""
        if self._verifier is None or block is None:
            return
        assert self._parent is not None, "blocks above genesis have a parent"
        assert self._parent_set is not None, "it is kept with the parent"
        raws = block.parent_ballots
        try:
            verified = (
                self._verifier.verify_votes(
                    raws, self._parent.height, ballot_view(raws[0]), self._parent_set
                )
                if raws
                else ()
            )
            check_voting_record(
                raws,
                verified,
                root=block.header.ballots_root,
                parent=self._parent,
                active_set=self._parent_set,
            )
        except Rejection as rejection:
            raise RecordsInvalid(
                f"the votes that block {block.height} records do not hold: {rejection}"
            ) from rejection

    def _transaction_row(
        self, header: Header, index: int, raw: bytes, summary: TransactionSummary
    ) -> Row:
        amounts = summary.amounts
        spends = decode(raw, self._genesis).inputs
        return {
            "height": header.height,
            "index": index,
            "transaction_id": summary.transaction_id,
            "time": header.time_ms,
            "kind": summary.kind,
            "asset": summary.asset,
            "fee": amounts[FEE].amount if FEE in amounts else None,
            "redeemed": amounts[REDEEMED].amount if REDEEMED in amounts else None,
            "amount": amounts["amount"].amount if "amount" in amounts else None,
            "bank": summary.bank or None,
            "inputs": summary.inputs,
            "outputs": summary.outputs,
            "bins": list(summary.bins),
            "nullifiers": [spend.nullifier.hex() for spend in spends],
            "size_bytes": summary.size_bytes,
            "expiry_height": summary.expiry_height,
            "fiscal_year": summary.fiscal_year or None,
            "approvals": [{"bank": bank, "count": count} for bank, count in summary.counts.items()],
        }


def _block_row(header: Header, block: Block | None, raws: Sequence[bytes], fees: int) -> Row:
    return {
        "height": header.height,
        "block_id": header.block_id.hex(),
        "parent_id": header.parent_id.hex(),
        "time": header.time_ms,
        "proposer": None if block is None else short_name(header.proposer),
        "original_view": header.original_view,
        "transactions": header.transaction_count,
        "transaction_bytes": sum(map(len, raws)),
        "evidence": 0 if block is None else len(block.evidence),
        "recorded_votes": 0 if block is None else len(block.parent_ballots),
        "fees": fees,
        "transactions_root": header.transactions_root.hex(),
        "evidence_root": header.evidence_root.hex(),
        "ballots_root": header.ballots_root.hex(),
        "post_state_root": header.post_state_root.hex(),
        "next_set_hash": header.next_set_hash.hex(),
    }


def _vote_rows(block: Block) -> list[Row]:
    return [
        {
            "height": block.height - 1,
            "block_id": block.header.parent_id.hex(),
            "recorded_height": block.height,
            "view": ballot_view(raw),
            "tag": ballot_tag(raw).hex(),
            "approve": ballot_message(raw).endswith(Decision.APPROVE.value),
        }
        for raw in block.parent_ballots
    ]


def _treasury_row(movement: TreasuryMovement) -> Row:
    return {
        "sequence": movement.sequence,
        "height": movement.height,
        "fiscal_year": movement.fiscal_year,
        "kind": movement.kind,
        "bank": None if movement.bank is None else short_name(movement.bank),
        "amount": movement.amount,
        "reason": movement.reason,
    }


def _penalties(movements: Sequence[TreasuryMovement]) -> dict[str, int]:
    """Return the penalties of a block by the id of the evidence that each names."""
    penalties = {}
    for movement in movements:
        if movement.kind == TreasuryKind.PENALTY:
            named = _EVIDENCE_OF_PENALTY.search(movement.reason)
            penalties[named[1] if named else f"record {movement.sequence}"] = movement.amount
    return penalties


def _evidence_rows(block: Block, penalties: Mapping[str, int]) -> list[Row]:
    rows: list[Row] = []
    for raw in block.evidence:
        try:
            item = decode_item(raw)
        except MalformedEncoding as error:
            raise RecordsInvalid(
                f"evidence in block {block.height} does not decode: {error}"
            ) from error
        evidence_id = hashlib.sha256(raw).hexdigest()
        rows.append(
            {
                "recorded_height": block.height,
                "evidence_id": evidence_id,
                "offence": item.offence.value,
                "bank": short_name(item.bank),
                "offence_height": item.height,
                "size_bytes": len(raw),
                "penalty": penalties.get(evidence_id),
            }
        )
    return rows


def _require_movements(
    header: Header,
    fees: int,
    movements: Sequence[TreasuryMovement],
    evidence: Sequence[Row],
    penalties: Mapping[str, int],
) -> None:
    """Raise `RecordsInvalid` unless fees and penalties are those of the block's own contents."""
    told: Counter[str] = Counter()
    for movement in movements:
        told[movement.kind] += movement.amount
    if told[TreasuryKind.FEE] != fees - fees // CREATOR_SHARE:
        raise RecordsInvalid(
            f"the treasury's fees of block {header.height} are not those of its transactions"
        )
    if {row["evidence_id"] for row in evidence} != set(penalties):
        raise RecordsInvalid(
            f"the penalties of block {header.height} are not those of its evidence"
        )
