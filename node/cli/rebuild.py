"""`consortium node rebuild`: replace a bank's database, follow it back to the others' height."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

import click

from node.cli.access import Consortium
from node.cli.failure import EXIT_UNREACHABLE, EXIT_USAGE, CommandFailed
from node.cli.options import find_bank
from node.cli.terminal import Meter, answer, answer_json, progress, say, warn
from node.client.errors import ClientError
from node.ledger.active_set import quorum_size
from node.ledger.types import BankIndex, Height
from node.runtime.bank_databases import database_server, has_own_servers
from node.runtime.consortium_directory import BankDirectory, ConsortiumDirectory, short_name
from node.runtime.fault_book import forget_corruption
from node.runtime.guard_file import GuardCorrupt, SignaturePoint
from node.runtime.rebuild import (
    Replaced,
    end_node,
    replace_database,
    replace_guard,
    signed_up_to,
)
from node.runtime.running_consortium import is_supervised, supervisor_lock
from node.runtime.start_requests import request_start
from node.wire.operator_records import NodeReport

STOP_PATIENCE_S = 5.0
SILENCE_LIMIT_S = 120.0
"""Without a new height for so long, the rebuild is given up; the node itself goes on."""
POLL_S = 0.3


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """The answer, for people and as JSON."""

    bank: int
    name: str
    replaced_database: str | None
    """What the old database is called now; None if there was none, or it was dropped."""
    dropped: bool
    carried_conflicts: int
    """Ballots in conflict that the new database has from the old one (BFT-12 E8)."""
    join: str
    height: int
    """At which the bank was compared with the others; 0 if the consortium is down."""
    state_root: str
    compared_with: tuple[int, ...]
    """Banks that had the same block and the same state at that height."""
    silent_through: int
    """Height up to which the guard file keeps the bank from signing; 0 for none."""
    seconds: float

    def __str__(self) -> str:
        kept = ""
        if self.replaced_database is not None:
            kept = f"; the old database is kept as {self.replaced_database}"
        if not self.compared_with:
            return f"{self.name} has an empty database{kept}"
        return (
            f"{self.name} is rebuilt: height {self.height}, state {self.state_root[:16]}, the same "
            f"as {len(self.compared_with)} other banks ({self.seconds:.1f} s){kept}"
        )


def rebuild_node(
    directory: ConsortiumDirectory,
    text: str,
    *,
    join: str,
    confirmed: bool,
    drop_old: bool,
    as_json: bool,
) -> None:
    """Rebuild the bank that `text` names, and say how it went."""
    consortium = Consortium.load(directory)
    bank = find_bank(consortium.genesis, text)
    is_up = is_supervised(directory)
    sealed = asyncio.run(_require_peers(consortium, bank)) if is_up else None
    if not confirmed:
        _confirm(short_name(bank))
    begun_s = time.monotonic()
    report = _replace(directory, bank, join=join, drop_old=drop_old, sealed=sealed)
    forget_corruption(directory, bank)
    if is_up:
        request_start(directory, bank)
        report = asyncio.run(_follow(consortium, bank, report))
    report = replace(report, seconds=round(time.monotonic() - begun_s, 1))
    if as_json:
        answer_json(asdict(report))
        return
    answer(str(report))
    if has_own_servers(directory):
        config = directory.bank(bank).config_file
        say(f"it learns the ledger from the other banks: `consortium node run --config {config}`")
    elif not is_up:
        say(
            f"it learns the ledger from the other banks once `consortium up` has started them: "
            f"`consortium up --data {directory.root}`"
        )


def _confirm(name: str) -> None:
    if not sys.stdin.isatty():
        raise CommandFailed(
            f"rebuilding replaces the database of {name}", "say so with --yes", EXIT_USAGE
        )
    click.confirm(
        f"{name} stops, its database is put aside, and it learns the whole ledger from the other "
        "banks again. Go on?",
        abort=True,
        err=True,
    )


async def _require_peers(consortium: Consortium, bank: BankIndex) -> Height:
    """Refuse to empty a database that nobody could fill; warn if the ledger will stand still.

    Returns the highest height that another bank tells of.
    """
    others = [item.index for item in consortium.genesis.banks if item.index != bank]
    reports = await _sound_reports(consortium, others)
    if not reports:
        raise CommandFailed(
            f"no other bank answers: nobody could give {short_name(bank)} the ledger back",
            "start other banks first; `consortium status` shows them",
            EXIT_UNREACHABLE,
        )
    needed = quorum_size(len(consortium.genesis.banks))
    if len(reports) < needed:
        warn(
            f"only {len(reports)} other banks can vote and {needed} are needed: nothing is sealed "
            f"until {short_name(bank)} is back"
        )
    return max(report.height for report in reports.values())


def _replace(
    directory: ConsortiumDirectory,
    bank: BankIndex,
    *,
    join: str,
    drop_old: bool,
    sealed: Height | None,
) -> RebuildReport:
    """Stop the node and replace its database; starts and stops the server if nobody else has.

    `sealed` is the height of the others, None while the consortium is down.
    """
    with contextlib.ExitStack() as stack:
        databases = database_server(directory)
        if sealed is None:
            stack.enter_context(supervisor_lock(directory))
            databases.start()
            stack.callback(databases.stop)
        place = directory.bank(bank)
        say(f"stopping {place.short_name}")
        end_node(place, directory, patience_s=STOP_PATIENCE_S)
        signed = _guard(directory, place, sealed)
        say("replacing its database")
        genesis = directory.genesis()
        replaced = replace_database(databases, place, genesis, join, datetime.now(UTC))
        kept = replaced.kept
        if kept is not None:
            say(f"the old database is kept as {kept}")
        _tell_conflicts(replaced)
        dropped = kept is not None and drop_old and not replaced.unread
        if kept is not None and dropped:
            databases.drop_replaced(place, kept)
            say(f"{kept} is dropped")
        return RebuildReport(
            bank=bank,
            name=place.short_name,
            replaced_database=None if dropped else kept,
            dropped=dropped,
            carried_conflicts=replaced.carried_conflicts,
            join=join,
            height=0,
            state_root="",
            compared_with=(),
            silent_through=0 if signed is None else signed.height,
            seconds=0.0,
        )


def _tell_conflicts(replaced: Replaced) -> None:
    """Say what became of the ballots in conflict that the bank had found."""
    if replaced.carried_conflicts:
        say(f"{replaced.carried_conflicts} pairs of conflicting ballots are carried over")
    if replaced.false_conflicts:
        warn(
            f"{replaced.false_conflicts} rows of {replaced.kept} about conflicting ballots prove "
            "nothing and are left there"
        )
    if replaced.unread:
        warn(
            f"conflicting ballots that {replaced.kept} may hold could not be read "
            f"({replaced.unread}), so it is not dropped; other banks that saw them keep them"
        )


def _guard(
    directory: ConsortiumDirectory, place: BankDirectory, sealed: Height | None
) -> SignaturePoint | None:
    """Return what the bank may have signed; a lost guard file is replaced by the worst case."""
    try:
        return signed_up_to(directory, place)
    except GuardCorrupt as error:
        if sealed is None:
            raise CommandFailed(
                f"nobody knows what {place.short_name} has signed: {error}",
                "start the other banks with `consortium up` first: what they have sealed bounds it",
            ) from error
        point = replace_guard(directory, place, sealed, datetime.now(UTC))
        warn(
            f"{error}: {place.short_name} signs nothing until height {point.height} is sealed, "
            "for it may have signed up to there"
        )
        return point


async def _follow(consortium: Consortium, bank: BankIndex, report: RebuildReport) -> RebuildReport:
    """Show how the bank catches up until it has the state of the others."""
    with progress(f"{report.name}: heights verified") as meter:
        own, equal = await _until_equal(consortium, bank, meter)
    if report.silent_through > own.height:
        warn(
            f"{report.name} has signed at height {report.silent_through} before: it signs nothing "
            "until the others have sealed that height"
        )
    return replace(
        report,
        height=own.height,
        state_root=own.state_root.hex(),
        compared_with=tuple(equal),
    )


async def _until_equal(
    consortium: Consortium, bank: BankIndex, meter: Meter
) -> tuple[NodeReport, list[BankIndex]]:
    """Poll until the bank is as high as the others and has their state."""
    best, since_s = -1, time.monotonic()
    others = [item.index for item in consortium.genesis.banks if item.index != bank]
    while True:
        reports = await _sound_reports(consortium, others)
        target = max((item.height for item in reports.values()), default=Height(0))
        own = (await consortium.ask_every_bank(lambda client: client.report(), [bank]))[bank]
        if isinstance(own, NodeReport):
            if own.halted:
                raise CommandFailed(
                    f"{short_name(bank)} has halted again: {own.halted}",
                    f"see `consortium logs {short_name(bank)}`; its disk may be failing",
                )
            meter(own.height, max(target, own.height))
            if own.height > best:
                best, since_s = own.height, time.monotonic()
            if reports and own.height >= target:
                equal = await _equal_banks(consortium, own, list(reports))
                if equal:
                    return own, equal
        if time.monotonic() - since_s > SILENCE_LIMIT_S:
            raise CommandFailed(
                f"{short_name(bank)} has reached height {max(best, 0)} of {target} and gets no "
                "further",
                f"see `consortium status` and `consortium logs {short_name(bank)}`",
            )
        await asyncio.sleep(POLL_S)


async def _equal_banks(
    consortium: Consortium, own: NodeReport, others: list[BankIndex]
) -> list[BankIndex]:
    """Return who has the same block and state at the bank's height; raises `CommandFailed`."""
    answers = await consortium.ask_every_bank(
        lambda client: client.digests(own.height, own.height), others
    )
    equal = []
    for other, digests in answers.items():
        if isinstance(digests, ClientError):
            # It may not be that high yet.
            continue
        if (digests.block_ids[0], digests.state_root) != (own.block_id, own.state_root):
            raise CommandFailed(
                f"{short_name(own.bank)} and {short_name(other)} differ at height {own.height}",
                "run `consortium doctor`",
            )
        equal.append(other)
    return equal


async def _sound_reports(
    consortium: Consortium, banks: list[BankIndex]
) -> dict[BankIndex, NodeReport]:
    """Return the reports of those that answer and have not halted."""
    answers = await consortium.ask_every_bank(lambda client: client.report(), banks)
    return {
        bank: report
        for bank, report in answers.items()
        if isinstance(report, NodeReport) and not report.halted
    }
