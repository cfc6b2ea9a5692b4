"""Digests: who is odd in what, and from which height on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.cli.digest_comparison import first_difference, odd_ones, treasury_faults
from node.cli.doctor_report import FindingKind
from node.ledger.effects import TreasuryKind
from node.ledger.state import genesis_state
from node.ledger.state_records import Pot
from node.ledger.types import Amount, BankIndex, FiscalYear, Height
from node.wire.operator_records import LedgerDigests, TreasuryRow
from tests.ledger.chain import make_genesis

ROW = TreasuryRow(None, 2026, 200, TreasuryKind.FEE, "fees of block 1")

DIGESTS = LedgerDigests(
    from_height=Height(9),
    at_height=Height(9),
    block_ids=(),
    state_root=b"s" * 32,
    transaction_count=14,
    nullifier_count=5,
    nullifier_digest=b"n" * 32,
    note_count=48,
    note_digest=b"o" * 32,
    voting_record_count=0,
    voting_record_digest=b"v" * 32,
    treasury=(ROW,),
    tip_height=Height(9),
)


def test_equal_banks_are_not_odd() -> None:
    later = replace(DIGESTS, tip_height=Height(12))
    assert odd_ones({BankIndex(0): DIGESTS, BankIndex(1): DIGESTS, BankIndex(2): later}) == []


@pytest.mark.parametrize(
    ("other", "kind"),
    [
        (replace(DIGESTS, state_root=bytes(32)), FindingKind.STATE_ROOT),
        (replace(DIGESTS, transaction_count=13), FindingKind.TRANSACTIONS),
        (replace(DIGESTS, nullifier_count=4), FindingKind.NULLIFIERS),
        (replace(DIGESTS, nullifier_digest=bytes(32)), FindingKind.NULLIFIERS),
        (replace(DIGESTS, note_count=47), FindingKind.NOTES),
        (replace(DIGESTS, note_digest=bytes(32)), FindingKind.NOTES),
        (replace(DIGESTS, voting_record_digest=bytes(32)), FindingKind.VOTING_RECORDS),
        (replace(DIGESTS, treasury=(replace(ROW, amount=201),)), FindingKind.TREASURY),
    ],
    ids=lambda value: value if isinstance(value, FindingKind) else None,
)
def test_every_aspect_is_compared(other: LedgerDigests, kind: FindingKind) -> None:
    banks = {BankIndex(0): DIGESTS, BankIndex(1): other, BankIndex(2): DIGESTS}
    assert odd_ones(banks) == [(kind, BankIndex(1))]


@pytest.mark.parametrize("first", range(1, 10))
async def test_the_first_difference_is_found_by_bisection(first: int) -> None:
    asked: list[int] = []

    async def ask(bank: BankIndex, height: Height) -> LedgerDigests:
        asked.append(height)
        odd = bank == 1 and height >= first
        return replace(DIGESTS, note_digest=bytes(32) if odd else DIGESTS.note_digest)

    found = await first_difference(FindingKind.NOTES, BankIndex(1), BankIndex(0), Height(9), ask)
    assert found == first
    assert len(asked) <= 2 * 4


def test_the_treasury_adds_up_with_the_state() -> None:
    genesis = make_genesis()
    state = genesis_state(genesis)
    stakes = [
        TreasuryRow(bank.index, 2026, bank.initial_stake, TreasuryKind.STAKE, "initial stake")
        for bank in genesis.banks
    ]
    assert treasury_faults(state, stakes) == []
    paid = replace(state, pots=(Pot(FiscalYear(2026), Amount(200), Amount(0)),))
    assert treasury_faults(paid, [*stakes, ROW]) == []
    assert treasury_faults(paid, stakes) == ["the fee rows do not add up to the pots"]
    assert treasury_faults(state, stakes[1:]) == [
        "the stake and penalty rows do not add up to the stakes"
    ]


def test_a_penalty_leaves_the_stake_and_enters_the_pot() -> None:
    genesis = make_genesis()
    state = genesis_state(genesis)
    rows = [
        TreasuryRow(bank.index, 2026, bank.initial_stake, TreasuryKind.STAKE, "initial stake")
        for bank in genesis.banks
    ]
    penalty = state.banks[2].stake // 20
    rows.append(TreasuryRow(BankIndex(2), 2026, penalty, TreasuryKind.PENALTY, "E1"))
    slashed = replace(
        state,
        banks=tuple(
            replace(bank, stake=Amount(bank.stake - penalty)) if bank.index == 2 else bank
            for bank in state.banks
        ),
        pots=(Pot(FiscalYear(2026), Amount(0), Amount(penalty)),),
    )
    assert treasury_faults(slashed, rows) == []
    assert treasury_faults(state, rows) == [
        "the penalty rows do not add up to the pots",
        "the stake and penalty rows do not add up to the stakes",
    ]
