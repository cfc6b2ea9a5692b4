"""`consortium revoke`: make a certificate worthless before it expires, and replace it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from node.cli.failure import EXIT_USAGE, CommandFailed
from node.cli.options import data_option, find_bank, json_option
from node.cli.terminal import answer, answer_json
from node.ledger.genesis import Genesis
from node.rpc.certificates import (
    CertificateAuthority,
    CertificateInvalid,
    identity_of,
    load_certificate,
    utc_now,
)
from node.rpc.credentials import CERTIFICATE_FILE, TlsFiles
from node.rpc.private_files import write_public
from node.rpc.revocation import REVOCATION_FILE, read_list, write_list
from node.runtime.consortium_directory import ConsortiumDirectory
from node.wire.identity import Identity, consortium_slug

SINGLE_PARTIES = ("operator", "regulator")


@dataclass(frozen=True, slots=True)
class Revocation:
    """What one run of the command did."""

    identity: Identity
    serial: int
    reissued: bool
    revoked_in_all: int
    banks: int
    """To which the list was handed."""


@click.command()
@click.argument("party")
@click.option("--reissue", is_flag=True, help="Give the party a new key and certificate first.")
@data_option
@json_option
def command(party: str, reissue: bool, directory: ConsortiumDirectory, as_json: bool) -> None:
    """Revoke the certificate that PARTY holds: bank/NAME, client/BANK, operator or regulator.

    The list of revoked certificates is signed by the consortium's authority and handed to every
    bank of the directory. Running banks take it up within a second: they refuse the next call
    under the certificate and end its streams. Without --reissue the party is shut out for good;
    with it, a running bank takes up its new certificate by itself.

    \b
    Examples:
      consortium revoke client/dunmere
      consortium revoke bank/dunmere --reissue
    """
    genesis = directory.genesis()
    try:
        done = revoke(directory, genesis, party, reissue=reissue)
    except CertificateInvalid as error:
        raise CommandFailed(
            str(error), "only the holder of certificates/ca.key can revoke"
        ) from error
    if as_json:
        answer_json(
            {
                "party": str(done.identity),
                "serial": f"{done.serial:x}",
                "reissued": done.reissued,
                "revoked_in_all": done.revoked_in_all,
                "banks_told": done.banks,
            }
        )
        return
    answer(f"revoked the certificate of {done.identity}, serial number {done.serial:x}")
    if done.reissued:
        answer("a new certificate is in its place")
    answer(f"{done.revoked_in_all} certificates are revoked; {done.banks} banks were told")


def revoke(
    directory: ConsortiumDirectory, genesis: Genesis, party: str, *, reissue: bool
) -> Revocation:
    """Revoke the certificate in a party's place, and replace it if asked to.

    Raises `CommandFailed` for an unknown party and `CertificateInvalid` if the authority's key
    is not here or a file is damaged.
    """
    place = _place(directory, genesis, party)
    now = utc_now()
    authority = CertificateAuthority.load(directory.certificates, consortium_slug(genesis.name))
    certificate = load_certificate(place / CERTIFICATE_FILE)
    identity = identity_of(certificate)
    if reissue:
        # First the new one: a bank must not be without a certificate that counts.
        TlsFiles(place).write(authority.issue(identity, now))
    listed = directory.certificates / REVOCATION_FILE
    write_list(authority, listed, [certificate.serial_number], now)
    for bank in genesis.banks:
        write_public(directory.bank(bank.index).keys / REVOCATION_FILE, listed.read_bytes())
    return Revocation(
        identity,
        certificate.serial_number,
        reissue,
        len(list(read_list(listed, authority.certificate))),
        len(genesis.banks),
    )


def _place(directory: ConsortiumDirectory, genesis: Genesis, party: str) -> Path:
    role, _, name = party.partition("/")
    if party in SINGLE_PARTIES:
        return directory.operator if party == "operator" else directory.regulator
    if role == "bank" and name:
        return directory.bank(find_bank(genesis, name)).keys
    if role == "client" and name:
        return directory.client(find_bank(genesis, name))
    raise CommandFailed(
        f"{party!r} is no party with a certificate",
        "name bank/NAME, client/BANK, operator or regulator",
        EXIT_USAGE,
    )
