"""`consortium stake`: money between a bank's public account and its stake."""

from __future__ import annotations

import pytest

from tests.cli.served_consortium import ServedConsortium


@pytest.fixture
def funded(consortium: ServedConsortium) -> ServedConsortium:
    """Birchmoor's public account holds 20.00, redeemed from alice's notes."""
    consortium.succeed("wallet", "new", "alice")
    consortium.succeed("issue", "1", "alice", "40")
    consortium.succeed("redeem", "alice", "20", "birchmoor", "--merge")
    return consortium


def test_a_top_up_is_sealed_and_told(funded: ServedConsortium) -> None:
    answer = funded.ask("stake", "top-up", "birchmoor", "12.50")
    stake = funded.ledger.chain.genesis.banks[1].initial_stake
    transaction_id = answer.pop("transaction_id")
    assert answer == {
        "status": "sealed",
        "height": funded.ledger.height - 1,
        "bank": "birchmoor",
        "active": True,
        "stake_minor": stake + 1_250,
        "initial_stake_minor": stake,
        "account_minor": 750,
    }
    shown = funded.ask("tx", transaction_id)
    assert (shown["kind"], shown["bank"], shown["amount_minor"]) == (
        "stake-top-up",
        "birchmoor",
        1_250,
    )
    (listed,) = funded.ask("block", str(shown["height"]))["transactions"]
    assert listed["transaction_id"] == transaction_id


def test_what_exceeds_the_initial_stake_can_be_withdrawn(funded: ServedConsortium) -> None:
    funded.succeed("stake", "top-up", "1", "10")
    text = funded.succeed("stake", "withdraw", "1", "10")
    assert text.startswith("10.00 INR withdrawn from the stake of birchmoor, which is now 450.01")
    exit_code, message = funded.refuse("stake", "withdraw", "1", "0.01")
    assert exit_code == 1
    assert "exceeds its initial stake by 0, 1 is wanted" in message
    movements = funded.ask("treasury", "--rows")["rows"]
    assert [row["amount_minor"] for row in movements if row["height"]][-2:] == [1_000, -1_000]


def test_an_account_that_does_not_cover_it_is_said(funded: ServedConsortium) -> None:
    exit_code, message = funded.refuse("stake", "top-up", "birchmoor", "20.01")
    assert exit_code == 1
    assert "the account of bank 1 holds 2000, 2001 is wanted" in message


def test_nobody_answering_is_said_at_once(funded: ServedConsortium) -> None:
    funded.stop_banks()
    exit_code, message = funded.refuse("stake", "top-up", "birchmoor", "1")
    assert exit_code == 3
    assert "answers" in message
    assert "consortium up" in message
