"""The opener's key split among t of m officers: shares, parts of openings, parts of settlements.

Nobody holds the key then, the regulator's process neither. A year is settled in two rounds, for
counts are claimed before they are proven: in the first each of t officers decrypts his part of
every block's sum, which gives the counts; in the second his part of the year's sum, under the
claim. A part proves itself and serves nothing but what it was made for.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crypto.ballot import BallotKey
from crypto.ballot_tally import count_block, decrypt_block_partially
from crypto.errors import DecryptionInvalid, ProvingError
from crypto.opener_shares import OpenerShare, PartialDecryption
from node.client.verification import decode_active_set
from node.ledger.active_set import ActiveSet
from node.ledger.types import BankIndex, Height
from node.rpc.private_files import write_private
from node.runtime.config import ConfigurationError
from node.runtime.secrets_directory import read_private
from node.storage.regulator.records import FollowedBlock, FollowedSet

SHARE_FORMAT = "consortium/opener-share/1"
PART_FORMAT = "consortium/opener-part/1"

OPENING = "opening"
BLOCK_SUMS = "block-sums"
CLAIM = "claim"
CONFLICT = "conflict"


class OfficersFailed(Exception):
    """Parts that do not belong together, or do not hold; the message says which."""


def write_share(path: Path, share: OpenerShare, opener_key: bytes, threshold: int) -> None:
    """Write one officer's share for his eyes only; an existing file is never replaced."""
    if path.exists():
        raise ConfigurationError(f"{path} exists; shares are never overwritten")
    document = {
        "format": SHARE_FORMAT,
        "opener_key": opener_key.hex(),
        "index": share.index,
        "threshold": threshold,
        "share_key": share.public.hex(),
        "share": share.key.to_bytes().hex(),
    }
    write_private(path, json.dumps(document, indent=2).encode("utf-8") + b"\n")


def read_share(path: Path, opener_key: bytes) -> OpenerShare:
    """Read one officer's share; the error never shows what the file holds."""
    try:
        document = json.loads(read_private(path))
        share = OpenerShare(
            int(document["index"]), BallotKey.from_bytes(bytes.fromhex(document["share"]))
        )
        other = document["format"] != SHARE_FORMAT or document["opener_key"] != opener_key.hex()
        damaged = document["share_key"] != share.public.hex()
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(f"{path} is not an officer's share") from None
    if other:
        raise ConfigurationError(f"{path} is a share of another opener's key")
    if damaged:
        raise ConfigurationError(f"{path} is damaged: its secret does not fit its public key")
    return share


@dataclass(frozen=True, slots=True)
class Part:
    """What one officer hands over."""

    purpose: str
    """OPENING, CONFLICT, BLOCK_SUMS or CLAIM."""
    subject: str
    """The tag, the fiscal year, or the claim, as text."""
    partials: Mapping[str, PartialDecryption]
    """One under an empty name, or one a block under its height."""

    def to_json_object(self) -> dict[str, Any]:
        return {
            "format": PART_FORMAT,
            "purpose": self.purpose,
            "subject": self.subject,
            "partials": {name: item.encode().hex() for name, item in self.partials.items()},
        }

    @staticmethod
    def from_json_object(document: Any) -> Part:
        """Raises `OfficersFailed`; nothing is verified."""
        try:
            if document["format"] != PART_FORMAT:
                raise OfficersFailed("it is no officer's part")
            return Part(
                str(document["purpose"]),
                str(document["subject"]),
                {
                    str(name): PartialDecryption.decode(bytes.fromhex(item))
                    for name, item in document["partials"].items()
                },
            )
        except (KeyError, TypeError, ValueError, AttributeError, DecryptionInvalid) as error:
            raise OfficersFailed(f"it is no officer's part: {error}") from error

    @property
    def only(self) -> PartialDecryption:
        """The only partial of a part that is not of counting blocks; raises `OfficersFailed`."""
        if set(self.partials) != {""}:
            raise OfficersFailed("it is a part of counting blocks")
        return self.partials[""]


def require_same(parts: Sequence[Part]) -> Part:
    """Return the first part; raises `OfficersFailed` unless all have its purpose and subject."""
    first = parts[0]
    for part in parts:
        if (part.purpose, part.subject) != (first.purpose, first.subject):
            raise OfficersFailed("the parts are not of one purpose and subject")
    return first


def set_of(sets: Sequence[FollowedSet], height: Height) -> ActiveSet:
    """Return the active set of a followed height."""
    covering = [item for item in sets if item.from_height <= height]
    return decode_active_set(covering[-1].encoded, covering[-1].set_hash)


def decrypt_sums(
    blocks: Sequence[FollowedBlock], sets: Sequence[FollowedSet], share: OpenerShare
) -> dict[str, PartialDecryption]:
    """Return one officer's part of counting these blocks: of the sums, never of single ballots."""
    return {
        str(block.height): decrypt_block_partially(
            block.ciphertext_sum, set_of(sets, block.height).ballot_ring, share
        )
        for block in blocks
        if block.ciphertext_sum is not None
    }


def count_by_parts(
    blocks: Sequence[FollowedBlock], sets: Sequence[FollowedSet], parts: Sequence[Part]
) -> dict[BankIndex, int]:
    """Return approvals per bank over these blocks; raises `OfficersFailed`."""
    counts: Counter[BankIndex] = Counter()
    for block in blocks:
        active = set_of(sets, block.height)
        name = str(block.height)
        try:
            partials = sorted([part.partials[name] for part in parts], key=lambda one: one.index)
            positions = count_block(
                block.ciphertext_sum or b"", partials, active.ballot_ring, active.quorum
            )
        except KeyError:
            raise OfficersFailed(f"a part lacks block {name}") from None
        except ProvingError as error:
            raise OfficersFailed(f"block {name}: {error}") from error
        counts.update([active.members[position].bank for position in positions])
    return dict(counts)
