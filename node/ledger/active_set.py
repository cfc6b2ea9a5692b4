"""The banks that decide a height, their keys, and how many of them make a quorum.

BFT-12 sections 1, 2 and 10. Certificates of height h are checked against the active set of h
only; `set_hash` binds every signature to that set.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache

from crypto.ballot import BallotRing
from node.ledger.definitions import MAX_BANKS
from node.ledger.encoding import MalformedEncoding, Reader, Writer
from node.ledger.types import KEY_BYTES, POINT_BYTES, BankIndex, Height, View

SET_DOMAIN = b"bft12/1/set"
"""Domain separation: a set hash can never be read as the hash of anything else."""

MINIMUM_BANKS = 4
"""NMIN: below four banks the quorum rule tolerates nobody, so the set never shrinks further."""


def quorum_size(bank_count: int) -> int:
    """Return q = ceil(5n/6), the votes that certify anything (BFT-12 section 10)."""
    return -(-5 * bank_count // 6)


@dataclass(frozen=True, slots=True)
class Member:
    """One active bank: its index and the keys that its statements are checked with."""

    bank: BankIndex
    consensus_key: bytes
    """Ed25519 public key, 32 bytes."""
    ballot_key: bytes
    """Ballot key P (IDX1 9.1), 96 bytes."""


@dataclass(frozen=True)
class ActiveSet:
    """The members of one height in increasing bank index, and the regulator's opener key."""

    members: tuple[Member, ...]
    opener_key: bytes
    """Opener key Y of the ballots (IDX1 9.1), 96 bytes."""

    def __post_init__(self) -> None:
        banks = [member.bank for member in self.members]
        assert banks == sorted(set(banks)), "members are distinct and in increasing bank index"

    @cached_property
    def size(self) -> int:
        return len(self.members)

    @property
    def quorum(self) -> int:
        """Signatures in every certificate that can unlock, skip or seal something (q)."""
        return quorum_size(self.size)

    @property
    def reject_threshold(self) -> int:
        """Rejections after which a quorum of honest approvals is impossible (rq = n-q+1)."""
        return self.size - self.quorum + 1

    @cached_property
    def banks(self) -> tuple[BankIndex, ...]:
        return tuple(member.bank for member in self.members)

    @cached_property
    def keys(self) -> dict[BankIndex, bytes]:
        """Consensus key by bank."""
        return {member.bank: member.consensus_key for member in self.members}

    @property
    def ballot_ring(self) -> BallotRing:
        """The opener's key and the members' ballot keys, in the order of the members (IDX1 9.2).

        Raises `crypto.errors.Rejected` for a key that is no group element; a genesis that was
        verified has none.
        """
        return _ballot_ring(self.opener_key, tuple([item.ballot_key for item in self.members]))

    def __contains__(self, bank: object) -> bool:
        return bank in self.keys

    def leader(self, height: Height, view: View) -> BankIndex:
        """Return `active(h)[(h+v) mod n]` (BFT-12 section 3)."""
        return self.members[(height + view) % self.size].bank

    def encode(self) -> bytes:
        """Return the canonical bytes: ids, consensus and ballot keys, the opener key and q."""
        writer = Writer().blob(SET_DOMAIN).u16(self.quorum).fixed(self.opener_key, POINT_BYTES)
        writer.many(
            self.members,
            lambda out, member: (
                out.u16(member.bank)
                .fixed(member.consensus_key, KEY_BYTES)
                .fixed(member.ballot_key, POINT_BYTES)
            ),
        )
        return writer.finish()

    @staticmethod
    def decode(data: bytes) -> ActiveSet:
        """Decode canonical bytes; raises `MalformedEncoding`."""
        reader = Reader(data)
        if reader.blob(len(SET_DOMAIN)) != SET_DOMAIN:
            raise MalformedEncoding("these bytes are not an active set")
        quorum = reader.u16()
        opener_key = reader.fixed(POINT_BYTES)
        members = reader.many(MAX_BANKS, _read_member)
        reader.finish()
        banks = [member.bank for member in members]
        if banks != sorted(set(banks)):
            raise MalformedEncoding("members are not in increasing bank index")
        active_set = ActiveSet(members, opener_key)
        if active_set.quorum != quorum:
            raise MalformedEncoding(
                f"a quorum of {quorum} is not the rule for {len(members)} banks"
            )
        return active_set

    @cached_property
    def set_hash(self) -> bytes:
        """SHA-256 of the canonical bytes, 32 bytes."""
        return hashlib.sha256(self.encode()).digest()


def _read_member(reader: Reader) -> Member:
    return Member(BankIndex(reader.u16()), reader.fixed(KEY_BYTES), reader.fixed(POINT_BYTES))


@lru_cache(maxsize=64)
def _ballot_ring(opener_key: bytes, ballot_keys: tuple[bytes, ...]) -> BallotRing:
    """A ring decodes its keys and prepares them, which takes longer than a ballot."""
    return BallotRing(opener_key, ballot_keys)
