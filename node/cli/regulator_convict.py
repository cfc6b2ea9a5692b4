"""Convicting who cast two ballots where the opener's key is split among officers (BFT-12 9, E8)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from crypto.ballot_opening import open_partially
from crypto.errors import ProvingError
from crypto.opener_shares import OpenerShare
from node.cli.failure import EXIT_USAGE, CommandFailed
from node.cli.regulator_officers import read_parts
from node.cli.terminal import answer
from node.client import ClientCredentials
from node.client.errors import LedgerError
from node.client.regulator_client import SupervisionClient
from node.consensus.evidence_items import DoubleBallot, encode_item
from node.ledger.active_set import ActiveSet
from node.ledger.types import POINT_BYTES, BankIndex
from node.runtime.consortium_directory import ConsortiumDirectory, short_name
from node.runtime.regulator.ballot_conflicts import (
    collect_first,
    find_conflict,
    is_proven,
    keep_evidence,
    make_evidence,
)
from node.runtime.regulator.officers import CONFLICT, OfficersFailed, Part, require_same, set_of
from node.wire.records import BallotConflict

if TYPE_CHECKING:
    from node.cli.regulator_openings import RegulatorAccess


def read_tag(text: str) -> bytes:
    """Read a whole tag; raises `CommandFailed`."""
    try:
        tag = bytes.fromhex(text)
    except ValueError:
        tag = b""
    if len(tag) != POINT_BYTES:
        raise CommandFailed(
            f"the tag of a conflict has {2 * POINT_BYTES} hexadecimal digits",
            "the regulator's log has the tags of the conflicts that wait",
            EXIT_USAGE,
        )
    return tag


async def partial_of_conflict(access: RegulatorAccess, tag: bytes, share: OpenerShare) -> Part:
    """Return one officer's part of opening the first of two ballots under a tag."""
    conflict, active = await _conflict(access, tag)
    ballot = collect_first(access.genesis, conflict, active)
    return Part(CONFLICT, tag.hex(), {"": await asyncio.to_thread(open_partially, ballot, share)})


async def _conflict(access: RegulatorAccess, tag: bytes) -> tuple[BallotConflict, ActiveSet]:
    """Find two ballots under one tag at some bank that verify."""
    credentials = ClientCredentials.load(access.place.root)
    sets = await access.database.active_sets()

    def holds(conflict: BallotConflict) -> bool:
        return conflict.height > 0 and is_proven(
            access.genesis, conflict, set_of(sets, conflict.height)
        )

    conflict = await find_conflict(access.ledger.endpoints, credentials, tag, holds)
    if conflict is None:
        raise CommandFailed(
            "no bank shows two ballots under this tag that hold", "see its operator's alarms"
        )
    return conflict, set_of(sets, conflict.height)


def convict(directory: ConsortiumDirectory, text: str, files: Sequence[Path]) -> None:
    """Join officers' parts into the evidence against who cast two ballots, and hand it in."""
    parts = read_parts(files)
    bank, evidence_id = asyncio.run(_convict(directory, read_tag(text), parts))
    answer(f"{short_name(bank)} cast two ballots: evidence {evidence_id.hex()} was handed in")


async def _convict(
    directory: ConsortiumDirectory, tag: bytes, parts: Sequence[Part]
) -> tuple[BankIndex, bytes]:
    from node.cli.regulator_openings import officer, regulator_access

    async with regulator_access(directory) as access:
        conflict, active = await _conflict(access, tag)
        try:
            first = require_same(parts)
            if (first.purpose, first.subject) != (CONFLICT, tag.hex()):
                raise OfficersFailed("these are no parts of convicting by this tag")
            partials = [part.only for part in parts]
            item = make_evidence(access.genesis, conflict, active, partials)
        except (OfficersFailed, ProvingError) as error:
            raise CommandFailed(str(error), "have the officers make their parts again") from error
        if not await access.database.conflict_is_handled(tag):
            await keep_evidence(access.database, item, officer())
        return item.bank, await _hand_in(access, item, tag)


async def _hand_in(access: RegulatorAccess, item: DoubleBallot, tag: bytes) -> bytes:
    credentials = ClientCredentials.load(access.place.root)
    failure: LedgerError | None = None
    for endpoint in access.ledger.endpoints:
        bank = SupervisionClient(endpoint, credentials)
        try:
            evidence_id = await bank.submit_evidence(encode_item(item))
        except LedgerError as error:
            failure = error
            continue
        finally:
            await bank.close()
        await access.database.conflict_handed_in(tag)
        return evidence_id
    raise CommandFailed(f"no bank took the evidence: {failure}", "see `consortium evidence`")
