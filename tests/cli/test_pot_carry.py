"""`consortium pot-carry`: a pot that nobody settles moves on when a quorum says so (BFT-12 18)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.ledger.settlement import PotCarryTerms
from tests.cli.served_consortium import BANKS, Authority, ServedConsortium, served_consortium
from tests.cli.settled import begin, hold_keys, pay, settling_chain


@pytest.fixture
def unsettled(tmp_path: Path, authority: Authority) -> Iterator[ServedConsortium]:
    """FY2026 had one payment; FY2027 runs, and the regulator is gone."""
    with served_consortium(tmp_path / "consortium", authority, settling_chain()) as consortium:

        def play() -> None:
            pay(consortium.ledger)
            begin(consortium.ledger, 2027)

        consortium.in_loop(play)
        hold_keys(consortium, range(BANKS))
        yield consortium


def test_section_18_a_year_later_the_banks_carry_it(unsettled: ServedConsortium) -> None:
    unsettled.in_loop(lambda: begin(unsettled.ledger, 2028))
    sealed = unsettled.ask("pot-carry", "now", "FY2026")
    names = ["amberfield", "birchmoor", "cedarholm", "dunmere"]
    assert (sealed["status"], sealed["fiscal_year"], sealed["approved_by"]) == (
        "sealed",
        "FY2026",
        names,
    )
    first, *_, last = unsettled.ask("treasury")["years"]
    assert (first["state"], first["carried_out_minor"], first["settlement"]["shares"]) == (
        "carried",
        67,
        [],
    )
    assert (last["fiscal_year"], last["carried_in_minor"], last["pot_minor"]) == ("FY2028", 67, 67)
    text = unsettled.succeed("treasury", "--year", "2026")
    assert f"carried forward by a quorum of the banks in block {sealed['height']}" in text
    kind = unsettled.ask("tx", sealed["transaction_id"])
    assert (kind["kind"], kind["fiscal_year"]) == ("pot-carry", "FY2026")


def test_a_file_goes_round_and_is_handed_in(unsettled: ServedConsortium, tmp_path: Path) -> None:
    unsettled.in_loop(lambda: begin(unsettled.ledger, 2028))
    file = tmp_path / "carry.json"
    unsettled.succeed("pot-carry", "request", "2026", str(file))
    for bank in ("dunmere", "0", "birchmoor"):
        unsettled.succeed("pot-carry", "approve", str(file), "--as", bank)
    exit_code, message = unsettled.refuse("pot-carry", "submit", str(file))
    assert (exit_code, "3 approvals" in message) == (1, True), message
    answer = unsettled.ask("pot-carry", "approve", str(file), "--as", "cedarholm")
    assert answer == {
        "fiscal_year": "FY2026",
        "approved_by": ["dunmere", "amberfield", "birchmoor", "cedarholm"],
    }
    written = json.loads(file.read_text())
    assert PotCarryTerms.decode(bytes.fromhex(written["terms"])).year == 2026
    assert unsettled.ask("pot-carry", "submit", str(file))["status"] == "sealed"


@pytest.mark.parametrize(
    ("year", "message"),
    [
        ("2026", "Error: the regulator has until the end of FY2027 to settle FY2026.\n"),
        ("2027", "Error: FY2026 comes first.\n"),
        ("2030", "Error: FY2030 has nothing to carry: it is settled, or was empty.\n"),
    ],
)
def test_section_18_what_may_not_be_carried_is_said(
    unsettled: ServedConsortium, year: str, message: str
) -> None:
    def vote_in_2027() -> None:
        unsettled.ledger.seal()

    unsettled.in_loop(vote_in_2027)
    exit_code, said = unsettled.refuse("pot-carry", "now", year)
    assert exit_code == 1
    assert said.startswith(message)


def test_another_petition_is_none(unsettled: ServedConsortium, tmp_path: Path) -> None:
    file = tmp_path / "carry.json"
    file.write_text(json.dumps({"terms": "0112", "approvals": []}))
    exit_code, message = unsettled.refuse("pot-carry", "submit", str(file))
    assert exit_code == 2
    assert "is not a petition for a pot to be carried forward" in message
    assert "consortium pot-carry request" in message
