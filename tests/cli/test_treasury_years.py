"""Fiscal years in `consortium treasury` and `tx`: pots, settlements, rewards (BFT-12 18)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crypto.transaction import transaction_id
from tests.cli.served_consortium import Authority, ServedConsortium, served_consortium
from tests.cli.settled import begin, pay, settlement, settling_chain


@pytest.fixture
def settled(tmp_path: Path, authority: Authority) -> Iterator[ServedConsortium]:
    """FY2026 had one payment and is settled; FY2027 runs."""
    with served_consortium(tmp_path / "consortium", authority, settling_chain()) as consortium:

        def play() -> None:
            pay(consortium.ledger)
            begin(consortium.ledger, 2027)
            consortium.ledger.seal(settlement(consortium.ledger, 2026))

        consortium.in_loop(play)
        yield consortium


def test_section_18_a_settled_year_is_shown_with_counts_and_rewards(
    settled: ServedConsortium,
) -> None:
    (raw,) = settled.ledger.blocks[5].transactions
    answer = settled.ask("treasury")
    first, second = answer["years"]
    assert first == {
        "fiscal_year": "FY2026",
        "state": "settled",
        "approver_fees_minor": 67,
        "penalties_minor": 0,
        "carried_in_minor": 0,
        "rewards_minor": 67,
        "carried_out_minor": 0,
        "pot_minor": 0,
        "slashed": [],
        "recorded_approvals": None,
        "settlement": {
            "height": 5,
            "transaction_id": transaction_id(raw).hex(),
            "pot_minor": 67,
            "carried_minor": 0,
            # 67 / 4 = 16 remainder 3: the largest remainders are equal, so lower banks go first.
            "shares": [
                {"bank": "amberfield", "approvals": 3, "reward_minor": 17},
                {"bank": "birchmoor", "approvals": 3, "reward_minor": 17},
                {"bank": "cedarholm", "approvals": 3, "reward_minor": 17},
                {"bank": "dunmere", "approvals": 3, "reward_minor": 16},
            ],
        },
    }
    assert (second["fiscal_year"], second["state"], second["settlement"]) == (
        "FY2027",
        "open",
        None,
    )
    assert [bank["rewards_minor"] for bank in answer["banks"]] == [17, 17, 17, 16]
    assert (answer["invariant"]["rewards_minor"], answer["invariant"]["pots_minor"]) == (67, 0)
    assert (answer["invariant"]["holds"], answer["balanced"]) == (True, True)


def test_one_year_alone_is_named_either_way(settled: ServedConsortium) -> None:
    answer = settled.ask("treasury", "--year", "FY2026", "--rows")
    assert [year["fiscal_year"] for year in answer["years"]] == ["FY2026"]
    assert [row["kind"] for row in answer["rows"]] == ["stake"] * 4 + ["fee"] + ["reward"] * 4
    assert settled.ask("treasury", "--year", "2026", "--rows") == answer
    lines = settled.succeed("treasury", "--year", "2026").splitlines()
    (row,) = [line.split() for line in lines if line.startswith("FY2026")]
    assert row == ["FY2026", "settled", "0.67", "0.00", "0.00", "0.67", "0.00", "0.00"]
    assert "amberfield          3    0.17" in lines
    assert settled.refuse("treasury", "--year", "2031") == (
        1,
        "Error: nothing happened in FY2031.\nNext: years with movements: FY2026, FY2027.\n",
    )
    assert settled.refuse("treasury", "--year", "last") == (
        2,
        "Error: 'last' is no fiscal year.\nNext: give one such as FY2026 or 2026.\n",
    )


def test_a_settlement_is_shown_as_a_transaction(settled: ServedConsortium) -> None:
    (raw,) = settled.ledger.blocks[5].transactions
    answer = settled.ask("tx", transaction_id(raw).hex())
    assert (answer["kind"], answer["fiscal_year"], answer["height"]) == ("settlement", "FY2026", 5)
    assert answer["counts"] == dict.fromkeys(("amberfield", "birchmoor", "cedarholm", "dunmere"), 3)
    lines = settled.succeed("tx", transaction_id(raw).hex()).splitlines()
    assert "kind         settlement of FY2026" in lines
    assert "approvals    amberfield 3, birchmoor 3, cedarholm 3, dunmere 3" in lines


def first_of(kind: str, /, **changes: Any) -> Callable[[Any], Any]:
    """Alter the first row of a kind, if the page has one."""

    def lie(page: Any) -> Any:
        at = next((place for place, row in enumerate(page) if row.kind == kind), None)
        if at is None:
            return page
        return [*page[:at], replace(page[at], **changes), *page[at + 1 :]]

    return lie


LIES: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "a reward": ("treasury", first_of("reward", amount=18), "FY2026 has ended, and -"),
    "a reward's bank": ("treasury", first_of("reward", bank=3), "the reward rows do not add up to"),
    "a fee's year": ("treasury", first_of("fee", fiscal_year=2027), "FY2026 has ended, and -67 of"),
    "no penalty": ("treasury", first_of("fee", kind="penalty", bank=1), "the penalty rows do not"),
    "the settled pot": (
        "settlements",
        lambda page: [replace(page[0], pot=68)],
        "the settlement of FY2026 is about another pot than the rows",
    ),
    "the settled rewards": (
        "settlements",
        lambda page: [replace(page[0], shares=page[0].shares[1:])],
        "the rewards of FY2026 are not those of its settlement",
    ),
}


@pytest.mark.parametrize("name", LIES)
def test_section_18_what_does_not_add_up_is_an_alarm(settled: ServedConsortium, name: str) -> None:
    method, lie, fault = LIES[name]
    settled.banks[0].forge[method] = lie
    result = settled.run("treasury", "--json")
    assert (result.exit_code, '"balanced": false' in result.stdout) == (1, True)
    shown = settled.run("treasury").stdout.splitlines()
    assert any(line.startswith(f"DOES NOT ADD UP: {fault}") for line in shown), shown
