"""The canonical contents of a wallet."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.client.wallet_data import (
    Attempt,
    Checkpoint,
    KnownBin,
    OwnedNote,
    PaymentPurpose,
    PaymentRecord,
    PaymentStatus,
    Recipient,
    Spent,
    WalletData,
)
from node.ledger.encoding import MalformedEncoding
from node.ledger.state import Accumulated

U64 = st.integers(0, (1 << 64) - 1)
HASH = st.binary(min_size=32, max_size=32)
POINT = st.binary(min_size=96, max_size=96)
SCALAR = st.integers(0, (1 << 255) - 1)
ACCUMULATED = st.builds(Accumulated, U64, HASH)
NOTE = st.builds(
    OwnedNote,
    sequence=U64,
    transaction_id=HASH,
    output_index=st.integers(0, 3),
    height=U64,
    asset=st.binary(min_size=16, max_size=16),
    bin_id=U64,
    position=st.integers(0, 255),
    session=st.integers(0, 9),
    value=U64,
    memo=HASH,
    one_time_key=POINT,
    commitment=POINT,
    nullifier=POINT,
    minted=st.booleans(),
    spend_key=SCALAR,
    blinding=SCALAR,
    spent=st.none() | st.builds(Spent, HASH, U64),
)
PAYMENT = st.builds(
    PaymentRecord,
    number=U64,
    purpose=st.sampled_from(PaymentPurpose),
    created_ms=U64,
    asset=st.binary(min_size=16, max_size=16),
    recipients=st.lists(
        st.builds(Recipient, st.binary(min_size=128, max_size=128), U64, HASH), max_size=3
    ).map(tuple),
    fee=U64,
    redeem=U64,
    account=HASH,
    inputs=st.lists(U64, max_size=4).map(tuple),
    attempts=st.lists(st.builds(Attempt, HASH, U64, POINT, st.binary(max_size=40)), max_size=3).map(
        tuple
    ),
    status=st.sampled_from(PaymentStatus),
    sealed_height=st.none() | U64,
    failure=st.text(max_size=20),
)
DATA = st.builds(
    WalletData,
    chain_id=HASH,
    home_bank=st.text(max_size=20),
    seed=HASH,
    session_count=st.integers(1, 100),
    checkpoint=st.builds(Checkpoint, U64, ACCUMULATED, ACCUMULATED, ACCUMULATED),
    notes=st.lists(NOTE, max_size=2).map(tuple),
    bins=st.lists(st.builds(KnownBin, U64, HASH, st.integers(1, 256)), max_size=2).map(tuple),
    payments=st.lists(PAYMENT, max_size=2).map(tuple),
)


@settings(max_examples=60)
@given(DATA)
def test_contents_survive_their_encoding(data: WalletData) -> None:
    assert WalletData.decode(data.encode()) == data


@settings(max_examples=40)
@given(DATA, st.data())
def test_cut_or_prolonged_contents_are_refused(data: WalletData, draw: st.DataObject) -> None:
    encoded = data.encode()
    cut = draw.draw(st.integers(0, len(encoded) - 1))
    for wrong in (encoded[:cut], encoded + b"\x00"):
        with pytest.raises(MalformedEncoding):
            WalletData.decode(wrong)


@settings(max_examples=10)
@given(st.builds(lambda data, note: replace(data, notes=(note,)), DATA, NOTE))
def test_secrets_stand_in_no_representation(data: WalletData) -> None:
    shown = repr(data)
    assert [name for name in ("seed=", "spend_key=", "blinding=") if name in shown] == []
