"""Smaller PNG files: at most 256 colours, for screenshots that a repository keeps.

What a browser draws has few colours besides the shades at the edges of letters; each of the rarer
ones becomes the nearest of those that stay (PNG third edition, W3C 2025, 9 and 11.2).
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
TRUE_COLOUR, TRUE_COLOUR_WITH_ALPHA, INDEXED = 2, 6, 3
MOST_COLOURS = 256
DISTINCT = 600
"""Squared distance in red, green and blue of colours that are told apart."""


def with_few_colours(png: bytes) -> bytes:
    """Return the picture with at most 256 opaque colours; 8 bits a sample, not interlaced."""
    parts = list(_chunks(png))
    width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", parts[0][1])
    if depth != 8 or interlaced or kind not in (TRUE_COLOUR, TRUE_COLOUR_WITH_ALPHA):
        raise ValueError("only true colours of 8 bits that are not interlaced")
    sample_bytes = 3 if kind == TRUE_COLOUR else 4
    packed = zlib.decompress(b"".join(data for name, data in parts if name == b"IDAT"))
    rows = list(_unfiltered(packed, width * sample_bytes, height, sample_bytes))
    pixels = [
        [row[place : place + 3] for place in range(0, len(row), sample_bytes)] for row in rows
    ]
    palette, index_of = _palette(Counter(pixel for row in pixels for pixel in row))
    lines = b"".join(b"\0" + bytes(index_of[pixel] for pixel in row) for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, INDEXED, 0, 0, 0)
    return SIGNATURE + b"".join(
        [
            _chunk(b"IHDR", header),
            _chunk(b"PLTE", b"".join(palette)),
            _chunk(b"IDAT", zlib.compress(lines, 9)),
            _chunk(b"IEND", b""),
        ]
    )


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    if not png.startswith(SIGNATURE):
        raise ValueError("this is no PNG")
    place = len(SIGNATURE)
    while place < len(png):
        (length,) = struct.unpack_from(">I", png, place)
        yield png[place + 4 : place + 8], png[place + 8 : place + 8 + length]
        place += 12 + length


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _unfiltered(packed: bytes, stride: int, height: int, step: int) -> Iterator[bytes]:
    """Undo the filters of the lines (9.2); `step` is the bytes of a pixel."""
    above = bytearray(stride)
    for number in range(height):
        start = number * (stride + 1)
        line = bytearray(packed[start + 1 : start + 1 + stride])
        _unfilter(packed[start], line, above, step)
        yield bytes(line)
        above = line


def _unfilter(kind: int, line: bytearray, above: bytearray, step: int) -> None:
    for place in range(len(line)):
        left = line[place - step] if place >= step else 0
        corner = above[place - step] if place >= step else 0
        match kind:
            case 0:
                return
            case 1:
                guess = left
            case 2:
                guess = above[place]
            case 3:
                guess = (left + above[place]) // 2
            case _:
                guess = _paeth(left, above[place], corner)
        line[place] = (line[place] + guess) & 0xFF


def _paeth(left: int, above: int, corner: int) -> int:
    """Return the neighbour nearest to left + above - corner (9.4)."""
    from_left, from_above = abs(above - corner), abs(left - corner)
    from_corner = abs(left + above - 2 * corner)
    if from_left <= from_above and from_left <= from_corner:
        return left
    return above if from_above <= from_corner else corner


def _palette(counts: Counter[bytes]) -> tuple[list[bytes], dict[bytes, int]]:
    """Return the colours that stay, and by which of them each colour is shown.

    Those that are far from all others come first, or a small mark would lose its colour to the
    many shades of letters.
    """
    by_frequency = [colour for colour, _ in counts.most_common()]
    palette: list[bytes] = []
    for least in (DISTINCT, 0):
        for colour in by_frequency:
            if len(palette) == MOST_COLOURS:
                break
            if all(_distance(colour, other) > least for other in palette):
                palette.append(colour)
    index_of = {}
    for colour in by_frequency:
        distances = [_distance(colour, other) for other in palette]
        index_of[colour] = distances.index(min(distances))
    return palette, index_of


def _distance(one: bytes, other: bytes) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))
