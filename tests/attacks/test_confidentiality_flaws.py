"""FLAW-07 and FLAW-11: a payment runs end to end, and what is hidden stands nowhere in clear.

The whole of every bank's database and every log record are searched, not a list of columns.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import psycopg
import pytest
import pytest_asyncio
from psycopg import sql

from crypto.build import Payment, build_transfer
from crypto.errors import NotMine
from crypto.note import ReceivedNote, SessionKeys, scan_output
from crypto.scalar import encode_scalar
from crypto.transaction import Output, transaction_id
from node.client.ledger_client import LedgerClient
from node.client.verification import SealVerifier
from node.ledger.types import TransactionId
from node.storage.tables import Base
from node.wire.records import TransactionState
from tests.attacks.consortium import BANKS, Consortium
from tests.ledger.chain import BASE, FAR, FEE, OwnedNote

pytestmark = [pytest.mark.postgres, pytest.mark.asyncio(loop_scope="module")]

AMOUNT = 2_617
"""Nothing else in this ledger has this value: notes hold 5000 and 700, issues 20000 and 2800."""
CHANGE = 5_000 - FEE - AMOUNT
MEMO = b"invoice 2041: the painted attic!"
PAYEE_SEED = os.urandom(32)

Value = object


@dataclass(frozen=True)
class Sent:
    """A sealed transfer and everything about it that only the two parties know."""

    raw: bytes
    note: OwnedNote
    payee: SessionKeys
    log_records: list[logging.LogRecord]


class Recording(logging.Handler):
    """Keeps every record of every logger, at every level."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sent(consortium: Consortium) -> AsyncIterator[Sent]:
    """Pay 2617 with a memo to a payee of another bank, submitted at bank 1."""
    recording = Recording()
    root = logging.getLogger()
    level = root.level
    root.addHandler(recording)
    root.setLevel(logging.DEBUG)
    try:
        chain = consortium.follower
        note = next(item for item in chain.mature() if item.value == 5_000)
        payee = SessionKeys.derive(PAYEE_SEED, 1)
        raw = build_transfer(
            chain_id=chain.genesis.chain_id,
            asset=BASE,
            inputs=[chain.spendable(note)],
            payments=[
                Payment(payee.address, AMOUNT, MEMO),
                Payment(chain.keys.address, CHANGE),
            ],
            fee=FEE,
            expiry=FAR,
            random_bytes=os.urandom,
            rings_certified=True,
        )
        await consortium.clients[1].submit(raw)
        for bank in range(BANKS):
            status = await consortium.final_status(raw, bank)
            assert status.state is TransactionState.SEALED
        await consortium.follow()
    finally:
        root.removeHandler(recording)
        root.setLevel(level)
    yield Sent(raw, note, payee, recording.records)


async def received(
    ledger: LedgerClient, consortium: Consortium, keys: SessionKeys
) -> list[ReceivedNote]:
    """What a wallet with these keys finds at this bank."""
    found = []
    chain_id = consortium.cluster.genesis.chain_id
    async for page in ledger.notes(0):
        for note in page:
            try:
                output = Output.decode(note.output)
                found.append(scan_output(output, note.output_index, note.asset, chain_id, keys))
            except NotMine:
                continue
    return found


async def test_flaw_11_the_payment_path_runs_end_to_end(consortium: Consortium, sent: Sent) -> None:
    """Submitted at one bank, verified and sealed by all, found by its payee at another, and
    proven offline."""
    notes = await received(consortium.clients[3], consortium, sent.payee)
    assert [(note.value, note.memo) for note in notes] == [(AMOUNT, MEMO)]
    assert await received(consortium.clients[3], consortium, SessionKeys.derive(b"eve", 1)) == []
    verifier = SealVerifier(consortium.cluster.genesis)
    for client in consortium.clients:
        proof = await client.inclusion_proof(TransactionId(transaction_id(sent.raw)))
        place = verifier.verify_inclusion(sent.raw, proof)
        assert place.header.transaction_count >= 1
    assert sent.note.nullifier in consortium.follower.history.spent


# --- FLAW-07 -----------------------------------------------------------------------------------


def dump(url: str) -> list[tuple[str, Value]]:
    """Every value of every table of every schema but the server's own, with where it stands."""
    values: list[tuple[str, Value]] = []
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        assert {name for _, name in tables} >= set(Base.metadata.tables)
        for schema, table in tables:
            cursor = connection.execute(
                sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, table))
            )
            columns = [column.name for column in cursor.description or ()]
            for row in cursor:
                values += [
                    (f"{table}.{name}", value) for name, value in zip(columns, row, strict=True)
                ]
    return values


def holds_number(value: Value, number: int) -> bool:
    """Whether a value is this number, or holds it as text or as eight bytes in either order."""
    if isinstance(value, bool | datetime) or value is None:
        return False
    if isinstance(value, int | Decimal):
        return value in (number, Decimal(number) / 100)
    if isinstance(value, bytes | memoryview):
        data = bytes(value)
        return number.to_bytes(8, "little") in data or number.to_bytes(8, "big") in data
    pattern = rf"(?<![0-9]){number}(?![0-9])|(?<![0-9]){number / 100:.2f}(?![0-9])"
    return re.search(pattern, str(value)) is not None


def holds_bytes(value: Value, secret: bytes) -> bool:
    """Whether a value holds these bytes, raw or as hexadecimal text."""
    if isinstance(value, bytes | memoryview):
        return secret in bytes(value)
    return isinstance(value, str) and (secret.hex() in value.lower() or repr(secret)[2:-1] in value)


def secrets_of(sent: Sent, consortium: Consortium) -> Iterator[tuple[str, bytes]]:
    """What a bank must not hold of a transfer, as bytes."""
    payer = consortium.follower.keys
    for who, keys in (("payer", payer), ("payee", sent.payee)):
        yield f"{who}'s spend key of the address", keys.address.spend_public
        yield f"{who}'s view key of the address", keys.address.view_public
        yield f"{who}'s spend secret", encode_scalar(keys.spend_secret)
        yield f"{who}'s view secret", keys.view_secret
    yield "the memo", MEMO
    yield "half of the memo", MEMO[:16]
    yield "the spent note's key", encode_scalar(sent.note.spend_key)
    yield "the spent note's blinding", encode_scalar(sent.note.blinding)
    yield "the payee's seed", PAYEE_SEED


@pytest.mark.parametrize("bank", range(BANKS))
async def test_flaw_07_no_table_of_any_bank_holds_payer_payee_or_amount(
    consortium: Consortium, sent: Sent, bank: int
) -> None:
    url = consortium.cluster.banks[bank].config.database.url_file.read_text()
    values = dump(url)

    # The search finds what is public, so it would find what must not be there.
    assert [where for where, value in values if holds_number(value, 20_000)]
    assert [where for where, value in values if holds_bytes(value, sent.note.nullifier)]
    assert [where for where, value in values if holds_bytes(value, transaction_id(sent.raw))]

    for number in (AMOUNT, CHANGE):
        assert [where for where, value in values if holds_number(value, number)] == []
    for what, secret in secrets_of(sent, consortium):
        assert [where for where, value in values if holds_bytes(value, secret)] == [], what


async def test_flaw_07_no_log_record_of_any_bank_holds_payer_payee_or_amount(
    consortium: Consortium, sent: Sent
) -> None:
    """At the most talkative level, with every extra field."""
    told = [
        repr({**record.__dict__, "message": record.getMessage()}) for record in sent.log_records
    ]
    assert any(transaction_id(sent.raw).hex() in line for line in told)
    for what, secret in secrets_of(sent, consortium):
        assert [line for line in told if holds_bytes(line, secret)] == [], what
    own = [
        repr({key: value for key, value in record.__dict__.items() if key not in STANDARD})
        for record in sent.log_records
        if record.name.startswith("node.")
    ]
    assert [line for line in own if re.search(rf"(?<![0-9.]){AMOUNT}(?![0-9])", line)] == []


STANDARD = frozenset(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | {"duration_ms"}
"""Fields of every record, among them line numbers and process ids."""


async def test_flaw_07_no_bank_can_read_another_banks_database(consortium: Consortium) -> None:
    """Each database has one role; another bank's credentials are refused."""
    urls = [bank.config.database.url_file.read_text() for bank in consortium.cluster.banks]
    for own in urls:
        for other in urls:
            if own == other:
                continue
            with psycopg.connect(other) as connection:
                role, database = connection.execute(
                    "SELECT current_user, current_database()"
                ).fetchone() or ("", "")
            assert own.rpartition("/")[2] != database
            foreign = own.rpartition("/")[0] + "/" + database
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(foreign).close()
            assert role == database
