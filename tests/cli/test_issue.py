"""`consortium issue`: notes for a wallet, in a bank's name (IDX1 5.3)."""

from __future__ import annotations

import pytest

from node.ledger.rejection import Reason, Rejection
from node.rpc.backend import NotReady
from tests.cli.served_consortium import ServedConsortium


@pytest.fixture
def alice(consortium: ServedConsortium) -> str:
    consortium.succeed("wallet", "new", "alice")
    return "alice"


def test_an_issue_makes_four_notes_unless_told_otherwise(
    consortium: ServedConsortium, alice: str
) -> None:
    answer = consortium.ask("issue", "1", alice, "10.01")
    transaction = answer["transactions"][0]["transaction_id"]
    assert answer == {
        "status": "sealed",
        "bank": "birchmoor",
        "to": "alice",
        "amount": "10.01",
        "amount_minor": 1001,
        "asset": "INR",
        "notes": 4,
        "transactions": [{"transaction_id": transaction, "height": 1, "index": 0}],
        "elapsed_ms": answer["elapsed_ms"],
    }
    assert [note["amount"] for note in consortium.ask("wallet", "notes", alice)] == [
        "2.51",
        "2.50",
        "2.50",
        "2.50",
    ]


def test_more_notes_take_more_transactions(consortium: ServedConsortium, alice: str) -> None:
    printed = consortium.succeed("issue", "amberfield", alice, "6", "--notes", "6")
    first, second = consortium.ledger.blocks[1], consortium.ledger.blocks[3]
    assert len(first.transactions) == len(second.transactions) == 1
    ids = [line.rpartition(" ")[2] for line in printed.splitlines()[1:]]
    assert printed.splitlines() == [
        "amberfield issued 6.00 INR to alice in 6 notes",
        f"sealed in block 1: transaction {ids[0]}",
        f"sealed in block 3: transaction {ids[1]}",
    ]


def test_an_amount_too_small_for_four_notes_makes_as_many_as_it_can(
    consortium: ServedConsortium, alice: str
) -> None:
    assert consortium.ask("issue", "0", alice, "0.03")["notes"] == 3
    assert consortium.refuse("issue", "0", alice, "0.03", "--notes", "4") == (
        2,
        "Error: 0.03 INR cannot be divided into 4 notes.\nNext: give a smaller --notes.\n",
    )


def test_another_asset_has_decimals_of_its_own(consortium: ServedConsortium, alice: str) -> None:
    answer = consortium.ask("issue", "0", alice, "0.0001", "--asset", "xau", "--notes", "1")
    assert (answer["amount"], answer["amount_minor"], answer["asset"]) == ("0.0001", 1, "XAU")


def test_a_bank_is_told_how_much_it_may_still_issue(
    consortium: ServedConsortium, alice: str
) -> None:
    consortium.succeed("issue", "0", alice, "9000")
    consortium.banks[0].submit_errors.append(Rejection(Reason.ISSUANCE_LIMIT, "too much"))
    assert consortium.refuse("issue", "0", alice, "2000") == (
        1,
        "Error: amberfield may issue 1000.00 INR more, not 2000.00 INR.\n"
        "Next: issue less, or let another bank issue.\n",
    )


def test_an_unanswered_issue_is_repeated_with_the_same_bytes(
    consortium: ServedConsortium, alice: str
) -> None:
    """An issue spends nothing, so a second one would be more money."""
    for bank in consortium.banks:
        bank.submit_errors.append(NotReady("stopping"))
    consortium.succeed("issue", "0", alice, "5", "--notes", "1")
    submissions = [raw for bank in consortium.banks for raw in bank.submissions]
    assert len(submissions) == 5
    assert len(set(submissions)) == 1
    assert consortium.ledger.chain.state.assets[0].issued == 500


def test_an_issue_that_is_not_sealed_in_time_is_not_to_be_ordered_again(
    consortium: ServedConsortium, alice: str
) -> None:
    consortium.hold_back()
    exit_code, message = consortium.refuse("issue", "0", alice, "5", "--timeout", "1")
    (waiting,) = consortium.banks[0].waiting
    assert (exit_code, message) == (
        3,
        f"Error: 1 s were too short for transaction {waiting.hex()}, which may still be sealed.\n"
        f"Next: see `consortium tx {waiting.hex()}` before you order the same again.\n",
    )


def test_who_and_how_much_is_checked_before_any_bank_is_asked(
    consortium: ServedConsortium,
) -> None:
    consortium.stop_banks()
    assert consortium.refuse("issue", "nowhere", "alice", "1") == (
        2,
        f"Error: there is no wallet 'alice' in {consortium.directory.wallets}.\n"
        "Next: make one: `consortium wallet new NAME`.\n",
    )
    assert consortium.refuse("issue", "0", "alice", "1e3")[1].startswith(
        "Error: '1e3' is not an amount such as 12 or 12.50.\n"
    )


def test_a_bank_issues_on_its_own_machine(consortium: ServedConsortium, alice: str) -> None:
    key = consortium.directory.bank(2).keys / "issuer.key"
    kept = key.rename(key.with_suffix(".elsewhere"))
    try:
        assert consortium.refuse("issue", "cedarholm", alice, "1") == (
            1,
            "Error: the key with which cedarholm issues is not on this machine: "
            f"there is no {key}.\n"
            "Next: run this on cedarholm's own machine, or choose a bank whose keys are here.\n",
        )
    finally:
        kept.rename(key)
