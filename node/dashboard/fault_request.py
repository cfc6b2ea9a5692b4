"""Breaking banks from the page: the requests, and the acts that whoever starts the page hands in.

The names and parameters are those of `consortium fault`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from node.ledger.types import BankIndex
from node.wire.operator_records import NodeReport


@dataclass(frozen=True, slots=True)
class FaultRequest:
    """One act; only the parameters of its kind count."""

    kind: str
    """A key of `PARAMETERS`."""
    bank: BankIndex | None
    """None for all banks, with `heal`."""
    peers: tuple[BankIndex, ...] = ()
    """None named: all of them."""
    direction: str = "both"
    """`in`, `out` or `both`."""
    delay_ms: int = 0
    jitter_ms: int = 0
    loss_per_mille: int = 0
    style: str = ""
    """Of a Byzantine bank."""
    seed: int = 0
    row: str = ""
    """Kind of the stored row to corrupt."""
    height: int | None = None
    """Of that row; None for the newest."""


@dataclass(frozen=True, slots=True)
class ListedFault:
    """One thing that is broken on purpose or does not run."""

    bank: int
    name: str
    kind: str
    """`disconnect`, `slow`, `byzantine`, `paused`, `exited` or `corrupt`."""
    text: str
    age_ms: int | None = None


class FaultFailed(Exception):
    """A fault that could not be injected, with what to do next."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice


class FaultActs(Protocol):
    """What breaks and mends banks."""

    async def perform(self, request: FaultRequest) -> str:
        """Do it and say what was done; raises `FaultFailed`."""
        ...

    def listed(self, reports: Mapping[BankIndex, NodeReport]) -> list[ListedFault]:
        """Return what is broken now, given what the banks report."""
        ...

    def styles(self) -> Mapping[str, str]:
        """Return the Byzantine styles with a description of each."""
        ...
