"""The canonical encoding: one value, one byte string (BFT-12 2)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ledger.encoding import MalformedEncoding, Reader, Writer


def test_integers_are_big_endian_and_lists_are_counted() -> None:
    data = (
        Writer()
        .u8(1)
        .u16(2)
        .u32(3)
        .u64(4)
        .u128(5)
        .i32(-1)
        .flag(True)
        .blob(b"ab")
        .text("é")
        .fixed(b"xyz", 3)
        .many([7, 8], Writer.u8)
        .optional(None, Writer.u8)
        .optional(9, Writer.u8)
        .finish()
    )
    assert data == bytes.fromhex(
        "01"
        "0002"
        "00000003"
        "0000000000000004"
        "00000000000000000000000000000005"
        "ffffffff"
        "01"
        "000000026162"
        "00000002c3a9"
        "78797a"
        "000000020708"
        "00"
        "0109"
    )


fields = st.tuples(
    st.integers(0, 255),
    st.integers(0, (1 << 128) - 1),
    st.integers(-(1 << 31), (1 << 31) - 1),
    st.booleans(),
    st.binary(max_size=30),
    st.text(max_size=10),
    st.lists(st.integers(0, 65535), max_size=5),
    st.none() | st.integers(0, (1 << 64) - 1),
)
Fields = tuple[int, int, int, bool, bytes, str, list[int], int | None]


def write(values: Fields) -> bytes:
    a, b, c, d, e, f, g, h = values
    writer = Writer().u8(a).u128(b).i32(c).flag(d).blob(e).text(f).many(g, Writer.u16)
    return writer.optional(h, Writer.u64).finish()


def read(data: bytes) -> Fields:
    reader = Reader(data)
    values = (
        reader.u8(),
        reader.u128(),
        reader.i32(),
        reader.flag(),
        reader.blob(30),
        reader.text(40),
        list(reader.many(5, Reader.u16)),
        reader.optional(Reader.u64),
    )
    reader.finish()
    return values


@given(fields)
def test_round_trip(values: Fields) -> None:
    assert read(write(values)) == values


@given(fields, st.data())
def test_truncated_and_extended_bytes_are_refused(values: Fields, data: st.DataObject) -> None:
    encoded = write(values)
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(MalformedEncoding):
        read(encoded[:cut])
    with pytest.raises(MalformedEncoding, match=r"^1 bytes follow the value$"):
        read(encoded + b"\x00")


@pytest.mark.parametrize(
    ("read_field", "data", "message"),
    [
        (Reader.flag, b"\x02", "a flag is 0 or 1, not 2"),
        (lambda r: r.blob(2), b"\x00\x00\x00\x03abc", "byte string of 3 bytes exceeds 2"),
        (lambda r: r.text(9), b"\x00\x00\x00\x01\xff", "text is not UTF-8"),
        (lambda r: r.many(1, Reader.u8), b"\x00\x00\x00\x02ab", "list of 2 items exceeds 1"),
        (Reader.u32, b"abc", "4 bytes wanted at offset 0 of 3"),
    ],
)
def test_what_no_writer_writes_is_refused(
    read_field: Callable[[Reader], object], data: bytes, message: str
) -> None:
    with pytest.raises(MalformedEncoding) as error:
        read_field(Reader(data))
    assert str(error.value) == message


def test_a_huge_count_is_refused_before_anything_is_read() -> None:
    with pytest.raises(MalformedEncoding, match=r"^list of 4294967295 items exceeds 100$"):
        Reader(b"\xff\xff\xff\xff").many(100, Reader.u8)
