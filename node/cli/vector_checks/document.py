"""A vectors document: access to its entries and to what its sections share (IDX1 13)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

from crypto.ballot import BallotContext, BallotRing
from crypto.note import SessionKeys
from crypto.ring import DEFAULT_RING_BASE, ClosedBin, OpenBin, close_bin

Json = Any
"""A value out of a JSON file, not yet looked at."""

unhex = bytes.fromhex


class VectorFileError(Exception):
    """The file is no vectors file: the message says what is wrong with it."""


class Mismatch(Exception):
    """The code computes something else than the vector says."""


@dataclass(frozen=True, slots=True)
class Check:
    """One vector: `run` raises Mismatch, or whatever breaks, if it does not hold."""

    name: str
    run: Callable[[], None]


def expect(what: str, computed: object, stated: object) -> None:
    """Raise Mismatch unless both are equal."""
    if computed != stated:
        raise Mismatch(f"{what} is {_short(computed)}, the file says {_short(stated)}")


def expect_stated(computed: Mapping[str, object], case: Mapping[str, object]) -> None:
    """Raise Mismatch unless every computed value that the case states too is equal."""
    for key, value in computed.items():
        if key in case:
            expect(key, value, case[key])


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


@dataclass(frozen=True)
class VectorLedger:
    """The state that the transactions of a file are checked against."""

    chain_id: bytes
    height: int
    ring_base: int
    bins: Mapping[int, ClosedBin | OpenBin]
    issuers: Mapping[bytes, frozenset[bytes]]
    known_notes: frozenset[bytes]
    spent: frozenset[bytes] = field(default_factory=frozenset)

    def find_bin(self, bin_id: int) -> ClosedBin | OpenBin | None:
        """The bin of this id."""
        return self.bins.get(bin_id)

    def is_issuer(self, asset: bytes, issuer: bytes) -> bool:
        """Whether the key is registered for the asset."""
        return issuer in self.issuers.get(asset, frozenset())

    def is_spent(self, nullifier: bytes) -> bool:
        """Whether the nullifier is spent."""
        return nullifier in self.spent

    def is_known_note(self, one_time_key: bytes) -> bool:
        """Whether a note has this key."""
        return one_time_key in self.known_notes


class VectorFile:
    """A vectors document and what its sections share, each computed when it is first needed.

    Raises VectorFileError for something that is not a document of this schema, here and wherever
    a list or an object of the schema turns out to be something else.
    """

    def __init__(self, document: Json) -> None:
        if not isinstance(document, dict):
            raise VectorFileError("the document is not an object")
        if document.get("protocol") != "IDX1":
            raise VectorFileError('"protocol" is not "IDX1"')
        self.document: dict[str, Json] = document

    def checks(
        self, judge: Callable[[VectorFile, Json], None], section: str, part: str | None = None
    ) -> Iterator[Check]:
        """One check for every entry of the section, or of its part: `judge(file, entry)`."""
        for name, entry in self.entries(section, part):
            yield Check(name, partial(judge, self, entry))

    def entries(self, section: str, part: str | None = None) -> list[tuple[str, Json]]:
        """The entries of the section, or of its part, each with a name; empty if there is none."""
        if part is None:
            return list_entries(section, self.document.get(section, []))
        found = self.document.get(section, {})
        if not isinstance(found, dict):
            raise VectorFileError(f'"{section}" is not an object')
        return list_entries(f"{section}.{part}", found.get(part, []))

    @cached_property
    def chain_id(self) -> bytes:
        """The chain id of the file, 32 bytes."""
        return unhex(self.document["chain_id"])

    @cached_property
    def wallets(self) -> list[SessionKeys]:
        """The wallets, in the file's order."""
        return [
            SessionKeys.derive(unhex(entry["seed"]), entry["session"])
            for _, entry in self.entries("wallets")
        ]

    @cached_property
    def ledger(self) -> VectorLedger:
        """The state without any case's own spent nullifiers and known notes."""
        bins: dict[int, ClosedBin | OpenBin] = {}
        known_notes: set[bytes] = set()
        for _, entry in self.entries("bins"):
            notes = [(unhex(note["P"]), unhex(note["C"])) for note in entry["notes"]]
            known_notes.update(one_time_key for one_time_key, _ in notes)
            bin_id, asset = entry["id"], unhex(entry["asset"])
            closed = close_bin(bin_id, asset, notes, DEFAULT_RING_BASE) if entry["closed"] else None
            bins[bin_id] = closed or OpenBin(bin_id, asset)
        return VectorLedger(
            chain_id=self.chain_id,
            height=self.document["height"],
            ring_base=DEFAULT_RING_BASE,
            bins=bins,
            issuers={
                unhex(entry["asset"]): frozenset(map(unhex, entry["keys"]))
                for _, entry in self.entries("issuers")
            },
            known_notes=frozenset(known_notes),
        )

    def ledger_of(self, case: Json) -> VectorLedger:
        """The state with the case's own spent nullifiers and known notes."""
        return replace(
            self.ledger,
            spent=frozenset(map(unhex, case.get("spent", []))),
            known_notes=self.ledger.known_notes | set(map(unhex, case.get("known_notes", []))),
        )

    @cached_property
    def transactions(self) -> dict[str, bytes]:
        """The bytes of the named transactions."""
        return {entry["name"]: unhex(entry["bytes"]) for _, entry in self.entries("transactions")}

    @property
    def ballots(self) -> Json:
        """The ballots section as it stands in the document."""
        return self.document["ballots"]

    @cached_property
    def ballot_ring(self) -> BallotRing:
        """The ring of the ballots section."""
        keys = [unhex(key["P"]) for key in self.ballots["keys"]]
        return BallotRing(unhex(self.ballots["Y"]), keys)

    def ballot_context(self, case: Json) -> BallotContext:
        """The context that `case` expects."""
        return BallotContext(self.chain_id, case["height"], case["round"])


def list_entries(path: str, found: Json) -> list[tuple[str, Json]]:
    """The objects of a list, each with a name made of path, position and its own name, if any."""
    if not isinstance(found, list):
        raise VectorFileError(f'"{path}" is not a list')
    entries = []
    for position, entry in enumerate(found):
        if not isinstance(entry, dict):
            raise VectorFileError(f'"{path}[{position}]" is not an object')
        own_name = f" {entry['name']}" if "name" in entry else ""
        entries.append((f"{path}[{position}]{own_name}", entry))
    return entries
