"""One campaign of `consortium fuzz`: collect, observe, send, observe again, pay honestly."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from crypto.note import SessionKeys
from node.cli.access import Consortium, nobody_answers
from node.cli.failure import EXIT_USAGE, CommandFailed
from node.cli.minting import ISSUER_KEY_FILE
from node.cli.terminal import progress, say
from node.client import ClientCredentials, LedgerClient, SealVerifier, issue, recipient, wait_sealed
from node.client.errors import LedgerError, LedgerUnavailable
from node.client.fuzzing.campaign import Account, run
from node.client.fuzzing.corpus import Corpus, collect
from node.client.fuzzing.delivery import Delivery
from node.client.fuzzing.generation import FuzzMessage, Generator
from node.client.fuzzing.observation import Observation, differences, observe
from node.client.operator_client import OperatorClient
from node.ledger.blocks import Block
from node.ledger.types import BankIndex, Height
from node.runtime.secrets_directory import read_secret
from node.wire.identity import Role

SEAL_TIMEOUT_MS = 60_000
SETTLE_S = 10.0
"""Links that were displaced come back, and every bank hears where all others really stand."""
TRACEBACKS = ("Traceback (most recent call last)", '"call_failed"', "stopped by a defect")


@dataclass(frozen=True, slots=True)
class FuzzOrder:
    """What to send."""

    seed: str
    first: int
    messages: int
    target: str
    workers: int


@dataclass(frozen=True, slots=True)
class FuzzResult:
    """What was sent, and what came of it."""

    order: FuzzOrder
    corpus: Corpus
    account: Account
    before: Observation
    after: Observation
    changes: tuple[str, ...]
    """What must not have happened; answers are in the account."""
    sealed_height: Height | None
    """Of the honest transaction afterwards."""
    elapsed_s: float
    replayed: FuzzMessage | None

    @property
    def harmless(self) -> bool:
        return not self.changes and not self.account.fault_count and self.sealed_height is not None


async def fuzz(consortium: Consortium, order: FuzzOrder) -> FuzzResult:
    """Run a campaign; raises `CommandFailed` and `LedgerError` if it cannot begin."""
    async with AsyncExitStack() as stack:
        ledger = await stack.enter_async_context(consortium.ledger(BankIndex(0)))
        operators = [
            await stack.enter_async_context(consortium.operator(bank.index, deadline_ms=60_000))
            for bank in consortium.genesis.banks
        ]
        corpus = await _corpus(consortium, ledger)
        try:
            generator = Generator(corpus, order.seed, order.target)
        except ValueError as error:
            raise CommandFailed(str(error), "name a part of a method", EXIT_USAGE) from None
        logs = _LogWatch(
            [consortium.directory.bank(b.index).log_file for b in consortium.genesis.banks]
        )
        delivery = Delivery(
            consortium.endpoints,
            consortium.genesis.chain_id,
            lambda role, bank: _credentials(consortium, role, bank),
        )
        stack.push_async_callback(delivery.close)
        before = await observe(operators)
        begun_s = time.monotonic()
        with progress("hostile messages") as meter:
            account = await run(
                generator,
                delivery,
                order.messages,
                first=order.first,
                workers=order.workers,
                meter=meter,
            )
        elapsed_s = time.monotonic() - begun_s
        await asyncio.sleep(SETTLE_S)
        after, changes = await _compare(ledger, operators, before, account)
        changes += logs.findings()
        sealed_height = await _pay(consortium, ledger, changes)
        return FuzzResult(
            order,
            corpus,
            account,
            before,
            after,
            tuple(changes),
            sealed_height,
            elapsed_s,
            generator.message(order.first) if order.messages == 1 else None,
        )


async def _corpus(consortium: Consortium, ledger: LedgerClient) -> Corpus:
    genesis = consortium.genesis
    try:
        if (await ledger.node_status()).height < 1:
            say("the ledger is empty: minting a note, so that there is something to mutate")
            await _mint(consortium, ledger)
        bank = _credentials(consortium, Role.BANK, 0)
        return await collect(ledger, bank, genesis.chain_id, len(genesis.banks))
    except LedgerUnavailable as error:
        raise nobody_answers(consortium) from error


async def _compare(
    ledger: LedgerClient,
    operators: Sequence[OperatorClient],
    before: Observation,
    account: Account,
) -> tuple[Observation, list[str]]:
    after = await observe(operators)
    since = [
        Block.decode((await ledger.block(Height(height))).block)
        for height in range(before.height + 1, after.height + 1)
    ]
    return after, differences(before, after, since, frozenset(account.transactions))


async def _pay(consortium: Consortium, ledger: LedgerClient, changes: list[str]) -> Height | None:
    """Mint a note honestly; return its height, or None and add why not."""
    try:
        return await _mint(consortium, ledger)
    except LedgerError as error:
        changes.append(f"an honest transaction was not sealed: {error}")
        return None


async def _mint(consortium: Consortium, ledger: LedgerClient) -> Height:
    """Mint one minor unit for an address whose keys nobody keeps, and wait for the seal."""
    secret = read_secret(consortium.directory.bank(0).keys / ISSUER_KEY_FILE)
    nobody = SessionKeys.derive(secrets.token_bytes(32), 0).address
    minted = await issue(ledger, secret, [recipient(nobody, 1)])
    place = await wait_sealed(
        ledger,
        SealVerifier(consortium.genesis),
        minted.transaction_id,
        timeout_ms=SEAL_TIMEOUT_MS,
    )
    return place.header.height


def _credentials(consortium: Consortium, role: Role, bank: int) -> ClientCredentials:
    directory = consortium.directory
    places = {
        Role.CLIENT: directory.client(0),
        Role.OPERATOR: directory.operator,
        Role.REGULATOR: directory.regulator,
        Role.BANK: directory.bank(bank).keys,
    }
    return ClientCredentials.load(places[role])


class _LogWatch:
    """Looks for tracebacks in what banks log from now on."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._offsets = {file: file.stat().st_size for file in files if file.exists()}

    def findings(self) -> list[str]:
        """Return a line for every traceback, at most one a bank."""
        found = []
        for file, offset in self._offsets.items():
            with file.open("rb") as log:
                log.seek(min(offset, file.stat().st_size))
                for line in log:
                    text = line.decode("utf-8", "replace")
                    if any(sign in text for sign in TRACEBACKS):
                        found.append(f"{file.parent.name} logged a defect: {_short(text)}")
                        break
        return found


def _short(line: str) -> str:
    try:
        record = json.loads(line)
    except ValueError:
        return line.strip()[:200]
    return str({key: record[key] for key in record if key in ("message", "method", "time")})
