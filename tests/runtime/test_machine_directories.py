"""What each machine gets: enough to run its bank, and no secret of another."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from node.ledger.genesis import Genesis
from node.rpc.certificates import load_certificate, utc_now
from node.rpc.credentials import TlsFiles
from node.runtime.bank_databases import database_server, has_own_servers
from node.runtime.bank_signers import load_signers
from node.runtime.config import ConfigurationError, load_genesis, load_node_config
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.initialise import InitialisationRefused, Machines, create_consortium
from node.runtime.machine_directories import hand_out
from node.runtime.own_databases import OwnServers
from node.runtime.regulator.process import RegulatorConfig
from node.wire.identity import Identity, Role

ADDRESSES = ("10.0.0.1:7440", "bank1.example:7440", "[2001:db8::2]:7440", "10.0.3.1:9000")
SLUG = "interbank-ledger"
PUBLIC_NAMES = {"genesis.json", "node.toml", "ca.crt", "tls.crt", "databases.json"}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> ConsortiumDirectory:
    return ConsortiumDirectory(tmp_path_factory.mktemp("machines") / "founding")


@pytest.fixture(scope="module")
def genesis(directory: ConsortiumDirectory) -> Genesis:
    return create_consortium(directory, bank_count=4, machines=Machines(ADDRESSES))


@pytest.fixture(scope="module")
def machines(directory: ConsortiumDirectory, genesis: Genesis) -> list[ConsortiumDirectory]:
    """Of the banks, and the regulator's."""
    target = directory.root.with_name("machines")
    return [ConsortiumDirectory(root) for root in hand_out(directory, target)]


def files(root: Path) -> Iterator[Path]:
    return (path for path in root.rglob("*") if path.is_file())


def test_each_bank_starts_from_its_directory_alone(
    machines: list[ConsortiumDirectory], genesis: Genesis
) -> None:
    for bank, machine in enumerate(machines[:-1]):
        place = machine.bank(bank)
        assert machine.root.name == place.root.name
        config = load_node_config(place.config_file)
        assert load_genesis(config) == genesis
        signers = load_signers(config, genesis)
        assert signers.statements.public_key == genesis.banks[bank].consensus_key
        assert config.listen == ADDRESSES[bank]
        assert {peer.bank: peer.address for peer in config.peers} == {
            other: address for other, address in enumerate(ADDRESSES) if other != bank
        }
        assert config.operators == (place.short_name,)
        server = config.database.server_directory
        assert server is not None
        assert server.resolve() == machine.own_postgres(bank).resolve()
        assert isinstance(database_server(machine), OwnServers)


def test_certificates_name_the_bank_its_host_and_its_operator(
    machines: list[ConsortiumDirectory],
) -> None:
    for bank, machine in enumerate(machines[:-1]):
        place = machine.bank(bank)
        holders = {
            place.keys: Identity.of_bank(SLUG, bank),
            machine.operator: Identity(SLUG, Role.OPERATOR, place.short_name),
            machine.client(bank): Identity(SLUG, Role.CLIENT, place.short_name),
        }
        for files_of, identity in holders.items():
            assert TlsFiles(files_of).load(utc_now()).identity == identity
        names = (
            load_certificate(place.keys / "tls.crt")
            .extensions.get_extension_for_class(x509.SubjectAlternativeName)
            .value
        )
        hosts = [
            *names.get_values_for_type(x509.DNSName),
            *map(str, names.get_values_for_type(x509.IPAddress)),
        ]
        assert ADDRESSES[bank].rpartition(":")[0].strip("[]") in hosts


def test_no_machine_gets_a_secret_of_another(
    machines: list[ConsortiumDirectory], directory: ConsortiumDirectory
) -> None:
    secrets = [
        {path.read_bytes() for path in files(machine.root) if path.name not in PUBLIC_NAMES}
        for machine in machines
    ]
    assert [len(found) for found in secrets] == [6, 6, 6, 6, 3]
    assert len(set().union(*secrets)) == sum(map(len, secrets))
    kept = {
        (directory.certificates / "ca.key").read_bytes(),
        (directory.operator / "tls.key").read_bytes(),
    }
    assert not kept & set().union(*secrets)


def test_secrets_are_readable_by_their_owner_only(machines: list[ConsortiumDirectory]) -> None:
    for machine in machines:
        for path in files(machine.root):
            private = path.name not in PUBLIC_NAMES
            assert not private or stat.S_IMODE(path.stat().st_mode) == 0o600
        below = [path for path in machine.root.rglob("*") if path.is_dir()]
        assert {stat.S_IMODE(path.stat().st_mode) for path in below} == {0o700}


def test_the_regulator_finds_every_bank(
    machines: list[ConsortiumDirectory], genesis: Genesis
) -> None:
    config = RegulatorConfig.of(machines[-1])
    assert config.genesis == genesis
    assert tuple(endpoint.address for endpoint in config.endpoints) == ADDRESSES
    assert (machines[-1].regulator / "opener.key").exists()


def test_one_operator_may_operate_every_bank(tmp_path: Path) -> None:
    directory = ConsortiumDirectory(tmp_path / "founding")
    create_consortium(directory, bank_count=4, machines=Machines(ADDRESSES, one_operator=True))
    assert [load_node_config(directory.bank(bank).config_file).operators for bank in range(4)] == [
        (directory.bank(bank).short_name, "operator") for bank in range(4)
    ]


def test_banks_of_one_machine_have_nothing_to_hand_out(tmp_path: Path) -> None:
    directory = ConsortiumDirectory(tmp_path / "founding")
    create_consortium(directory, bank_count=4)
    assert not has_own_servers(directory)
    with pytest.raises(ConfigurationError) as refused:
        hand_out(directory, tmp_path / "machines")
    assert str(refused.value) == (
        f"the banks of {directory.root} share one machine; `consortium init --host` makes a "
        "consortium whose banks do not"
    )


def test_what_lies_at_the_target_is_kept(
    directory: ConsortiumDirectory, genesis: Genesis, tmp_path: Path
) -> None:
    target = tmp_path / "machines"
    target.mkdir()
    (target / "precious").touch()
    with pytest.raises(ConfigurationError) as refused:
        hand_out(directory, target)
    assert str(refused.value) == f"{target} exists and is not empty; name another with --out"
    assert [path.name for path in target.iterdir()] == ["precious"]


def test_every_bank_needs_an_address(tmp_path: Path) -> None:
    directory = ConsortiumDirectory(tmp_path / "founding")
    with pytest.raises(InitialisationRefused) as refused:
        create_consortium(directory, bank_count=5, machines=Machines(ADDRESSES))
    assert str(refused.value) == "4 banks have addresses, but there are 5"
    assert not directory.root.exists()
