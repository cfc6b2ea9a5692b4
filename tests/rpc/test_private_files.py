"""Key files: readable by their owner only, replaced whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.rpc.private_files import (
    PrivateFileUnusable,
    read_private,
    write_private,
    write_public,
)


def test_a_private_file_has_mode_0600_whatever_was_there(tmp_path: Path) -> None:
    path = tmp_path / "tls.key"
    path.write_bytes(b"old")
    path.chmod(0o644)
    write_private(path, b"new")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o600)
    assert read_private(path) == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_public_file_is_readable_by_all(tmp_path: Path) -> None:
    path = tmp_path / "ca.crt"
    write_public(path, b"certificate")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"certificate", 0o644)


def test_a_private_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tls.key"
    write_private(path, b"key")
    path.chmod(0o640)
    with pytest.raises(PrivateFileUnusable) as caught:
        read_private(path)
    assert str(caught.value) == (
        f"{path} may be read by others (mode 0640); run `chmod 600 {path}`"
    )


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PrivateFileUnusable) as caught:
        read_private(tmp_path / "tls.key")
    assert str(caught.value) == f"{tmp_path / 'tls.key'}: No such file or directory"
