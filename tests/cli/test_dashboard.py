"""`consortium dashboard`: what it refuses before it serves anything."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from node.cli.main import main
from node.ledger.parameters import Parameters
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.initialise import create_consortium


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> ConsortiumDirectory:
    made = ConsortiumDirectory(tmp_path_factory.mktemp("page") / "data")
    create_consortium(made, bank_count=4, parameters=Parameters())
    return made


def dashboard(directory: ConsortiumDirectory, *arguments: str) -> Result:
    return CliRunner().invoke(
        main, ["dashboard", "--data", str(directory.root), *arguments], env={"NO_COLOR": "1"}
    )


@pytest.mark.parametrize("listen", ["8700", "127.0.0.1", ":8700", "127.0.0.1:x", "[::1]:65536"])
def test_an_address_has_a_host_and_a_port(directory: ConsortiumDirectory, listen: str) -> None:
    result = dashboard(directory, "--listen", listen)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"--listen {listen!r} is no address such as 127.0.0.1:8700" in result.stderr


def test_a_port_that_is_taken_is_said(directory: ConsortiumDirectory) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = dashboard(directory, "--listen", address)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{address} cannot be listened on" in result.stderr
    assert "Next: give another address with --listen" in result.stderr


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        ("a-token-that-is-long-enough", 0o644, "may be read by others"),
        ("short", 0o600, "holds no login token"),
        ("a token with spaces in it", 0o600, "holds no login token"),
        (None, 0, "No such file"),
    ],
)
def test_a_token_file_is_private_and_holds_a_token(
    directory: ConsortiumDirectory, tmp_path: Path, content: str | None, mode: int, why: str
) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
        os.chmod(path, mode)
    result = dashboard(directory, "--listen", "127.0.0.1:0", "--token-file", str(path))
    assert (result.exit_code, result.stdout) == (1, "")
    assert why in result.stderr and "Next: " in result.stderr


def test_other_machines_need_a_certificate(directory: ConsortiumDirectory, tmp_path: Path) -> None:
    key = directory.certificates / "ca.key"
    key.rename(tmp_path / "ca.key")
    try:
        result = dashboard(directory, "--listen", "0.0.0.0:0")
    finally:
        (tmp_path / "ca.key").rename(key)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no certificate for the page can be made here" in result.stderr
    assert "Next: give one with --tls-certificate and --tls-key" in result.stderr


def test_certificate_and_key_belong_together(directory: ConsortiumDirectory) -> None:
    certificate = str(directory.certificates / "ca.crt")
    result = dashboard(directory, "--tls-certificate", certificate)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "belong together" in result.stderr


def test_without_a_consortium_there_is_no_page(tmp_path: Path) -> None:
    result = dashboard(ConsortiumDirectory(tmp_path / "nothing"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "holds no consortium" in result.stderr
