"""Stopping and starting one bank of a consortium that another process supervises."""

from __future__ import annotations

import asyncio
import contextlib
import time

from node.cli.access import Consortium
from node.cli.failure import EXIT_UNREACHABLE, CommandFailed
from node.cli.options import find_bank
from node.client.errors import ClientError
from node.ledger.types import BankIndex
from node.runtime.consortium_directory import ConsortiumDirectory, short_name
from node.runtime.running_consortium import RunningConsortium, is_supervised
from node.runtime.start_requests import request_start

STOP_PATIENCE_S = 10.0
START_PATIENCE_S = 60.0
POLL_S = 0.2


def stop_node(directory: ConsortiumDirectory, text: str) -> str:
    """Ask a bank's node to stop, wait until its process is gone, and say so."""
    consortium = Consortium.load(directory)
    bank = find_bank(consortium.genesis, text)
    name = short_name(bank)
    running = RunningConsortium.load(directory)
    reference = running.banks[bank].process if running is not None else None
    asyncio.run(_shut_down(consortium, bank))
    deadline_s = time.monotonic() + STOP_PATIENCE_S
    while reference is not None and reference.find() is not None:
        if time.monotonic() > deadline_s:
            raise CommandFailed(
                f"{name} was asked to stop but its process {reference.pid} still runs",
                f"see `consortium logs {name}`",
            )
        time.sleep(POLL_S)
    return f"{name} has stopped"


async def _shut_down(consortium: Consortium, bank: BankIndex) -> None:
    async with consortium.operator(bank) as client:
        try:
            await client.shutdown("asked for on the command line")
        except ClientError as error:
            raise CommandFailed(
                f"{short_name(bank)} does not answer: {error}",
                "see `consortium status`: it may be down already",
                EXIT_UNREACHABLE,
            ) from error


def start_node(directory: ConsortiumDirectory, text: str) -> str:
    """Ask the supervisor to start a bank's node, wait until the bank is ready, and say so."""
    consortium = Consortium.load(directory)
    bank = find_bank(consortium.genesis, text)
    ask_to_start(directory, bank)
    return asyncio.run(_wait_ready(consortium, bank))


def ask_to_start(directory: ConsortiumDirectory, bank: BankIndex) -> None:
    """Ask the supervisor to start a bank's node; raises `CommandFailed` if there is none."""
    if not is_supervised(directory):
        # What knows of servers knows of databases, and most who start a bank need neither.
        from node.runtime.bank_databases import has_own_servers

        if has_own_servers(directory):
            raise CommandFailed(
                f"nothing on this machine starts {short_name(bank)}",
                f"run it with `consortium node run --config {directory.bank(bank).config_file}`",
                EXIT_UNREACHABLE,
            )
        raise CommandFailed(
            f"no consortium is up in {directory.root}",
            f"start it with `consortium up --data {directory.root}`, or this bank alone with "
            f"`consortium node run --config {directory.bank(bank).config_file}`",
            EXIT_UNREACHABLE,
        )
    request_start(directory, bank)


async def _wait_ready(consortium: Consortium, bank: BankIndex) -> str:
    deadline_s = time.monotonic() + START_PATIENCE_S
    async with consortium.operator(bank) as client:
        while time.monotonic() < deadline_s:
            with contextlib.suppress(ClientError):
                report = await client.report()
                if report.ready:
                    linked = sum(peer.linked_in and peer.linked_out for peer in report.peers)
                    return (
                        f"{short_name(bank)} is ready at height {report.height}, "
                        f"linked with {linked} of {len(report.peers)} banks"
                    )
            await asyncio.sleep(POLL_S)
    raise CommandFailed(
        f"{short_name(bank)} was not ready within {START_PATIENCE_S:.0f} s",
        f"see `consortium logs {short_name(bank)}`",
    )
