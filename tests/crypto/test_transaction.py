"""Step 8.1, the form of a transaction: IDX1 5 and 8.1."""

from __future__ import annotations

import pytest

from crypto.errors import Reason, Rejected
from crypto.layout import MAX_TRANSACTION_BYTES, Kind
from crypto.transaction import decode_transaction, transaction_id
from crypto.transcript import hash32
from tests.crypto.universe import vectors

BYTES = {entry["name"]: bytes.fromhex(entry["bytes"]) for entry in vectors()["transactions"]}
TRANSFER = BYTES["transfer-1in2out"]
ISSUE = BYTES["issue-2out"]
BLOBS_AT = 108 + 104 + 2 * 281


def _replace(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


CASES = {
    "nothing": (b"", Reason.LENGTH, "0 bytes hold no head"),
    "head cut": (TRANSFER[:51], Reason.LENGTH, "51 bytes hold no head"),
    "version": (_replace(TRANSFER, 0, b"\x02"), Reason.VERSION, "version 2"),
    "kind 0": (_replace(TRANSFER, 1, b"\x00"), Reason.KIND, "kind 0 is no transaction"),
    "ballot": (_replace(TRANSFER, 1, b"\x03"), Reason.KIND, "kind 3 is no transaction"),
    "no input": (_replace(TRANSFER, 50, b"\x00"), Reason.COUNT, "0 inputs and 2 outputs"),
    "five inputs": (_replace(TRANSFER, 50, b"\x05"), Reason.COUNT, "5 inputs and 2 outputs"),
    "no output": (_replace(TRANSFER, 51, b"\x00"), Reason.COUNT, "1 inputs and 0 outputs"),
    "five outputs": (_replace(TRANSFER, 51, b"\x05"), Reason.COUNT, "1 inputs and 5 outputs"),
    "issue with an input": (_replace(ISSUE, 50, b"\x01"), Reason.COUNT, "1 inputs and 2 outputs"),
    "blobs cut": (
        TRANSFER[: BLOBS_AT + 7],
        Reason.LENGTH,
        "781 bytes end before the blob lengths",
    ),
    "escrow": (
        _replace(TRANSFER, BLOBS_AT, b"\x01"),
        Reason.RESERVED,
        "escrow of 1, attestation of 0 bytes",
    ),
    "attestation": (
        _replace(TRANSFER, BLOBS_AT + 4, b"\xff\xff\xff\xff"),
        Reason.RESERVED,
        "escrow of 0, attestation of 4294967295 bytes",
    ),
    "one byte short": (TRANSFER[:-1], Reason.LENGTH, "6317 of 6318 bytes"),
    "one byte more": (TRANSFER + b"\0", Reason.TRAILING, "1 bytes after the end"),
    "redeem without account": (
        _replace(TRANSFER, 60, b"\x01"),
        Reason.FIELD,
        "an account belongs to a redeemed amount, and only to one",
    ),
    "account without redeem": (
        _replace(TRANSFER, 68, b"\x01"),
        Reason.FIELD,
        "an account belongs to a redeemed amount, and only to one",
    ),
    "issue of nothing": (_replace(ISSUE, 52, bytes(8)), Reason.FIELD, "an amount of zero"),
}


@pytest.mark.parametrize("name", CASES)
def test_form_8_1(name: str) -> None:
    data, reason, detail = CASES[name]
    with pytest.raises(Rejected) as caught:
        decode_transaction(data)
    assert (caught.value.reason, caught.value.detail) == (reason, detail)
    assert str(caught.value) == f"{reason.value}: {detail}"


@pytest.mark.parametrize("name", ["transfer-1in2out", "issue-2out", "payout-1out"])
def test_every_truncation_is_too_short_8_1(name: str) -> None:
    data = BYTES[name]
    for size in (*range(0, 900, 7), *range(900, len(data), 331), len(data) - 1):
        with pytest.raises(Rejected) as caught:
            decode_transaction(data[:size])
        assert caught.value.reason is Reason.LENGTH


def test_kinds_of_the_vectors_5_1() -> None:
    kinds = [decode_transaction(BYTES[name]).kind for name in ("issue-2out", "payout-1out")]
    assert kinds == [Kind.ISSUE, Kind.PAYOUT]
    assert decode_transaction(TRANSFER).kind is Kind.TRANSFER


def test_the_id_hashes_all_bytes_5_5() -> None:
    assert transaction_id(TRANSFER) == hash32("IDX1/txid", TRANSFER)
    assert decode_transaction(TRANSFER).transaction_id == transaction_id(TRANSFER)
    assert transaction_id(TRANSFER + b"\0") != transaction_id(TRANSFER)


def test_no_vector_that_decodes_is_longer_than_the_limit() -> None:
    sizes = [len(BYTES[entry["name"]]) for entry in vectors()["transactions"] if entry["valid"]]
    assert max(sizes) <= MAX_TRANSACTION_BYTES
