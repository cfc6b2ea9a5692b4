"""What survives a crash, and what the guard file says about a restored backup (BFT-12 D1-D4)."""

from __future__ import annotations

import pytest

from node.consensus.effects import Persist
from node.ledger.types import Height, View
from node.simulation.disk import Disk, SignaturePoint
from node.simulation.genesis import make_genesis
from node.simulation.production_ledger import ProductionLedger


def written(view: int, step: int) -> Persist:
    return Persist(b"record %d" % step, Height(1), View(view), step, ())


def empty_disk() -> Disk:
    return Disk(ProductionLedger(make_genesis(4)).genesis)


def test_d4_a_guard_that_is_not_ahead_silences_nobody() -> None:
    disk = empty_disk()
    assert disk.silent_through() is None
    disk.persist(written(0, 1), set())
    assert disk.silent_through() is None, "a crash between database and guard is harmless"
    disk.write_guard(written(0, 1))
    assert disk.silent_through() is None


@pytest.mark.parametrize("later", [written(0, 2), written(1, 2)])
def test_d4_a_restored_backup_is_silent_through_the_height_it_has_forgotten(later: Persist) -> None:
    disk = empty_disk()
    disk.persist(written(0, 1), set())
    disk.write_guard(written(0, 1))
    backup = disk.backup()
    disk.persist(later, set())
    disk.write_guard(later)
    restored = disk.restored(backup)
    assert restored.record == b"record 1"
    assert restored.guard == SignaturePoint(Height(1), later.view, 2)
    assert restored.silent_through() == 1


def test_d4_a_backup_of_the_same_moment_is_not_silenced() -> None:
    disk = empty_disk()
    disk.persist(written(0, 1), set())
    disk.write_guard(written(0, 1))
    assert disk.restored(disk.backup()).silent_through() is None


def test_a_backup_does_not_change_with_the_disk() -> None:
    disk = empty_disk()
    backup = disk.backup()
    disk.persist(written(0, 1), set())
    assert (backup.record, disk.record) == (None, b"record 1")
