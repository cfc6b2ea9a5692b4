"""Proofs that a payment in a sealed block is false over the rings it spends from (BFT-12 9, E5).

What a spend proves, it proves of the notes of closed bins, and its challenges hash their digests
(IDX1 5.5): with other rings the same bytes may be true. So the rings must be certified. The state
of the parent holds the number and the running hash of all closed bins (IDX1 4.4); whoever shows
their whole list and the notes of those that the payment spends from leaves no choice.

As `execution_proof` this holds of a *sealed* header alone, whose ballots stand for the parent.

Canonical bytes, after those that `invalidity` puts before every proof:

    parent         header, fixed length
    state          blob, canonical state of the parent
    transaction    blob raw bytes, blob inclusion proof (IDX1 11.2)
    closed bins    list (u32 count), in the order of closing, of: bin id u64, real notes u16,
                   digest 32
    rings          list (u32 count), in increasing id, of: bin id u64, asset 16, notes blob P || C
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from crypto.errors import MerkleProofInvalid
from crypto.merkle import claimed_index, verify_inclusion
from crypto.randomness import Coins
from crypto.ring import ClosedBin, ring_size
from node.ledger import accumulators
from node.ledger.blocks import HEADER_BYTES, MAX_EVIDENCE_BYTES, Header
from node.ledger.encoding import MalformedEncoding, Reader, Writer
from node.ledger.execution_proof import certified_state
from node.ledger.genesis import Genesis
from node.ledger.proofs import SealedView, verify_sealed
from node.ledger.rejection import Rejection
from node.ledger.rules import decode
from node.ledger.state import LedgerState
from node.ledger.types import ASSET_BYTES, HASH_BYTES, POINT_BYTES

WEIGHTS_DOMAIN = b"consortium/invalidity/weights"
MAX_CLOSED_BINS = MAX_EVIDENCE_BYTES // (8 + 2 + HASH_BYTES)
MAX_RINGS = 256
"""More than a payment has inputs."""
NOTE_BYTES = 2 * POINT_BYTES


@dataclass(frozen=True, slots=True)
class ListedBin:
    """A closed bin as the running hash has it."""

    bin_id: int
    count: int
    """Real notes."""
    digest: bytes

    def write(self, writer: Writer) -> Writer:
        return writer.u64(self.bin_id).u16(self.count).fixed(self.digest, HASH_BYTES)

    @staticmethod
    def read(reader: Reader) -> ListedBin:
        return ListedBin(reader.u64(), reader.u16(), reader.fixed(HASH_BYTES))


@dataclass(frozen=True, slots=True)
class ShownRing:
    """The notes of a closed bin, padding included."""

    bin_id: int
    asset: bytes
    notes: bytes

    @staticmethod
    def of(ring: ClosedBin) -> ShownRing:
        return ShownRing(ring.bin_id, ring.asset, b"".join([k + c for k, c in ring.notes]))

    def write(self, writer: Writer) -> Writer:
        return writer.u64(self.bin_id).fixed(self.asset, ASSET_BYTES).blob(self.notes)

    @staticmethod
    def read(reader: Reader) -> ShownRing:
        return ShownRing(reader.u64(), reader.fixed(ASSET_BYTES), reader.blob(MAX_EVIDENCE_BYTES))

    def certified_by(self, listed: ListedBin, ring_base: int) -> ClosedBin:
        """Return the ring if its digest is the listed one; raises `MalformedEncoding`."""
        size = ring_size(ring_base) * NOTE_BYTES
        if len(self.notes) != size:
            raise MalformedEncoding(f"ring {self.bin_id} has {len(self.notes)} bytes, not {size}")
        points = [
            self.notes[start : start + POINT_BYTES] for start in range(0, size, POINT_BYTES)
        ]
        notes = tuple(zip(points[::2], points[1::2], strict=True))
        try:
            ring = ClosedBin(self.bin_id, self.asset, notes, listed.count, ring_base)
        except ValueError as error:
            raise MalformedEncoding(f"ring {self.bin_id}: {error}") from error
        if ring.digest != listed.digest:
            raise MalformedEncoding(f"ring {self.bin_id} is not the certified one")
        return ring


@dataclass(frozen=True, slots=True)
class RingProof:
    """A payment with everything that its proofs are verified over."""

    parent: Header
    state: bytes
    raw: bytes
    inclusion_proof: bytes
    closed_bins: tuple[ListedBin, ...]
    rings: tuple[ShownRing, ...]

    def write(self, writer: Writer) -> Writer:
        writer.fixed(self.parent.encode(), HEADER_BYTES).blob(self.state)
        writer.blob(self.raw).blob(self.inclusion_proof)
        writer.many(self.closed_bins, lambda out, item: item.write(out))
        return writer.many(self.rings, lambda out, item: item.write(out))

    @staticmethod
    def read(reader: Reader) -> RingProof:
        """Read what `write` wrote; raises `MalformedEncoding`."""
        return RingProof(
            Header.read(reader),
            reader.blob(MAX_EVIDENCE_BYTES),
            reader.blob(MAX_EVIDENCE_BYTES),
            reader.blob(MAX_EVIDENCE_BYTES),
            reader.many(MAX_CLOSED_BINS, ListedBin.read),
            reader.many(MAX_RINGS, ShownRing.read),
        )

    def fault(self, genesis: Genesis, header: Header) -> Rejection | None:
        """Return why the payment is false, None if it is true over the certified rings.

        Raises `MalformedEncoding` if something else was shown than the header commits to.
        """
        state = certified_state(self.parent, self.state, header)
        try:
            verify_inclusion(
                self.raw,
                self.inclusion_proof,
                header.transactions_root,
                size=header.transaction_count,
            )
            index = claimed_index(self.inclusion_proof)
        except MerkleProofInvalid as error:
            raise MalformedEncoding(str(error)) from error
        listed = self._certified_list(state)
        try:
            wanted = {spend.bin_id for spend in decode(self.raw, genesis).inputs}
        except Rejection as rejection:
            return rejection.at(index)
        rings = self._certified_rings(genesis, listed, wanted)
        # Weights drawn from the bytes that they weigh: every bank gets the same verdict.
        coins = Coins(hashlib.sha256(WEIGHTS_DOMAIN + self.raw).digest())
        view = SealedView(genesis, header.height, rings)
        (verdict,) = verify_sealed([self.raw], view, coins.take)
        return None if verdict is None else verdict.at(index)

    def _certified_list(self, state: LedgerState) -> dict[int, ListedBin]:
        value = accumulators.EMPTY
        for item in self.closed_bins:
            value = accumulators.add_closed_bin(
                value, bin_id=item.bin_id, count=item.count, digest=item.digest
            )
        certified = state.closed_bins
        if (len(self.closed_bins), value) != (certified.count, certified.accumulator):
            raise MalformedEncoding("the closed bins are not those of the parent's state")
        return {item.bin_id: item for item in self.closed_bins}

    def _certified_rings(
        self, genesis: Genesis, listed: dict[int, ListedBin], wanted: set[int]
    ) -> dict[int, ClosedBin]:
        shown = [item.bin_id for item in self.rings]
        if shown != sorted(wanted & listed.keys()):
            raise MalformedEncoding("the rings are not those that the payment spends from")
        ring_base = genesis.parameters.ring_base
        return {
            item.bin_id: item.certified_by(listed[item.bin_id], ring_base) for item in self.rings
        }


def proof_over_rings(
    genesis: Genesis,
    state: LedgerState,
    parent: Header,
    header: Header,
    *,
    raw: bytes,
    inclusion_proof: bytes,
    closed_bins: Sequence[ListedBin],
    rings: Sequence[ClosedBin],
) -> RingProof | None:
    """Return what shows that a payment in a sealed block is false, None if nothing does so.

    `closed_bins` are all that were closed in `state`, in their order, `rings` those of them that
    the payment spends from.
    """
    shown = [ShownRing.of(ring) for ring in sorted(rings, key=lambda ring: ring.bin_id)]
    proof = RingProof(
        parent, state.encode(), raw, inclusion_proof, tuple(closed_bins), tuple(shown)
    )
    try:
        return None if proof.fault(genesis, header) is None else proof
    except MalformedEncoding:
        return None
