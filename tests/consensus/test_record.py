"""BFT-12 section 4: the durable record survives a round trip whole, and nothing else does."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.consensus.record import DurableRecord, RecordInvalid
from node.ledger.types import NO_VIEW
from tests.consensus import samples

OPTIONAL = ("voted", "committed", "timeout", "highest", "entry", "proposed")


def test_encoding_is_pinned() -> None:
    path = Path(__file__).parents[1] / "vectors" / "consensus.json"
    vector = json.loads(path.read_text(encoding="utf-8"))["record"]
    assert samples.record().encode().hex() == vector["encoding"]


def test_every_durable_field_of_section_4_is_in_it() -> None:
    assert {field.name for field in fields(DurableRecord)} == {"height", "view", "step", *OPTIONAL}


@given(st.sets(st.sampled_from(OPTIONAL)))
def test_round_trip_with_any_fields_missing(missing: set[str]) -> None:
    record = replace(samples.record(), **dict.fromkeys(missing))  # type: ignore[arg-type]
    assert DurableRecord.decode(record.encode()) == record


def test_timed_out_view() -> None:
    assert samples.record().timed_out_view == samples.VIEW
    assert replace(samples.record(), timeout=None).timed_out_view == NO_VIEW


@given(st.integers(min_value=0), st.integers(0, 255))
def test_a_changed_byte_is_refused_or_canonical(position: int, replacement: int) -> None:
    encoded = bytearray(samples.record().encode())
    encoded[position % len(encoded)] = replacement
    try:
        record = DurableRecord.decode(bytes(encoded))
    except RecordInvalid:
        return
    assert record.encode() == bytes(encoded)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "record is damaged: 1 bytes wanted at offset 0 of 0"),
        (b"\x02" + bytes(30), "record version 2 where 1 is known"),
        (samples.record().encode() + b"\0", "record is damaged: 1 bytes follow the value"),
        (samples.record().encode()[:-1], None),
        (bytes(8 << 20), None),
    ],
    ids=["empty", "version", "trailing", "truncated", "oversize"],
)
def test_damage_is_named(data: bytes, message: str | None) -> None:
    with pytest.raises(RecordInvalid) as caught:
        DurableRecord.decode(data)
    assert message is None or str(caught.value) == message
