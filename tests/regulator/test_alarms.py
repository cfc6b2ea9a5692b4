"""Alarms of the running regulator: what a bank causes again and again is kept once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from node.client.connection import ClientCredentials
from node.client.ledger_client import LedgerClient
from node.ledger.types import BankIndex, Height, TimeMs
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.initialise import create_consortium
from node.runtime.regulator.process import Regulator, RegulatorConfig
from node.runtime.regulator.secrets import RegulatorSecrets
from node.storage.regulator.database import RegulatorDatabase
from node.storage.regulator.records import Alarm


async def test_a_bank_that_lies_every_second_fills_no_table(
    tmp_path: Path, database: RegulatorDatabase
) -> None:
    directory = ConsortiumDirectory(tmp_path / "consortium")
    create_consortium(directory, bank_count=4)
    config = RegulatorConfig.of(directory)
    credentials = ClientCredentials.load(config.place.root)
    secrets = RegulatorSecrets.load(config.place.root, config.genesis)
    ledger = LedgerClient(config.endpoints, credentials)
    regulator = Regulator(config, secrets, database, ledger, credentials)
    lie = Alarm("block-not-sealed", "bank 1: a", BankIndex(1), Height(5), None, TimeMs(1))
    again = replace(lie, text="bank 1: b", time_ms=TimeMs(2))
    others = [replace(lie, height=Height(6)), replace(lie, bank=BankIndex(2))]
    for alarm in (lie, again, lie, *others, again):
        await regulator._raise_alarm(alarm)
    await ledger.close()

    kept = reversed(await database.alarms(10))
    assert [(alarm.bank, alarm.height, alarm.text) for alarm in kept] == [
        (1, 5, "bank 1: a"),
        (1, 6, "bank 1: a"),
        (2, 5, "bank 1: a"),
    ]
