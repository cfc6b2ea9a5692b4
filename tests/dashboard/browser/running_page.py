"""A consortium with its page, as `consortium up` starts them, and money that moves in it.

Six banks are the fewest whose ledger goes on without one of them (five of six must agree).
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from playwright.async_api import Browser

from node.cli.access import Consortium
from node.client.issuing import issue
from node.client.ledger_client import LedgerClient
from node.client.payment_order import recipient
from node.client.wallet import Wallet
from node.client.wallet_file import Passphrase
from node.ledger.types import BankIndex, TransactionId
from node.runtime.consortium_directory import ConsortiumDirectory, short_name
from node.runtime.secrets_directory import read_secret
from tests.dashboard.browser.chromium_window import DESKTOP, Look, make_context
from tests.scenarios.consortium_process import ConsortiumProcess

BANKS = 6
PASSPHRASE = Passphrase("a passphrase of the tests")
FUNDS = 1_000_000
SEALED_WITHIN_MS = 60_000
NO_PAGE = "--no-dashboard"
ADDRESS = re.compile(r"https?://[\w.\[\]:-]+/login#token=\S+")


@dataclass
class RunningPage:
    """The consortium's process, the page's address and two customers."""

    process: ConsortiumProcess
    address: str
    """As `up` printed it, with the login token; empty if it was to serve no page."""
    ledger: LedgerClient
    payer: Wallet
    payee: Wallet

    @property
    def origin(self) -> str:
        parts = urlsplit(self.address)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def token(self) -> str:
        return self.address.partition("#token=")[2]

    @property
    def server(self) -> psutil.Process:
        """The process that serves the page."""
        supervisor = self.process.process
        assert supervisor is not None, "the consortium is running"
        children = psutil.Process(supervisor.pid).children(recursive=True)
        return next(child for child in children if "dashboard" in child.cmdline())

    @property
    def consortium(self) -> Consortium:
        return Consortium.load(self.process.directory)

    async def json(self, *arguments: str) -> Any:
        """Ask a command of the command line for its `--json`."""
        return await asyncio.to_thread(self.process.json, *arguments)

    async def kill(self, bank: int) -> None:
        """`kill -9` a bank's process."""
        await asyncio.to_thread(self.process.kill, bank)

    async def start(self, bank: int) -> None:
        await asyncio.to_thread(self.process.run, "node", "start", short_name(bank))

    async def mint(self, *, amount: int = FUNDS) -> tuple[TransactionId, int]:
        """Have one ISSUE sealed; return its id and height."""
        secret = read_secret(self.process.directory.bank(0).keys / "issuer.key")
        minted = await issue(self.ledger, secret, [recipient(self.payer.address, amount)])
        height = None
        async for status in self.ledger.wait_for(
            minted.transaction_id, timeout_ms=SEALED_WITHIN_MS
        ):
            height = None if status.position is None else status.position.height
        assert height is not None, "a sealed transaction has a height"
        return minted.transaction_id, height

    async def pay(self, amount: int) -> tuple[TransactionId, int]:
        """Have one TRANSFER sealed; return its id and height."""
        await self.payer.wait_for_funds(amount)
        payment = await self.payer.pay(self.payee.address, amount)
        place = await self.payer.wait_sealed(payment)
        return place.transaction_id, place.header.height

    async def operator_state(self, browser: Browser, look: Look = DESKTOP) -> dict[str, Any]:
        """Open the printed address once; return cookies and storage of the operator."""
        context = await make_context(browser, look)
        try:
            page = await context.new_page()
            await page.goto(self.address)
            await page.get_by_text("Log out").wait_for()
            state: dict[str, Any] = dict(await context.storage_state())
            return state
        finally:
            await context.close()


@asynccontextmanager
async def running_page(*options: str, bank_count: int = BANKS) -> AsyncIterator[RunningPage]:
    """Run a consortium with its page; two customers have wallets. Leaves nothing behind."""
    with tempfile.TemporaryDirectory(prefix="consortium-test-") as name:
        os.chmod(name, 0o711)  # PostgreSQL's unprivileged user goes through it
        root = Path(name)
        process = ConsortiumProcess(ConsortiumDirectory(root / "data"), bank_count, options)
        try:
            await asyncio.to_thread(process.start)
            address = "" if NO_PAGE in options else await _printed_address(process)
            async with AsyncExitStack() as stack:
                # Not the bank that the page follows first, nor one that a test kills.
                ledger = Consortium.load(process.directory).ledger(BankIndex(3))
                await stack.enter_async_context(ledger)
                wallets = [
                    await Wallet.create(root, customer, PASSPHRASE, ledger)
                    for customer in ("payer", "payee")
                ]
                for wallet in wallets:
                    stack.callback(wallet.close)
                yield RunningPage(process, address, ledger, *wallets)
        finally:
            await asyncio.to_thread(process.abandon)


async def _printed_address(process: ConsortiumProcess) -> str:
    async with asyncio.timeout(60):
        while True:
            found = ADDRESS.search(process.log.read_text())
            if found is not None:
                return found.group()
            await asyncio.sleep(0.1)
