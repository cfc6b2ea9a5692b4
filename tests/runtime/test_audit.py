"""The audit: stored bytes are verified again, and what was planted among them is named."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import psycopg
import pytest
import pytest_asyncio

from node.consensus.certificates import Seal
from node.ledger.types import Height, TransactionId
from node.runtime.audit import Audit
from node.wire.operator_records import AuditExtent, AuditFailure, AuditReport
from tests.ledger.chain import Chain
from tests.runtime.bank_parts import Bank, forged, funded, identity, open_bank

pytestmark = pytest.mark.postgres

EVERYTHING = AuditExtent(b"", None)


@pytest_asyncio.fixture
async def audited(make_database_url: Callable[[], str]) -> AsyncIterator[tuple[Bank, str]]:
    """A bank with an issue at height 1 and a transfer at height 3, and its database's URL."""
    urls: list[str] = []

    def make() -> str:
        urls.append(make_database_url())
        return urls[-1]

    async with open_bank(Chain(seed="audit"), make) as bank:
        await funded(bank)
        await bank.seal(bank.ledger.transfer(bank.ledger.mature()[:1]), bank.ledger.mint([5]))
        yield bank, urls[0]


async def reports(bank: Bank, extent: AuditExtent = EVERYTHING) -> list[AuditReport]:
    audit = Audit(bank.chain, bank.database, os.urandom)
    return [report async for report in audit.run(extent)]


async def sealed_bytes(bank: Bank, height: int) -> list[bytes]:
    return list(await bank.database.block_transactions(height))


def plant(url: str, original: bytes, replacement: bytes) -> None:
    """Other bytes under the id: a fault of the disk, or a hand in the database."""
    with psycopg.connect(url) as connection:
        connection.execute(
            "UPDATE transaction_bodies SET body = %s WHERE transaction_id = %s",
            [replacement, identity(original)],
        )


def plant_consistently(url: str, original: bytes, replacement: bytes) -> None:
    """Other bytes under their own id, and a block that names it: only a proof tells."""
    before, after = identity(original), identity(replacement)
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO transaction_bodies (transaction_id, body) VALUES (%s, %s)",
            [after, replacement],
        )
        for height, contents in connection.execute(
            "SELECT block_number, contents FROM blocks"
        ).fetchall():
            connection.execute(
                "UPDATE blocks SET contents = %s WHERE block_number = %s",
                [contents.replace(before, after), height],
            )


async def test_an_intact_ledger_is_found_intact(audited: tuple[Bank, str]) -> None:
    bank, _ = audited
    assert await reports(bank) == [
        AuditReport(1, 3, (), done=False),
        AuditReport(3, 3, (), done=False),
        AuditReport(3, 3, (), done=True),
    ]


def corrupt(raw: bytes) -> AuditFailure:
    message = "the stored bytes hash to another id"
    return AuditFailure(identity(raw), Height(3), "corrupt", message)


@pytest.mark.parametrize("position", [0, 60, 120, 700, 3_000, -1])
async def test_any_planted_byte_is_found(audited: tuple[Bank, str], position: int) -> None:
    bank, url = audited
    transfer, _ = await sealed_bytes(bank, 3)
    altered = bytearray(transfer)
    altered[position] ^= 1
    plant(url, transfer, bytes(altered))
    assert (await reports(bank))[-1] == AuditReport(3, 3, (corrupt(transfer),), done=True)


async def test_another_valid_transaction_in_its_place_is_found(audited: tuple[Bank, str]) -> None:
    """Valid bytes under another transaction's id: the id is the hash of the bytes."""
    bank, url = audited
    _, issue = await sealed_bytes(bank, 3)
    plant(url, issue, bank.ledger.mint([5]))
    assert (await reports(bank))[-1].failures == (corrupt(issue),)


async def test_a_planted_bad_proof_is_found_and_named(audited: tuple[Bank, str]) -> None:
    """Everything hashes; the equation does not hold. The good ones beside it pass."""
    bank, url = audited
    transfer, _ = await sealed_bytes(bank, 3)
    plant_consistently(url, transfer, forged(transfer))
    assert (await reports(bank))[-1].failures == (
        AuditFailure(identity(forged(transfer)), Height(3), "spend", "an equation does not hold"),
    )


async def test_a_planted_malformed_transaction_is_found_and_named(
    audited: tuple[Bank, str],
) -> None:
    bank, url = audited
    transfer, _ = await sealed_bytes(bank, 3)
    plant_consistently(url, transfer, transfer[:500])
    (failure,) = (await reports(bank))[-1].failures
    assert (failure.transaction_id, failure.reason) == (identity(transfer[:500]), "length")


async def test_a_missing_body_is_found_and_named(audited: tuple[Bank, str]) -> None:
    bank, url = audited
    transfer, _ = await sealed_bytes(bank, 3)
    nobody = b"\x00" * 32
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT contents FROM blocks WHERE block_number = 3").fetchone()
        assert row is not None
        connection.execute(
            "UPDATE blocks SET contents = %s WHERE block_number = 3",
            [row[0].replace(identity(transfer), nobody)],
        )
    assert (await reports(bank))[-1].failures == (
        AuditFailure(TransactionId(nobody), Height(3), "missing", "the body is not stored"),
    )


async def test_a_sample_is_the_same_for_the_same_seed(audited: tuple[Bank, str]) -> None:
    bank, _ = audited
    for size in (1, 2, 3, 50):
        extent = AuditExtent(b"a seed", size)
        last = (await reports(bank, extent))[-1]
        assert last == AuditReport(min(size, 3), min(size, 3), (), done=True)
        assert (await reports(bank, extent))[-1] == last


async def test_a_seal_whose_signature_does_not_hold_is_found(audited: tuple[Bank, str]) -> None:
    """Who signed a seal never leaves the banks, so only the bank's own audit can tell."""
    bank, url = audited
    stored = await bank.database.block_by_height(2)
    seal = Seal.decode(stored.seal)
    forged_signature = replace(seal.signatures[1], signature=seal.signatures[2].signature)
    others = (seal.signatures[0], forged_signature, *seal.signatures[2:])
    for wrong, message in (
        (replace(seal, signatures=others), "signature of bank 1 does not verify"),
        (replace(seal, signatures=seal.signatures[:3]), "3 signatures where 4 are required"),
    ):
        with psycopg.connect(url) as connection:
            connection.execute(
                "UPDATE blocks SET seal = %s WHERE block_number = 2", [wrong.encode()]
            )
        (failure,) = (await reports(bank))[-1].failures
        assert failure == AuditFailure(None, Height(2), "seal", message)
