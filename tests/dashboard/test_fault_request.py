"""Requests to break a bank: only what `consortium fault` takes, whatever a browser sends."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.cli.fault import DIRECTIONS as COMMAND_DIRECTIONS
from node.cli.fault import MAX_DELAY_MS as COMMAND_MAX_DELAY_MS
from node.cli.fault import ROW_NAMES
from node.cli.fault import command as fault_command
from node.dashboard.errors import PageError
from node.dashboard.fault_request import (
    DIRECTIONS,
    MAX_DELAY_MS,
    PARAMETERS,
    ROWS,
    FaultRequest,
    read_fault_request,
)
from node.ledger.types import BankIndex

BANKS = 12


def test_the_page_offers_what_the_command_offers() -> None:
    others = {"start", "stop"}  # `consortium node start` and `stop`
    assert set(PARAMETERS) - others <= set(fault_command.commands)
    assert (set(DIRECTIONS), MAX_DELAY_MS) == (set(COMMAND_DIRECTIONS), COMMAND_MAX_DELAY_MS)
    assert ROWS == ROW_NAMES


def test_a_whole_request_is_read() -> None:
    body = {
        "kind": "slow",
        "bank": 3,
        "peers": [5, 4, 5],
        "direction": "out",
        "delay_ms": 300,
        "jitter_ms": 20,
        "loss_percent": 2.5,
    }
    assert read_fault_request(body, BANKS) == FaultRequest(
        kind="slow",
        bank=BankIndex(3),
        peers=(BankIndex(5), BankIndex(4)),
        direction="out",
        delay_ms=300,
        jitter_ms=20,
        loss_per_mille=25,
    )
    heal = read_fault_request({"kind": "heal", "bank": "all"}, BANKS)
    assert (heal.kind, heal.bank) == ("heal", None)
    corrupt = read_fault_request({"kind": "corrupt", "bank": 0, "row": "seal"}, BANKS)
    assert (corrupt.row, corrupt.height) == ("seal", None)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"kind": "explode", "bank": 0},
        {"kind": ["crash"], "bank": 0},
        {"kind": "crash"},
        {"kind": "crash", "bank": "all"},
        {"kind": "crash", "bank": BANKS},
        {"kind": "crash", "bank": -1},
        {"kind": "crash", "bank": True},
        {"kind": "crash", "bank": 1.0},
        {"kind": "crash", "bank": "0; rm -rf"},
        {"kind": "crash", "bank": 0, "seed": 1},
        {"kind": "disconnect", "bank": 0, "peers": [0]},
        {"kind": "disconnect", "bank": 0, "peers": "1"},
        {"kind": "disconnect", "bank": 0, "peers": list(range(1, BANKS)) * 2},
        {"kind": "disconnect", "bank": 0, "direction": "up"},
        {"kind": "slow", "bank": 0},
        {"kind": "slow", "bank": 0, "delay_ms": MAX_DELAY_MS + 1},
        {"kind": "slow", "bank": 0, "delay_ms": "300"},
        {"kind": "slow", "bank": 0, "loss_percent": 101},
        {"kind": "slow", "bank": 0, "loss_percent": float("nan")},
        {"kind": "byzantine", "bank": 0, "style": 5},
        {"kind": "byzantine", "bank": 0, "style": "x" * 61},
        {"kind": "byzantine", "bank": 0, "style": "silent", "seed": -1},
        {"kind": "corrupt", "bank": 0},
        {"kind": "corrupt", "bank": 0, "row": "users; DROP TABLE blocks"},
    ],
)
def test_anything_else_is_refused_in_words(body: dict[str, Any]) -> None:
    with pytest.raises(PageError) as refused:
        read_fault_request(body, BANKS)
    assert (refused.value.status, refused.value.code) == (400, "invalid")
    assert refused.value.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=5,
)


@given(
    kind=st.sampled_from(list(PARAMETERS)),
    values=st.dictionaries(
        st.sampled_from(["bank", *{name for names in PARAMETERS.values() for name in names}]), JSON
    ),
)
def test_no_json_is_more_than_a_refusal(kind: str, values: dict[str, Any]) -> None:
    try:
        request = read_fault_request({"kind": kind, **values}, BANKS)
    except PageError as refused:
        assert refused.status == 400
    else:
        assert request.bank is None or 0 <= request.bank < BANKS
        assert request.bank not in request.peers
