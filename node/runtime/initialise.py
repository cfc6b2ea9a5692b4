"""Making a consortium: keys, certificates, genesis and configuration of every bank, all or nothing.

Everything is built in a sibling directory and renamed into place, so that an interrupted attempt
leaves nothing that looks like a consortium; the next attempt clears its remains. Secrets are
files of mode 0600 in directories of mode 0700; the genesis holds public keys alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from node.ledger.active_set import MINIMUM_BANKS
from node.ledger.definitions import MAX_BANKS
from node.ledger.genesis import Genesis
from node.ledger.parameters import Parameters
from node.ledger.types import BankIndex, TimeMs
from node.rpc.certificates import CertificateAuthority, utc_now
from node.rpc.credentials import TlsFiles
from node.runtime.bank_databases import remember_own_servers
from node.runtime.config import (
    ConfigurationError,
    DatabaseSettings,
    NodeConfig,
    PeerAddress,
    render_node_config,
)
from node.runtime.consortium_directory import (
    BankDirectory,
    ConsortiumDirectory,
    short_name,
)
from node.runtime.draw_seeds import DrawSeeds
from node.runtime.founding import DEFAULT_NAME, BankKeys, ConsortiumKeys, make_genesis
from node.runtime.hosts import host_of
from node.runtime.machine_directories import DIRECTORY_MODE, TRAVERSABLE_MODE
from node.runtime.ports import LOOPBACK, choose_ports
from node.runtime.secrets_directory import write_private
from node.wire.identity import Identity, Role, consortium_slug

DEFAULT_BANKS = 12

LOCAL_POOL_SIZE = 4
LOCAL_MAX_OVERFLOW = 2
"""Of a bank that shares one server with eleven others."""

OPERATOR = "operator"
"""Name of the certificate that operates every bank of a consortium on one machine."""


class InitialisationRefused(Exception):
    """A consortium cannot be made here; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Machines:
    """Where the banks of a consortium run that do not share one machine."""

    addresses: tuple[str, ...]
    """`host:port` of each bank, in bank order (`node.runtime.hosts`)."""
    one_operator: bool = False
    """Whether the consortium's own operator may operate every bank, beside each bank's."""

    def require_banks(self, count: int) -> None:
        """Raise `InitialisationRefused` unless there are so many."""
        if len(self.addresses) != count:
            raise InitialisationRefused(
                f"{len(self.addresses)} banks have addresses, but there are {count}"
            )


def create_consortium(
    directory: ConsortiumDirectory,
    *,
    bank_count: int = DEFAULT_BANKS,
    name: str = DEFAULT_NAME,
    parameters: Parameters | None = None,
    time_ms: int | None = None,
    opener_key: bytes | None = None,
    machines: Machines | None = None,
) -> Genesis:
    """Make a consortium of `bank_count` banks in `directory` and return its genesis.

    `time_ms` is the header time of block 0, by default now. `opener_key` is the key that officers
    made together; by default a whole one is made, for the regulator to keep. `machines` says where
    each bank runs; by default all share this one. Raises `InitialisationRefused` if the directory
    holds something already or another process is making one, and `GenesisInvalid`.
    """
    if machines is not None:
        machines.require_banks(bank_count)
    if not MINIMUM_BANKS <= bank_count <= MAX_BANKS:
        raise InitialisationRefused(
            f"a consortium has {MINIMUM_BANKS} to {MAX_BANKS} banks, not {bank_count}"
        )
    with _staging(directory) as staged:
        keys = ConsortiumKeys.generate(bank_count, with_opener=opener_key is None)
        seeds = DrawSeeds(keys.draw_root)
        genesis = make_genesis(
            keys,
            name=name,
            time_ms=TimeMs(int(time.time() * 1000) if time_ms is None else time_ms),
            parameters=Parameters() if parameters is None else parameters,
            opener_key=_opener_key(keys, opener_key),
            draw_commitment=seeds.commitment,
        )
        _write_parties(staged, genesis, keys, machines)
    return genesis


def restore_consortium(
    directory: ConsortiumDirectory,
    genesis: Genesis,
    keys: ConsortiumKeys,
    machines: Machines | None = None,
) -> None:
    """Make a consortium in `directory` whose genesis and keys exist already, as `keys` says.

    Certificates, addresses and passwords are made anew. `directory.pending_ledger_file` says from
    the beginning that the ledger itself is still to come (`ledger_installation`). Raises
    `InitialisationRefused` as `create_consortium` does.
    """
    if machines is not None:
        machines.require_banks(len(genesis.banks))
    with _staging(directory) as staged:
        _write_parties(staged, genesis, keys, machines)
        staged.pending_ledger_file.touch()


def _opener_key(keys: ConsortiumKeys, given: bytes | None) -> bytes:
    if given is not None:
        return given
    assert keys.opener is not None, "without officers the opener's key is made whole"
    return keys.opener.public


def _write_parties(
    staged: ConsortiumDirectory,
    genesis: Genesis,
    keys: ConsortiumKeys,
    machines: Machines | None,
) -> None:
    for place in (
        staged.banks,
        staged.certificates,
        staged.operator,
        staged.regulator,
        staged.clients,
        staged.wallets,
        staged.run,
    ):
        _make_directory(place)
    if machines is None:
        addresses = [f"{LOOPBACK}:{port}" for port in choose_ports(len(keys.banks))]
    else:
        addresses = list(machines.addresses)
        remember_own_servers(staged)
    for bank, bank_keys in enumerate(keys.banks):
        _write_bank(staged, bank, bank_keys)
        own = staged.bank(bank)
        config = _local_config(staged, own, addresses)
        if machines is not None:
            config = _on_own_machine(staged, config, machines)
        own.config_file.write_text(render_node_config(config, own.root), encoding="utf-8")
    _write_certificates(staged, genesis, addresses)
    if keys.opener is not None:
        write_private(staged.regulator / "opener.key", _hexadecimal(keys.opener.to_bytes()))
    DrawSeeds(keys.draw_root).save(staged.regulator)
    document = json.dumps(genesis.to_json_object(), indent=2) + "\n"
    staged.genesis_file.write_text(document, encoding="utf-8")


def _hexadecimal(secret: bytes) -> bytes:
    return secret.hex().encode("ascii") + b"\n"


def _make_directory(path: Path) -> None:
    path.mkdir(mode=DIRECTORY_MODE, exist_ok=True)


def _write_bank(directory: ConsortiumDirectory, bank: int, keys: BankKeys) -> None:
    place = directory.bank(bank)
    _make_directory(place.root)
    _make_directory(place.keys)
    write_private(place.keys / "consensus.key", _hexadecimal(keys.consensus))
    write_private(place.keys / "ballot.key", _hexadecimal(keys.ballot.to_bytes()))
    write_private(place.keys / "issuer.key", _hexadecimal(keys.issuer))


def _local_config(
    directory: ConsortiumDirectory, place: BankDirectory, addresses: Sequence[str]
) -> NodeConfig:
    return NodeConfig(
        bank=place.index,
        short_name=place.short_name,
        listen=addresses[place.bank],
        peers=tuple(
            PeerAddress(BankIndex(bank), address)
            for bank, address in enumerate(addresses)
            if bank != place.bank
        ),
        genesis_file=directory.genesis_file,
        key_directory=place.keys,
        guard_file=place.guard_file,
        database=DatabaseSettings(
            url_file=place.database_url_file,
            pool_size=LOCAL_POOL_SIZE,
            max_overflow=LOCAL_MAX_OVERFLOW,
        ),
    )


def _on_own_machine(
    directory: ConsortiumDirectory, config: NodeConfig, machines: Machines
) -> NodeConfig:
    """Give a bank a server of its own, with the default pool, and its own operators."""
    operators = (OPERATOR,) if machines.one_operator else ()
    return replace(
        config,
        database=DatabaseSettings(
            url_file=config.database.url_file,
            server_directory=directory.own_postgres(config.bank),
        ),
        operators=(config.short_name, *operators),
    )


def _write_certificates(
    directory: ConsortiumDirectory, genesis: Genesis, addresses: Sequence[str]
) -> None:
    now = utc_now()
    slug = consortium_slug(genesis.name)
    authority = CertificateAuthority.create(slug, now)
    authority.save(directory.certificates)
    holders: list[tuple[Identity, Path, str | None]] = [
        (Identity(slug, Role.OPERATOR, OPERATOR), directory.operator, None),
        (Identity(slug, Role.REGULATOR, "regulator"), directory.regulator, None),
    ]
    for bank in range(len(genesis.banks)):
        host = host_of(addresses[bank])
        holders.append((Identity.of_bank(slug, bank), directory.bank(bank).keys, host))
        # One credential for the customers of each bank: a bank limits what one client may do.
        client = Identity(slug, Role.CLIENT, short_name(bank))
        holders.append((client, directory.client(bank), None))
    for identity, place, served_at in holders:
        _make_directory(place)
        hosts = () if served_at is None else (served_at,)
        TlsFiles(place).write(authority.issue(identity, now, hosts=hosts))


@contextlib.contextmanager
def _staging(directory: ConsortiumDirectory) -> Iterator[ConsortiumDirectory]:
    """Yield a sibling to build in; rename it into place when the block ends without an error."""
    target = directory.root.absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InitialisationRefused(
            f"{target} exists and holds no consortium; give another directory with --data, "
            "or remove it"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = target.with_name(f".{target.name}.initialising")
    staged.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
    with _locked(staged):
        for left_over in staged.iterdir():
            shutil.rmtree(left_over) if left_over.is_dir() else left_over.unlink()
        try:
            yield ConsortiumDirectory(staged)
            staged.chmod(TRAVERSABLE_MODE if os.geteuid() == 0 else DIRECTORY_MODE)
            _flush(staged)
            staged.rename(target)
            _flush(target.parent)
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)
            raise


@contextlib.contextmanager
def _locked(staged: Path) -> Iterator[None]:
    descriptor = os.open(staged, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held = os.fstat(descriptor)
        if not staged.exists() or not os.path.samestat(held, staged.stat()):
            raise BlockingIOError
        yield
    except BlockingIOError:
        raise InitialisationRefused(
            f"another process is making a consortium at {staged.parent}; wait until it is done"
        ) from None
    finally:
        os.close(descriptor)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_bank_count(directory: ConsortiumDirectory, bank_count: int) -> None:
    """Raise `ConfigurationError` if the consortium there has another number of banks."""
    present = len(directory.genesis().banks)
    if present != bank_count:
        raise ConfigurationError(
            f"{directory.root} holds a consortium of {present} banks, not {bank_count}; "
            "leave --banks out, or give another directory with --data"
        )


def require_fiscal_year(directory: ConsortiumDirectory, seconds: int) -> None:
    """Raise `ConfigurationError` if the fiscal years of the consortium there last otherwise."""
    present = directory.genesis().parameters.fiscal_year_seconds
    if present != seconds:
        length = "from April 1 to March 31" if present is None else f"{present} s"
        raise ConfigurationError(
            f"{directory.root} holds a consortium whose fiscal year lasts {length}, not "
            f"{seconds} s; leave --fiscal-year-seconds out, or give another directory with --data"
        )
