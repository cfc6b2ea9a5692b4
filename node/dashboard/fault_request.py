"""Breaking banks from the page: the requests, and the acts that whoever starts the page hands in.

The names and parameters are those of `consortium fault`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from node.dashboard.errors import invalid
from node.ledger.types import BankIndex
from node.runtime.consortium_directory import short_name
from node.wire.operator_records import NodeReport

ALL = "all"
DIRECTIONS = ("both", "in", "out")
ROWS = ("block", "seal", "state", "consensus", "transaction", "nullifier", "evidence")
MAX_DELAY_MS = 60_000
MAX_SEED = (1 << 53) - 1
MAX_STYLE_CHARACTERS = 60

PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "crash": (),
    "stop": (),
    "start": (),
    "pause": (),
    "resume": (),
    "disconnect": ("peers", "direction"),
    "slow": ("peers", "direction", "delay_ms", "jitter_ms", "loss_percent"),
    "byzantine": ("style", "seed"),
    "corrupt": ("row", "height"),
    "heal": (),
}
"""Of each kind, beside the bank."""


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

    def allowed(self, reports: Mapping[BankIndex, NodeReport]) -> bool:
        """Whether the banks let their operators break them, as far as is known."""
        ...

    def styles(self) -> Mapping[str, str]:
        """Return the Byzantine styles with a description of each."""
        ...


def read_fault_request(body: Mapping[str, object], bank_count: int) -> FaultRequest:
    """Read the body of a request; raises `PageError` naming what is wrong."""
    kind = body.get("kind")
    if not isinstance(kind, str) or kind not in PARAMETERS:
        raise invalid("there is no such fault", f"the kinds are {', '.join(PARAMETERS)}")
    unknown = set(body) - {"kind", "bank", *PARAMETERS[kind]}
    if unknown:
        raise invalid(f"{kind} has no parameter {min(unknown)[:MAX_STYLE_CHARACTERS]!r}")
    bank = None
    if body.get("bank") != ALL:
        bank = _bank(body.get("bank"), bank_count)
    elif kind != "heal":
        raise invalid(f"{kind} is for one bank at a time")
    delay_ms = _number(body, "delay_ms", MAX_DELAY_MS)
    jitter_ms = _number(body, "jitter_ms", MAX_DELAY_MS)
    loss_per_mille = _per_mille(body.get("loss_percent"))
    if kind == "slow" and not (delay_ms or jitter_ms or loss_per_mille):
        raise invalid("links with neither delay, jitter nor loss are not slow")
    style = body.get("style", "")
    if not isinstance(style, str) or len(style) > MAX_STYLE_CHARACTERS:
        raise invalid("the style is no name")
    return FaultRequest(
        kind=kind,
        bank=bank,
        peers=_peers(body.get("peers"), bank, bank_count),
        direction=_choice(body, "direction", DIRECTIONS, required=False),
        delay_ms=delay_ms,
        jitter_ms=jitter_ms,
        loss_per_mille=loss_per_mille,
        style=style,
        seed=_number(body, "seed", MAX_SEED),
        row=_choice(body, "row", ROWS, required=True) if kind == "corrupt" else "",
        height=_number(body, "height", MAX_SEED) or None,
    )


def kind_objects() -> list[dict[str, object]]:
    """Return every kind with its parameters."""
    return [
        {"kind": kind, "parameters": list(parameters)} for kind, parameters in PARAMETERS.items()
    ]


def _bank(value: object, bank_count: int) -> BankIndex:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < bank_count:
        raise invalid(f"the bank must be a whole number from 0 to {bank_count - 1}")
    return BankIndex(value)


def _peers(value: object, bank: BankIndex | None, bank_count: int) -> tuple[BankIndex, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > bank_count:
        raise invalid("the peers must be a list of banks")
    peers = tuple(dict.fromkeys(_bank(item, bank_count) for item in value))
    if bank in peers:
        raise invalid(f"{short_name(bank)} has no link with itself", "name another bank")
    return peers


def _number(body: Mapping[str, object], name: str, highest: int) -> int:
    value = body.get(name)
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= highest:
        raise invalid(f"{name} must be a whole number from 0 to {highest}")
    return value


def _per_mille(value: object) -> int:
    if value is None:
        return 0
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 100:
        raise invalid("loss_percent must be a number from 0 to 100")
    return round(value * 10)


def _choice(
    body: Mapping[str, object], name: str, choices: tuple[str, ...], *, required: bool
) -> str:
    value = body.get(name, None if required else choices[0])
    if not isinstance(value, str) or value not in choices:
        raise invalid(f"{name} must be one of {', '.join(choices)}")
    return value
