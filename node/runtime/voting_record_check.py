"""What the stored voting record, tallies and settled years must be, derived from stored blocks.

A header commits to the ballots on its parent, and ballots say themselves what the rows beside them
repeat. Their encryptions add up to the tallies of the state, and to those that settlements were
proven against. Pure: rows in, `IntegrityViolation` or nothing out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crypto.ballot_tally import EMPTY_SUM, add_ciphertexts
from crypto.errors import Rejected
from node.ledger.ballots import Decision, ballot_ciphertext, ballot_message, ballot_tag
from node.ledger.blocks import Block, Header
from node.ledger.fiscal_year import fiscal_year, label
from node.ledger.genesis import Genesis
from node.ledger.governance import LedgerTransaction
from node.ledger.rejection import Rejection
from node.ledger.settlement import PotCarry, Settlement
from node.ledger.state import LedgerState
from node.ledger.state_records import Tally
from node.ledger.types import FiscalYear, Height
from node.storage.errors import IntegrityViolation
from node.storage.history_reader import BlockHistory

APPROVAL = Decision.APPROVE.value


def check_votes(parent: Header, block: Block, history: BlockHistory) -> None:
    """Compare the record of the votes on the parent with the ballots that the block carries."""
    height = parent.height
    expected = [
        (
            ballot_tag(raw),
            Decision(ballot_message(raw)[-1:]).name.lower(),
            parent.time_ms,
            None,
            raw,
        )
        for raw in block.parent_ballots
    ]
    if [tuple(row) for row in history.parent_votes] != expected:
        raise IntegrityViolation(
            "bank_voting_records", height, "the rows are not the ballots that the next block holds"
        )
    approvals = len(_approvals(block))
    counts = ("approved", approvals, len(expected) - approvals) if height else None
    if history.parent_counts != counts:
        raise IntegrityViolation(
            "transaction_batches", height, "status and counts are not those of the ballots"
        )


def _approvals(block: Block) -> list[bytes]:
    return [raw for raw in block.parent_ballots if ballot_message(raw)[-1:] == APPROVAL]


class TallyWalk:
    """Adds the recorded approvals up year by year, as the state does (BFT-12 section 18)."""

    def __init__(self, genesis: Genesis, origin: Height) -> None:
        """`origin` as in `ChainWalk`: of the years up to its own only a part is stored."""
        self._genesis = genesis
        self._origin = origin
        self._first_whole: FiscalYear | None = None
        self._tallies: dict[FiscalYear, Tally] = {}

    def begin(self, header: Header) -> None:
        """Take the header of the block at `origin`, before the first block that is stored whole."""
        self._first_whole = FiscalYear(self._year_of(header) + 1) if self._origin else None

    def take(
        self,
        parent: Header,
        block: Block,
        transactions: Sequence[LedgerTransaction],
        history: BlockHistory,
    ) -> None:
        """Take the next block; raises `IntegrityViolation`."""
        self._check_settlements(block.height, transactions, history)
        approvals = _approvals(block)
        year = self._year_of(parent)
        if not approvals or not self._is_whole(year):
            return
        tally = self._tally(year)
        try:
            ciphertext_sum = add_ciphertexts(
                tally.ciphertext_sum, [ballot_ciphertext(raw) for raw in approvals]
            )
        except (Rejected, Rejection) as error:
            raise IntegrityViolation("blocks", block.height, f"a ballot: {error}") from error
        self._tallies[year] = replace(
            tally,
            ciphertext_sum=ciphertext_sum,
            ballots=tally.ballots + len(approvals),
            blocks=tally.blocks + 1,
        )

    def check(self, state: LedgerState) -> None:
        """Compare with the state after the last block taken; raises `IntegrityViolation`."""
        certified = {item.year: item for item in state.tallies if self._is_whole(item.year)}
        if certified != self._tallies:
            raise IntegrityViolation(
                "ledger_state", state.height, "the tallies are not the sums of the recorded ballots"
            )

    def _check_settlements(
        self, height: Height, transactions: Sequence[LedgerTransaction], history: BlockHistory
    ) -> None:
        first = history.transactions[0].sequence_number if history.transactions else 0
        settling = [
            (sequence, item)
            for sequence, item in enumerate(transactions, first)
            if isinstance(item, Settlement | PotCarry)
        ]
        expected = [
            (item.year, sequence, *self._settled(item), *_counts(item))
            for sequence, item in settling
        ]
        stored = [
            (row[0], row[1], *(row[2:5] if self._is_whole(row[0]) else ()), *row[5:])
            for row in history.settlements
        ]
        if stored != expected:
            raise IntegrityViolation(
                "settlements", height, "the rows are not what the block settles"
            )
        for _, item in settling:
            self._tallies.pop(item.year, None)

    def _settled(self, item: Settlement | PotCarry) -> tuple[int | bytes, ...]:
        """What the row must say of the year's tally, nothing if it is not known whole."""
        if not self._is_whole(item.year):
            return ()
        tally = self._tally(item.year)
        return (tally.ballots, tally.blocks, tally.ciphertext_sum)

    def _tally(self, year: FiscalYear) -> Tally:
        empty = Tally(year, self._genesis.opener_key, EMPTY_SUM, 0, 0)
        return self._tallies.get(year, empty)

    def _is_whole(self, year: int) -> bool:
        return self._first_whole is None or year >= self._first_whole

    def _year_of(self, header: Header) -> FiscalYear:
        genesis = self._genesis
        return fiscal_year(genesis.parameters, genesis.time_ms, header.time_ms)


def _counts(item: Settlement | PotCarry) -> tuple[list[int] | None, list[int] | None]:
    if isinstance(item, PotCarry):
        return None, None
    return [count.bank for count in item.claim.counts], [count.count for count in item.claim.counts]


def check_pots(
    state: LedgerState,
    pots: Sequence[tuple[int, str, int]],
    rewards: Sequence[tuple[int, int]],
    damaged_settlement: tuple[int, int] | None,
) -> None:
    """Compare what treasury rows add up to with the pots and rewards of the state.

    `pots` are sums by year and kind, `rewards` by bank; amounts in minor units. A year without a
    pot was settled: what filled its pot has left it. Raises `IntegrityViolation`.
    """
    year = pot_that_differs(state, pots)
    if year is not None:
        raise IntegrityViolation(
            "treasury", state.height, f"the rows of {label(year)} do not add up to its pot"
        )
    paid_ever = {bank: int(amount) for bank, amount in rewards if amount}
    if paid_ever != {bank.index: bank.rewards for bank in state.banks if bank.rewards}:
        raise IntegrityViolation("treasury", state.height, "the rewards are not the banks'")
    if damaged_settlement is not None:
        settled, height = damaged_settlement
        detail = f"rewards and carry of {label(FiscalYear(settled))} are not its pot"
        raise IntegrityViolation("settlements", height, detail)


def pot_that_differs(
    state: LedgerState, pots: Sequence[tuple[int, str, int]]
) -> FiscalYear | None:
    """Return the first year whose treasury rows do not add up to its pot; see `check_pots`."""
    filled: dict[int, dict[str, int]] = {}
    for year, kind, amount in pots:
        filled.setdefault(year, {})[kind] = int(amount)
    open_pots = {int(pot.year): pot for pot in state.pots}
    for year in sorted(filled.keys() | open_pots.keys()):
        sums = filled.get(year, {})
        fees, penalties, carried, paid = (
            sums.get(kind, 0) for kind in ("fee", "penalty", "carry", "reward")
        )
        pot = open_pots.get(year)
        if pot is None:
            holds = fees + penalties + carried == paid
        else:
            certified = (pot.approver_fees, pot.penalties, pot.carried, 0)
            holds = (fees, penalties, carried, paid) == certified
        if not holds:
            return FiscalYear(year)
    return None
