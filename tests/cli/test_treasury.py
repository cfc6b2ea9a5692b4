"""`consortium treasury`: what the sealed state says, and whether the rows agree."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.cli.served_consortium import ServedConsortium


@pytest.fixture
def payer(consortium: ServedConsortium) -> ServedConsortium:
    """One payment of 5.00 was made: its fee of 1.00 is shared out in block 3."""
    for name in ("alice", "bob"):
        consortium.succeed("wallet", "new", name)
    consortium.succeed("issue", "1", "alice", "40")
    consortium.succeed("pay", "alice", "bob", "5")
    return consortium


def test_the_state_is_shown_and_adds_up(payer: ServedConsortium) -> None:
    answer = payer.ask("treasury")
    stakes = [bank.initial_stake for bank in payer.ledger.chain.genesis.banks]
    assert [bank["stake_minor"] for bank in answer["banks"]] == stakes
    assert [bank["creator_fees_minor"] for bank in answer["banks"]] == [0, 0, 0, 33]
    assert answer["years"] == [
        {
            "fiscal_year": "FY2026",
            "state": "open",
            "approver_fees_minor": 67,
            "penalties_minor": 0,
            "carried_in_minor": 0,
            "rewards_minor": 0,
            "carried_out_minor": 0,
            "pot_minor": 67,
            "slashed": [],
            "recorded_approvals": 12,
            "settlement": None,
        }
    ]
    assert answer["invariant"] == {
        "initial_stakes_minor": sum(stakes),
        "topped_up_minor": 0,
        "fees_minor": 100,
        "stakes_minor": sum(stakes),
        "pots_minor": 67,
        "creator_fees_minor": 33,
        "rewards_minor": 0,
        "withdrawn_minor": 0,
        "holds": True,
    }
    assert (answer["height"], answer["movements"]) == (4, 5)
    assert (answer["verified"], answer["balanced"], answer["faults"]) == (True, True, [])


def test_movements_are_listed_on_demand(payer: ServedConsortium) -> None:
    rows = payer.ask("treasury", "--rows")["rows"]
    assert [row["kind"] for row in rows] == ["stake"] * 4 + ["fee"]
    assert rows[-1] == {
        "record": 4,
        "height": 3,
        "bank": None,
        "fiscal_year": "FY2026",
        "amount_minor": 67,
        "kind": "fee",
        "reason": "approvers' part of the fees of block 3",
    }
    assert "approvers' part of the fees of block 3" in payer.succeed("treasury", "--rows")


def test_it_is_said_in_words(payer: ServedConsortium) -> None:
    lines = payer.succeed("treasury").splitlines()
    assert lines[0] == "block 4, amounts in INR"
    assert lines[-1] == (
        "adds up: 5 movements, stakes, pots, rewards and accounts agree with the sealed state"
    )
    assert lines[-3:-1] == [
        "came in: initial stakes 1800.06 + top-ups 0.00 + fees 1.00 = 1801.06",
        "is in: stakes 1800.06 + pots 0.67 + creator fees 0.33 + rewards 0.00 + withdrawn 0.00 "
        "= 1801.06",
    ]


def test_rows_that_do_not_add_up_are_an_alarm(payer: ServedConsortium) -> None:
    payer.banks[0].forge["treasury"] = lambda page: [
        replace(row, amount=row.amount + 1) if row.kind == "fee" else row for row in page
    ]
    result = payer.run("treasury", "--json")
    assert result.exit_code == 1
    assert '"balanced": false' in result.stdout
    fault = "DOES NOT ADD UP: the fee rows of FY2026 do not add up to its pot"
    assert fault in payer.run("treasury").stdout.splitlines()
