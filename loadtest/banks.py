"""The banks of a consortium's directory: where they listen, and what their clients show."""

from __future__ import annotations

import logging
import time
import tomllib
from pathlib import Path

import gevent

from node.client.blocking_ledger import BlockingLedger
from node.client.connection import ClientCredentials, Endpoint
from node.client.errors import CredentialsInvalid, LedgerError

logger = logging.getLogger("loadtest")

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0


class DirectoryInvalid(Exception):
    """The directory holds no consortium; the message says what to do."""


class Bank:
    """One bank as its clients see it, and how long to leave it alone when it does not answer."""

    def __init__(self, endpoint: Endpoint, name: str, credentials: ClientCredentials) -> None:
        self.endpoint = endpoint
        self.name = name
        self._credentials = credentials
        self._ledger: BlockingLedger | None = None
        self._pause_s = 0.0
        self._silent_until_s = 0.0

    @property
    def ledger(self) -> BlockingLedger:
        """The one channel to this bank, opened when it is first needed: never before a fork."""
        if self._ledger is None:
            self._ledger = BlockingLedger(self.endpoint, self._credentials)
        return self._ledger

    @property
    def is_left_alone(self) -> bool:
        return time.monotonic() < self._silent_until_s

    def wait(self) -> None:
        """Sleep until the bank may be asked again."""
        gevent.sleep(max(0.0, self._silent_until_s - time.monotonic()))

    def failed(self, error: LedgerError) -> None:
        """Leave the bank alone for a while, longer each time: no greenlet may spin on it."""
        if self.is_left_alone:
            return
        if not self._pause_s:
            logger.warning("%s does not answer, and is asked again: %s", self.name, error)
        self._pause_s = min(max(FIRST_PAUSE_S, 2 * self._pause_s), LONGEST_PAUSE_S)
        self._silent_until_s = time.monotonic() + self._pause_s

    def answered(self) -> None:
        if self._pause_s:
            logger.info("%s answers again", self.name)
        self._pause_s = 0.0
        self._silent_until_s = 0.0

    def close(self) -> None:
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None


class Banks:
    """All banks of one directory."""

    def __init__(self, banks: list[Bank]) -> None:
        self._banks = banks
        self._turn = 0

    def __len__(self) -> int:
        return len(self._banks)

    @staticmethod
    def load(directory: Path) -> Banks:
        """Read the banks' addresses; raises `DirectoryInvalid`."""
        try:
            documents = [
                tomllib.loads(path.read_text(encoding="utf-8"))
                for path in sorted(directory.glob("banks/*/node.toml"))
            ]
            banks = [
                Bank(
                    Endpoint(document["bank"]["index"], document["network"]["listen"]),
                    document["bank"]["short_name"],
                    ClientCredentials.load(directory / "clients" / document["bank"]["short_name"]),
                )
                for document in documents
            ]
        except (OSError, ValueError, KeyError, CredentialsInvalid) as error:
            raise DirectoryInvalid(f"{directory} holds no whole consortium: {error}") from error
        if not banks:
            raise DirectoryInvalid(
                f"{directory} holds no consortium; start one with `consortium up`, and name its "
                "directory with --data or CONSORTIUM_DATA"
            )
        return Banks(banks)

    def next(self) -> Bank:
        """Return one bank after the other: users are spread over all."""
        bank = self._banks[self._turn % len(self._banks)]
        self._turn += 1
        return bank

    def after(self, bank: Bank) -> Bank:
        """Return the next bank that is not left alone, or the next one."""
        at = self._banks.index(bank) + 1
        others = self._banks[at:] + self._banks[:at]
        return next((other for other in others if not other.is_left_alone), others[0])

    def close(self) -> None:
        for bank in self._banks:
            bank.close()
