"""The doctor's second look at settlements and tallies: true ones hold, each lie is named."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from crypto.merkle import merkle_root
from crypto.transaction import transaction_id
from node.cli.chain_check import ChainCheck
from node.cli.settlement_check import SettlementCheck
from node.client.record_check import RecordCheck
from node.client.treasury_books import TreasuryBooks
from node.client.verification import SealVerifier
from node.ledger.blocks import Block
from node.ledger.governance import assemble_approved
from node.ledger.settlement import decode_pot_carry
from node.ledger.state import LedgerState
from node.ledger.types import BankIndex, Height, TransactionId
from node.wire.records import PublishedBlock, SettledYear, TreasuryMovement
from tests.cli.settled import begin, pay, settlement, settling_chain
from tests.client.small_bank import SealedLedger, certify
from tests.ledger.chain import approve


def identity(raw: bytes) -> TransactionId:
    return TransactionId(transaction_id(raw))


@dataclass
class Shown:
    """Blocks as a bank shows them; whoever asks verifies them."""

    blocks: Sequence[PublishedBlock]

    async def block(self, height: Height, *, include_transactions: bool = False) -> PublishedBlock:
        return self.blocks[height]


@dataclass
class Examined:
    """What the doctor has before it looks at settlements."""

    ledger: SealedLedger
    verifier: SealVerifier
    records: RecordCheck

    @property
    def state(self) -> LedgerState:
        return self.ledger.chain.state

    def faults(
        self,
        settlements: Sequence[SettledYear] | None = None,
        rows: Sequence[TreasuryMovement] | None = None,
        state: LedgerState | None = None,
    ) -> tuple[list[str], SettlementCheck]:
        books = TreasuryBooks()
        for row in self.ledger.movements if rows is None else rows:
            books.add(row)
        check = SettlementCheck(self.verifier, (), self.records, books)
        listed = self.ledger.settlements if settlements is None else settlements
        shown: Any = Shown(self.ledger.blocks)
        found = asyncio.run(check.run(shown, state or self.state, listed))
        return found, check


@pytest.fixture(scope="module")
def examined() -> Examined:
    """FY2026 with two payments settled in FY2027, FY2027 carried in FY2029, FY2029 runs."""
    ledger = SealedLedger(settling_chain())
    pay(ledger)
    pay(ledger)
    begin(ledger, 2027)
    ledger.seal(settlement(ledger, 2026))
    pay(ledger)
    begin(ledger, 2029)
    ledger.seal(ledger.chain.carry(2027))  # type: ignore[attr-defined]
    verifier = SealVerifier(ledger.chain.genesis)
    records = RecordCheck(ledger.chain.genesis, verifier)
    check = ChainCheck(BankIndex(0), ledger.chain.genesis, verifier, records=records)
    for stored in ledger.blocks:
        check.take(stored)
    assert check.findings == []
    return Examined(ledger, verifier, records)


def test_section_18_true_settlements_hold_and_tallies_are_the_states(examined: Examined) -> None:
    faults, check = examined.faults()
    assert faults == []
    assert (check.verified, check.ended) == (2, [2026, 2027])
    assert examined.records.faults(examined.state, check.ended) == []
    assert examined.records.ballots_verified == 4 * (examined.ledger.height - 1)


def test_section_18_a_tally_that_is_not_the_sum_of_the_ballots_is_named(
    examined: Examined,
) -> None:
    (tally,) = examined.state.tallies
    for changes in (
        {"ballots": tally.ballots + 1},
        {"blocks": tally.blocks + 1},
        {"ciphertext_sum": bytes(192)},
    ):
        other = replace(tally, **changes)  # type: ignore[arg-type]
        state = replace(examined.state, tallies=(other,))
        assert examined.records.faults(state, [2026, 2027]) == [
            "the tally of FY2029 is not the sum of the recorded ballots"
        ]
    # A year that was settled must not have its tally in the state any more, an open one must.
    assert examined.records.faults(examined.state, [2027]) == [
        "the tally of FY2026 is not the sum of the recorded ballots"
    ]


def shares(**changes: int) -> Callable[[SettledYear], SettledYear]:
    def change(year: SettledYear) -> SettledYear:
        first, *others = year.shares
        return replace(year, shares=(replace(first, **changes), *others))

    return change


LISTS: dict[str, tuple[Callable[[SettledYear], SettledYear], str]] = {
    "a count": (
        shares(count=9),
        "the settlement of FY2026: the counts or rewards listed are not those that follow from it",
    ),
    "a reward": (
        shares(reward=1),
        "the settlement of FY2026: the counts or rewards listed are not those that follow from it",
    ),
    "a pot": (
        lambda year: replace(year, pot=1),
        "the settlement of FY2026: a pot of 1 where the rows have 134",
    ),
    "a block": (
        lambda year: replace(year, height=Height(1)),
        "block 1 does not settle FY2026 as the bank says",
    ),
    "no block": (
        lambda year: replace(year, height=Height(0)),
        "block 0 does not settle FY2026 as the bank says",
    ),
    "a year": (
        lambda year: replace(year, fiscal_year=2025),
        "block 7 does not settle FY2025 as the bank says",
    ),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_listed_settlement_that_the_ledger_does_not_hold_is_named(
    examined: Examined, name: str
) -> None:
    change, fault = LISTS[name]
    first, second = examined.ledger.settlements
    faults, _ = examined.faults([change(first), second])
    assert faults[0] == fault.replace("block 7", f"block {first.height}")


def test_a_settlement_left_out_is_missed(examined: Examined) -> None:
    faults, _ = examined.faults(examined.ledger.settlements[1:])
    assert faults[-1] == "the settlements listed are not all that the sealed state knows of"


def test_section_18_rewards_that_do_not_follow_from_the_counts_are_named(
    examined: Examined,
) -> None:
    """One minor unit moved from a bank to another: the sum is the same, the sharing is not."""
    rows = list(examined.ledger.movements)
    first, second = [at for at, row in enumerate(rows) if row.kind == "reward"][:2]
    rows[first] = replace(rows[first], amount=rows[first].amount + 1)
    rows[second] = replace(rows[second], amount=rows[second].amount - 1)
    faults, _ = examined.faults(rows=rows)
    assert faults == ["the settlement of FY2026: the reward rows are not those that follow from it"]


def test_section_18_a_settlement_is_held_to_the_ballots_on_record(examined: Examined) -> None:
    """Were a block's ballots not counted, the proof would not fit the sum any more."""
    genesis = examined.ledger.chain.genesis
    records = RecordCheck(genesis, examined.verifier)
    check = ChainCheck(BankIndex(0), genesis, examined.verifier, records=records)
    for height, stored in enumerate(examined.ledger.blocks):
        check.records = None if height == 3 else records
        check.take(stored)
    short = Examined(examined.ledger, examined.verifier, records)
    faults, _ = short.faults()
    assert faults[0].startswith("the settlement of FY2026: counts: ")


@pytest.mark.parametrize(
    ("approvals", "set_hash", "fault"),
    [
        (2, None, "approval-count: 2 approvals, 4 are required"),
        (4, bytes(32), "approved-set: approved under another active set than the present"),
    ],
)
def test_section_18_a_carry_that_no_quorum_approved_is_named_although_it_was_sealed(
    examined: Examined, approvals: int, set_hash: bytes | None, fault: str
) -> None:
    chain = examined.ledger.chain
    carry = examined.ledger.settlements[-1]
    stored = examined.ledger.blocks[carry.height]
    block = Block.decode(stored.block)
    (true,) = stored.transactions
    terms = decode_pot_carry(true).terms
    terms = terms if set_hash is None else replace(terms, set_hash=set_hash)
    forged = assemble_approved(terms, [approve(terms, bank) for bank in range(approvals)])
    header = replace(block.header, transactions_root=merkle_root([forged]))
    named = replace(block, header=header, transaction_ids=(identity(forged),))
    certificate = certify(header, chain.state.active_set(chain.genesis))
    blocks = list(examined.ledger.blocks)
    blocks[carry.height] = PublishedBlock(
        header.encode(), named.encode(), certificate.encode(), (forged,)
    )
    sealed = SealedLedger.__new__(SealedLedger)
    sealed.__dict__.update(examined.ledger.__dict__, blocks=blocks)
    first, last = examined.ledger.settlements
    told = [first, replace(last, transaction_id=identity(forged))]
    faults, _ = replace(examined, ledger=sealed).faults(told)
    assert faults == [f"the settlement of FY2027: {fault}"]
