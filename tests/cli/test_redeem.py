"""`consortium redeem` and `payout`: between notes and a bank's public account (BFT-12 18)."""

from __future__ import annotations

import pytest

from node.ledger.rejection import Reason, Rejection
from tests.cli.served_consortium import ServedConsortium

CREATOR_FEE = 33
"""The part of the redemption's fee that goes to the bank that made its block, the third one."""


@pytest.fixture
def redeemer(consortium: ServedConsortium) -> ServedConsortium:
    """A consortium whose wallet alice holds 40.00 INR."""
    consortium.succeed("wallet", "new", "alice")
    consortium.succeed("issue", "0", "alice", "40")
    return consortium


def test_money_goes_to_a_public_account_and_back(redeemer: ServedConsortium) -> None:
    answer = redeemer.ask("redeem", "alice", "15", "dunmere")
    assert (answer["to"], answer["amount_minor"], answer["status"]) == (
        "the account of dunmere",
        1500,
        "sealed",
    )
    assert redeemer.ledger.chain.state.banks[3].balance == 1500 + CREATOR_FEE
    assert redeemer.ask("wallet", "history", "alice")[-1]["with"] == "dunmere"
    paid_out = redeemer.ask("payout", "dunmere", "alice", "10")
    assert (paid_out["amount"], paid_out["notes"]) == ("10.00", 1)
    assert redeemer.ledger.chain.state.banks[3].balance == 500 + CREATOR_FEE
    assert redeemer.ask("wallet", "balance", "alice")[0]["total"] == "34.00"


def test_it_is_said_in_words_too(redeemer: ServedConsortium) -> None:
    assert redeemer.succeed("redeem", "alice", "15", "3").splitlines()[0] == (
        "redeemed 15.00 INR to the account of dunmere, fee 1.00 INR"
    )
    assert redeemer.succeed("payout", "3", "alice", "10", "--notes", "2").splitlines()[0] == (
        "dunmere paid out 10.00 INR to alice in 2 notes"
    )


def test_a_bank_cannot_pay_out_more_than_it_holds(redeemer: ServedConsortium) -> None:
    redeemer.succeed("redeem", "alice", "15", "dunmere")
    redeemer.banks[3].submit_errors.append(Rejection(Reason.INSUFFICIENT_ACCOUNT, "too little"))
    assert redeemer.refuse("payout", "dunmere", "alice", "16") == (
        1,
        "Error: the public account of dunmere holds 15.33 INR, less than 16.00 INR.\n"
        "Next: redeem into it first: `consortium redeem WALLET AMOUNT dunmere`.\n",
    )


def test_banks_are_offered(redeemer: ServedConsortium) -> None:
    for arguments in (["redeem", "alice", "1", "nowhere"], ["payout", "nowhere", "alice", "1"]):
        assert redeemer.refuse(*arguments) == (
            2,
            "Error: there is no bank 'nowhere'.\n"
            "Next: the banks are amberfield, birchmoor, cedarholm, dunmere.\n",
        )
