"""Breaking banks from the page: the acts of `consortium fault`, called by the page's server.

What they need is imported when the first one is asked for: most pages never break anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from node.cli.failure import CommandFailed
from node.cli.node_control import ask_to_start, stop_node
from node.client.errors import ClientError
from node.dashboard.fault_request import ALL, FaultFailed, FaultRequest, ListedFault
from node.ledger.types import BankIndex
from node.runtime.consortium_directory import ConsortiumDirectory, short_name
from node.runtime.fault_processes import FaultRefused
from node.simulation.style_descriptions import DESCRIPTIONS
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
        done = _act(self._directory, request)
        lines = [done] if isinstance(done, str) else list(done)
        return "; ".join(lines) or "nothing was broken"

    def listed(self, reports: Mapping[BankIndex, NodeReport]) -> list[ListedFault]:
        """Return what is broken now."""
        from node.cli import fault_acts

        return fault_acts.listed_faults(self._directory, reports)

    def allowed(self, reports: Mapping[BankIndex, NodeReport]) -> bool:
        """Whether the banks allow it; of none that answers nothing is known."""
        return not reports or any(report.faults_allowed for report in reports.values())

    def styles(self) -> Mapping[str, str]:
        """Return the Byzantine styles."""
        return DESCRIPTIONS


def _act(directory: ConsortiumDirectory, request: FaultRequest) -> str | Iterable[str]:
    from node.cli import fault_acts

    bank = ALL if request.bank is None else short_name(request.bank)
    links = [short_name(peer) for peer in request.peers], request.direction
    match request.kind:
        case "crash":
            return fault_acts.crash(directory, bank)
        case "pause":
            return fault_acts.pause(directory, bank)
        case "resume":
            return fault_acts.resume(directory, bank)
        case "stop":
            return stop_node(directory, bank)
        case "start" if request.bank is not None:
            ask_to_start(directory, request.bank)
            return f"{bank} is started"
        case "disconnect":
            return fault_acts.disconnect(directory, bank, *links)
        case "slow":
            loss = request.loss_per_mille
            return fault_acts.slow(
                directory, bank, *links, request.delay_ms, request.jitter_ms, loss
            )
        case "byzantine":
            return fault_acts.byzantine(directory, bank, request.style, request.seed)
        case "corrupt":
            return fault_acts.corrupt(directory, bank, request.row, request.height)
        case _:
            assert request.kind == "heal", "every kind of the page is here"
            return fault_acts.heal(directory, bank, wait_until_ready=False)
