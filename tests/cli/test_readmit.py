"""`consortium readmit`: petitions, their approvals, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

from node.cli.petition import Petition
from node.ledger.governance import ReadmissionTerms
from node.ledger.types import BankIndex
from tests.cli.served_consortium import ServedConsortium
from tests.ledger.chain import consensus_secret


def petition(consortium: ServedConsortium, path: Path) -> Path:
    chain = consortium.ledger.chain
    active = chain.state.active_set(chain.genesis)
    terms = ReadmissionTerms(chain.genesis.chain_id, BankIndex(3), active.set_hash, 0, 500)
    Petition(terms).write(path, {"bank": "dunmere"})
    return path


def test_an_active_bank_needs_no_readmission(consortium: ServedConsortium) -> None:
    for words in (("now", "dunmere"), ("request", "dunmere", "petition.json")):
        exit_code, message = consortium.refuse("readmit", *words)
        assert exit_code == 1
        assert "bank 3 is in the active set" in message


def test_approvals_gather_in_the_file(consortium: ServedConsortium, tmp_path: Path) -> None:
    file = petition(consortium, tmp_path / "petition.json")
    for bank in (0, 2):
        key = consortium.directory.bank(bank).keys / "consensus.key"
        if not key.exists():
            key.write_text(consensus_secret(bank).hex())
            key.chmod(0o600)
    first = consortium.ask("readmit", "approve", str(file), "--as", "cedarholm")
    assert first == {"bank": "dunmere", "approved_by": ["cedarholm"]}
    again = consortium.ask("readmit", "approve", str(file), "--as", "2")
    assert again == first
    text = consortium.succeed("readmit", "approve", str(file), "--as", "amberfield")
    assert text == f"{file}: approved by cedarholm, amberfield\n"
    written = json.loads(file.read_text())
    assert [item["bank"] for item in written["approvals"]] == [2, 0]
    assert ReadmissionTerms.decode(bytes.fromhex(written["terms"])).bank == 3


def test_a_petition_too_early_is_refused_by_the_ledger(
    consortium: ServedConsortium, tmp_path: Path
) -> None:
    file = petition(consortium, tmp_path / "petition.json")
    exit_code, message = consortium.refuse("readmit", "submit", str(file))
    assert exit_code == 1
    assert "bank 3" in message


def test_what_is_no_petition_is_said(consortium: ServedConsortium, tmp_path: Path) -> None:
    file = tmp_path / "petition.json"
    for text in ("nonsense", "{}", '{"terms": "00", "approvals": []}', "[]"):
        file.write_text(text)
        exit_code, message = consortium.refuse("readmit", "submit", str(file))
        assert exit_code == 2
        assert "is not a petition for readmission" in message
