"""What `consortium fault` does: signals, SQL, and calls to the Operator service of a bank.

Every act returns, in sentences, what was done; the commands print them, the page shows them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence

from node.cli.access import Consortium, bank_names
from node.cli.failure import EXIT_UNREACHABLE, EXIT_USAGE, CommandFailed
from node.cli.node_control import ask_to_start, start_node
from node.cli.options import find_bank
from node.client.errors import AccessDenied, LedgerError, RequestInvalid
from node.dashboard.fault_request import ALL, ListedFault
from node.ledger.types import BankIndex
from node.runtime import fault_processes
from node.runtime.consortium_directory import ConsortiumDirectory, short_name
from node.runtime.fault_book import corrupted_rows, note_corruption
from node.runtime.fault_processes import FaultRefused
from node.runtime.process_condition import ProcessCondition, process_conditions
from node.runtime.running_consortium import is_supervised
from node.simulation.style_descriptions import DESCRIPTIONS
from node.wire.operator_records import (
    FAULTS_OFF,
    ByzantineFault,
    FaultReport,
    LinkDirection,
    LinkFault,
    NodeReport,
)

_DIRECTIONS = {"in": LinkDirection.IN, "out": LinkDirection.OUT, "both": LinkDirection.BOTH}


def crash(directory: ConsortiumDirectory, text: str) -> str:
    """Kill a bank's process."""
    bank = _bank(directory, text)
    name = short_name(bank)
    pid = fault_processes.crash(directory, bank)
    return f"{name} was killed (process {pid}); `consortium node start {name}` starts it again"


def crash_and_restart(
    directory: ConsortiumDirectory, text: str, restart_after_s: float
) -> Iterator[str]:
    """Kill a bank's process and have it started again; yield what is done as it is done."""
    bank = _bank(directory, text)
    pid = fault_processes.crash(directory, bank)
    name = short_name(bank)
    yield f"{name} was killed (process {pid}) and is started again in {restart_after_s:g} s"
    time.sleep(restart_after_s)
    yield start_node(directory, text)


def pause(directory: ConsortiumDirectory, text: str) -> str:
    """Stop a bank's process in its tracks."""
    bank = _bank(directory, text)
    pid = fault_processes.pause(directory, bank)
    name = short_name(bank)
    return f"{name} is paused (process {pid}); `consortium fault resume {name}` lets it go on"


def resume(directory: ConsortiumDirectory, text: str) -> str:
    """Let a paused process go on."""
    bank = _bank(directory, text)
    pid = fault_processes.resume(directory, bank)
    return f"{short_name(bank)} goes on (process {pid})"


def disconnect(
    directory: ConsortiumDirectory, text: str, peers: Sequence[str], direction: str
) -> list[str]:
    """Cut links of a bank."""
    consortium = Consortium.load(directory)
    bank = find_bank(consortium.genesis, text)
    fault = LinkFault(_peers(consortium, bank, peers), _DIRECTIONS[direction], cut=True)
    return _inject(consortium, bank, fault)


def slow(
    directory: ConsortiumDirectory,
    text: str,
    peers: Sequence[str],
    direction: str,
    delay_ms: int,
    jitter_ms: int,
    loss_per_mille: int,
) -> list[str]:
    """Make links of a bank slow or lossy."""
    consortium = Consortium.load(directory)
    bank = find_bank(consortium.genesis, text)
    fault = LinkFault(
        _peers(consortium, bank, peers),
        _DIRECTIONS[direction],
        delay_ms=delay_ms,
        jitter_ms=jitter_ms,
        loss_per_mille=loss_per_mille,
    )
    return _inject(consortium, bank, fault)


def corrupt(directory: ConsortiumDirectory, text: str, row: str, height: int | None) -> str:
    """Corrupt a stored row of a bank."""
    bank = _bank(directory, text)
    if not is_supervised(directory):
        raise FaultRefused(
            f"no consortium is up in {directory.root}, and stored rows are corrupted only under "
            f"running banks; `consortium up --data {directory.root}` starts it"
        )
    # PostgreSQL's client is for this one act, and whoever lists faults does without it.
    from node.runtime import fault_rows

    changed = fault_rows.corrupt(directory, bank, row, height)
    note_corruption(directory, bank, changed)
    name = short_name(bank)
    return (
        f"corrupted at {name}: {changed}; the bank halts when it finds out, and "
        f"`consortium node rebuild {name}` repairs it"
    )


def byzantine(directory: ConsortiumDirectory, text: str, style: str, seed: int) -> list[str]:
    """Have a bank lie in a style."""
    if style not in DESCRIPTIONS:
        raise CommandFailed(
            f"there is no style {style!r}", f"the styles are {', '.join(DESCRIPTIONS)}", EXIT_USAGE
        )
    consortium = Consortium.load(directory)
    bank = find_bank(consortium.genesis, text)
    return _inject(consortium, bank, ByzantineFault(style, seed))


def database(directory: ConsortiumDirectory, text: str | None) -> str:
    """End the sessions of one bank's database, or the whole server."""
    from node.runtime import fault_databases

    if text is None:
        Consortium.load(directory)
        if not is_supervised(directory):
            raise FaultRefused(
                f"no consortium is up in {directory.root}, so that nobody would start PostgreSQL "
                f"again; `consortium up --data {directory.root}` starts both"
            )
        pid = fault_databases.kill_server(directory)
        return (
            f"PostgreSQL was killed (process {pid}), and with it the databases of all banks: the "
            "local server is one fault domain; the launcher starts it again, then the banks"
        )
    bank = _bank(directory, text)
    count = fault_databases.end_sessions(directory, bank)
    return (
        f"{count} database sessions of {short_name(bank)} were ended; it stops, and the launcher "
        "starts it again"
    )


def heal(
    directory: ConsortiumDirectory, text: str, *, wait_until_ready: bool = True
) -> Iterator[str]:
    """End the faults of one bank or of all, start what was killed; yield what is done.

    Without `wait_until_ready` those that were killed are started while nobody waits for them.
    """
    consortium = Consortium.load(directory)
    everybody = [bank.index for bank in consortium.genesis.banks]
    banks = everybody if text == ALL else [find_bank(consortium.genesis, text)]
    conditions = process_conditions(directory)
    for bank in banks:
        if conditions.get(bank) is ProcessCondition.PAUSED:
            fault_processes.resume(directory, bank)
            yield f"{short_name(bank)} goes on"
    answers = asyncio.run(consortium.ask_every_bank(lambda client: client.report(), banks))
    for bank, report in answers.items():
        if isinstance(report, NodeReport) and report.faults:
            asyncio.run(_heal_links(consortium, bank))
            yield f"{short_name(bank)} is healed of: {'; '.join(f.text for f in report.faults)}"
    down = [bank for bank in banks if conditions.get(bank) is ProcessCondition.EXITED]
    for bank in down:
        if wait_until_ready:
            yield start_node(directory, short_name(bank))
        else:
            ask_to_start(directory, bank)
            yield f"{short_name(bank)} is started again"
    corrupted = [bank for bank in banks if bank in corrupted_rows(directory)]
    if corrupted:
        yield (
            f"stored rows of {bank_names(corrupted)} were corrupted: "
            f"`consortium node rebuild {short_name(corrupted[0])}` repairs them"
        )


def fetch_faults(directory: ConsortiumDirectory) -> list[ListedFault]:
    """Ask every bank, and return everything that is broken on purpose or not running."""
    consortium = Consortium.load(directory)
    answers = asyncio.run(consortium.ask_every_bank(lambda client: client.report()))
    return listed_faults(
        directory,
        {bank: report for bank, report in answers.items() if isinstance(report, NodeReport)},
    )


def listed_faults(
    directory: ConsortiumDirectory, reports: Mapping[BankIndex, NodeReport]
) -> list[ListedFault]:
    """Return what the banks report, what their processes show, and what was corrupted."""
    found = [
        ListedFault(bank, short_name(bank), fault.kind, fault.text, fault.age_ms)
        for bank, report in reports.items()
        for fault in report.faults
    ]
    for bank, condition in process_conditions(directory).items():
        if condition in (ProcessCondition.PAUSED, ProcessCondition.EXITED):
            found.append(ListedFault(bank, short_name(bank), condition.value, "its process"))
    for bank, rows in corrupted_rows(directory).items():
        found += [ListedFault(bank, short_name(bank), "corrupt", row) for row in rows]
    return sorted(found, key=lambda fault: fault.bank)


def _bank(directory: ConsortiumDirectory, text: str) -> BankIndex:
    return find_bank(Consortium.load(directory).genesis, text)


def _peers(consortium: Consortium, bank: BankIndex, texts: Sequence[str]) -> tuple[BankIndex, ...]:
    peers = tuple(find_bank(consortium.genesis, text) for text in texts)
    if bank in peers:
        raise CommandFailed(
            f"{short_name(bank)} has no link with itself", "name another bank", EXIT_USAGE
        )
    return peers


def _inject(
    consortium: Consortium, bank: BankIndex, fault: LinkFault | ByzantineFault
) -> list[str]:
    faults = asyncio.run(inject(consortium, bank, fault))
    name = short_name(bank)
    told = [f"{name}: {report.text}" for report in faults]
    return [*told, f"`consortium fault heal {name}` ends it"]


async def inject(
    consortium: Consortium, bank: BankIndex, fault: LinkFault | ByzantineFault
) -> tuple[FaultReport, ...]:
    """Ask a bank to break itself; raises `CommandFailed` if it refuses or does not answer."""
    async with consortium.operator(bank) as client:
        try:
            return await client.inject_fault(fault)
        except AccessDenied as error:
            if error.reason_code != FAULTS_OFF:
                raise
            message, _, advice = error.message.partition("; ")
            raise CommandFailed(message, advice) from error
        except RequestInvalid:
            raise
        except LedgerError as error:
            raise CommandFailed(
                f"{short_name(bank)} does not answer: {error}",
                "see `consortium status`",
                EXIT_UNREACHABLE,
            ) from error


async def _heal_links(consortium: Consortium, bank: BankIndex) -> None:
    async with consortium.operator(bank) as client:
        await client.heal_faults()
