"""Fixed-width little-endian integers (IDX1 1.4)."""

U32_BYTES = 4
U64_BYTES = 8
U64_MAX = 2**64 - 1


def u32(value: int) -> bytes:
    """Four little-endian bytes; raises OverflowError outside 0 .. 2^32 - 1."""
    return value.to_bytes(U32_BYTES, "little")


def u64(value: int) -> bytes:
    """Eight little-endian bytes; raises OverflowError outside 0 .. 2^64 - 1."""
    return value.to_bytes(U64_BYTES, "little")


def read_u32(data: bytes, offset: int) -> int:
    """The u32 at `offset`; the caller made sure that four bytes are there."""
    return int.from_bytes(data[offset : offset + U32_BYTES], "little")


def read_u64(data: bytes, offset: int) -> int:
    """The u64 at `offset`; the caller made sure that eight bytes are there."""
    return int.from_bytes(data[offset : offset + U64_BYTES], "little")
