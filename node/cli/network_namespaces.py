"""Hosts of their own on one machine: a network namespace for each bank, and a network between them.

A namespace has its own addresses, ports and loopback interface; nothing in it reaches the machine's
networks. The banks' namespaces and one for their clients are joined by `packet_delay`, a process
that holds packets back. Linux, root and iproute2 are needed.

Namespaces are named `consortium-PID-HOST` after the process that made them; those of a process that
is gone are removed by the next one.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from node.cli.failure import EXIT_USAGE, CommandFailed
from node.cli.packet_delay import TUN_DEVICE, UNDELAYED
from node.runtime.bank_process import environment

COMMAND = "ip"
PACKAGE = "iproute2"
DELAY_MODULE = "node.cli.packet_delay"

PREFIX_BITS = 16
QUEUE_PACKETS = 10_000
"""Of a device, for bursts that arrive while the process that delays packets sleeps."""
UNUSED_PORT = 9
PROBES = 5
PROBE_TIMEOUT_S = 10.0
STOP_PATIENCE_S = 5.0

_NAME = re.compile(r"consortium-(\d+)-\w+")

_PROBE = """
import socket, sys, time
for _ in range(int(sys.argv[3])):
    begun_s = time.perf_counter()
    try:
        socket.create_connection((sys.argv[1], int(sys.argv[2])), 5).close()
    except ConnectionRefusedError:
        print((time.perf_counter() - begun_s) * 1000)
"""
"""Nobody listens there: the refusal comes back after exactly one round trip."""


@dataclass(slots=True)
class Network:
    """Namespaces that exist."""

    pid: int
    bank_count: int
    routed: dict[str, Any] = field(default_factory=dict)
    """What the process between them did, once it has ended (`packet_delay.Routed`)."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """The banks' by their index in two digits, then the clients'."""
        return (*(f"{bank:02d}" for bank in range(self.bank_count)), UNDELAYED)

    def address(self, host: str) -> str:
        """Return the IPv4 address of a host."""
        return f"10.77.{self.hosts.index(host)}.1"

    def namespace(self, host: str) -> str:
        """Return the name that `ip netns` knows it by."""
        return f"consortium-{self.pid}-{host}"

    def device(self, host: str) -> str:
        """Return the name of its network device, at most 15 characters."""
        return f"c{self.pid}-{host}"

    def enter(self, host: str) -> tuple[str, ...]:
        """Return what to put before a command that is to run there."""
        return (COMMAND, "netns", "exec", self.namespace(host))

    def round_trip_ms(self) -> float:
        """Measure the least round trip of a few between two banks' hosts; they must be idle."""
        target = (self.address("01"), str(UNUSED_PORT), str(PROBES))
        probe = subprocess.run(
            [*self.enter("00"), sys.executable, "-c", _PROBE, *target],
            capture_output=True,
            text=True,
            timeout=PROBE_TIMEOUT_S,
            check=False,
        )
        measured = [float(line) for line in probe.stdout.split()]
        if not measured:
            raise CommandFailed(f"no packet passes between the namespaces: {probe.stderr.strip()}")
        return min(measured)


def missing_for_namespaces() -> str | None:
    """Return what this machine or user lacks for network namespaces, None if nothing."""
    if sys.platform != "linux":
        return "Linux"
    if os.geteuid() != 0:
        return "root"
    if shutil.which(COMMAND) is None:
        return f"the command `{COMMAND}` (package {PACKAGE})"
    if not Path(TUN_DEVICE).exists():
        return f"the device {TUN_DEVICE} (kernel module tun)"
    return None


def require_namespaces() -> None:
    """Raise `CommandFailed` if there can be no namespaces here."""
    missing = missing_for_namespaces()
    if missing is not None:
        raise CommandFailed(
            f"not run: network namespaces need root and {PACKAGE} on Linux, and there is no "
            f"{missing.removeprefix('the ')} here",
            f"run it as root on a Linux machine with the package {PACKAGE}",
            EXIT_USAGE,
        )


@contextmanager
def namespaces(bank_count: int, rtt_ms: float) -> Generator[Network]:
    """Yield a network of so many banks' hosts, this round trip between any two of them.

    The hosts' processes must have ended before; those that have not are killed. Nothing is left,
    whatever happens in between. Raises `CommandFailed`.
    """
    require_namespaces()
    remove_left_over()
    network = Network(os.getpid(), bank_count)
    with contextlib.ExitStack() as stack:
        stack.callback(_remove, network)
        stack.enter_context(_router(network, rtt_ms))
        for host in network.hosts:
            _make(network, host)
        yield network


def remove_left_over() -> None:
    """Remove the namespaces of processes that are gone, with what still runs in them."""
    for name in _names():
        match = _NAME.fullmatch(name)
        if match is not None and not psutil.pid_exists(int(match.group(1))):
            _delete(name)


def _make(network: Network, host: str) -> None:
    name, device = network.namespace(host), network.device(host)
    _ip("netns", "add", name)
    _ip("link", "set", device, "netns", name)
    _ip("-n", name, "link", "set", device, "txqueuelen", str(QUEUE_PACKETS))
    _ip("-n", name, "addr", "add", f"{network.address(host)}/{PREFIX_BITS}", "dev", device)
    _ip("-n", name, "link", "set", device, "up")
    _ip("-n", name, "link", "set", "lo", "up")


@contextmanager
def _router(network: Network, rtt_ms: float) -> Generator[None]:
    """Run the process that routes; it makes the devices, and they go with it."""
    devices = [f"{network.device(host)}={network.address(host)}" for host in network.hosts]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", DELAY_MODULE, str(rtt_ms / 2), *devices],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        process_group=0,
    )
    assert process.stdout is not None and process.stderr is not None, "they are pipes"
    try:
        if process.stdout.readline().strip() != "ready":
            process.wait(STOP_PATIENCE_S)
            why = process.stderr.read().strip().splitlines() or ["it said nothing"]
            raise CommandFailed(
                f"the process that delays packets did not start: {why[-1]}",
                f"see whether this machine lets root make network devices ({TUN_DEVICE})",
            )
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired, ValueError):
            said, _ = process.communicate(timeout=STOP_PATIENCE_S)
            network.routed = json.loads(said)
        if process.poll() is None:
            process.kill()
            process.wait(STOP_PATIENCE_S)


def _remove(network: Network) -> None:
    names = set(_names())
    for host in network.hosts:
        if network.namespace(host) in names:
            _delete(network.namespace(host))


def _delete(name: str) -> None:
    for line in _ip("netns", "pids", name).split():
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(int(line)).kill()
    _ip("netns", "del", name)


def _names() -> list[str]:
    # A line is `NAME` or `NAME (id: N)`.
    return [line.split()[0] for line in _ip("netns", "list").splitlines() if line.strip()]


def _ip(*arguments: str) -> str:
    done = subprocess.run([COMMAND, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        why: Sequence[str] = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise CommandFailed(
            f"`ip {' '.join(arguments)}` failed: {why[-1]}",
            "see whether this machine lets root make network namespaces",
        )
    return done.stdout
