"""Comparing what banks store by digests, and finding the first height at which two differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol

from node.cli.doctor_report import FindingKind
from node.ledger.effects import TreasuryKind
from node.ledger.state import LedgerState
from node.ledger.types import BankIndex, Height
from node.wire.operator_records import LedgerDigests

DigestsOf = Callable[[BankIndex, Height], Awaitable[LedgerDigests]]
"""Asks a bank for its digests up to a height."""

ASPECTS: Mapping[FindingKind, Callable[[LedgerDigests], object]] = {
    FindingKind.STATE_ROOT: lambda item: item.state_root,
    FindingKind.NULLIFIERS: lambda item: (item.nullifier_count, item.nullifier_digest),
    FindingKind.NOTES: lambda item: (item.note_count, item.note_digest),
    FindingKind.VOTING_RECORDS: lambda item: (
        item.voting_record_count,
        item.voting_record_digest,
    ),
    FindingKind.TREASURY: lambda item: item.treasury,
    FindingKind.TRANSACTIONS: lambda item: item.transaction_count,
}
"""What is compared between banks, by the finding that a difference is."""


def odd_ones(digests: Mapping[BankIndex, LedgerDigests]) -> list[tuple[FindingKind, BankIndex]]:
    """Return each aspect in which a bank differs from most, with the bank."""
    odd: list[tuple[FindingKind, BankIndex]] = []
    for kind, aspect in ASPECTS.items():
        values = {bank: aspect(item) for bank, item in digests.items()}
        common, _ = Counter(values.values()).most_common(1)[0]
        odd += [(kind, bank) for bank, value in values.items() if value != common]
    return odd


async def first_difference(
    kind: FindingKind,
    bank: BankIndex,
    sound: BankIndex,
    height: Height,
    ask: DigestsOf,
    below: int = 0,
) -> Height:
    """Return the first height at which an aspect of two banks differs, by bisection.

    They differ at `height`; at `below` and under it nothing is asked. Digests cover everything up
    to a height, so that a difference stays.
    """
    aspect = ASPECTS[kind]
    above = int(height)
    while above - below > 1:
        middle = Height((below + above) // 2)
        if aspect(await ask(bank, middle)) == aspect(await ask(sound, middle)):
            below = middle
        else:
            above = middle
    return Height(above)


class TreasuryMovement(Protocol):
    """A treasury row, whoever listed it."""

    @property
    def bank(self) -> int | None: ...

    @property
    def fiscal_year(self) -> int: ...

    @property
    def amount(self) -> int: ...

    @property
    def kind(self) -> str: ...


def treasury_faults(state: LedgerState, rows: Iterable[TreasuryMovement]) -> list[str]:
    """Say in what a bank's treasury rows do not add up with its state of the same height.

    Per bank, stake rows minus penalty rows are the stake; per year, fee rows and penalty rows are
    the pots (BFT-12 section 18).
    """
    fees: Counter[int] = Counter()
    penalties: Counter[int] = Counter()
    stakes: Counter[int | None] = Counter()
    for row in rows:
        match row.kind:
            case TreasuryKind.FEE:
                fees[row.fiscal_year] += row.amount
            case TreasuryKind.STAKE:
                stakes[row.bank] += row.amount
            case TreasuryKind.PENALTY:
                stakes[row.bank] -= row.amount
                penalties[row.fiscal_year] += row.amount
    faults = []
    if fees != Counter({pot.year: pot.approver_fees for pot in state.pots}):
        faults.append("the fee rows do not add up to the pots")
    if penalties != Counter({pot.year: pot.penalties for pot in state.pots}):
        faults.append("the penalty rows do not add up to the pots")
    if stakes != Counter({bank.index: bank.stake for bank in state.banks}):
        faults.append("the stake and penalty rows do not add up to the stakes")
    return faults
