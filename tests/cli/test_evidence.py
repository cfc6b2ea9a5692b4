"""`consortium evidence`: what a bank shows is verified before it is believed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from node.ledger.types import BankIndex
from node.wire.records import EvidenceItem
from tests.cli.double_votes import double_vote
from tests.cli.served_consortium import ServedConsortium


@pytest.fixture
def item(consortium: ServedConsortium) -> EvidenceItem:
    found = double_vote(consortium)
    consortium.banks[0].held_evidence.append(found)
    return found


def test_an_honest_ledger_has_none(consortium: ServedConsortium) -> None:
    assert consortium.ask("evidence") == {"evidence": []}
    assert consortium.succeed("evidence") == "no evidence: no bank is accused of anything\n"


def test_an_item_is_listed_and_verified(consortium: ServedConsortium, item: EvidenceItem) -> None:
    listed = {
        "evidence_id": item.evidence_id.hex(),
        "offence": "E1",
        "meaning": "two votes in one view",
        "accused": "cedarholm",
        "offence_height": 1,
        "status": "recorded",
        "recorded_height": 2,
        "penalty_minor": 2_250,
        "size_bytes": len(item.item),
        "verified": True,
        "detail": "",
    }
    assert consortium.ask("evidence") == {"evidence": [listed]}
    one = consortium.ask("evidence", item.evidence_id.hex())
    statements = one.pop("statements")
    assert one == listed
    blocks = {hashlib.sha256(mark).hexdigest() for mark in (b"first", b"second")}
    assert set(statements) == {f"view 0: approved {block}" for block in blocks}
    text = consortium.succeed("evidence", item.evidence_id.hex())
    assert "offence   E1: two votes in one view, at height 1" in text
    assert "penalty   22.50 INR" in text


@pytest.mark.parametrize(
    ("forge", "detail"),
    [
        (lambda item: replace(item, bank=BankIndex(1)), "describes another item than it shows"),
        (lambda item: replace(item, offence="E3"), "describes another item than it shows"),
        (lambda item: replace(item, item=item.item[:-1]), "64 bytes wanted"),
        (lambda item: replace(item, item=_with_last_bit_flipped(item.item)), "evidence: "),
    ],
)
def test_a_false_accusation_is_not_believed(
    consortium: ServedConsortium,
    item: EvidenceItem,
    forge: Callable[[EvidenceItem], EvidenceItem],
    detail: str,
) -> None:
    consortium.banks[0].forge["evidence"] = lambda page: [forge(found) for found in page]
    result = consortium.run("evidence", "--json")
    assert result.exit_code == 1
    (listed,) = json.loads(result.stdout)["evidence"]
    assert (listed["verified"], detail in listed["detail"]) == (False, True)
    assert "1 items do not prove what they say" in result.stderr


def _with_last_bit_flipped(raw: bytes) -> bytes:
    return raw[:-1] + bytes([raw[-1] ^ 1])


def test_an_unknown_item_is_said(consortium: ServedConsortium, item: EvidenceItem) -> None:
    assert consortium.refuse("evidence", "00" * 32)[0] == 1
    exit_code, message = consortium.refuse("evidence", "abc")
    assert exit_code == 2
    assert "64 hexadecimal digits" in message
