"""A data directory whose banks answer, for tests of the commands a client runs.

The directory is laid out as `consortium up` does; behind it the small bank of the client's tests
serves a really sealed ledger over real mutual TLS, in a thread with an event loop of its own,
because a command runs its own. The commands are called as from a shell, whole.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from click.testing import CliRunner, Result

from crypto.ballot import prove_possession
from node.cli.main import main
from node.ledger.genesis import Genesis
from node.ledger.types import BankIndex
from node.rpc.certificates import CertificateAuthority, utc_now
from node.rpc.credentials import TlsFiles
from node.rpc.gate import Admittance
from node.rpc.server import Backends, NodeServer, serve
from node.runtime.config import DatabaseSettings, NodeConfig, render_node_config
from node.runtime.consortium_directory import BANK_NAMES, ConsortiumDirectory, short_name
from node.runtime.secrets_directory import write_private
from node.wire.identity import Identity, Role, consortium_slug
from tests.client.small_bank import SealedLedger, SmallBank
from tests.ledger.chain import Chain, ballot_key, issuer_secret, make_genesis, seeded
from tests.rpc.doubles import OperatorDouble, PeerDouble

T = TypeVar("T")

BANKS = 4


class LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=60)

    def call(self, work: Callable[[], T]) -> T:
        async def run() -> T:
            return work()

        return self.run(run())

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@dataclass
class ServedConsortium:
    """A directory, its ledger, and the banks that serve it."""

    directory: ConsortiumDirectory
    ledger: SealedLedger
    banks: list[SmallBank]
    loop: LoopThread
    servers: list[NodeServer] = field(default_factory=list)
    operators: list[OperatorDouble] = field(default_factory=list)
    """What answers each bank's operators."""

    def run(self, *arguments: str, text: str | None = None) -> Result:
        """Run `consortium ARGUMENTS` on this directory."""
        environment = {"CONSORTIUM_DATA": str(self.directory.root), "NO_COLOR": "1"}
        return CliRunner().invoke(main, list(arguments), input=text, env=environment)

    def succeed(self, *arguments: str, text: str | None = None) -> str:
        """Run a command that must succeed; return its output."""
        result = self.run(*arguments, text=text)
        assert (result.exit_code, result.stderr) == (0, ""), result.output
        return result.stdout

    def ask(self, *arguments: str) -> Any:
        """Run a command that must succeed with `--json`; return what it answers."""
        return json.loads(self.succeed(*arguments, "--json"))

    def refuse(self, *arguments: str) -> tuple[int, str]:
        """Run a command that must fail without an answer; return exit code and message."""
        result = self.run(*arguments)
        assert result.stdout == ""
        return result.exit_code, result.stderr

    def in_loop(self, work: Callable[[], T]) -> T:
        """Do something with the banks where they run."""
        return self.loop.call(work)

    def hold_back(self, *, held: bool = True) -> None:
        """Let every bank admit without sealing, or seal at once again."""
        for bank in self.banks:
            bank.seals_at_once = not held

    def stop_bank(self, bank: int) -> None:
        self.loop.run(self.servers[bank].stop(0))

    def stop_banks(self) -> None:
        for bank in range(BANKS):
            self.stop_bank(bank)

    def wallet_files(self) -> dict[str, int]:
        """Names and modes of what is in the directory of wallets."""
        return {path.name: path.stat().st_mode & 0o777 for path in self.directory.wallets.iterdir()}


@dataclass(frozen=True)
class Authority:
    """TLS material of every party, made once for all tests."""

    root: Path

    @staticmethod
    def create(root: Path, consortium: str) -> Authority:
        authority, now = CertificateAuthority.create(consortium, utc_now()), utc_now()
        authority.save(root)
        operator = Identity(consortium, Role.OPERATOR, "operator")
        (root / "operator").mkdir()
        TlsFiles(root / "operator").write(authority.issue(operator, now))
        for bank in range(BANKS):
            for kind, identity in (
                ("bank", Identity.of_bank(consortium, bank)),
                ("client", Identity(consortium, Role.CLIENT, short_name(bank))),
            ):
                place = root / f"{kind}-{bank}"
                place.mkdir()
                TlsFiles(place).write(authority.issue(identity, now))
        return Authority(root)


def named(genesis: Genesis) -> Genesis:
    """A genesis whose banks are named as those of a local consortium."""
    banks = tuple(replace(bank, name=BANK_NAMES[bank.index]) for bank in genesis.banks)
    renamed = replace(genesis, banks=banks)
    coins = seeded("possessions of named banks")
    return renamed.with_possessions(
        [
            prove_possession(ballot_key(bank), renamed.chain_id, bank, coins.take)
            for bank in range(BANKS)
        ]
    )


@contextmanager
def served_consortium(
    root: Path, authority: Authority, chain: Chain | None = None
) -> Iterator[ServedConsortium]:
    """Serve a fresh ledger by four banks that seal whatever is submitted at once."""
    ledger = SealedLedger(chain or Chain(named(make_genesis(BANKS))))
    genesis = ledger.chain.genesis
    banks = [SmallBank(ledger, bank, seals_at_once=True) for bank in range(BANKS)]
    directory = ConsortiumDirectory(root)
    loop = LoopThread()
    consortium = ServedConsortium(directory, ledger, banks, loop)
    try:
        for bank in banks:
            operator = OperatorDouble()
            consortium.operators.append(operator)
            server = loop.run(_serve(bank, operator, authority, consortium_slug(genesis.name)))
            consortium.servers.append(server)
        directory.wallets.mkdir(parents=True, mode=0o700)
        directory.operator.symlink_to(authority.root / "operator")
        directory.genesis_file.write_text(json.dumps(genesis.to_json_object()))
        for bank, server in enumerate(consortium.servers):
            _write_bank(directory, bank, f"127.0.0.1:{server.port}")
            directory.clients.mkdir(exist_ok=True)
            directory.client(bank).symlink_to(authority.root / f"client-{bank}")
        yield consortium
    finally:
        for server in consortium.servers:
            loop.run(server.stop(0))
        loop.stop()


def _serve(
    bank: SmallBank, operator: OperatorDouble, authority: Authority, consortium: str
) -> Awaitable[NodeServer]:
    return serve(
        Backends(bank, PeerDouble(), operator),
        TlsFiles(authority.root / f"bank-{bank.index}"),
        "127.0.0.1:0",
        Admittance(consortium),
    )


def _write_bank(directory: ConsortiumDirectory, bank: int, address: str) -> None:
    place = directory.bank(bank)
    place.keys.mkdir(parents=True)
    write_private(place.keys / "issuer.key", issuer_secret(bank).hex().encode())
    config = NodeConfig(
        bank=BankIndex(bank),
        short_name=short_name(bank),
        listen=address,
        peers=(),
        genesis_file=directory.genesis_file,
        key_directory=place.keys,
        guard_file=place.guard_file,
        database=DatabaseSettings(place.database_url_file),
    )
    place.config_file.write_text(render_node_config(config, place.root))
