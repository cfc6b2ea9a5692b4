"""Checks of single fields: exact lengths, short text, counted lists."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.wire import ledger_pb2, operator_pb2
from node.wire.fields import (
    FIXED_LENGTHS,
    MalformedMessage,
    bounded_bytes,
    bounded_count,
    bounded_text,
    exact_bytes,
    from_stub,
    to_stub,
)
from node.wire.operator_records import PeerReport
from node.wire.records import NoteRecord, TreasuryMovement
from tests.rpc.doubles import REPORT, movement, note


@given(st.binary(max_size=64), st.integers(0, 64))
def test_exact_bytes_take_one_length_only(value: bytes, length: int) -> None:
    if len(value) == length:
        assert exact_bytes("id", value, length) == value
        return
    with pytest.raises(MalformedMessage) as caught:
        exact_bytes("id", value, length)
    assert str(caught.value) == f"id: must have {length} bytes, not {len(value)}"


@pytest.mark.parametrize("size", [0, 4])
def test_bounded_bytes_refuse_what_is_outside(size: int) -> None:
    with pytest.raises(MalformedMessage, match="raw: must have 1 to 3 bytes, not"):
        bounded_bytes("raw", bytes(size), 3, minimum=1)


def test_text_is_measured_in_bytes() -> None:
    assert bounded_text("reason", "é" * 2_048) == "é" * 2_048
    with pytest.raises(MalformedMessage, match="reason: text is longer than 4096 bytes"):
        bounded_text("reason", "é" * 2_049)


@pytest.mark.parametrize("items", [[], [1, 2, 3]])
def test_a_list_of_the_wrong_size_is_refused(items: list[int]) -> None:
    with pytest.raises(MalformedMessage, match="ids: must list 1 to 2 items, not"):
        bounded_count("ids", items, 2, minimum=1)


@pytest.mark.parametrize("name", ["transaction_id", "asset", "output"])
def test_byte_fields_of_fixed_meaning_have_one_length(name: str) -> None:
    stub = to_stub(note(1), ledger_pb2.Note)
    setattr(stub, name, getattr(stub, name)[:-1])
    length = FIXED_LENGTHS[name]
    with pytest.raises(MalformedMessage) as caught:
        from_stub(stub, NoteRecord)
    assert str(caught.value) == f"{name}: must have {length} bytes, not {length - 1}"


def test_an_absent_optional_number_is_none_and_zero_is_zero() -> None:
    absent = to_stub(movement(1), ledger_pb2.TreasuryMovement)
    assert from_stub(absent, TreasuryMovement).bank is None
    zero = ledger_pb2.TreasuryMovement(bank=0, fiscal_year=2_026)
    assert from_stub(zero, TreasuryMovement).bank == 0


def test_a_record_survives_the_wire() -> None:
    (peer,) = REPORT.peers
    sent = to_stub(peer, operator_pb2.PeerReport).SerializeToString()
    assert from_stub(operator_pb2.PeerReport.FromString(sent), PeerReport) == peer
