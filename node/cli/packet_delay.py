"""Routes packets between network namespaces and holds each back: a wide-area network, as a process.

Linux can delay packets itself (`tc qdisc ... netem`), but many kernels are built without it. This
needs TUN devices only: each host has one in its namespace with its own address, and what the host
sends arrives here as whole IP packets, is kept for half a round trip, and is written to the device
of the host it is addressed to. TCP's handshakes, windows and acknowledgements see the distance
as they would see a real one. Segments travel in the bundles that the sending kernel makes of them
(segmentation offload), so that a packet's cost is paid a bundle, and arrive as the same segments.

Run as a process, `python -m node.cli.packet_delay DELAY_MS NAME=ADDRESS...`: it makes the devices,
says `ready`, routes until SIGTERM or until the process that started it is gone, and then says what
it did, as JSON. The devices disappear with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import json
import os
import select
import signal
import struct
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from types import FrameType

TUN_DEVICE = "/dev/net/tun"
UNDELAYED = "client"
"""Name of the host whose packets are not held back, in either direction: it stands for the banks'
clients, each next to its bank."""

# From linux/if_tun.h.
_TUNSETIFF = 0x400454CA
_TUNSETOFFLOAD = 0x400454D0
_IFF_TUN, _IFF_NO_PI, _IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
_TUN_F_CSUM, _TUN_F_TSO4 = 0x01, 0x02
_REQUEST = struct.Struct("16sH22x")

_OFFLOAD_HEADER_BYTES = 10
"""`struct virtio_net_hdr`, which the kernel puts before a packet and we hand on as it is."""
_VERSION_AT = _OFFLOAD_HEADER_BYTES
_DESTINATION_AT = _OFFLOAD_HEADER_BYTES + 16
_IPV4_HEADER_BYTES = 20
_LARGEST_BYTES = _OFFLOAD_HEADER_BYTES + 65_535

READS_AT_ONCE = 32
"""From one device, before others and packets that are due have their turn."""
IDLE_S = 0.5
REAL_TIME_PRIORITY = 1
MS = 1_000
NANOSECONDS_PER_S = 1_000_000_000


@dataclass(slots=True)
class Routed:
    """What was done."""

    packets: int = 0
    """Bundles of segments counted once."""
    bytes: int = 0
    dropped: int = 0
    """IPv4 packets to nobody here, or to a device that was full."""
    late_ms_mean: float = 0.0
    """By how much packets were handed on later than they should have been, while all was busy."""
    late_ms_max: float = 0.0
    cpu_s: float = 0.0
    real_time: bool = False
    """Whether the process had precedence over others."""


class DelayLine:
    """Packets on their way: in at one end, out at the other so much later, in the same order."""

    def __init__(self, delay_ns: int) -> None:
        self._delay_ns = delay_ns
        self._waiting: deque[tuple[int, int, bytes]] = deque()
        self._late_ns = 0
        self._late_max_ns = 0
        self._taken = 0

    def put(self, now_ns: int, target: int, packet: bytes) -> None:
        """Hold a packet for the device `target`, a file descriptor."""
        self._waiting.append((now_ns + self._delay_ns, target, packet))

    def due(self, now_ns: int) -> Iterator[tuple[int, bytes]]:
        """Take out what is due."""
        while self._waiting and self._waiting[0][0] <= now_ns:
            due_ns, target, packet = self._waiting.popleft()
            late_ns = now_ns - due_ns
            self._late_ns += late_ns
            self._late_max_ns = max(self._late_max_ns, late_ns)
            self._taken += 1
            yield target, packet

    def wait_s(self, now_ns: int) -> float:
        """Return how long nothing will be due, at most `IDLE_S`."""
        if not self._waiting:
            return IDLE_S
        return min(IDLE_S, max(0, self._waiting[0][0] - now_ns) / NANOSECONDS_PER_S)

    def lateness_ms(self) -> tuple[float, float]:
        """Return by how much packets came out late, on average and at most."""
        to_ms = NANOSECONDS_PER_S / MS
        return self._late_ns / max(1, self._taken) / to_ms, self._late_max_ns / to_ms


def destination_of(packet: bytes) -> bytes | None:
    """Return the IPv4 address that a packet with its offload header is for; None if it has none."""
    if len(packet) < _OFFLOAD_HEADER_BYTES + _IPV4_HEADER_BYTES or packet[_VERSION_AT] >> 4 != 4:
        return None
    return packet[_DESTINATION_AT : _DESTINATION_AT + 4]


class Router:
    """Moves packets between devices."""

    def __init__(self, devices: Mapping[int, bytes], undelayed: int | None, delay_ns: int) -> None:
        """`devices` are file descriptors by the addresses of the hosts behind them."""
        self._devices = list(devices)
        self._by_address = {address: device for device, address in devices.items()}
        self._undelayed = undelayed
        self._line = DelayLine(delay_ns)
        self.routed = Routed()

    def run(self, stopped: Callable[[], bool]) -> None:
        """Route until told to stop."""
        while not stopped():
            wait_s = self._line.wait_s(time.monotonic_ns())
            readable, _, _ = select.select(self._devices, (), (), wait_s)
            self._send_due()
            for device in readable:
                self._read(device)
        self.routed.late_ms_mean, self.routed.late_ms_max = self._line.lateness_ms()

    def _read(self, device: int) -> None:
        for _ in range(READS_AT_ONCE):
            try:
                packet = os.read(device, _LARGEST_BYTES)
            except BlockingIOError:
                return
            destination = destination_of(packet)
            if destination is None:
                # What a kernel says of its own accord when a device comes up: nobody asked for it.
                continue
            target = self._by_address.get(destination)
            if target is None:
                self.routed.dropped += 1
            elif self._undelayed in (device, target):
                self._write(target, packet)
            else:
                self._line.put(time.monotonic_ns(), target, packet)

    def _send_due(self) -> None:
        for target, packet in self._line.due(time.monotonic_ns()):
            self._write(target, packet)

    def _write(self, device: int, packet: bytes) -> None:
        try:
            os.write(device, packet)
        except OSError:
            # A queue that is full, or a host that has just gone: as on any network.
            self.routed.dropped += 1
            return
        self.routed.packets += 1
        self.routed.bytes += len(packet) - _OFFLOAD_HEADER_BYTES


def open_device(name: str) -> int:
    """Make a TUN device in this network namespace; return its descriptor. Raises OSError."""
    descriptor = os.open(TUN_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        flags = _IFF_TUN | _IFF_NO_PI | _IFF_VNET_HDR
        fcntl.ioctl(descriptor, _TUNSETIFF, _REQUEST.pack(name.encode("ascii"), flags))
        fcntl.ioctl(descriptor, _TUNSETOFFLOAD, _TUN_F_CSUM | _TUN_F_TSO4)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _take_precedence() -> bool:
    """Run before others: a network does not wait until banks have nothing to compute."""
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(REAL_TIME_PRIORITY))
        return True
    with contextlib.suppress(OSError):
        os.nice(-20)
    return False


def main(arguments: list[str]) -> None:
    """Make the devices and route; see the module."""
    delay_ns = int(float(arguments[0]) / MS * NANOSECONDS_PER_S)
    devices: dict[int, bytes] = {}
    undelayed = None
    for argument in arguments[1:]:
        name, _, address = argument.partition("=")
        device = open_device(name)
        devices[device] = ipaddress.IPv4Address(address).packed
        if name.endswith(UNDELAYED):
            undelayed = device
    stopping = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()
    router = Router(devices, undelayed, delay_ns)
    router.routed.real_time = _take_precedence()
    print("ready", flush=True)
    router.run(lambda: stopping or os.getppid() != parent)
    router.routed.cpu_s = round(time.process_time(), 3)
    print(json.dumps(asdict(router.routed)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
