"""Breaking banks from the page: the acts of `consortium fault`, called by the page's server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from node.cli import fault_acts
from node.cli.failure import CommandFailed
from node.cli.node_control import ask_to_start, stop_node
from node.client.errors import ClientError
from node.dashboard.fault_request import ALL, FaultFailed, FaultRequest, ListedFault
from node.ledger.types import BankIndex
from node.runtime.consortium_directory import ConsortiumDirectory, short_name
from node.runtime.fault_processes import FaultRefused
from node.simulation.byzantine import STYLES
from node.wire.operator_records import NodeReport


class DirectoryFaults:
    """The banks of one directory, broken as an operator at a terminal breaks them."""

    def __init__(self, directory: ConsortiumDirectory) -> None:
        self._directory = directory

    async def perform(self, request: FaultRequest) -> str:
        """Do it in a thread, because the acts wait; raises `FaultFailed`."""
        try:
            return await asyncio.to_thread(self._perform, request)
        except CommandFailed as error:
            raise FaultFailed(error.message, error.advice) from error
        except FaultRefused as error:
            message, _, advice = str(error).partition("; ")
            raise FaultFailed(message, advice) from error
        except ClientError as error:
            raise FaultFailed(str(error), "see `consortium status`") from error

    def _perform(self, request: FaultRequest) -> str:
        done = _ACTS[request.kind](self._directory, _name(request.bank), request)
        lines = [done] if isinstance(done, str) else list(done)
        return "; ".join(lines) or "nothing was broken"

    def listed(self, reports: Mapping[BankIndex, NodeReport]) -> list[ListedFault]:
        """Return what is broken now."""
        return fault_acts.listed_faults(self._directory, reports)

    def allowed(self, reports: Mapping[BankIndex, NodeReport]) -> bool:
        """Whether the banks allow it; of none that answers nothing is known."""
        return not reports or any(report.faults_allowed for report in reports.values())

    def styles(self) -> Mapping[str, str]:
        """Return the Byzantine styles."""
        return {name: style.description for name, style in STYLES.items()}


def _name(bank: BankIndex | None) -> str:
    return ALL if bank is None else short_name(bank)


def _names(banks: tuple[BankIndex, ...]) -> list[str]:
    return [short_name(bank) for bank in banks]


def _start(directory: ConsortiumDirectory, bank: str, request: FaultRequest) -> str:
    assert request.bank is not None, "one bank is started at a time"
    ask_to_start(directory, request.bank)
    return f"{bank} is started"


_ACTS: Mapping[str, Callable[[ConsortiumDirectory, str, FaultRequest], Any]] = {
    "crash": lambda directory, bank, _: fault_acts.crash(directory, bank),
    "pause": lambda directory, bank, _: fault_acts.pause(directory, bank),
    "resume": lambda directory, bank, _: fault_acts.resume(directory, bank),
    "stop": lambda directory, bank, _: stop_node(directory, bank),
    "start": _start,
    "disconnect": lambda directory, bank, request: fault_acts.disconnect(
        directory, bank, _names(request.peers), request.direction
    ),
    "slow": lambda directory, bank, request: fault_acts.slow(
        directory,
        bank,
        _names(request.peers),
        request.direction,
        request.delay_ms,
        request.jitter_ms,
        request.loss_per_mille,
    ),
    "byzantine": lambda directory, bank, request: fault_acts.byzantine(
        directory, bank, request.style, request.seed
    ),
    "corrupt": lambda directory, bank, request: fault_acts.corrupt(
        directory, bank, request.row, request.height
    ),
    "heal": lambda directory, bank, _: fault_acts.heal(
        directory, bank, wait_until_ready=False
    ),
}
