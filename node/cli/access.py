"""How the commands reach the banks of a directory: addresses, credentials, clients."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from node.cli.failure import EXIT_UNREACHABLE, CommandFailed
from node.client import ClientCredentials, Endpoint, LedgerClient
from node.client.errors import LedgerError
from node.client.operator_client import OperatorClient
from node.ledger.genesis import Genesis
from node.ledger.types import BankIndex
from node.runtime.config import load_node_config
from node.runtime.consortium_directory import ConsortiumDirectory, short_name

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Consortium:
    """A consortium as its directory describes it, running or not."""

    directory: ConsortiumDirectory
    genesis: Genesis
    endpoints: tuple[Endpoint, ...]
    """In bank order."""
    metrics_addresses: tuple[str | None, ...] = ()
    """Where the banks serve their metrics, `host:port`, in bank order; None: nowhere."""

    @staticmethod
    def load(directory: ConsortiumDirectory) -> Consortium:
        """Raises `ConfigurationError` if there is none."""
        genesis = directory.genesis()
        configs = [
            load_node_config(directory.bank(bank.index).config_file) for bank in genesis.banks
        ]
        return Consortium(
            directory,
            genesis,
            tuple(Endpoint(config.bank, config.listen) for config in configs),
            tuple(config.metrics_listen for config in configs),
        )

    def endpoints_from(self, home: BankIndex) -> tuple[Endpoint, ...]:
        """Return all endpoints, this bank's first."""
        return self.endpoints[home:] + self.endpoints[:home]

    def ledger(self, home: BankIndex) -> LedgerClient:
        """Return a client that asks this bank first, with the bank's client credential."""
        return LedgerClient(self.endpoints_from(home), self.client_credentials(home))

    def client_credentials(self, bank: BankIndex) -> ClientCredentials:
        """Return what the clients of this bank show.

        On a machine of another bank it is that bank's: every bank serves the clients of all.
        """
        place = self.directory.client(bank)
        if not place.exists():
            place = next(iter(sorted(self.directory.clients.glob("*"))), place)
        return ClientCredentials.load(place)

    def operator(self, bank: BankIndex, *, deadline_ms: int = 5_000) -> OperatorClient:
        """Return a client of one bank's Operator service."""
        credentials = ClientCredentials.load(self.directory.operator)
        return OperatorClient(self.endpoints[bank], credentials, deadline_ms=deadline_ms)

    async def ask_every_bank(
        self,
        question: Callable[[OperatorClient], Awaitable[T]],
        banks: Sequence[BankIndex] | None = None,
        *,
        deadline_ms: int = 5_000,
    ) -> dict[BankIndex, T | LedgerError]:
        """Ask banks (all by default) at the same time; a failed call is its own answer."""

        async def ask(bank: BankIndex) -> T | LedgerError:
            async with self.operator(bank, deadline_ms=deadline_ms) as client:
                try:
                    return await question(client)
                except LedgerError as error:
                    return error

        asked = [bank.index for bank in self.genesis.banks] if banks is None else list(banks)
        answers = await asyncio.gather(*map(ask, asked))
        return dict(zip(asked, answers, strict=True))


def nobody_answers(consortium: Consortium) -> CommandFailed:
    """Return the failure of a command to which no bank answered."""
    return CommandFailed(
        f"no bank of {consortium.directory.root} answers",
        f"start the consortium with `consortium up --data {consortium.directory.root}`",
        EXIT_UNREACHABLE,
    )


def bank_names(banks: Sequence[int]) -> str:
    """Return short names for a sentence."""
    return ", ".join(map(short_name, banks)) if banks else "none"
