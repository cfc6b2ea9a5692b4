"""Workload files: what was written is read, and no altered byte is (hypothesis)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.client.workload_file import (
    LOCAL,
    PAGE_BYTES,
    RUN,
    WIDE,
    WorkloadHeader,
    WorkloadInvalid,
    WorkloadWriter,
    open_workload,
)

HEADER = WorkloadHeader(
    chain_id=bytes(range(32)),
    name=LOCAL,
    ring_base=8,
    bank_count=12,
    transaction_count=3,
    bins=1,
    bins_per_block=1,
    funded_height=7,
    asset_code="INR",
    transaction_bytes=5,
    expiry=1_000_007,
)
ARCHIVE = [b"keys", b"", b"a block"]

same_path = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def records(count: int, length: int = 5) -> list[bytes]:
    return [hashlib.shake_256(b"%d" % index).digest(length) for index in range(count)]


def write(
    path: Path,
    header: WorkloadHeader,
    raws: Sequence[bytes],
    archive: Sequence[bytes],
    order: Sequence[int],
) -> None:
    with WorkloadWriter(path, len(raws), header.transaction_bytes) as writer:
        for index in order[::2]:
            writer.put(index, raws[index])
        for part in archive:
            writer.append(part)
        for index in order[1::2]:
            writer.put(index, raws[index])
        writer.finish(header)


def written(path: Path, count: int = 3) -> list[bytes]:
    raws = records(count)
    write(path, replace(HEADER, transaction_count=count), raws, ARCHIVE, range(count))
    return raws


headers = st.builds(
    WorkloadHeader,
    chain_id=st.binary(min_size=32, max_size=32),
    name=st.sampled_from([LOCAL, WIDE]),
    ring_base=st.sampled_from([4, 8, 16]),
    bank_count=st.integers(4, 16),
    transaction_count=st.sampled_from([0, 1, 2, RUN - 1, RUN, RUN + 1, 2 * RUN + 3]),
    bins=st.integers(0, (1 << 64) - 1),
    bins_per_block=st.integers(0, 100),
    funded_height=st.integers(0, (1 << 64) - 1),
    asset_code=st.text("ABCDEFGH", min_size=1, max_size=8),
    transaction_bytes=st.integers(1, 9),
    expiry=st.integers(0, (1 << 64) - 1),
    grown_notes=st.just(0) | st.integers(0, (1 << 64) - 1),
)


@same_path
@given(header=headers, archive=st.lists(st.binary(max_size=99), max_size=5), data=st.data())
def test_what_was_written_is_read(
    tmp_path: Path, header: WorkloadHeader, archive: list[bytes], data: st.DataObject
) -> None:
    """Whatever the order in which the transactions were ready."""
    raws = records(header.transaction_count, header.transaction_bytes)
    path = tmp_path / "load"
    order = list(range(len(raws)))
    data.draw(st.randoms(use_true_random=False)).shuffle(order)
    write(path, header, raws, archive, order)
    assert path.stat().st_mode & 0o777 == 0o600
    with open_workload(path) as workload:
        workload.verify()
        assert workload.header == header
        assert list(workload.archive()) == archive
        assert len(workload) == len(raws)
        assert list(workload.transactions()) == raws
        assert list(workload.transactions(1, 2)) == raws[1:2]
        assert [workload[index] for index in range(len(workload))] == raws


def read_everything(path: Path) -> Sequence[bytes]:
    with open_workload(path) as workload:
        list(workload.archive())
        return list(workload.transactions())


@same_path
@given(data=st.data())
def test_a_file_cut_short_is_refused(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "load"
    written(path)
    content = path.read_bytes()
    length = data.draw(st.integers(0, len(content) - 1))
    path.write_bytes(content[:length])
    with pytest.raises(WorkloadInvalid):
        open_workload(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(WorkloadInvalid, match="bytes, not"):
        open_workload(path)


@same_path
@given(data=st.data())
def test_an_altered_byte_is_refused(tmp_path: Path, data: st.DataObject) -> None:
    """Wherever it stands: page, padding, digests, transactions, archive."""
    path = tmp_path / "load"
    written(path, RUN + 2)
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1) | st.integers(0, 300))
    content[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises(WorkloadInvalid, match="load"):
        read_everything(path)


def test_only_the_altered_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "load"
    raws = written(path, RUN + 2)
    content = bytearray(path.read_bytes())
    content[PAGE_BYTES + 2 * 32 + 5 * RUN] ^= 1
    path.write_bytes(content)
    with open_workload(path) as workload:
        assert list(workload.transactions(0, RUN)) == raws[:RUN]
        with pytest.raises(WorkloadInvalid, match="run 1 of its transactions was altered"):
            workload[RUN + 1]
        with pytest.raises(WorkloadInvalid):
            workload.verify()


def test_the_secrets_of_a_readable_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "load"
    written(path)
    path.chmod(0o644)
    with open_workload(path) as workload:
        with pytest.raises(WorkloadInvalid, match="chmod 600"):
            workload.archive()
        assert len(list(workload.transactions())) == 3


def test_what_is_no_workload_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(WorkloadInvalid, match="cannot be read: No such file"):
        open_workload(tmp_path / "absent")
    other = tmp_path / "other"
    other.write_bytes(b"{}")
    with pytest.raises(WorkloadInvalid, match="`consortium load prepare` makes a workload"):
        open_workload(other)


def test_an_index_beyond_the_end_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    path = tmp_path / "load"
    written(path)
    with open_workload(path) as workload, pytest.raises(IndexError):
        workload[3]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "load"
    raws = written(path)

    with (
        pytest.raises(OSError, match="disk is full"),
        WorkloadWriter(path, 1, 5) as writer,
    ):
        writer.put(0, b"12345")
        raise OSError("the disk is full")
    assert read_everything(path) == raws
    assert list(tmp_path.iterdir()) == [path]


def test_the_layout_of_a_file(tmp_path: Path) -> None:
    """Pinned: another layout is another version."""
    path = tmp_path / "load"
    written(path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == (
        "1250b4fcf7d552ad4f3b2981bcbcddc665145a6d807c9db25d6d5c6aca0cb45d"
    )


def test_the_layout_of_a_file_with_a_past(tmp_path: Path) -> None:
    """Pinned: version 2, which ends its header with the number of grown notes."""
    path = tmp_path / "load"
    write(path, replace(HEADER, grown_notes=2_512), records(3), ARCHIVE, range(3))
    with open_workload(path) as workload:
        assert (workload.header.version, workload.header.grown_notes) == (2, 2_512)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == (
        "275e981193353b49ebedda61bad1895c1dd82f9a8a1b3d0ac27f18678d3ab744"
    )
