"""Opening ballots by order, checking openings offline, and reading the regulator's audit log."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.cli.activity import activity
from node.cli.explorer import utc_time
from node.cli.failure import EXIT_FAILED, EXIT_USAGE, CommandFailed
from node.cli.proof import load_genesis
from node.cli.regulator_officers import read_partials
from node.cli.table import answer_fields, answer_table
from node.cli.terminal import answer, answer_json, say
from node.client import ClientCredentials, LedgerClient
from node.ledger.genesis import Genesis
from node.ledger.types import POINT_BYTES
from node.runtime.clock import SystemClock
from node.runtime.consortium_directory import ConsortiumDirectory, short_name
from node.runtime.regulator.openings import (
    OpenedBallot,
    OpeningDesk,
    OpeningDocumentInvalid,
    OpeningRefused,
    verify_opening_document,
)
from node.runtime.regulator.place import RegulatorPlace
from node.runtime.regulator.process import RegulatorConfig
from node.runtime.regulator.secrets import load_opener
from node.storage.regulator.database import AuditLogBroken, RegulatorDatabase
from node.storage.regulator.records import AuditRow

SHORTEST_TAG = 8
"""Hexadecimal digits that name a tag, if no other begins with them."""
SHOWN_TAGS = 5
SHOWN_DIGITS = 16
LONG_FIELDS = frozenset(("tag", "opening", "transaction_id"))
"""Fields of the audit log that are hexadecimal digits: 16 are enough to tell one from another."""
MAX_DOCUMENT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class RegulatorAccess:
    """What the regulator's own commands work with: its database, and banks to read from."""

    genesis: Genesis
    place: RegulatorPlace
    database: RegulatorDatabase
    ledger: LedgerClient


@asynccontextmanager
async def regulator_access(directory: ConsortiumDirectory) -> AsyncIterator[RegulatorAccess]:
    """Open the regulator's database and a client in its name; its process need not run."""
    config = RegulatorConfig.of(directory)
    credentials = ClientCredentials.load(config.place.root)
    url = config.place.database_url()
    database = await RegulatorDatabase.open(url, SystemClock().wall_ms)
    ledger = LedgerClient(config.endpoints, credentials)
    try:
        yield RegulatorAccess(config.genesis, config.place, database, ledger)
    finally:
        await ledger.close()
        await database.close()


def officer() -> str:
    """Return who gives the command, for the audit log."""
    return f"officer/{getpass.getuser()}"


async def find_tag(database: RegulatorDatabase, text: str) -> bytes:
    """Return the recorded tag that begins with these digits; raises `CommandFailed`.

    A whole tag is returned as it is, recorded or not: the refusal to open it is for the audit log.
    """
    try:
        digits = bytes.fromhex(text[: len(text) // 2 * 2])
    except ValueError:
        digits = b""
    if len(text) < SHORTEST_TAG or not digits:
        raise CommandFailed(
            f"{text!r} is no tag: at least {SHORTEST_TAG} hexadecimal digits",
            "see `consortium votes BLOCK` for the tags",
            EXIT_USAGE,
        )
    if len(digits) == POINT_BYTES:
        return digits
    found = [
        tag
        for tag in await database.tags_of_prefix(digits, SHOWN_TAGS)
        if tag.hex().startswith(text.lower())
    ]
    if len(found) != 1:
        raise CommandFailed(
            f"{len(found) or 'no'} recorded tags begin with {text}",
            "give more digits" if found else "see `consortium votes BLOCK` for the tags",
        )
    return found[0]


def open_tag(
    directory: ConsortiumDirectory,
    tag: str,
    *,
    reason: str,
    order: str,
    partials: tuple[Path, ...],
    out: Path | None,
    as_json: bool,
) -> None:
    """Open one ballot, or refuse; either is in the audit log."""
    opened, document = asyncio.run(_open(directory, tag, reason, order, partials))
    kept = _keep(RegulatorPlace(directory), document, out)
    say(f"the proof is in {kept}; `consortium regulator verify-opening {kept}` checks it anywhere")
    if as_json:
        answer_json(document)
        return
    answer_fields(
        [
            ("tag", document["tag"]),
            ("cast by", short_name(opened.bank)),
            ("decision", document["decision"]),
            ("block", f"{document['height']}, view {document['view']}"),
            ("proof", f"{len(opened.opening.encode())} bytes"),
        ]
    )


async def _open(
    directory: ConsortiumDirectory, text: str, reason: str, order: str, files: tuple[Path, ...]
) -> tuple[OpenedBallot, dict[str, Any]]:
    async with regulator_access(directory) as access:
        opener = read_partials(files) if files else load_opener(access.place.root, access.genesis)
        tag = await find_tag(access.database, text)
        desk = OpeningDesk(access.genesis, access.ledger, access.database)
        try:
            with activity() as tell:
                tell("opening the ballot")
                opened = await desk.open(
                    tag, reason=reason, order=order, actor=officer(), opener=opener
                )
        except OpeningRefused as refused:
            advice = "the audit log has the refusal"
            if files:
                advice += "; join parts that as many officers as the threshold made for this tag"
            raise CommandFailed(f"the ballot was not opened: {refused}", advice) from refused
        document = opened.to_json_object(access.genesis)
        return opened, {**document, "reason": reason, "order": order}


def _keep(place: RegulatorPlace, document: dict[str, Any], out: Path | None) -> Path:
    path = out or place.root / "openings" / f"{document['tag'][:16]}.json"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(document, indent=2) + "\n")
    return path


def verify_opening_file(
    directory: ConsortiumDirectory, file: Path, genesis_file: Path | None, *, as_json: bool
) -> None:
    """Check an opening from the genesis and the file alone."""
    genesis = load_genesis(directory, genesis_file)
    try:
        if file.stat().st_size > MAX_DOCUMENT_BYTES:
            raise CommandFailed(f"{file} is larger than any opening", "", EXIT_USAGE)
        document = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(document, dict):
            raise OpeningDocumentInvalid("it is no JSON object")
        bank = verify_opening_document(genesis, document)
    except OSError as error:
        raise CommandFailed(f"{file} cannot be read: {error.strerror}", "", EXIT_USAGE) from error
    except (OpeningDocumentInvalid, ValueError, RecursionError) as error:
        raise CommandFailed(
            f"{file} does not prove who cast the ballot: {error}",
            "ask the regulator for the opening again, and do not rely on this one",
            EXIT_FAILED,
        ) from error
    name = short_name(bank)
    if as_json:
        answer_json(
            {
                "valid": True,
                "bank": name,
                "tag": document["tag"],
                "height": document["height"],
                "decision": document["decision"],
            }
        )
        return
    answer(
        f"proven: {name} cast the ballot {document['tag'][:16]} on block {document['height']} "
        f"({document['decision']})"
    )


def show_audit(directory: ConsortiumDirectory, *, as_json: bool) -> None:
    """Check the chain of the audit log and show it."""
    length, rows, broken = asyncio.run(_audit(directory))
    if as_json:
        answer_json(
            {
                "rows": [_row_object(row) for row in rows],
                "length": length,
                "chain_holds": broken == "",
                "fault": broken,
            }
        )
    else:
        answer_table(
            ("row", "time", "action", "by", "about"),
            [
                (
                    str(row.sequence),
                    utc_time(row.time_ms),
                    row.action,
                    row.actor,
                    about(row),
                )
                for row in rows
            ],
            right=(0,),
        )
        if not broken:
            answer(f"{length} rows; the chain of their hashes holds")
    if broken:
        raise CommandFailed(broken, "find out who could write to the regulator's database")


async def _audit(directory: ConsortiumDirectory) -> tuple[int, tuple[AuditRow, ...], str]:
    async with regulator_access(directory) as access:
        rows = await access.database.audit_rows()
        try:
            return await access.database.check_audit_log(), rows, ""
        except AuditLogBroken as error:
            return len(rows), rows, str(error)


def about(row: AuditRow) -> str:
    """Return what a row is about, with hashes, tags and proofs cut short."""
    return ", ".join(
        f"{name} {value[:SHOWN_DIGITS] if name in LONG_FIELDS else value}"
        for name, value in json.loads(row.event_data).items()
        if value != ""
    )


def _row_object(row: AuditRow) -> dict[str, Any]:
    return {
        "sequence": row.sequence,
        "time_ms": row.time_ms,
        "action": row.action,
        "actor": row.actor,
        "event_data": json.loads(row.event_data),
        "previous_hash": row.previous_hash.hex(),
        "hash": row.hash.hex(),
    }
