"""`consortium wallet`: files and their modes, what is shown, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.client import KeyFile
from tests.cli.served_consortium import ServedConsortium

PASSPHRASE = "correct horse"


@pytest.fixture
def passphrase_file(tmp_path: Path) -> str:
    path = tmp_path / "passphrase"
    path.write_text(f"{PASSPHRASE}\n")
    path.chmod(0o600)
    return str(path)


def test_a_wallet_has_its_key_beside_it_for_its_owner_alone(consortium: ServedConsortium) -> None:
    made = consortium.ask("wallet", "new", "alice", "--bank", "dunmere")
    assert made == {"name": "alice", "bank": "dunmere", "address": made["address"]}
    assert consortium.wallet_files() == {
        "alice.wallet": 0o600,
        "alice.key": 0o600,
        "alice.lock": 0o600,
        "alice.address": 0o600,
    }
    assert consortium.succeed("wallet", "address", "alice") == made["address"] + "\n"
    assert consortium.ask("wallet", "list") == [
        {
            "name": "alice",
            "protection": "key file",
            "bank": "dunmere",
            "height": 0,
            "address": made["address"],
            "problem": None,
        }
    ]


def test_home_banks_are_given_out_in_turn(consortium: ServedConsortium) -> None:
    names = ["alice", "bob", "carol", "dave", "erin"]
    assert [consortium.ask("wallet", "new", name)["bank"] for name in names] == [
        "amberfield",
        "birchmoor",
        "cedarholm",
        "dunmere",
        "amberfield",
    ]


def test_a_wallet_is_never_overwritten(consortium: ServedConsortium) -> None:
    consortium.succeed("wallet", "new", "alice")
    before = (consortium.directory.wallets / "alice.wallet").read_bytes()
    assert consortium.refuse("wallet", "new", "alice") == (
        2,
        f"Error: there is a wallet 'alice' in {consortium.directory.wallets} already.\n"
        "Next: choose another name.\n",
    )
    assert (consortium.directory.wallets / "alice.wallet").read_bytes() == before


@pytest.mark.parametrize("name", ["Alice", "../alice", "a b", "-x", ""])
def test_a_name_must_be_a_safe_file_name(consortium: ServedConsortium, name: str) -> None:
    exit_code, message = consortium.refuse("wallet", "new", "--", name)
    assert (exit_code, message) == (
        2,
        f"Error: {name!r}: a wallet's name has 1-63 of a-z, 0-9, '-' and '_', a letter or digit "
        "first.\nNext: choose another name.\n",
    )
    assert consortium.wallet_files() == {}


def test_without_an_answer_nothing_is_left_behind(consortium: ServedConsortium) -> None:
    consortium.stop_banks()
    root = consortium.directory.root
    assert consortium.refuse("wallet", "new", "alice") == (
        3,
        f"Error: no bank of {root} answers.\n"
        f"Next: start the consortium with `consortium up --data {root}`.\n",
    )
    assert consortium.wallet_files() == {}


def test_another_bank_stands_in_for_a_home_bank_that_is_down(
    consortium: ServedConsortium,
) -> None:
    consortium.succeed("wallet", "new", "alice", "--bank", "0")
    consortium.stop_bank(0)
    assert consortium.ask("wallet", "balance", "alice")[0]["total"] == "0.00"


def test_a_key_file_that_lies_there_already_is_kept(consortium: ServedConsortium) -> None:
    """It may open a wallet that was put elsewhere."""
    key_file = consortium.directory.wallets / "alice.key"
    KeyFile.create(key_file)
    before = key_file.read_bytes()
    consortium.succeed("wallet", "new", "alice")
    assert key_file.read_bytes() == before
    assert consortium.ask("wallet", "balance", "alice")[0]["total"] == "0.00"


def test_a_passphrase_comes_from_a_private_file_or_the_terminal(
    consortium: ServedConsortium, passphrase_file: str
) -> None:
    made = consortium.ask("wallet", "new", "vault", "--passphrase-file", passphrase_file)
    assert set(consortium.wallet_files()) == {"vault.wallet", "vault.lock", "vault.address"}
    assert consortium.ask("wallet", "list") == [
        {
            "name": "vault",
            "protection": "passphrase",
            "bank": None,
            "height": None,
            "address": made["address"],
            "problem": None,
        }
    ]
    balance = consortium.succeed("wallet", "balance", "vault", "--passphrase-file", passphrase_file)
    typed = consortium.succeed(
        "wallet", "balance", "vault", "--passphrase-file", "-", text=f"{PASSPHRASE}\n"
    )
    assert balance == typed
    assert consortium.run(
        "wallet", "balance", "vault", "--passphrase-file", "-", text="wrong\n"
    ).stderr == (
        "Error: vault.wallet does not open: wrong passphrase or key file, or the file was "
        "altered.\n"
    )
    assert consortium.refuse("wallet", "balance", "vault") == (
        2,
        "Error: wallet 'vault' opens with a passphrase, or its key file is gone.\n"
        "Next: give --passphrase-file FILE, or put the key file back.\n",
    )


def test_a_passphrase_that_others_may_read_is_refused(
    consortium: ServedConsortium, passphrase_file: str
) -> None:
    Path(passphrase_file).chmod(0o640)
    assert consortium.refuse("wallet", "new", "vault", "--passphrase-file", passphrase_file) == (
        2,
        f"Error: {passphrase_file} may be read by others (mode 0640); "
        f"run `chmod 600 {passphrase_file}`.\n",
    )
    Path(passphrase_file).chmod(0o600)
    Path(passphrase_file).write_text("\n")
    assert consortium.refuse("wallet", "new", "vault", "--passphrase-file", passphrase_file) == (
        2,
        f"Error: {passphrase_file} holds no passphrase in its first line.\n",
    )


def test_wallets_with_a_passphrase_are_left_out_of_the_overview(
    consortium: ServedConsortium, passphrase_file: str
) -> None:
    consortium.succeed("wallet", "new", "alice")
    consortium.succeed("wallet", "new", "vault", "--passphrase-file", passphrase_file)
    result = consortium.run("wallet", "balance")
    assert (result.exit_code, result.stdout, result.stderr) == (
        0,
        "wallet  total       spendable  maturing  pending  as of\n"
        "alice    0.00  INR       0.00      0.00     0.00  block 0\n",
        "left out, because they open with a passphrase: vault\n",
    )


def test_the_balance_is_told_by_asset_and_by_what_can_be_done_with_it(
    consortium: ServedConsortium,
) -> None:
    consortium.succeed("wallet", "new", "alice")
    consortium.succeed("issue", "0", "alice", "50")
    consortium.succeed("issue", "0", "alice", "0.5", "--asset", "XAU")
    line = {
        "wallet": "alice",
        "height": 4,
        "asset": "INR",
        "decimals": 2,
        "total": "50.00",
        "total_minor": 5000,
        "spendable_minor": 5000,
        "maturing_minor": 0,
        "pending_minor": 0,
    }
    gold = {
        "asset": "XAU",
        "decimals": 4,
        "total": "0.5000",
        "total_minor": 5000,
        "spendable_minor": 5000,
    }
    stale = {**line, "height": 0, "total": "0.00", "total_minor": 0, "spendable_minor": 0}
    assert consortium.ask("wallet", "balance", "alice", "--offline") == [stale]
    assert consortium.ask("wallet", "balance", "alice") == [line, {**line, **gold}]
    consortium.stop_banks()
    assert consortium.ask("wallet", "balance", "--offline") == [line, {**line, **gold}]


def test_one_damaged_wallet_does_not_hide_the_others(consortium: ServedConsortium) -> None:
    consortium.succeed("wallet", "new", "alice")
    consortium.succeed("wallet", "new", "bob")
    (consortium.directory.wallets / "alice.wallet").write_bytes(b"garbage")
    result = consortium.run("wallet", "balance")
    path = consortium.directory.wallets / "alice.wallet"
    assert (result.exit_code, result.stderr) == (1, f"{path} is cut short or is not a wallet\n")
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["wallet", "bob"]
    assert consortium.ask("wallet", "list")[0]["problem"] == (
        f"{path} is cut short or is not a wallet"
    )


def test_the_history_names_wallets_and_cannot_steer_a_terminal(
    consortium: ServedConsortium,
) -> None:
    for name in ("alice", "bob"):
        consortium.succeed("wallet", "new", name)
    consortium.succeed("issue", "0", "alice", "50")
    paid = consortium.ask("pay", "alice", "bob", "12.5", "--memo", "rent\x1b[2J")
    issued, sent = consortium.ask("wallet", "history", "alice")
    assert sent == {
        "kind": "sent",
        "height": 3,
        "amount": "12.50",
        "amount_minor": 1250,
        "fee_minor": 100,
        "asset": "INR",
        "with": "bob",
        "memo": "72656e741b5b324a",
        "transaction_id": paid["transaction_id"],
        "reason": "",
    }
    assert (issued["kind"], issued["amount"]) == ("issued", "50.00")
    assert consortium.succeed("wallet", "history", "bob").splitlines() == [
        "block  what         amount  fee  with  memo              transaction",
        f"    3  received  12.50 INR    -  -     72656e741b5b324a  {paid['transaction_id']}",
    ]


def test_notes_are_shown_with_the_number_that_they_hide_among(
    consortium: ServedConsortium,
) -> None:
    consortium.succeed("wallet", "new", "alice")
    consortium.succeed("issue", "0", "alice", "5", "--notes", "2")
    assert consortium.succeed("wallet", "notes", "alice").splitlines() == [
        "note    amount  state      ring size  block  memo",
        "   0  2.50 INR  spendable          2      1  -",
        "   1  2.50 INR  spendable          2      1  -",
    ]
    assert consortium.succeed("wallet", "notes", "alice", "--offline") != ""


def test_a_new_address_is_the_one_that_others_pay_to_and_former_ones_still_work(
    consortium: ServedConsortium,
) -> None:
    first = consortium.ask("wallet", "new", "alice")["address"]
    consortium.succeed("wallet", "new", "bob")
    second = consortium.ask("wallet", "address", "alice", "--new")["address"]
    assert second != first
    assert consortium.ask("wallet", "address", "alice")["address"] == second
    consortium.succeed("issue", "0", "bob", "50")
    for to in (first, "alice"):
        consortium.succeed("pay", "bob", to, "3")
    assert consortium.ask("wallet", "balance", "alice")[0]["total"] == "6.00"


def test_a_damaged_address_file_is_not_paid_to(consortium: ServedConsortium) -> None:
    address = consortium.ask("wallet", "new", "alice")["address"]
    (consortium.directory.wallets / "alice.address").write_text("idx1nonsense\n")
    assert consortium.ask("wallet", "address", "alice")["address"] == address
    assert (consortium.directory.wallets / "alice.address").read_text() == address + "\n"


def test_what_was_left_open_is_resumed_and_paid_once(consortium: ServedConsortium) -> None:
    for name in ("alice", "bob"):
        consortium.succeed("wallet", "new", name)
    consortium.succeed("issue", "0", "alice", "50", "--notes", "1")
    home = consortium.banks[0]
    consortium.hold_back()
    exit_code, message = consortium.refuse("pay", "alice", "bob", "5", "--timeout", "1")
    assert (exit_code, message) == (
        3,
        "Error: payment 1 was not sealed within 1000 ms; payment 1 may still be sealed, and its "
        "notes stay reserved for it.\n"
        "Next: `consortium wallet resume alice` goes on with it; do not order it again.\n",
    )
    assert consortium.refuse("pay", "alice", "bob", "5", "--timeout", "1") == (
        1,
        "payment 1 was still open and has been handed in again\n"
        "Error: 6.00 INR are needed with the fee; alice has 0.00 INR, 50.00 INR held by payments "
        "under way.\n"
        "Next: `consortium wallet resume alice` waits for the payments under way.\n",
    )
    waiting = consortium.run("wallet", "resume", "alice", "--timeout", "1")
    assert (waiting.exit_code, waiting.stdout) == (1, "payment 1 of 5.00 INR: pending\n")
    transaction_id = next(iter(home.waiting))
    consortium.in_loop(home.seal_waiting)
    consortium.hold_back(held=False)
    assert consortium.succeed("wallet", "resume", "alice") == "no payment of alice is open\n"
    assert consortium.ask("wallet", "balance", "bob")[0]["total"] == "5.00"
    sent = consortium.ask("wallet", "history", "alice")[-1]
    assert (sent["kind"], sent["transaction_id"]) == ("sent", transaction_id.hex())


def test_an_unknown_wallet_is_answered_with_those_there_are(consortium: ServedConsortium) -> None:
    for name in ("bob", "alice"):
        consortium.succeed("wallet", "new", name)
    for arguments in (["balance", "carol"], ["history", "carol"], ["address", "carol"]):
        assert consortium.refuse("wallet", *arguments) == (
            2,
            f"Error: there is no wallet 'carol' in {consortium.directory.wallets}.\n"
            "Next: the wallets are alice, bob.\n",
        )


def test_a_directory_without_wallets_says_how_to_begin(consortium: ServedConsortium) -> None:
    said = "there are no wallets; make one: `consortium wallet new NAME`\n"
    assert consortium.succeed("wallet", "list") == said
    result = consortium.run("wallet", "balance")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", said)
