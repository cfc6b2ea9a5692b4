"""Canonical encodings, pinned: IDX1 1.4, 3.1, 3.2, 5."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.encoding import read_u32, read_u64, u32, u64
from crypto.errors import AddressInvalid, Reason, Rejected
from crypto.layout import (
    MAX_TRANSACTION_BYTES,
    Kind,
    layout_of,
    range_proof_bytes,
    spend_proof_bytes,
)
from crypto.note import Address
from crypto.transaction import (
    Mint,
    Output,
    Transfer,
    TransferInput,
    decode_transaction,
    mint_head,
    transaction_id,
    transfer_head,
)
from tests.crypto.universe import ALICE

u64s = st.integers(0, 2**64 - 1)
points = st.binary(min_size=96, max_size=96)
keys = st.binary(min_size=32, max_size=32)
assets = st.binary(min_size=16, max_size=16)
outputs = st.builds(
    Output,
    one_time_key=points,
    commitment=points,
    ephemeral_key=keys,
    view_tag=st.integers(0, 255),
    ciphertext=st.binary(min_size=56, max_size=56),
)


def test_integers_are_little_endian_1_4() -> None:
    assert u32(0x01020304) == b"\x04\x03\x02\x01"
    assert u64(0x0102030405060708) == b"\x08\x07\x06\x05\x04\x03\x02\x01"


@given(st.integers(0, 2**32 - 1), u64s, st.binary(max_size=5))
def test_integers_round_trip(small: int, large: int, prefix: bytes) -> None:
    data = prefix + u32(small) + u64(large)
    assert read_u32(data, len(prefix)) == small
    assert read_u64(data, len(prefix) + 4) == large


@pytest.mark.parametrize("value", [-1, 2**64])
def test_integers_out_of_range_are_refused(value: int) -> None:
    with pytest.raises(OverflowError):
        u64(value)


@given(outputs)
def test_outputs_round_trip_3_2(output: Output) -> None:
    encoded = output.encode()
    assert len(encoded) == 281
    assert Output.decode(encoded) == output


@pytest.mark.parametrize("size", [0, 280, 282])
def test_an_output_has_its_size_3_2(size: int) -> None:
    with pytest.raises(Rejected, match=f"length: an output has 281 bytes, not {size}"):
        Output.decode(bytes(size))


def test_addresses_round_trip_3_1() -> None:
    encoded = ALICE.address.encode()
    assert encoded == ALICE.spend_public + ALICE.view_public
    assert Address.decode(encoded) == ALICE.address


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (ALICE.address.encode()[:-1], "an address has 128 bytes, not 127"),
        (bytes(128), "the spend key is no valid point (identity)"),
        (b"\x01" * 128, "the spend key is no valid point (point)"),
    ],
)
def test_malformed_addresses_are_refused_3_1(data: bytes, message: str) -> None:
    with pytest.raises(AddressInvalid) as caught:
        Address.decode(data)
    assert str(caught.value) == message


@given(
    chain_id=keys,
    asset=assets,
    fee=u64s,
    redeem=u64s,
    account=keys,
    expiry=u64s,
    bins=st.lists(u64s, min_size=1, max_size=4),
    some_outputs=st.lists(outputs, min_size=1, max_size=4),
    ring_base=st.sampled_from([4, 8, 16]),
    filling=st.binary(min_size=1, max_size=1),
)
def test_transfers_round_trip_5_2(
    chain_id: bytes,
    asset: bytes,
    fee: int,
    redeem: int,
    account: bytes,
    expiry: int,
    bins: list[int],
    some_outputs: list[Output],
    ring_base: int,
    filling: bytes,
) -> None:
    account = account if redeem else bytes(32)
    if redeem and account == bytes(32):
        account = b"\x01" * 32
    inputs = tuple(
        TransferInput(bin_id, filling * 96, filling * 96 if index < len(bins) - 1 else None)
        for index, bin_id in enumerate(bins)
    )
    head = transfer_head(
        chain_id=chain_id,
        asset=asset,
        input_count=len(inputs),
        output_count=len(some_outputs),
        fee=fee,
        redeem=redeem,
        account=account,
        expiry=expiry,
    )
    range_proof = filling * range_proof_bytes(len(some_outputs))
    spend_proofs = tuple(filling * spend_proof_bytes(ring_base) for _ in inputs)
    data = b"".join(
        (
            head,
            *(u64(item.bin_id) + item.nullifier + (item.commitment or b"") for item in inputs),
            *(output.encode() for output in some_outputs),
            bytes(8),
            range_proof,
            *spend_proofs,
        )
    )
    assert len(head) == 108
    assert len(data) <= MAX_TRANSACTION_BYTES
    decoded = decode_transaction(data, ring_base)
    assert decoded == Transfer(
        raw=data,
        transaction_id=transaction_id(data),
        chain_id=chain_id,
        asset=asset,
        fee=fee,
        redeem=redeem,
        account=account,
        expiry=expiry,
        inputs=inputs,
        outputs=tuple(some_outputs),
        layout=layout_of(Kind.TRANSFER, len(inputs), len(some_outputs), ring_base),
    )
    assert (decoded.range_proof, decoded.spend_proofs) == (range_proof, spend_proofs)


@given(
    kind=st.sampled_from([Kind.ISSUE, Kind.PAYOUT]),
    chain_id=keys,
    asset=assets,
    amount=st.integers(1, 2**64 - 1),
    issuer=keys,
    expiry=u64s,
    some_outputs=st.lists(outputs, min_size=1, max_size=4),
    filling=st.binary(min_size=1, max_size=1),
)
def test_mints_round_trip_5_3(
    kind: Kind,
    chain_id: bytes,
    asset: bytes,
    amount: int,
    issuer: bytes,
    expiry: int,
    some_outputs: list[Output],
    filling: bytes,
) -> None:
    head = mint_head(
        kind=kind,
        chain_id=chain_id,
        asset=asset,
        output_count=len(some_outputs),
        amount=amount,
        issuer=issuer,
        expiry=expiry,
    )
    range_proof = filling * range_proof_bytes(len(some_outputs))
    body = b"".join(output.encode() for output in some_outputs) + bytes(8) + range_proof
    data = head + body + filling * 128 + b"s" * 64
    assert len(head) == 100
    decoded = decode_transaction(data)
    assert decoded == Mint(
        raw=data,
        transaction_id=transaction_id(data),
        kind=kind,
        chain_id=chain_id,
        asset=asset,
        amount=amount,
        issuer=issuer,
        expiry=expiry,
        outputs=tuple(some_outputs),
        signature=b"s" * 64,
        layout=layout_of(kind, 0, len(some_outputs), 8),
    )
    assert (decoded.range_proof, decoded.issue_proof) == (range_proof, filling * 128)


@given(st.binary(max_size=400), st.sampled_from([4, 8, 16]))
def test_garbage_is_rejected_and_never_crashes_8_1(data: bytes, ring_base: int) -> None:
    with pytest.raises(Rejected) as caught:
        decode_transaction(data, ring_base)
    assert caught.value.reason in (Reason.LENGTH, Reason.VERSION, Reason.KIND, Reason.COUNT)


@given(st.binary(min_size=50, max_size=2000))
def test_garbage_behind_a_plausible_head_is_rejected_8_1(data: bytes) -> None:
    for kind, counts in ((1, b"\x01\x02"), (2, b"\x00\x01"), (4, b"\x00\x04")):
        with pytest.raises(Rejected) as caught:
            decode_transaction(bytes([1, kind]) + data[:48] + counts + data[48:])
        assert caught.value.reason in (Reason.LENGTH, Reason.RESERVED)
