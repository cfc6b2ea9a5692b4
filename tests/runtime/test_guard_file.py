"""BFT-12 D4 and D5: the fsynced record of the last signature, outside the database."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ledger.types import Height
from node.runtime.guard_file import (
    GuardCorrupt,
    GuardFile,
    GuardForeign,
    GuardLocked,
    SignaturePoint,
    guard_owner,
)
from node.runtime.node import silent_through
from node.storage.records import StoredConsensus

OWNER = guard_owner(bytes(32), b"key")


def test_remembers_the_last_point_across_restarts(tmp_path: Path) -> None:
    path = tmp_path / "signing.guard"
    guard = GuardFile(path, OWNER)
    assert guard.last is None
    guard.advance(SignaturePoint(7, 1, 3))
    guard.close()
    reopened = GuardFile(path, OWNER)
    assert reopened.last == SignaturePoint(7, 1, 3)
    reopened.close()


def test_never_goes_back(tmp_path: Path) -> None:
    guard = GuardFile(tmp_path / "signing.guard", OWNER)
    guard.advance(SignaturePoint(7, 1, 3))
    guard.advance(SignaturePoint(7, 0, 9))
    guard.advance(SignaturePoint(6, 5, 5))
    assert guard.last == SignaturePoint(7, 1, 3)
    guard.close()


def test_d5_a_second_process_with_the_same_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "signing.guard"
    first = GuardFile(path, OWNER)
    with pytest.raises(GuardLocked, match="is locked by another running node"):
        GuardFile(path, OWNER)
    first.close()
    GuardFile(path, OWNER).close()


@given(position=st.integers(0, 47), bit=st.integers(0, 7))
def test_any_flipped_bit_is_found(
    tmp_path_factory: pytest.TempPathFactory, position: int, bit: int
) -> None:
    path = tmp_path_factory.mktemp("guard") / "signing.guard"
    guard = GuardFile(path, OWNER)
    guard.advance(SignaturePoint(1_000, 2, 5))
    guard.close()
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= 1 << bit
    path.write_bytes(content)
    with pytest.raises(GuardCorrupt):
        GuardFile(path, OWNER)


def test_a_torn_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "signing.guard"
    guard = GuardFile(path, OWNER)
    guard.advance(SignaturePoint(1, 0, 1))
    guard.close()
    path.write_bytes(path.read_bytes()[:10])
    with pytest.raises(GuardCorrupt, match="has 10 bytes, not 48"):
        GuardFile(path, OWNER)


def test_d4_the_file_of_another_bank_or_chain_is_refused(tmp_path: Path) -> None:
    """Taken for one's own, a lower mark would let a restored database sign again."""
    path = tmp_path / "signing.guard"
    guard = GuardFile(path, OWNER)
    guard.advance(SignaturePoint(3, 0, 1))
    guard.close()

    for other in (guard_owner(bytes(32), b"yek"), guard_owner(bytes([1]) * 32, b"key")):
        with pytest.raises(GuardForeign, match="is the guard file of another bank or chain"):
            GuardFile(path, other)
    GuardFile(path, OWNER).close()


def test_a_file_of_an_earlier_layout_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "signing.guard"
    path.write_bytes(b"BFT12GRD" + bytes(24))
    with pytest.raises(GuardCorrupt, match="has 32 bytes, not 48"):
        GuardFile(path, OWNER)


def test_d5_a_second_process_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    """The lock is the system's: it ends with the process, however that ends."""
    path = tmp_path / "signing.guard"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), OWNER.hex()],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"locked\n"

    with pytest.raises(GuardLocked):
        GuardFile(path, OWNER)

    holder.kill()
    holder.communicate()
    GuardFile(path, OWNER).close()


HOLD = """
import sys, time
from pathlib import Path
from node.runtime.guard_file import GuardFile
guard = GuardFile(Path(sys.argv[1]), bytes.fromhex(sys.argv[2]))
print("locked", flush=True)
time.sleep(600)
"""


def stored(height: int, view: int, step: int) -> StoredConsensus:
    return StoredConsensus(b"", Height(height), view, step, ())


@pytest.mark.parametrize(
    ("guard", "tip", "record", "silent"),
    [
        (None, 0, None, None),
        (SignaturePoint(5, 0, 2), 5, None, None),
        (SignaturePoint(6, 0, 2), 5, stored(6, 0, 2), None),
        (SignaturePoint(6, 0, 2), 5, stored(6, 0, 3), None),
        (SignaturePoint(6, 0, 3), 5, stored(6, 0, 2), 6),
        (SignaturePoint(6, 1, 1), 5, stored(6, 0, 9), 6),
        (SignaturePoint(6, 0, 1), 5, None, 6),
        (SignaturePoint(9, 0, 1), 5, stored(6, 0, 1), 9),
    ],
    ids=[
        "never signed",
        "the height was applied",
        "database and guard agree",
        "the database is ahead, as between commit and fsync",
        "the database lost a statement",
        "the database lost a view",
        "the database lost the whole record",
        "the database was restored from a backup",
    ],
)
def test_d4_silent_while_the_guard_is_ahead_of_the_database(
    guard: SignaturePoint | None, tip: int, record: StoredConsensus | None, silent: int | None
) -> None:
    assert silent_through(guard, Height(tip), record) == silent
