"""The encrypted file: secrecy, integrity, atomic replacement, one process at a time."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from node.client.errors import (
    WalletCorrupt,
    WalletError,
    WalletExists,
    WalletLocked,
    WalletNameInvalid,
    WalletNotFound,
    WrongPassphrase,
)
from node.client.wallet_data import Checkpoint, WalletData
from node.client.wallet_file import (
    KeyFile,
    Passphrase,
    ScryptCost,
    Secret,
    WalletFile,
    list_wallets,
)
from node.ledger.state import Accumulated
from node.ledger.types import Height

CHEAP = ScryptCost(log2_n=10, r=1, p=1)
PASSPHRASE = Passphrase("correct horse", CHEAP)
DATA = WalletData(
    chain_id=b"\x01" * 32,
    home_bank="dunmere",
    seed=b"a seed of thirty-two bytes here!",
    session_count=1,
    checkpoint=Checkpoint(Height(0), Accumulated(), Accumulated(), Accumulated()),
)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "wallets"


def create(directory: Path, name: str = "alice", secret: Secret = PASSPHRASE) -> Path:
    with WalletFile.create(directory, name, secret, DATA) as file:
        return file.path


def reopen(directory: Path, secret: Secret = PASSPHRASE) -> WalletData:
    file, data = WalletFile.open(directory, "alice", secret)
    file.close()
    return data


@pytest.mark.parametrize("kind", ["passphrase", "key file"])
def test_what_was_saved_is_opened_again(kind: str, directory: Path, tmp_path: Path) -> None:
    secret = PASSPHRASE if kind == "passphrase" else KeyFile.create(tmp_path / "key")
    create(directory, secret=secret)
    file, data = WalletFile.open(directory, "alice", secret)
    assert data == DATA
    with file:
        file.save(replace(DATA, session_count=2))
    assert reopen(directory, secret).session_count == 2


def test_files_are_readable_by_their_owner_only(directory: Path, tmp_path: Path) -> None:
    key = KeyFile.create(tmp_path / "key")
    path = create(directory)
    modes = [stat.S_IMODE(item.stat().st_mode) for item in (path, path.with_suffix(".lock"))]
    assert [*modes, stat.S_IMODE(key.path.stat().st_mode)] == [0o600, 0o600, 0o600]
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_the_seed_is_not_in_the_file_and_equal_contents_look_different(directory: Path) -> None:
    first, second = create(directory, "alice"), create(directory, "bob")
    assert DATA.seed not in first.read_bytes()
    assert first.read_bytes() != second.read_bytes()


def test_each_save_draws_a_new_nonce(directory: Path) -> None:
    with WalletFile.create(directory, "alice", PASSPHRASE, DATA) as file:
        first = file.path.read_bytes()
        file.save(DATA)
        assert file.path.read_bytes() != first


def test_a_wrong_passphrase_is_named(directory: Path, tmp_path: Path) -> None:
    create(directory)
    with pytest.raises(WrongPassphrase) as caught:
        WalletFile.open(directory, "alice", Passphrase("wrong horse", CHEAP))
    assert str(caught.value) == (
        "alice.wallet does not open: wrong passphrase or key file, or the file was altered"
    )
    with pytest.raises(WrongPassphrase, match="opens with a passphrase, not with a key file"):
        WalletFile.open(directory, "alice", KeyFile.create(tmp_path / "key"))


def test_a_wrong_key_file_is_named(directory: Path, tmp_path: Path) -> None:
    create(directory, secret=KeyFile.create(tmp_path / "key"))
    with pytest.raises(WrongPassphrase, match="wrong passphrase or key file"):
        WalletFile.open(directory, "alice", KeyFile.create(tmp_path / "other"))
    with pytest.raises(WrongPassphrase, match="opens with a key file, not with a passphrase"):
        WalletFile.open(directory, "alice", PASSPHRASE)


def test_every_altered_byte_is_found(directory: Path) -> None:
    path = create(directory)
    original = path.read_bytes()
    for position in range(len(original)):
        path.write_bytes(
            original[:position] + bytes([original[position] ^ 1]) + original[position + 1 :]
        )
        with pytest.raises((WrongPassphrase, WalletCorrupt)):
            WalletFile.open(directory, "alice", PASSPHRASE)
    path.write_bytes(original)
    assert reopen(directory) == DATA


def test_a_file_that_is_cut_short_is_named(directory: Path) -> None:
    path = create(directory)
    original = path.read_bytes()
    for length in range(len(original)):
        path.write_bytes(original[:length])
        with pytest.raises((WrongPassphrase, WalletCorrupt)):
            WalletFile.open(directory, "alice", PASSPHRASE)


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (22, 9, "has version 9; this program reads 1"),
        (23, 7, "has an unknown kind of secret, 7"),
        (24, 60, r"scrypt cost ScryptCost\(log2_n=60, r=1, p=1\) is out of range"),
        (25, 255, "is out of range"),
    ],
)
def test_a_hostile_head_is_refused_before_any_work(
    offset: int, value: int, message: str, directory: Path
) -> None:
    path = create(directory)
    data = bytearray(path.read_bytes())
    data[offset] = value
    path.write_bytes(bytes(data))
    with pytest.raises(WalletCorrupt, match=message):
        WalletFile.open(directory, "alice", PASSPHRASE)


def test_a_crash_between_write_and_rename_leaves_the_old_contents(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = WalletFile.create(directory, "alice", PASSPHRASE, DATA)

    def crash(source: object, target: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", crash)
        with pytest.raises(KeyboardInterrupt):
            file.save(replace(DATA, session_count=9))
    assert file.path.with_suffix(".new").exists()
    file.close()
    assert reopen(directory) == DATA
    file, _ = WalletFile.open(directory, "alice", PASSPHRASE)
    with file:
        file.save(replace(DATA, session_count=3))
    assert reopen(directory).session_count == 3
    assert not file.path.with_suffix(".new").exists()


def test_a_crash_in_the_middle_of_the_write_leaves_the_old_contents(directory: Path) -> None:
    path = create(directory)
    path.with_suffix(".new").write_bytes(b"half of a wal")
    assert reopen(directory) == DATA


def test_a_second_process_is_kept_out_until_the_first_is_done(directory: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from node.client import *;"
        "from node.client.errors import WalletLocked\n"
        "try: WalletFile.open(Path(sys.argv[1]), 'alice', Passphrase('correct horse'))\n"
        "except WalletLocked as error: print(error)\n"
        "else: print('opened')"
    )

    def other_process() -> str:
        command = [sys.executable, "-c", program, str(directory)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    with WalletFile.create(directory, "alice", PASSPHRASE, DATA):
        assert other_process() == (
            "wallet 'alice' is open in another process; try again when it is done"
        )
    assert other_process() == "opened"


def test_one_process_cannot_open_a_wallet_twice_either(directory: Path) -> None:
    with WalletFile.create(directory, "alice", PASSPHRASE, DATA), pytest.raises(WalletLocked):
        WalletFile.open(directory, "alice", PASSPHRASE)
    assert reopen(directory) == DATA


def test_a_failed_opening_releases_the_lock(directory: Path) -> None:
    create(directory)
    with pytest.raises(WrongPassphrase):
        WalletFile.open(directory, "alice", Passphrase("wrong", CHEAP))
    assert reopen(directory) == DATA


def test_an_existing_wallet_is_never_overwritten(directory: Path) -> None:
    path = create(directory)
    before = path.read_bytes()
    with pytest.raises(WalletExists) as caught:
        WalletFile.create(directory, "alice", PASSPHRASE, DATA)
    assert str(caught.value) == f"wallet 'alice' already exists in {directory}"
    assert path.read_bytes() == before


def test_several_wallets_share_a_directory(directory: Path) -> None:
    assert list_wallets(directory) == ()
    for name in ("carol", "alice", "bob-2"):
        create(directory, name)
    (directory / "Not A Name.wallet").touch()
    assert list_wallets(directory) == ("alice", "bob-2", "carol")


@pytest.mark.parametrize("name", ["", "../alice", "Alice", "a/b", "-a", "a" * 64, "ä", "a.b"])
def test_names_that_are_no_file_names_are_refused(name: str, directory: Path) -> None:
    with pytest.raises(WalletNameInvalid):
        WalletFile.create(directory, name, PASSPHRASE, DATA)


def test_a_wallet_that_is_not_there_is_named(directory: Path) -> None:
    with pytest.raises(WalletNotFound) as caught:
        WalletFile.open(directory, "alice", PASSPHRASE)
    assert str(caught.value) == f"there is no wallet 'alice' in {directory}"


def test_the_passphrase_can_be_changed(directory: Path) -> None:
    new = Passphrase("battery staple", CHEAP)
    with WalletFile.create(directory, "alice", PASSPHRASE, DATA) as file:
        file.change_secret(new, DATA)
    with pytest.raises(WrongPassphrase):
        WalletFile.open(directory, "alice", PASSPHRASE)
    assert reopen(directory, new) == DATA


def test_a_closed_wallet_saves_nothing(directory: Path) -> None:
    file = WalletFile.create(directory, "alice", PASSPHRASE, DATA)
    file.close()
    file.close()
    with pytest.raises(WalletError, match=r"alice\.wallet was closed"):
        file.save(DATA)


def test_an_empty_passphrase_is_refused(directory: Path) -> None:
    with pytest.raises(WalletError, match="an empty passphrase protects nothing"):
        WalletFile.create(directory, "alice", Passphrase(""), DATA)


@pytest.mark.parametrize(
    ("text", "mode", "message"),
    [
        ("zz", 0o600, "is not hexadecimal"),
        ("00" * 31, 0o600, "does not hold 32 bytes"),
        ("00" * 32, 0o640, "is readable by others; set its mode to 0600"),
    ],
)
def test_unusable_key_files_are_named(
    text: str, mode: int, message: str, directory: Path, tmp_path: Path
) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(WalletError) as caught:
        WalletFile.create(directory, "alice", KeyFile(path), DATA)
    assert str(caught.value) == f"{'key file ' if mode == 0o600 else ''}{path} {message}"


def test_secrets_stand_in_no_representation(directory: Path) -> None:
    with WalletFile.create(directory, "alice", PASSPHRASE, DATA) as file:
        assert repr(file) == "WalletFile('alice.wallet')"
    assert "horse" not in repr(PASSPHRASE)
