"""`consortium pay`: to names and addresses, sealed and proven, refused in plain words."""

from __future__ import annotations

import pytest

from crypto.note import SessionKeys
from node.client import encode_address
from node.ledger.rejection import Reason, Rejection
from tests.cli.served_consortium import ServedConsortium

STRANGER = encode_address(SessionKeys.derive(b"stranger", 0).address)


@pytest.fixture
def payer(consortium: ServedConsortium) -> ServedConsortium:
    """A consortium whose wallet alice holds four notes of 10.00 INR; bob's is empty."""
    for name in ("alice", "bob"):
        consortium.succeed("wallet", "new", name)
    consortium.succeed("issue", "0", "alice", "40")
    return consortium


def test_a_payment_is_sealed_and_proven_before_it_is_reported(payer: ServedConsortium) -> None:
    answer = payer.ask("pay", "alice", "bob", "12.5", "--memo", "rent")
    header = payer.ledger.blocks[3]
    assert answer == {
        "status": "sealed",
        "transaction_id": answer["transaction_id"],
        "payment": 1,
        "from": "alice",
        "to": "bob",
        "amount": "12.50",
        "amount_minor": 1250,
        "fee_minor": 100,
        "asset": "INR",
        "height": 3,
        "block_id": answer["block_id"],
        "index": 0,
        "elapsed_ms": answer["elapsed_ms"],
    }
    assert len(header.transactions) == 1
    assert payer.ask("wallet", "history", "bob")[0]["memo"] == "rent"
    assert payer.ask("wallet", "balance", "alice")[0]["total"] == "26.50"


def test_an_address_may_be_nobodys_here(payer: ServedConsortium) -> None:
    lines = payer.succeed("pay", "alice", STRANGER, "1").splitlines()
    assert lines[0] == f"paid 1.00 INR to {STRANGER[:12]}...{STRANGER[-6:]}, fee 1.00 INR"
    assert lines[1].startswith("sealed in block 3 after ")
    assert payer.ask("pay", "alice", STRANGER.upper(), "1")["status"] == "sealed"


def test_an_asset_that_is_not_the_base_asset_costs_no_fee(payer: ServedConsortium) -> None:
    payer.succeed("issue", "0", "alice", "2", "--asset", "XAU")
    answer = payer.ask("pay", "alice", "bob", "0.0001", "--asset", "XAU")
    assert (answer["amount_minor"], answer["fee_minor"]) == (1, 0)


def test_an_admission_is_not_called_a_payment(payer: ServedConsortium) -> None:
    payer.hold_back()
    lines = payer.succeed("pay", "alice", "bob", "1", "--no-wait").splitlines()
    (transaction_id,) = payer.banks[0].waiting
    assert lines == [
        "handed in: 1.00 INR to bob, fee 1.00 INR",
        "admitted by a bank; only a seal makes it final: see `consortium tx`",
        f"transaction {transaction_id.hex()}",
    ]


def test_what_arrived_a_moment_ago_is_waited_for(payer: ServedConsortium) -> None:
    """The change of the first payment still matures when the second one needs it."""
    home = payer.banks[0]
    payer.hold_back()
    payer.succeed("pay", "alice", "bob", "35", "--no-wait")
    payer.in_loop(lambda: payer.ledger.seal(*home.waiting.values()))
    home.waiting.clear()
    payer.hold_back(held=False)
    assert payer.refuse("pay", "alice", "bob", "1", "--timeout", "1") == (
        3,
        "Error: what alice received lately could not be spent within 1 s, because no block was "
        "sealed.\nNext: see `consortium status`, then order it again: nothing was handed in.\n",
    )
    payer.in_loop(payer.ledger.seal_matured)
    assert payer.ask("pay", "alice", "bob", "1")["status"] == "sealed"


def test_notes_are_merged_only_if_told_to(payer: ServedConsortium) -> None:
    payer.succeed("issue", "1", "bob", "60", "--notes", "6")
    assert payer.refuse("pay", "bob", "alice", "45") == (
        1,
        "Error: 46.00 INR are needed with the fee, but the 4 largest notes of bob hold 40.00 INR."
        "\nNext: add --merge: notes are merged first, which costs the fee each time.\n",
    )
    answer = payer.ask("pay", "bob", "alice", "45", "--merge")
    history = payer.ask("wallet", "history", "bob")
    assert [entry["kind"] for entry in history] == ["issued", "issued", "consolidated", "sent"]
    assert history[-1]["transaction_id"] == answer["transaction_id"]
    assert answer["payment"] == 2


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (
            ["alice", "bob", "40"],
            1,
            "Error: 41.00 INR are needed with the fee; alice has 40.00 INR.\n"
            "Next: pay less, or receive more first.\n",
        ),
        (
            ["alice", "bob", "1.001"],
            2,
            "Error: '1.001' has more than 2 decimal places.\n"
            "Next: write an amount such as 12 or 12.50.\n",
        ),
        (
            ["alice", "bob", "1", "--asset", "EUR"],
            1,
            "Error: there is no asset 'EUR'; this ledger has INR, XAU.\n",
        ),
        (
            ["alice", "idx1abc", "1"],
            2,
            "Error: an address has 220 characters, not 7.\n"
            "Next: copy the address whole, or name a wallet.\n",
        ),
        (
            ["alice", "bob", "1", "--memo", "x" * 33],
            1,
            "Error: a memo has at most 32 bytes, this one 33.\n",
        ),
    ],
)
def test_what_cannot_be_paid_is_said_in_one_sentence(
    payer: ServedConsortium, arguments: list[str], exit_code: int, message: str
) -> None:
    assert payer.refuse("pay", *arguments) == (exit_code, message)
    assert payer.ask("wallet", "balance", "alice")[0]["spendable_minor"] == 4000


def test_names_of_wallets_are_offered(payer: ServedConsortium) -> None:
    refusal = (
        2,
        f"Error: there is no wallet 'carol' in {payer.directory.wallets}.\n"
        "Next: the wallets are alice, bob.\n",
    )
    assert payer.refuse("pay", "carol", "bob", "1") == refusal
    assert payer.refuse("pay", "alice", "carol", "1") == refusal


def test_a_payment_that_the_ledger_refuses_frees_its_notes(payer: ServedConsortium) -> None:
    payer.banks[0].submit_errors.append(Rejection(Reason.FEE, "the fee is another one"))
    exit_code, message = payer.refuse("pay", "alice", "bob", "1")
    endpoint = f"bank-0@127.0.0.1:{payer.servers[0].port}"
    assert (exit_code, message) == (1, f"Error: {endpoint}: fee: the fee is another one.\n")
    assert payer.ask("wallet", "balance", "alice")[0]["pending_minor"] == 0


def test_a_payment_that_nobody_takes_stays_open(payer: ServedConsortium) -> None:
    payer.stop_banks()
    root = payer.directory.root
    assert payer.refuse("pay", "alice", "bob", "1") == (
        3,
        f"Error: no bank of {root} answers.\n"
        f"Next: start the consortium with `consortium up --data {root}`.\n",
    )
    assert payer.ask("wallet", "balance", "alice", "--offline")[0]["pending_minor"] == 0


def test_a_wallet_with_a_passphrase_is_paid_without_it(payer: ServedConsortium) -> None:
    passphrase = payer.directory.root / "passphrase"
    passphrase.touch(0o600)
    passphrase.write_text("correct horse")
    payer.succeed("wallet", "new", "vault", "--passphrase-file", str(passphrase))
    assert payer.ask("pay", "alice", "vault", "1")["to"] == "vault"
