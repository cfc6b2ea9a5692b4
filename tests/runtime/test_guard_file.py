"""BFT-12 D4 and D5: the fsynced record of the last signature, outside the database."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ledger.types import Height
from node.runtime.guard_file import GuardCorrupt, GuardFile, GuardLocked, SignaturePoint
from node.runtime.node import silent_through
from node.storage.records import StoredConsensus


def test_remembers_the_last_point_across_restarts(tmp_path: Path) -> None:
    path = tmp_path / "signing.guard"
    guard = GuardFile(path)
    assert guard.last is None
    guard.advance(SignaturePoint(7, 1, 3))
    guard.close()
    reopened = GuardFile(path)
    assert reopened.last == SignaturePoint(7, 1, 3)
    reopened.close()


def test_never_goes_back(tmp_path: Path) -> None:
    guard = GuardFile(tmp_path / "signing.guard")
    guard.advance(SignaturePoint(7, 1, 3))
    guard.advance(SignaturePoint(7, 0, 9))
    guard.advance(SignaturePoint(6, 5, 5))
    assert guard.last == SignaturePoint(7, 1, 3)
    guard.close()


def test_d5_a_second_process_with_the_same_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "signing.guard"
    first = GuardFile(path)
    with pytest.raises(GuardLocked, match="is locked by another running node"):
        GuardFile(path)
    first.close()
    GuardFile(path).close()


@given(position=st.integers(0, 31), bit=st.integers(0, 7))
def test_any_flipped_bit_is_found(
    tmp_path_factory: pytest.TempPathFactory, position: int, bit: int
) -> None:
    path = tmp_path_factory.mktemp("guard") / "signing.guard"
    guard = GuardFile(path)
    guard.advance(SignaturePoint(1_000, 2, 5))
    guard.close()
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= 1 << bit
    path.write_bytes(content)
    with pytest.raises(GuardCorrupt):
        GuardFile(path)


def test_a_torn_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "signing.guard"
    guard = GuardFile(path)
    guard.advance(SignaturePoint(1, 0, 1))
    guard.close()
    path.write_bytes(path.read_bytes()[:10])
    with pytest.raises(GuardCorrupt, match="has 10 bytes, not 32"):
        GuardFile(path)


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
