"""`consortium revoke`: the party is shut out, the banks are told, a new certificate gets in."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from node.cli.failure import EXIT_USAGE
from node.rpc.revocation import REVOCATION_FILE, read_list
from node.wire.identity import consortium_slug
from tests.cli.served_consortium import Authority, ServedConsortium, served_consortium
from tests.ledger.chain import make_genesis


@pytest.fixture
def consortium(tmp_path: Path) -> Iterator[ServedConsortium]:
    """Banks that serve from the directories the command writes to, under an authority of theirs."""
    root = tmp_path / "tls"
    root.mkdir()
    authority = Authority.create(root, consortium_slug(make_genesis().name))
    with served_consortium(tmp_path / "consortium", authority) as served:
        served.directory.certificates.symlink_to(root)
        for bank in range(4):
            keys = served.directory.bank(bank).keys
            shutil.rmtree(keys)
            keys.symlink_to(root / f"bank-{bank}")
        yield served


def serial_in(consortium: ServedConsortium, party: str) -> int:
    place = {
        "client/birchmoor": consortium.directory.client(1),
        "operator": consortium.directory.operator,
    }[party]
    return x509.load_pem_x509_certificate((place / "tls.crt").read_bytes()).serial_number


def listed_at(consortium: ServedConsortium, bank: int) -> set[int]:
    authority = x509.load_pem_x509_certificate(
        (consortium.directory.certificates / "ca.crt").read_bytes()
    )
    place = consortium.directory.bank(bank).keys
    return {entry.serial_number for entry in read_list(place / REVOCATION_FILE, authority)}


@pytest.mark.parametrize("party", ["client/birchmoor", "operator"])
def test_the_banks_are_told_and_a_new_certificate_is_in_place(
    consortium: ServedConsortium, party: str
) -> None:
    before = serial_in(consortium, party)
    done = consortium.ask("revoke", party, "--reissue")
    assert (done["serial"], done["reissued"], done["banks_told"]) == (f"{before:x}", True, 4)
    assert serial_in(consortium, party) != before
    assert all(before in listed_at(consortium, bank) for bank in range(4))
    assert all(serial_in(consortium, party) not in listed_at(consortium, bank) for bank in range(4))


def test_a_revoked_client_is_refused_by_running_banks_until_it_has_a_new_one(
    consortium: ServedConsortium,
) -> None:
    assert consortium.run("treasury", "--bank", "1").exit_code == 0
    consortium.succeed("revoke", "client/birchmoor")
    deadline = time.monotonic() + 30
    while (result := consortium.run("treasury", "--bank", "1")).exit_code == 0:
        assert time.monotonic() < deadline, "the banks never took up the list"
    assert "the certificate has been revoked" in result.stderr
    consortium.succeed("revoke", "client/birchmoor", "--reissue")
    assert consortium.run("treasury", "--bank", "1").exit_code == 0


def test_an_unknown_party_is_a_usage_error(consortium: ServedConsortium) -> None:
    for party in ("bank", "wallet/alice", "client/nobody", ""):
        assert consortium.run("revoke", party).exit_code == EXIT_USAGE
