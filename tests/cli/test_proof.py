"""`consortium proof`: evidence that outlives the banks, checked from the genesis alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.served_consortium import ServedConsortium
from tests.ledger.chain import make_genesis

NOT_PROVEN = "is the right genesis; if it is, the transaction is not proven to be sealed.\n"


@pytest.fixture
def paid(consortium: ServedConsortium) -> tuple[ServedConsortium, str]:
    """A consortium and the id of a sealed payment."""
    for name in ("alice", "bob"):
        consortium.succeed("wallet", "new", name)
    consortium.succeed("issue", "1", "alice", "40")
    return consortium, consortium.ask("pay", "alice", "bob", "5")["transaction_id"]


@pytest.fixture
def proof_file(paid: tuple[ServedConsortium, str], tmp_path: Path) -> Path:
    """A proof of the payment; every bank has stopped since."""
    consortium, transaction_id = paid
    path = tmp_path / "rent.proof"
    printed = consortium.succeed("proof", transaction_id, "--out", str(path))
    assert printed == f"the proof of {transaction_id} is in {path}\n"
    consortium.stop_banks()
    return path


def test_a_proof_is_verified_as_it_is_fetched(paid: tuple[ServedConsortium, str]) -> None:
    consortium, transaction_id = paid
    block = consortium.ask("block", "3")
    chain = consortium.ledger.chain.genesis.chain_id.hex()
    lines = consortium.succeed("proof", transaction_id, "--verify").splitlines()
    cost = r"cost +verified in [\d.]+ ms \([\d.]+ ms of CPU\) from [\d,]+ bytes "
    needed = "beyond the header chain, of which 268 bytes were needed"
    assert re.fullmatch(cost + needed, lines.pop(6))
    assert lines == [
        f"the proof holds: {transaction_id} is sealed",
        f"transaction  {transaction_id}, the hash of all its bytes",
        "inclusion    place 0 of 1 in block 3, by 0 hashes up to the transactions' root",
        f"block        {block['block_id']}, 2026-03-31 18:30:04.000 UTC",
        "seal         4 approving ballots, by as many of the 4 active banks; which of them, "
        "the ballots do not show",
        "banks        the set of banks is that of the genesis",
        f"genesis      chain {chain}, from {consortium.directory.genesis_file}",
    ]


def test_a_file_is_verified_when_no_bank_is_left(
    paid: tuple[ServedConsortium, str], proof_file: Path, tmp_path: Path
) -> None:
    consortium, transaction_id = paid
    answer = consortium.ask("proof", "--verify", "--file", str(proof_file))
    file = json.loads(proof_file.read_bytes())
    assert answer == {
        "verified": True,
        "transaction_id": transaction_id,
        "height": 3,
        "block_id": answer["block_id"],
        "index": 0,
        "transaction_count": 1,
        "time_ms": answer["time_ms"],
        "ballots": 4,
        "active_banks": 4,
        "view": 0,
        "path_hashes": 0,
        "set_changes": 0,
        "proof_bytes": sum(
            len(file[name]) // 2 for name in ("transaction", "certificate", "proof", "leaf_hash")
        ),
        "header_bytes": 268,
        "verification_ms": answer["verification_ms"],
        "cpu_ms": answer["cpu_ms"],
        "chain_id": consortium.ledger.chain.genesis.chain_id.hex(),
    }
    genesis = tmp_path / "elsewhere.json"
    genesis.write_bytes(consortium.directory.genesis_file.read_bytes())
    elsewhere = ["--genesis", str(genesis), "--data", str(tmp_path / "nothing")]
    again = consortium.ask("proof", "--verify", "--file", str(proof_file), *elsewhere)
    measured = {name: again[name] for name in ("verification_ms", "cpu_ms")}
    assert again == {**answer, **measured}


def test_a_proof_with_one_wrong_digit_does_not_hold(
    paid: tuple[ServedConsortium, str], proof_file: Path
) -> None:
    consortium, _ = paid
    document = json.loads(proof_file.read_bytes())
    for name in ("transaction", "header", "certificate", "leaf_hash", "proof"):
        digits = document[name]
        for position in (0, len(digits) // 2, len(digits) - 1):
            other = "0" if digits[position] != "0" else "1"
            wrong = {**document, name: digits[:position] + other + digits[position + 1 :]}
            proof_file.write_text(json.dumps(wrong))
            exit_code, message = consortium.refuse("proof", "--verify", "--file", str(proof_file))
            assert exit_code == 1, (name, position)
            assert message.startswith(f"Error: the proof of {proof_file} does NOT hold: ")
            assert message.endswith(NOT_PROVEN)


def test_a_proof_of_another_consortium_does_not_hold(
    paid: tuple[ServedConsortium, str], proof_file: Path, tmp_path: Path
) -> None:
    consortium, _ = paid
    other = tmp_path / "other.json"
    other.write_text(json.dumps(make_genesis(limit=5).to_json_object()))
    assert consortium.refuse(
        "proof", "--verify", "--file", str(proof_file), "--genesis", str(other)
    ) == (
        1,
        f"Error: the proof of {proof_file} does NOT hold: the header is of another chain.\n"
        f"Next: check that {other} {NOT_PROVEN}",
    )


def test_a_proof_is_about_the_transaction_that_was_named(
    paid: tuple[ServedConsortium, str], proof_file: Path
) -> None:
    consortium, transaction_id = paid
    assert consortium.refuse("proof", "ab" * 32, "--verify", "--file", str(proof_file)) == (
        1,
        f"Error: the proof of {proof_file} is about {transaction_id}.\n",
    )


def test_the_proof_itself_is_printed_unless_told_otherwise(
    paid: tuple[ServedConsortium, str], proof_file: Path
) -> None:
    consortium, transaction_id = paid
    consortium_is_down = consortium.refuse("proof", transaction_id)
    assert consortium_is_down[0] == 3
    assert sorted(json.loads(proof_file.read_bytes())) == [
        "certificate",
        "format",
        "header",
        "leaf_hash",
        "proof",
        "set_changes",
        "transaction",
    ]


def test_a_proof_can_be_piped(paid: tuple[ServedConsortium, str], tmp_path: Path) -> None:
    consortium, transaction_id = paid
    path = tmp_path / "piped.proof"
    path.write_text(consortium.succeed("proof", transaction_id))
    assert consortium.ask("proof", "--verify", "--file", str(path))["verified"] is True


def test_what_is_not_sealed_has_no_proof(paid: tuple[ServedConsortium, str]) -> None:
    consortium, _ = paid
    consortium.hold_back()
    open_id = consortium.ask("pay", "alice", "bob", "5", "--no-wait")["transaction_id"]
    assert consortium.refuse("proof", open_id) == (
        1,
        f"Error: transaction {open_id} is not sealed yet.\n"
        f"Next: see `consortium tx {open_id}`, and ask again in a moment.\n",
    )


def test_files_that_are_no_proofs_are_refused(consortium: ServedConsortium, tmp_path: Path) -> None:
    genesis, missing = consortium.directory.genesis_file, tmp_path / "missing"
    assert consortium.refuse("proof", "--verify", "--file", str(genesis)) == (
        2,
        f"Error: {genesis} is not a proof: it is not of the format consortium/inclusion-proof/2.\n"
        "Next: `consortium proof TXID --out FILE` writes one.\n",
    )
    assert consortium.refuse("proof", "--verify", "--file", str(missing)) == (
        2,
        f"Error: {missing}: No such file or directory.\nNext: check the path.\n",
    )


def test_a_genesis_that_is_none_is_refused(
    paid: tuple[ServedConsortium, str], proof_file: Path, tmp_path: Path
) -> None:
    consortium, _ = paid
    wrong = tmp_path / "wrong.json"
    wrong.write_text("{")
    exit_code, message = consortium.refuse(
        "proof", "--verify", "--file", str(proof_file), "--genesis", str(wrong)
    )
    assert (exit_code, message.partition(":")[0]) == (2, "Error")
    assert f"{wrong} is not a genesis" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give the id of a transaction, or --verify --file FILE"),
        (["--file", "x"], "--file goes with --verify and without --out"),
        (["--file", "x", "--verify", "--out", "y"], "--file goes with --verify and without --out"),
    ],
)
def test_options_that_do_not_go_together(
    consortium: ServedConsortium, arguments: list[str], message: str
) -> None:
    exit_code, said = consortium.refuse("proof", *arguments)
    assert (exit_code, said.splitlines()[-1]) == (2, f"Error: {message}")
