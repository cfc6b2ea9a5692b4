"""Opening a recorded ballot: who cast it, with a proof that anybody checks from the genesis alone.

Every opening, and every refusal to open, is a row of the append-only audit log, written before
anybody learns the name. An opening travels as one JSON document with everything its judge needs:
the ballot, the proof, and the sealed changes of the active set up to its height.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crypto.ballot import BallotContext, BallotKey, collect_ballot
from crypto.ballot_opening import (
    BallotOpening,
    join_opening,
    open_ballot,
    verify_ballot_opening,
)
from crypto.ballot_proof import CollectedBallot
from crypto.errors import OpeningInvalid, ProvingError, Rejected
from crypto.merkle import merkle_root
from crypto.opener_shares import PartialDecryption
from node.client.errors import ClientError, RecordsInvalid
from node.client.ledger_client import LedgerClient
from node.client.verification import SealVerifier
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import ballot_message, ballot_tag, ballot_view
from node.ledger.blocks import Block, Header
from node.ledger.encoding import MalformedEncoding
from node.ledger.genesis import Genesis
from node.ledger.rejection import Rejection
from node.ledger.types import HASH_BYTES, BankIndex, Height, View
from node.storage.errors import StorageError
from node.storage.regulator.database import RegulatorDatabase
from node.wire.records import PublishedSetChange

FORMAT = "consortium/opening/1"
MAX_REASON_CHARACTERS = 500


class OpeningRefused(Exception):
    """The ballot is not opened; the message says why. The audit log has a row of it."""


class OpeningDocumentInvalid(Exception):
    """The document does not prove who cast the ballot."""


@dataclass(frozen=True, slots=True)
class LocatedBallot:
    """A recorded ballot with the ring that it was cast in."""

    raw: bytes
    height: Height
    view: View
    active_set: ActiveSet
    set_changes: tuple[PublishedSetChange, ...]
    """Sealed changes of the active set up to the height."""

    def context(self, genesis: Genesis) -> BallotContext:
        """Return what the ballot was cast in."""
        return BallotContext(genesis.chain_id, self.height, self.view)

    def collect(self, genesis: Genesis) -> CollectedBallot:
        """Return the ballot for the opener; it was verified when its block was followed."""
        return collect_ballot(self.raw, self.active_set.ballot_ring, self.context(genesis))


@dataclass(frozen=True, slots=True)
class OpenedBallot:
    """Who cast a ballot, and the proof."""

    ballot: LocatedBallot
    opening: BallotOpening
    bank: BankIndex

    def to_json_object(self, genesis: Genesis) -> dict[str, Any]:
        """Return the document that proves it offline."""
        message = ballot_message(self.ballot.raw)
        return {
            "format": FORMAT,
            "chain_id": genesis.chain_id.hex(),
            "height": self.ballot.height,
            "view": self.ballot.view,
            "block_id": message[:HASH_BYTES].hex(),
            "decision": "approve" if message[HASH_BYTES:] == b"A" else "reject",
            "tag": ballot_tag(self.ballot.raw).hex(),
            "bank": self.bank,
            "bank_name": genesis.banks[self.bank].name,
            "ballot": self.ballot.raw.hex(),
            "opening": self.opening.encode().hex(),
            "set_changes": [
                {
                    "header": change.header.hex(),
                    "certificate": change.certificate.hex(),
                    "active_set": change.active_set.hex(),
                }
                for change in self.ballot.set_changes
            ],
        }


def verify_opening_document(genesis: Genesis, document: Mapping[str, Any]) -> BankIndex:
    """Return who cast the ballot, proven from the genesis alone; `OpeningDocumentInvalid`."""
    try:
        if document["format"] != FORMAT or document["chain_id"] != genesis.chain_id.hex():
            raise OpeningDocumentInvalid("it is no opening of a ballot of this ledger")
        raw = bytes.fromhex(document["ballot"])
        height, view = Height(int(document["height"])), View(int(document["view"]))
        opening = BallotOpening.decode(bytes.fromhex(document["opening"]))
        changes = [
            PublishedSetChange(*[bytes.fromhex(item[name]) for name in _CHANGE_FIELDS])
            for item in document["set_changes"]
        ]
        active = SealVerifier(genesis).active_set_at(height, changes)
        context = BallotContext(genesis.chain_id, height, view)
        verify_ballot_opening(raw, opening, active.ballot_ring, context)
        bank = active.members[opening.index].bank
        message = ballot_message(raw)
        told = (document["tag"], document["block_id"], document["bank"], document["bank_name"])
        shown = (ballot_tag(raw).hex(), message[:HASH_BYTES].hex(), bank, genesis.banks[bank].name)
        decision = "approve" if message[HASH_BYTES:] == b"A" else "reject"
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise OpeningDocumentInvalid(f"it is malformed: {error}") from error
    except (OpeningInvalid, ClientError, Rejection) as error:
        raise OpeningDocumentInvalid(str(error)) from error
    if told != shown or document.get("decision") != decision:
        raise OpeningDocumentInvalid("what it says in words is not what its proof shows")
    return bank


_CHANGE_FIELDS = ("header", "certificate", "active_set")


class OpeningDesk:
    """Opens recorded ballots, or refuses, and keeps a row of the audit log for either."""

    def __init__(self, genesis: Genesis, ledger: LedgerClient, database: RegulatorDatabase) -> None:
        self._genesis = genesis
        self._ledger = ledger
        self._database = database
        self._verifier = SealVerifier(genesis)

    async def open(
        self,
        tag: bytes,
        *,
        reason: str,
        order: str,
        actor: str,
        opener: BallotKey | Sequence[PartialDecryption] | None,
    ) -> OpenedBallot:
        """Open the ballot with this tag; raises `OpeningRefused`.

        `opener` is the whole key, or officers' parts of this very opening; `reason` says why and
        `order` under which order, if there is one.
        """
        said = {"tag": tag.hex(), "reason": reason, "order": order}
        try:
            _check_reason(reason)
            located = await self.locate(tag)
            opened = await asyncio.to_thread(self._open, located, opener)
        except (OpeningRefused, ClientError, StorageError) as error:
            await self._database.audit("opening-refused", actor, {**said, "why": str(error)})
            if isinstance(error, OpeningRefused):
                raise
            raise OpeningRefused(str(error)) from error
        await self._database.audit("opening", actor, {**said, **opening_data(opened)})
        return opened

    async def locate(self, tag: bytes) -> LocatedBallot:
        """Find a recorded ballot at some bank and hold it to the followed headers.

        Raises `OpeningRefused` for a tag that no block records, `ClientError`, `StorageError`.
        """
        height = await self._database.height_of_tag(tag)
        if height is None:
            raise OpeningRefused("no block that was followed records a ballot with this tag")
        recorded_by = await self._database.block(Height(height + 1))
        stored = await self._ledger.block(recorded_by.height)
        raw = _recorded(recorded_by.header, stored.block, tag)
        changes = tuple(
            [
                change
                for change in (await self._ledger.sealed_state()).set_changes
                if Header.decode(change.header).height < height
            ]
        )
        active = self._verifier.active_set_at(height, changes)
        return LocatedBallot(raw, height, ballot_view(raw), active, changes)

    def _open(
        self, located: LocatedBallot, opener: BallotKey | Sequence[PartialDecryption] | None
    ) -> OpenedBallot:
        if opener is None:
            raise OpeningRefused(
                "the opener's key is split: each of enough officers makes a part with "
                "`consortium regulator partial`, and --partials joins them"
            )
        try:
            ballot = located.collect(self._genesis)
            opening = (
                open_ballot(ballot, opener)
                if isinstance(opener, BallotKey)
                else join_opening(ballot, opener)
            )
        except (ProvingError, Rejected) as error:
            raise OpeningRefused(str(error)) from error
        bank = located.active_set.members[opening.index].bank
        return OpenedBallot(located, opening, bank)


def opening_data(opened: OpenedBallot) -> dict[str, Any]:
    """Return what the audit log says of an opening; the proof included."""
    return {
        "height": opened.ballot.height,
        "view": opened.ballot.view,
        "bank": opened.bank,
        "opening": opened.opening.encode().hex(),
    }


def _check_reason(reason: str) -> None:
    if not 1 <= len(reason.strip()) <= MAX_REASON_CHARACTERS:
        raise OpeningRefused(f"a reason of 1 to {MAX_REASON_CHARACTERS} characters is required")


def _recorded(header: bytes, encoded: bytes, tag: bytes) -> bytes:
    """Return the ballot with this tag from a block that must be the followed one."""
    try:
        block = Block.decode(encoded)
    except MalformedEncoding as error:
        raise RecordsInvalid(f"the block does not decode: {error}") from error
    if block.header.encode() != header:
        raise RecordsInvalid("the bank shows another block than the sealed one")
    if merkle_root(block.parent_ballots) != block.header.ballots_root:
        raise RecordsInvalid("the bank shows another voting record than the sealed one")
    for raw in block.parent_ballots:
        if ballot_tag(raw) == tag:
            return raw
    raise RecordsInvalid("the sealed voting record has no such tag")
