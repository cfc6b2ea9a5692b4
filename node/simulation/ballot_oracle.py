"""Ballots that nobody can forge and that cost next to nothing, laid out like real ones (IDX1 9.3).

BFT-12 section 16: the simulator looks for faults of the protocol, not of group signatures. A ballot
is head, tag, E1, E2 and a filler in which the oracle recognises its own work. A bank gets a signer
for its own key and nothing else. Keys and ciphertexts are real points, with a few coins in place of
many: production tallies add up, and the real opener decrypts them. Verdicts are the ledger's own
(`VerifiedBallot`); who cast a ballot only the oracle knows, and tells nobody but checkers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache, lru_cache

from crypto import ballot_proof
from crypto.ballot import BallotContext, BallotKey, ballot_bytes
from crypto.ballot_keys import vote_key_base
from crypto.ballot_opening import BallotOpening
from crypto.ballot_proof import CONTEXT_BYTES, HEAD_BYTES, Decision
from crypto.curve import POINT_BYTES, decode_strict, encode_point, multiply
from crypto.errors import OpeningInvalid, Rejected
from crypto.scalar import ORDER
from node.ledger import ballots
from node.ledger.active_set import ActiveSet, Member
from node.ledger.ballots import VerifiedBallot
from node.ledger.rejection import Reason, Rejection
from node.ledger.types import BankIndex, BlockId, Height, View

_SECRET = b"known to the ballot oracle alone"
_TAG_END = HEAD_BYTES + POINT_BYTES
_BODY_BYTES = HEAD_BYTES + 3 * POINT_BYTES
COINS = 4
"""Different ciphertexts of each key. A real ballot's coin is its own."""
REMEMBERED = 4096


@cache
def ballot_key(bank: int) -> BallotKey:
    """Return the ballot key of a simulated bank, a real one."""
    return BallotKey(_scalar(b"ballot key %d" % bank))


@cache
def opener_key() -> BallotKey:
    """Return the simulated regulator's key, a real one."""
    return BallotKey(_scalar(b"opener"))


class OracleBallotSigner:
    """Casts the ballots of one bank; satisfies `node.consensus.signatures.BallotSigner`."""

    def __init__(self, ballot_key: bytes, chain_id: bytes) -> None:
        self._ballot_key = ballot_key
        self._chain_id = chain_id

    def sign_ballot(
        self, active_set: ActiveSet, height: Height, view: View, block_id: BlockId, *, approve: bool
    ) -> bytes:
        """Return this key's one ballot on the block, decision and context."""
        decision = Decision.APPROVE if approve else Decision.REJECT
        head = _context(self._chain_id, height, view) + block_id + decision.value
        return _ballot(self._ballot_key, active_set.set_hash, active_set.size, head)


def ballot_signer_of(bank: int, chain_id: bytes) -> OracleBallotSigner:
    """Return what a simulated bank casts its ballots with."""
    return OracleBallotSigner(ballot_key(bank).public, chain_id)


class BallotOracle:
    """Stands for `node.ledger.ballots.verify_ballots`, and remembers what it verified."""

    def __init__(self, chain_id: bytes) -> None:
        self._chain_id = chain_id
        self._verified: dict[tuple[bytes, bytes], VerifiedBallot] = {}
        self._voters: dict[tuple[bytes, bytes], dict[bytes, Member]] = {}
        """Whose tag is whose, by active set and context."""

    def verify(
        self, raws: Sequence[bytes], *, height: Height, view: View, active_set: ActiveSet
    ) -> tuple[VerifiedBallot | Rejection, ...]:
        """Judge each ballot in its context and against the ring of its height (IDX1 9.6)."""
        return tuple([self.verdict(raw, height, view, active_set) for raw in raws])

    def voter(self, raw: bytes, active_set: ActiveSet) -> BankIndex | None:
        """Return who cast the ballot, None if the oracle never made it."""
        place = (active_set.set_hash, raw[:CONTEXT_BYTES])
        voters = self._voters.get(place)
        if voters is None:
            tagged = [(_tag(member.ballot_key, place[1]), member) for member in active_set.members]
            voters = self._voters[place] = dict(tagged)
        voter = voters.get(raw[HEAD_BYTES:_TAG_END])
        if voter is None:
            return None
        made = _ballot(voter.ballot_key, place[0], active_set.size, raw[:HEAD_BYTES])
        return voter.bank if raw == made else None

    def open(self, raw: bytes, active_set: ActiveSet) -> BallotOpening:
        """Name who cast a ballot that was verified, with a proof: what the opener alone can do."""
        voter = self.voter(raw, active_set)
        assert voter is not None, "only verified ballots are opened"
        index = active_set.banks.index(voter)
        return BallotOpening(index, _opening(raw, index))

    def verify_opening(self, raw: bytes, opening: BallotOpening, active_set: ActiveSet) -> None:
        """Judge an opening of a ballot of this height; raises `OpeningInvalid`."""
        if not 0 <= opening.index < active_set.size:
            raise OpeningInvalid(f"index {opening.index} is outside the ring")
        if self.voter(raw, active_set) != active_set.banks[opening.index]:
            raise OpeningInvalid("the ballot is another bank's, or none")
        if opening.proof != _opening(raw, opening.index):
            raise OpeningInvalid("the challenge is another one")

    def verdict(
        self, raw: bytes, height: Height, view: View, active_set: ActiveSet
    ) -> VerifiedBallot | Rejection:
        """Judge one ballot."""
        # The bytes hold height and view, so the ring is all that a verdict depends on besides.
        known = self._verified.get((raw, active_set.set_hash))
        if known is not None and (known.height, known.view) == (height, view):
            return known
        try:
            context = BallotContext(self._chain_id, height, view)
            ballot_proof._check_form(raw, active_set.ballot_ring, context)
        except Rejected as rejected:
            return Rejection.of(rejected)
        if self.voter(raw, active_set) is None:
            return Rejection(Reason.BALLOT, "an equation does not hold")
        verified = VerifiedBallot(raw, active_set.set_hash, ballots._VERIFIED)
        self._verified[raw, active_set.set_hash] = verified
        return verified


@lru_cache(maxsize=REMEMBERED)
def _context(chain_id: bytes, height: Height, view: View) -> bytes:
    return BallotContext(chain_id, height, view).encode()


@lru_cache(maxsize=REMEMBERED)
def _ballot(key: bytes, set_hash: bytes, ring_size: int, head: bytes) -> bytes:
    """The one ballot of a key on a head, as the oracle makes it."""
    tag = _tag(key, head[:CONTEXT_BYTES])
    filler = hashlib.shake_256(b"%b filler %b%b%b" % (_SECRET, key, set_hash, head))
    size = ballot_bytes(ring_size) - _BODY_BYTES
    rest = filler.digest(size)
    return b"%b%b%b%b" % (head, tag, _ciphertexts(key)[rest[0] % COINS], rest)


def _opening(ballot: bytes, index: int) -> bytes:
    return hashlib.blake2b(b"%b opening %d %b" % (_SECRET, index, ballot)).digest()


def _tag(key: bytes, context: bytes) -> bytes:
    return hashlib.shake_256(b"%b tag %b%b" % (_SECRET, key, context)).digest(POINT_BYTES)


@cache
def _ciphertexts(key: bytes) -> tuple[bytes, ...]:
    """E1 || E2 of a key under each coin: q KV, P + q Y."""
    point, opener = decode_strict(key), decode_strict(opener_key().public)
    pairs = []
    for number in range(COINS):
        coin = _scalar(b"coin %d" % number)
        blinded = point + multiply(opener, coin)
        pairs.append(encode_point(vote_key_base().multiply(coin)) + encode_point(blinded))
    return tuple(pairs)


def _scalar(label: bytes) -> int:
    return int.from_bytes(hashlib.sha512(_SECRET + label).digest(), "big") % int(ORDER)
