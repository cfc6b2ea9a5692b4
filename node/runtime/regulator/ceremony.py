"""Officers make the opener's key together, so that nobody ever holds it whole.

Each of m officers deals a secret of his own: public commitments to all, and to every officer one
value for him alone. Who has all values meant for him, each checked against its dealer's
commitments, adds them up to his share; the opener's key is the sum of the dealers' keys. Before
anybody shows his commitments all must have told each other the hash of theirs, or who deals last
chooses his key by the others' (`crypto.opener_shares`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crypto.ballot import BallotKey
from crypto.errors import IdentityPoint, Rejected, ShareInvalid
from crypto.opener_shares import (
    OpenerShare,
    deal,
    dealt_opener_key,
    dealt_share_key,
    join_dealings,
    verify_dealt,
)
from node.rpc.private_files import write_private
from node.runtime.config import ConfigurationError
from node.runtime.secrets_directory import read_private

DEALING_FORMAT = "consortium/opener-dealing/1"
VALUE_FORMAT = "consortium/opener-value/1"
VALUE_BYTES = 32


class CeremonyFailed(Exception):
    """The dealings do not belong together, or a dealer lied; the message names him."""


@dataclass(frozen=True, slots=True)
class PublicDealing:
    """What one officer publishes."""

    dealer: int
    threshold: int
    officers: int
    commitments: tuple[bytes, ...]

    def to_json(self) -> str:
        """Return the file whose hash is told to everybody first."""
        return json.dumps(
            {
                "format": DEALING_FORMAT,
                "dealer": self.dealer,
                "threshold": self.threshold,
                "officers": self.officers,
                "commitments": [item.hex() for item in self.commitments],
            },
            indent=2,
        )

    @property
    def commitment_hash(self) -> str:
        """SHA-256 of the file, to be told before the file is shown."""
        return hashlib.sha256(self.to_json().encode("utf-8")).hexdigest()

    @staticmethod
    def read(path: Path) -> PublicDealing:
        """Raises `CeremonyFailed`, OSError."""
        document = _document(path.read_text(encoding="utf-8"), DEALING_FORMAT, path)
        try:
            dealing = PublicDealing(
                int(document["dealer"]),
                int(document["threshold"]),
                int(document["officers"]),
                tuple([bytes.fromhex(item) for item in document["commitments"]]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CeremonyFailed(f"{path} is no dealing: {error}") from error
        if len(dealing.commitments) != dealing.threshold:
            raise CeremonyFailed(f"{path} does not have {dealing.threshold} commitments")
        return dealing


@dataclass(frozen=True, slots=True)
class DealtValue:
    """What a dealer tells one officer alone."""

    dealer: int
    officer: int
    value: int = field(repr=False)

    def write(self, path: Path) -> None:
        """Write it for one pair of eyes."""
        document = {
            "format": VALUE_FORMAT,
            "dealer": self.dealer,
            "officer": self.officer,
            "value": self.value.to_bytes(VALUE_BYTES, "big").hex(),
        }
        write_private(path, json.dumps(document, indent=2).encode("utf-8") + b"\n")

    @staticmethod
    def read(path: Path) -> DealtValue:
        """Raises `CeremonyFailed`, `ConfigurationError`; no error shows the value."""
        document = _document(read_private(path).decode("utf-8", "replace"), VALUE_FORMAT, path)
        try:
            return DealtValue(
                int(document["dealer"]),
                int(document["officer"]),
                int.from_bytes(bytes.fromhex(document["value"]), "big"),
            )
        except (KeyError, TypeError, ValueError):
            raise CeremonyFailed(f"{path} is no dealt value") from None


def deal_to(directory: Path, dealer: int, threshold: int, officers: int) -> PublicDealing:
    """Deal a fresh secret and write what is for whom; the secret itself is not kept.

    Raises ValueError unless 1 <= threshold <= officers <= 16 and 1 <= dealer <= officers;
    `ConfigurationError` if something is there already.
    """
    if not 1 <= dealer <= officers:
        raise ValueError(f"officer {dealer} is not among {officers}")
    public_file = directory / f"dealing-{dealer}.json"
    if public_file.exists():
        raise ConfigurationError(f"{public_file} exists: one deals once")
    dealing = deal(BallotKey.generate(), threshold, officers)
    public = PublicDealing(dealer, threshold, officers, dealing.commitments)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for officer, value in enumerate(dealing.values, 1):
        path = directory / f"value-from-{dealer}-for-{officer}.json"
        DealtValue(dealer, officer, int(value)).write(path)
    public_file.write_text(public.to_json(), encoding="utf-8")
    return public


def opener_key_of(dealings: Sequence[PublicDealing]) -> bytes:
    """Return the joint key Y, 96 bytes; raises `CeremonyFailed`."""
    ordered = _complete(dealings)
    try:
        return dealt_opener_key([item.commitments for item in ordered])
    except (Rejected, IdentityPoint) as error:
        raise CeremonyFailed(f"the commitments are no keys: {error}") from error


def join(
    officer: int, dealings: Sequence[PublicDealing], values: Sequence[DealtValue]
) -> OpenerShare:
    """Return an officer's share once every value is what its dealer committed to.

    Raises `CeremonyFailed` naming the dealer who lied.
    """
    ordered = _complete(dealings)
    told = {item.dealer: item for item in values}
    if sorted(told) != [item.dealer for item in ordered] or len(values) != len(ordered):
        raise CeremonyFailed("one value of every dealer is needed")
    for dealing in ordered:
        value = told[dealing.dealer]
        if value.officer != officer:
            raise CeremonyFailed(f"a value of dealer {dealing.dealer} is for another officer")
        try:
            verify_dealt(dealing.commitments, officer, value.value)
        except ShareInvalid as error:
            raise CeremonyFailed(f"dealer {dealing.dealer}: {error}") from error
    share = join_dealings(officer, [told[item.dealer].value for item in ordered])
    expected = dealt_share_key([item.commitments for item in ordered], officer)
    assert share.public == expected, "the sum of verified values"
    return share


def _complete(dealings: Sequence[PublicDealing]) -> list[PublicDealing]:
    ordered = sorted(dealings, key=lambda item: item.dealer)
    first = ordered[0]
    if any(
        (item.threshold, item.officers) != (first.threshold, first.officers) for item in ordered
    ):
        raise CeremonyFailed("the dealers do not mean the same threshold and officers")
    if [item.dealer for item in ordered] != list(range(1, first.officers + 1)):
        raise CeremonyFailed(f"one dealing of each of {first.officers} officers is needed")
    return ordered


def _document(text: str, expected: str, path: Path) -> dict[str, Any]:
    try:
        document = json.loads(text)
        if document["format"] == expected:
            return dict(document)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise CeremonyFailed(f"{path} is no file of this ceremony")
