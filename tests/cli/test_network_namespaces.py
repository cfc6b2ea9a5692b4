"""Hosts in network namespaces: names, addresses, and what is said where there can be none."""

from __future__ import annotations

import ipaddress
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from node.cli import network_namespaces
from node.cli.failure import EXIT_USAGE, CommandFailed
from node.cli.network_namespaces import (
    Network,
    missing_for_namespaces,
    namespaces,
    require_namespaces,
)

RTT_MS = 30.0


def test_every_host_has_an_address_and_names_that_linux_takes() -> None:
    network = Network(pid=4_194_304, bank_count=16)
    assert len(network.hosts) == 17
    addresses = {ipaddress.IPv4Address(network.address(host)) for host in network.hosts}
    assert len(addresses) == 17
    assert all(address in ipaddress.IPv4Network("10.77.0.0/16") for address in addresses)
    devices = {network.device(host) for host in network.hosts}
    assert len(devices) == 17
    assert max(map(len, devices)) <= 15
    assert network.enter("03") == ("ip", "netns", "exec", "consortium-4194304-03")


@pytest.mark.parametrize(
    ("euid", "command", "device", "missing"),
    [
        (1000, "/sbin/ip", "/dev/null", "root"),
        (0, None, "/dev/null", "the command `ip` (package iproute2)"),
        (0, "/sbin/ip", "/dev/no", "the device /dev/no (kernel module tun)"),
        (0, "/sbin/ip", "/dev/null", None),
    ],
)
def test_what_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch,
    euid: int,
    command: str | None,
    device: str,
    missing: str | None,
) -> None:
    monkeypatch.setattr(network_namespaces.sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: euid)
    monkeypatch.setattr(shutil, "which", lambda name: command)
    monkeypatch.setattr(network_namespaces, "TUN_DEVICE", device)
    assert missing_for_namespaces() == missing
    if missing is None:
        require_namespaces()
        return
    with pytest.raises(CommandFailed) as refused:
        require_namespaces()
    assert refused.value.exit_code == EXIT_USAGE
    assert refused.value.message == (
        "not run: network namespaces need root and iproute2 on Linux, and there is no "
        f"{missing.removeprefix('the ')} here"
    )


def existing() -> str:
    return subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout


def test_packets_between_banks_take_as_long_as_asked_and_nothing_is_left() -> None:
    """Where there can be no namespaces, the reason is told instead."""
    if missing_for_namespaces() is not None:
        refused = pytest.raises(CommandFailed, match="not run: network namespaces need root")
        with refused, namespaces(4, RTT_MS):
            pytest.fail("there can be no namespaces here")
        return
    with namespaces(4, RTT_MS) as network:
        assert network.round_trip_ms() >= RTT_MS
        for host in network.hosts:
            assert network.namespace(host) in existing()
    assert network.routed["packets"] >= 10
    assert network.namespace("00") not in existing()
    assert not any(Path("/sys/class/net", network.device(host)).exists() for host in network.hosts)


def test_a_failure_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    if missing_for_namespaces() is not None:
        return
    network = Network(os.getpid(), 4)
    with pytest.raises(RuntimeError, match="in between"), namespaces(4, RTT_MS):
        sleeper = subprocess.Popen([*network.enter("02"), "sleep", "60"])
        raise RuntimeError("in between")
    assert sleeper.wait(5) == -9
    assert network.namespace("02") not in existing()


def test_what_a_killed_process_left_is_removed() -> None:
    if missing_for_namespaces() is not None:
        return
    ended = subprocess.Popen(["true"])
    ended.wait()
    left = f"consortium-{ended.pid}-00"
    subprocess.run(["ip", "netns", "add", left], check=True)
    network_namespaces.remove_left_over()
    assert left not in existing()
