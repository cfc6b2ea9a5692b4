"""Making a consortium: what it leaves on disk, for whose eyes, and what an interruption leaves."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from crypto.ballot import BallotKey
from node.ledger.definitions import Sector
from node.ledger.genesis import GenesisInvalid, verify_genesis_keys
from node.ledger.parameters import Parameters
from node.rpc.certificates import CertificateAuthority, load_certificate, utc_now
from node.rpc.credentials import TlsFiles
from node.runtime.bank_signers import load_signers
from node.runtime.config import ConfigurationError, load_genesis, load_node_config
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.draw_seeds import DrawSeeds
from node.runtime.initialise import (
    TRAVERSABLE_MODE,
    InitialisationRefused,
    create_consortium,
    require_bank_count,
    require_fiscal_year,
)
from node.runtime.secrets_directory import read_secret
from node.wire.identity import Identity, Role

PUBLIC_NAMES = {"genesis.json", "node.toml", "ca.crt", "tls.crt"}


@pytest.fixture
def directory(tmp_path: Path) -> ConsortiumDirectory:
    return ConsortiumDirectory(tmp_path / "consortium")


def files(root: Path) -> Iterator[Path]:
    return (path for path in root.rglob("*") if path.is_file())


def secrets_of(directory: ConsortiumDirectory, banks: int) -> list[str]:
    """Every secret of the consortium as it stands in its file."""
    keys = [
        directory.bank(bank).keys / f"{kind}.key"
        for bank in range(banks)
        for kind in ("consensus", "ballot", "issuer")
    ]
    regulator = [directory.regulator / name for name in ("opener.key", "draw.root")]
    return [path.read_text().strip() for path in (*keys, *regulator)]


def test_twelve_banks_eight_of_the_public_sector_two_assets(
    directory: ConsortiumDirectory,
) -> None:
    genesis = create_consortium(directory, time_ms=1_700_000_000_000)
    assert directory.genesis() == genesis
    assert [bank.sector for bank in genesis.banks] == [Sector.PUBLIC] * 8 + [Sector.PRIVATE] * 4
    assert [(asset.code, asset.decimals, asset.is_base) for asset in genesis.assets] == [
        ("INR", 2, True),
        ("USD", 2, False),
    ]
    assert genesis.time_ms == 1_700_000_000_000
    assert genesis.parameters == Parameters()
    verify_genesis_keys(genesis)


def test_every_bank_can_start_from_its_files(directory: ConsortiumDirectory) -> None:
    genesis = create_consortium(directory, bank_count=4)
    configs = [load_node_config(directory.bank(bank).config_file) for bank in range(4)]
    for bank, config in enumerate(configs):
        assert load_genesis(config) == genesis
        signers = load_signers(config, genesis)
        assert signers.statements.public_key == genesis.banks[bank].consensus_key
        assert config.short_name == directory.bank(bank).short_name
        assert {peer.bank: peer.address for peer in config.peers} == {
            other.bank: other.listen for other in configs if other.bank != bank
        }
    opener = BallotKey.from_bytes(read_secret(directory.regulator / "opener.key"))
    assert opener.public == genesis.opener_key
    DrawSeeds.load(directory.regulator).require_committed(genesis)


def test_a_year_may_last_seconds(directory: ConsortiumDirectory) -> None:
    """Section 18: the length of a fiscal year is a genesis parameter."""
    genesis = create_consortium(
        directory, bank_count=4, parameters=Parameters(fiscal_year_seconds=20)
    )
    assert genesis.parameters.fiscal_year_seconds == 20
    assert directory.genesis() == genesis


def test_certificates_name_their_holders(directory: ConsortiumDirectory) -> None:
    create_consortium(directory, bank_count=4)
    now, slug = utc_now(), "interbank-ledger"
    holders = {
        directory.operator: Identity(slug, Role.OPERATOR, "operator"),
        directory.regulator: Identity(slug, Role.REGULATOR, "regulator"),
        directory.client(3): Identity(slug, Role.CLIENT, "dunmere"),
        directory.bank(3).keys: Identity.of_bank(slug, 3),
    }
    authority = CertificateAuthority.load(directory.certificates, slug)
    for place, identity in holders.items():
        material = TlsFiles(place).load(now)
        assert material.identity == identity
        assert load_certificate(place / "ca.crt") == authority.certificate


def test_only_the_owner_can_read_what_is_private(directory: ConsortiumDirectory) -> None:
    create_consortium(directory, bank_count=4)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in files(directory.root)}
    assert {path for path, mode in modes.items() if mode & 0o077} == {
        path for path in modes if path.name in PUBLIC_NAMES
    }
    below = [path for path in directory.root.rglob("*") if path.is_dir()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in below} == {0o700}
    assert stat.S_IMODE(directory.root.stat().st_mode) == (
        TRAVERSABLE_MODE if os.geteuid() == 0 else 0o700
    )


def test_no_secret_stands_in_a_public_file(directory: ConsortiumDirectory) -> None:
    create_consortium(directory, bank_count=4)
    secrets = secrets_of(directory, 4)
    assert len(set(secrets)) == 14
    for path in files(directory.root):
        if path.name in PUBLIC_NAMES:
            text = path.read_text()
            assert "PRIVATE KEY" not in text
            assert [secret for secret in secrets if secret in text] == []


def test_no_two_consortia_share_anything(directory: ConsortiumDirectory, tmp_path: Path) -> None:
    other = ConsortiumDirectory(tmp_path / "other")
    one, two = (
        create_consortium(place, bank_count=4, time_ms=1_000) for place in (directory, other)
    )
    assert one.chain_id != two.chain_id
    assert not set(secrets_of(directory, 4)) & set(secrets_of(other, 4))
    assert (directory.certificates / "ca.crt").read_bytes() != (
        other.certificates / "ca.crt"
    ).read_bytes()


def test_the_directory_can_be_moved(directory: ConsortiumDirectory, tmp_path: Path) -> None:
    genesis = create_consortium(directory, bank_count=4)
    moved = ConsortiumDirectory(tmp_path / "elsewhere" / "ledger")
    moved.root.parent.mkdir()
    directory.root.rename(moved.root)
    config = load_node_config(moved.bank(2).config_file)
    assert load_genesis(config) == genesis
    assert config.key_directory == moved.bank(2).keys


def test_what_is_there_already_is_kept(directory: ConsortiumDirectory) -> None:
    directory.root.mkdir()
    (directory.root / "precious").write_text("data")
    with pytest.raises(InitialisationRefused) as refused:
        create_consortium(directory, bank_count=4)
    assert str(refused.value) == (
        f"{directory.root} exists and holds no consortium; give another directory with --data, "
        "or remove it"
    )
    assert [path.name for path in directory.root.iterdir()] == ["precious"]


def test_an_empty_directory_is_used(directory: ConsortiumDirectory) -> None:
    directory.root.mkdir()
    genesis = create_consortium(directory, bank_count=4)
    assert directory.genesis() == genesis


def test_remains_of_an_interrupted_attempt_are_cleared(directory: ConsortiumDirectory) -> None:
    staged = directory.root.with_name(".consortium.initialising")
    (staged / "banks" / "00-amberfield").mkdir(parents=True)
    (staged / "genesis.json").write_text("{")
    assert not directory.exists()
    genesis = create_consortium(directory, bank_count=4)
    assert directory.genesis() == genesis
    assert not staged.exists()


def test_a_failure_leaves_nothing(directory: ConsortiumDirectory) -> None:
    with pytest.raises(GenesisInvalid):
        create_consortium(directory, bank_count=4, name="x" * 65)
    assert list(directory.root.parent.iterdir()) == []


def test_two_attempts_at_once_do_not_meet(directory: ConsortiumDirectory) -> None:
    staged = directory.root.with_name(".consortium.initialising")
    staged.mkdir()
    (staged / "genesis.json").write_text("{}")
    descriptor = os.open(staged, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(InitialisationRefused, match="another process is making a consortium"):
            create_consortium(directory, bank_count=4)
        assert (staged / "genesis.json").exists()
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("count", [3, 17])
def test_the_number_of_banks_has_bounds(directory: ConsortiumDirectory, count: int) -> None:
    with pytest.raises(InitialisationRefused) as refused:
        create_consortium(directory, bank_count=count)
    assert str(refused.value) == f"a consortium has 4 to 16 banks, not {count}"


def test_a_consortium_keeps_its_number_of_banks(directory: ConsortiumDirectory) -> None:
    create_consortium(directory, bank_count=4)
    require_bank_count(directory, 4)
    with pytest.raises(ConfigurationError) as refused:
        require_bank_count(directory, 5)
    assert str(refused.value) == (
        f"{directory.root} holds a consortium of 4 banks, not 5; "
        "leave --banks out, or give another directory with --data"
    )


@pytest.mark.parametrize(
    ("present", "shown"), [(None, "from April 1 to March 31"), (30, "30 s")]
)
def test_a_consortium_keeps_the_length_of_its_years(
    directory: ConsortiumDirectory, present: int | None, shown: str
) -> None:
    create_consortium(directory, bank_count=4, parameters=Parameters(fiscal_year_seconds=present))
    if present is not None:
        require_fiscal_year(directory, present)
    with pytest.raises(ConfigurationError) as refused:
        require_fiscal_year(directory, 20)
    assert str(refused.value) == (
        f"{directory.root} holds a consortium whose fiscal year lasts {shown}, not 20 s; "
        "leave --fiscal-year-seconds out, or give another directory with --data"
    )


def test_genesis_in_the_file_is_the_genesis_of_the_chain_id(
    directory: ConsortiumDirectory,
) -> None:
    genesis = create_consortium(directory, bank_count=4)
    document = json.loads(directory.genesis_file.read_text())
    assert document["chain_id"] == genesis.chain_id.hex()
    document["banks"][0]["initial_stake"] += 1
    directory.genesis_file.write_text(json.dumps(document))
    with pytest.raises(GenesisInvalid, match="chain_id: is not the hash of this genesis"):
        directory.genesis()
