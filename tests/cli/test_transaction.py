"""`consortium tx`: where a transaction stands; only a seal is more than a bank's word."""

from __future__ import annotations

import pytest

from node.wire.records import Refusal
from tests.cli.served_consortium import ServedConsortium

UNKNOWN = "ab" * 32


@pytest.fixture
def payer(consortium: ServedConsortium) -> ServedConsortium:
    for name in ("alice", "bob"):
        consortium.succeed("wallet", "new", name)
    consortium.succeed("issue", "1", "alice", "40")
    return consortium


def test_a_sealed_payment_is_proven_and_shows_what_is_public(payer: ServedConsortium) -> None:
    transaction_id = payer.ask("pay", "alice", "bob", "5")["transaction_id"]
    answer = payer.ask("tx", transaction_id)
    header = payer.ledger.blocks[3]
    assert answer == {
        "transaction_id": transaction_id,
        "status": "sealed",
        "asked": "amberfield",
        "height": 3,
        "block_id": answer["block_id"],
        "index": 0,
        "time_ms": answer["time_ms"],
        "verified": True,
        "reason": None,
        "message": None,
        "kind": "transfer",
        "asset": "INR",
        "bank": "",
        "fee_minor": 100,
        "redeemed_minor": 0,
        "inputs": 1,
        "outputs": 2,
        "bins": [0],
        "size_bytes": len(header.transactions[0]),
        "expiry_height": 202,
    }


def test_it_is_said_in_words(payer: ServedConsortium) -> None:
    transaction_id = payer.ask("redeem", "alice", "5", "dunmere")["transaction_id"]
    answer = payer.ask("tx", transaction_id)
    assert payer.succeed("tx", transaction_id, "--bank", "cedarholm").splitlines() == [
        f"transaction  {transaction_id}",
        "status       sealed: final",
        "block        3, place 0 of 1",
        f"block id     {answer['block_id']}",
        "time         2026-03-31 18:30:04.000 UTC",
        "verified     the inclusion proof and the ballots, from the genesis alone",
        "kind         transfer of INR",
        "fee          1.00 INR",
        "redeemed     5.00 INR to dunmere",
        "inputs       1, hidden in bin 0",
        "outputs      1",
        f"size         {answer['size_bytes']} bytes",
        "expiry       block 202",
        "asked        cedarholm",
    ]


def test_an_issue_shows_its_bank_and_amount(payer: ServedConsortium) -> None:
    issued = payer.ask("wallet", "history", "alice")[0]["transaction_id"]
    lines = payer.succeed("tx", issued).splitlines()
    assert lines[6:9] == [
        "kind         issue of INR by birchmoor",
        "amount       40.00 INR",
        "inputs       none",
    ]


def test_an_admission_is_no_promise(payer: ServedConsortium) -> None:
    payer.hold_back()
    transaction_id = payer.ask("pay", "alice", "bob", "5", "--no-wait")["transaction_id"]
    answer = payer.ask("tx", transaction_id)
    assert (answer["status"], answer["verified"], answer["height"]) == ("admitted", False, None)
    assert payer.succeed("tx", transaction_id).splitlines()[1] == (
        "status       admitted: verified by this bank and passed on; not final"
    )


def test_a_refusal_is_shown_with_its_reason_and_cannot_steer_a_terminal(
    payer: ServedConsortium,
) -> None:
    refusal = Refusal("nullifier", "a note is spent\x1b[2J already")
    payer.banks[0].rejected[bytes.fromhex(UNKNOWN)] = refusal
    assert payer.succeed("tx", UNKNOWN).splitlines() == [
        f"transaction  {UNKNOWN}",
        "status       rejected: refused by this bank",
        "reason       nullifier: a note is spent\\x1b[2J already",
        "asked        amberfield",
    ]


def test_every_bank_is_asked_before_it_is_unknown(payer: ServedConsortium) -> None:
    payer.banks[2].expired.add(bytes.fromhex(UNKNOWN))
    assert payer.ask("tx", UNKNOWN)["asked"] == "cedarholm"
    payer.banks[2].expired.clear()
    assert payer.refuse("tx", UNKNOWN) == (
        1,
        f"Error: no bank that answers knows transaction {UNKNOWN}.\n"
        "Next: check the id and --data; what was refused long ago is forgotten.\n",
    )


def test_a_bank_that_calls_something_sealed_must_prove_it(payer: ServedConsortium) -> None:
    transaction_id = payer.ask("pay", "alice", "bob", "5")["transaction_id"]
    forged = payer.ledger.blocks[1].header
    payer.banks[0].forge["inclusion_proof"] = lambda proof: type(proof)(
        forged, proof.certificate, proof.proof, proof.leaf_hash
    )
    assert payer.refuse("tx", transaction_id) == (
        1,
        "Error: the ballot certificate is of another block.\n"
        "Next: ask another bank; run `consortium doctor`.\n",
    )


@pytest.mark.parametrize("text", ["", "abc", "g" * 64, UNKNOWN[:-1], UNKNOWN + "0"])
def test_an_id_must_be_whole(consortium: ServedConsortium, text: str) -> None:
    assert consortium.refuse("tx", text) == (
        2,
        f"Error: {text!r} is not the id of a transaction: 64 hexadecimal digits.\n"
        "Next: copy the id whole.\n",
    )


def test_nobody_there(consortium: ServedConsortium) -> None:
    consortium.stop_banks()
    root = consortium.directory.root
    assert consortium.refuse("tx", UNKNOWN) == (
        3,
        f"Error: no bank of {root} answers.\n"
        f"Next: start the consortium with `consortium up --data {root}`.\n",
    )
