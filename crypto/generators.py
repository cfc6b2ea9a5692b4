"""The named generators, hashed to the curve on first use and kept (IDX1 2.4).

Nobody knows a relation between two of them: every name is hashed with the one domain separation
tag, and the families are prefix-free.
"""

from functools import cache, lru_cache

from crypto.curve import Point, encode_point, hash_to_curve

ASSET_BYTES = 16
RANGE_GENERATOR_COUNT = 256
VOTE_RING_MAX = 16
INDEX_DIGITS = 2
"""A position in a ring is written with two digits to the ring base (IDX1 4.3)."""


@cache
def blinding_generator() -> Point:
    """G, the base of every blinding."""
    return hash_to_curve(b"G/blind")


@cache
def key_generator() -> Point:
    """K, the base of spend keys and one-time keys."""
    return hash_to_curve(b"K/key")


@cache
def nullifier_generator() -> Point:
    """U, the base of nullifiers."""
    return hash_to_curve(b"U/tag")


@lru_cache(maxsize=1024)
def value_generator(asset: bytes) -> Point:
    """H of an asset of 16 raw bytes; bounded cache, since strangers choose the assets they name."""
    return hash_to_curve(b"H/value/" + asset)


@cache
def index_generators(ring_base: int) -> tuple[tuple[Point, ...], tuple[Point, ...]]:
    """(Ma, Mb) of a ring base n: 2n points each, Ma_ji at index j n + i."""
    names = [
        b"%d/%d" % (digit, value) for digit in range(INDEX_DIGITS) for value in range(ring_base)
    ]
    return (
        tuple(hash_to_curve(b"M/a/" + name) for name in names),
        tuple(hash_to_curve(b"M/b/" + name) for name in names),
    )


@cache
def range_generators() -> tuple[Point, ...]:
    """R_0 .. R_255, shared by range proofs of every size."""
    return tuple(hash_to_curve(b"range/%d" % index) for index in range(RANGE_GENERATOR_COUNT))


@cache
def dummy_note(index: int) -> tuple[bytes, bytes]:
    """The encodings (P, C) of padding note `index`; nobody can spend it (IDX1 4.1)."""
    return (
        encode_point(hash_to_curve(b"dummy/P/%d" % index)),
        encode_point(hash_to_curve(b"dummy/C/%d" % index)),
    )


@cache
def vote_key_generator() -> Point:
    """KV, the base of vote keys."""
    return hash_to_curve(b"vote/key")


@cache
def vote_blinding_generator() -> Point:
    """F, the blinding base of a ballot's bit commitments."""
    return hash_to_curve(b"vote/F")


@cache
def vote_index_generators() -> tuple[tuple[Point, ...], tuple[Point, ...]]:
    """(Va_0 .. Va_15, Vb_0 .. Vb_15), the bases of a ballot's bit commitments."""
    return (
        tuple(hash_to_curve(b"vote/a/%d" % index) for index in range(VOTE_RING_MAX)),
        tuple(hash_to_curve(b"vote/b/%d" % index) for index in range(VOTE_RING_MAX)),
    )


@lru_cache(maxsize=32)
def vote_context_generator(chain_id: bytes, height: int, round_number: int) -> Point:
    """Bc, the base of the tags of one vote: chain id of 32 bytes, height u64, round u32."""
    context = chain_id + height.to_bytes(8, "little") + round_number.to_bytes(4, "little")
    return hash_to_curve(b"vote/ctx/" + context)
