"""Making a consortium: keys, certificates, genesis and configuration of every bank, all or nothing.

Everything is built in a sibling directory and renamed into place, so that an interrupted attempt
leaves nothing that looks like a consortium; the next attempt clears its remains. Secrets are
files of mode 0600 in directories of mode 0700; the genesis holds public keys alone. The chain id
does not cover the proofs of possession of the ballot keys, which are bound to it (IDX1 9.1).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from crypto.ballot import BallotKey, prove_possession
from node.ledger.active_set import MINIMUM_BANKS
from node.ledger.definitions import (
    MAX_BANKS,
    POSSESSION_BYTES,
    AssetDefinition,
    BankDefinition,
    Sector,
)
from node.ledger.genesis import Genesis
from node.ledger.parameters import Parameters
from node.ledger.types import ASSET_BYTES, Amount, AssetId, BankIndex, TimeMs
from node.rpc.certificates import CertificateAuthority, utc_now
from node.rpc.credentials import TlsFiles
from node.runtime.config import (
    ConfigurationError,
    DatabaseSettings,
    NodeConfig,
    PeerAddress,
    render_node_config,
)
from node.runtime.consortium_directory import (
    BANK_NAMES,
    PUBLIC_SHARE,
    BankDirectory,
    ConsortiumDirectory,
    short_name,
)
from node.runtime.draw_seeds import DrawSeeds
from node.runtime.ports import LOOPBACK, choose_ports
from node.runtime.secrets_directory import SECRET_BYTES, write_private
from node.wire.identity import Identity, Role, consortium_slug

DEFAULT_NAME = "Interbank Ledger"
DEFAULT_BANKS = 12

PUBLIC_STAKE = Amount(100_000_000_000)
"""Minor units: one billion rupees."""
PRIVATE_STAKE = Amount(50_000_000_000)

INR_ISSUANCE_LIMIT = Amount(100_000_000_000_000)
"""Minor units: a trillion rupees a bank."""
USD_ISSUANCE_LIMIT = Amount(1_000_000_000_000)

LOCAL_POOL_SIZE = 4
LOCAL_MAX_OVERFLOW = 2
"""Of a bank that shares one server with eleven others."""

DIRECTORY_MODE = 0o700
TRAVERSABLE_MODE = 0o711
"""Of the consortium's own directory when root owns it: PostgreSQL's unprivileged user must reach
its own subdirectory; all others have DIRECTORY_MODE."""


class InitialisationRefused(Exception):
    """A consortium cannot be made here; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class _BankKeys:
    consensus: bytes = field(repr=False)
    ballot: BallotKey = field(repr=False)
    issuer: bytes = field(repr=False)

    @staticmethod
    def generate() -> _BankKeys:
        return _BankKeys(
            consensus=secrets.token_bytes(SECRET_BYTES),
            ballot=BallotKey.generate(),
            issuer=secrets.token_bytes(SECRET_BYTES),
        )


def create_consortium(
    directory: ConsortiumDirectory,
    *,
    bank_count: int = DEFAULT_BANKS,
    name: str = DEFAULT_NAME,
    parameters: Parameters | None = None,
    time_ms: int | None = None,
    opener_key: bytes | None = None,
) -> Genesis:
    """Make a consortium of `bank_count` banks in `directory` and return its genesis.

    `time_ms` is the header time of block 0, by default now. `opener_key` is the key that officers
    made together; by default a whole one is made, for the regulator to keep. Raises
    `InitialisationRefused` if the directory holds something already or another process is making
    one, and `GenesisInvalid`.
    """
    if not MINIMUM_BANKS <= bank_count <= MAX_BANKS:
        raise InitialisationRefused(
            f"a consortium has {MINIMUM_BANKS} to {MAX_BANKS} banks, not {bank_count}"
        )
    with _staging(directory) as staged:
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
        keys = [_BankKeys.generate() for _ in range(bank_count)]
        opener = None
        if opener_key is None:
            opener = BallotKey.generate()
            opener_key = opener.public
        seeds = DrawSeeds.generate()
        genesis = _make_genesis(
            name,
            TimeMs(int(time.time() * 1000) if time_ms is None else time_ms),
            Parameters() if parameters is None else parameters,
            keys,
            opener_key,
            seeds.commitment,
        )
        ports = choose_ports(bank_count)
        for bank, bank_keys in enumerate(keys):
            _write_bank(staged, bank, bank_keys, ports)
        _write_certificates(staged, genesis)
        if opener is not None:
            write_private(staged.regulator / "opener.key", _hexadecimal(opener.to_bytes()))
        seeds.save(staged.regulator)
        document = json.dumps(genesis.to_json_object(), indent=2) + "\n"
        staged.genesis_file.write_text(document, encoding="utf-8")
    return genesis


def _make_genesis(
    name: str,
    time_ms: TimeMs,
    parameters: Parameters,
    keys: Sequence[_BankKeys],
    opener_key: bytes,
    draw_commitment: bytes,
) -> Genesis:
    count = len(keys)
    public_banks = count * PUBLIC_SHARE[0] // PUBLIC_SHARE[1]
    genesis = Genesis(
        name=name,
        time_ms=time_ms,
        parameters=parameters,
        banks=tuple(
            BankDefinition(
                index=BankIndex(index),
                name=BANK_NAMES[index],
                sector=Sector.PUBLIC if index < public_banks else Sector.PRIVATE,
                consensus_key=_ed25519_public(bank.consensus),
                ballot_key=bank.ballot.public,
                ballot_possession=bytes(POSSESSION_BYTES),
                issuer_key=_ed25519_public(bank.issuer),
                initial_stake=PUBLIC_STAKE if index < public_banks else PRIVATE_STAKE,
            )
            for index, bank in enumerate(keys)
        ),
        assets=(
            _asset("INR", INR_ISSUANCE_LIMIT, count, is_base=True),
            _asset("USD", USD_ISSUANCE_LIMIT, count, is_base=False),
        ),
        opener_key=opener_key,
        draw_commitment=draw_commitment,
    )
    return genesis.with_possessions(
        [prove_possession(bank.ballot, genesis.chain_id, index) for index, bank in enumerate(keys)]
    )


def _asset(code: str, limit: Amount, bank_count: int, *, is_base: bool) -> AssetDefinition:
    digest = hashlib.sha256(b"consortium/asset/" + code.encode("ascii")).digest()
    return AssetDefinition(
        asset_id=AssetId(digest[:ASSET_BYTES]),
        code=code,
        decimals=2,
        is_base=is_base,
        issuance_limits={BankIndex(bank): limit for bank in range(bank_count)},
    )


def _ed25519_public(seed: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def _hexadecimal(secret: bytes) -> bytes:
    return secret.hex().encode("ascii") + b"\n"


def _make_directory(path: Path) -> None:
    path.mkdir(mode=DIRECTORY_MODE, exist_ok=True)


def _write_bank(
    directory: ConsortiumDirectory, bank: int, keys: _BankKeys, ports: Sequence[int]
) -> None:
    place = directory.bank(bank)
    _make_directory(place.root)
    _make_directory(place.keys)
    write_private(place.keys / "consensus.key", _hexadecimal(keys.consensus))
    write_private(place.keys / "ballot.key", _hexadecimal(keys.ballot.to_bytes()))
    write_private(place.keys / "issuer.key", _hexadecimal(keys.issuer))
    addresses = [f"{LOOPBACK}:{port}" for port in ports]
    config = _local_config(directory, place, addresses)
    place.config_file.write_text(render_node_config(config, place.root), encoding="utf-8")


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


def _write_certificates(directory: ConsortiumDirectory, genesis: Genesis) -> None:
    now = utc_now()
    slug = consortium_slug(genesis.name)
    authority = CertificateAuthority.create(slug, now)
    authority.save(directory.certificates)
    holders: list[tuple[Identity, Path]] = [
        (Identity(slug, Role.OPERATOR, "operator"), directory.operator),
        (Identity(slug, Role.REGULATOR, "regulator"), directory.regulator),
    ]
    for bank in range(len(genesis.banks)):
        holders.append((Identity.of_bank(slug, bank), directory.bank(bank).keys))
        # One credential for the customers of each bank: a bank limits what one client may do.
        holders.append((Identity(slug, Role.CLIENT, short_name(bank)), directory.client(bank)))
    for identity, place in holders:
        _make_directory(place)
        TlsFiles(place).write(authority.issue(identity, now))


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
