"""`consortium dashboard`: the operators' page over a consortium, started by itself or by `up`.

The process is to stay small, so nothing is imported here that only a terminal needs.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click

from node.cli.access import Consortium
from node.cli.failure import EXIT_USAGE, CommandFailed
from node.cli.options import data_option, json_option
from node.client.connection import CA_CERTIFICATE_FILE, ClientCredentials
from node.dashboard.page_certificate import make_page_certificate
from node.dashboard.place import Place
from node.dashboard.server import (
    EVERYWHERE,
    DashboardServer,
    ServerSettings,
    SettingsUnsafe,
    TlsSettings,
)
from node.rpc.certificates import CertificateInvalid
from node.rpc.credentials import TlsFiles
from node.rpc.private_files import PrivateFileUnusable, read_private
from node.rpc.revocation import Revocations
from node.runtime.config import is_loopback
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.dashboard_child import served_address
from node.runtime.fault_book import corrupted_rows
from node.runtime.login_token import new_login_token
from node.runtime.process_condition import process_conditions
from node.runtime.structured_log import configure_logging
from node.wire.identity import consortium_slug

DEFAULT_LISTEN = "127.0.0.1:8700"
MIN_TOKEN_CHARACTERS = 16
PARENT_CHECK_S = 0.5
_TOKEN = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


@click.command()
@click.option(
    "--listen",
    metavar="HOST:PORT",
    help=f"Where the page is served; port 0 for any free one.  [default: {DEFAULT_LISTEN}]",
)
@click.option(
    "--host",
    "host_names",
    multiple=True,
    metavar="NAME",
    help="Name or address under which browsers reach it; may be given several times.",
)
@click.option(
    "--tls-certificate",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="Certificate for HTTPS.  [default, beyond loopback: made by the consortium's CA]",
)
@click.option(
    "--tls-key",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="Its private key.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Take the login token from this file of mode 0600.  [default: a new one each time]",
)
@click.option("--no-faults", is_flag=True, help="Let the page break nothing.")
@click.option("--supervised", is_flag=True, hidden=True)
@click.option("--any-port", is_flag=True, hidden=True)
@data_option
@json_option
def command(
    listen: str | None,
    host_names: tuple[str, ...],
    tls_certificate: Path | None,
    tls_key: Path | None,
    token_file: Path | None,
    no_faults: bool,
    supervised: bool,
    any_port: bool,
    directory: ConsortiumDirectory,
    as_json: bool,
) -> None:
    """Serve the operators' page of a consortium until Ctrl-C.

    `consortium up` serves it by itself: then this prints its address.

    The address that is printed carries a login token: with it the page shows what banks tell their
    operators alone, and may break banks. Without it, this machine sees the public ledger. On other
    addresses than loopback the page is served over HTTPS, shows nothing without the token or an
    operator's certificate, and needs the name under which browsers reach it (--host).

    \b
    Examples:
      consortium dashboard
      consortium dashboard --listen 127.0.0.1:9000 --no-faults
      consortium dashboard --listen 0.0.0.0:8443 --host ledger.bank.example
    """
    consortium = Consortium.load(directory)
    served = served_address(directory) if listen is None else None
    if served is not None:
        _tell(served.url, served.login_url, as_json)
        return
    host, port = _read_listen(listen or DEFAULT_LISTEN)
    settings = ServerSettings(
        host=host,
        port=port,
        login_token=new_login_token() if token_file is None else _read_token(token_file),
        host_names=host_names,
        tls=_tls_settings(
            consortium, (host, *host_names), tls_certificate, tls_key, is_local=is_loopback(host)
        ),
    )
    if supervised:
        configure_logging("dashboard", "INFO")
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
    place = _place(consortium, with_faults=not no_faults)
    asyncio.run(
        _serve(
            lambda: _open(place, settings, any_port=any_port),
            supervised=supervised,
            as_json=as_json,
        )
    )


def _open(place: Place, settings: ServerSettings, *, any_port: bool) -> DashboardServer:
    try:
        return DashboardServer(place, settings)
    except SettingsUnsafe as error:
        raise CommandFailed(
            str(error), "give --tls-certificate and --tls-key, or listen on 127.0.0.1", EXIT_USAGE
        ) from error
    except OSError as error:
        if any_port and settings.port:
            return _open(place, replace(settings, port=0), any_port=False)
        raise CommandFailed(
            f"{settings.host}:{settings.port} cannot be listened on: {error.strerror}",
            "give another address with --listen; port 0 takes any free one",
        ) from error


def _place(consortium: Consortium, *, with_faults: bool) -> Place:
    from node.cli.page_faults import DirectoryFaults

    directory = consortium.directory
    return Place(
        genesis=consortium.genesis,
        credentials=ClientCredentials.load(directory.operator),
        endpoints=lambda: Consortium.load(directory).endpoints,
        processes=lambda: process_conditions(directory),
        corrupted=lambda: corrupted_rows(directory),
        metrics=consortium.metrics_addresses,
        faults=DirectoryFaults(directory) if with_faults else None,
    )


def _read_listen(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise click.UsageError(f"--listen {text!r} is no address such as 127.0.0.1:8700")
    return host, int(port)


def _read_token(path: Path) -> str:
    try:
        token = read_private(path).decode("ascii", "replace").strip()
    except PrivateFileUnusable as error:
        raise CommandFailed(str(error), "give a file with a token, or leave it out") from error
    if len(token) < MIN_TOKEN_CHARACTERS or not _TOKEN.fullmatch(token):
        raise CommandFailed(
            f"{path} holds no login token",
            f"write at least {MIN_TOKEN_CHARACTERS} letters, digits, hyphens or underscores",
        )
    return token


def _tls_settings(
    consortium: Consortium,
    hosts: tuple[str, ...],
    certificate: Path | None,
    key: Path | None,
    *,
    is_local: bool,
) -> TlsSettings | None:
    if (certificate is None) != (key is None):
        raise click.UsageError("--tls-certificate and --tls-key belong together")
    if certificate is None and is_local:
        return None
    hosts = tuple(socket.gethostname() if host in EVERYWHERE else host for host in hosts)
    directory, slug = consortium.directory, consortium_slug(consortium.genesis.name)
    if certificate is None or key is None:
        try:
            certificate, key = make_page_certificate(
                directory.certificates, slug, directory.dashboard, hosts
            )
        except CertificateInvalid as error:
            raise CommandFailed(
                f"no certificate for the page can be made here: {error}",
                "give one with --tls-certificate and --tls-key",
            ) from error
        authority = directory.certificates / CA_CERTIFICATE_FILE
        click.echo(f"browsers that trust {authority} trust the page", err=True)
    trust = TlsFiles(directory.certificates)
    if not (trust.directory / CA_CERTIFICATE_FILE).exists():
        trust = TlsFiles(directory.operator)
    return TlsSettings(
        certificate_file=certificate,
        key_file=key,
        authority_file=trust.directory / CA_CERTIFICATE_FILE,
        consortium=slug,
        is_revoked=_revocation_check(Revocations(trust)),
    )


def _revocation_check(revocations: Revocations) -> Callable[[bytes], bool]:
    def is_revoked(certificate: bytes) -> bool:
        revocations.reload()
        return revocations.revoked(certificate)

    return is_revoked


def _tell(url: str, login_url: str, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"event": "dashboard", "url": url, "login_url": login_url}))
    else:
        click.echo(login_url)


async def _serve(
    make_server: Callable[[], DashboardServer], *, supervised: bool, as_json: bool
) -> None:
    # Connections belong to the event loop in which they are made.
    server = make_server()
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopping.set)
    watching = asyncio.create_task(_watch_parent(stopping)) if supervised else None
    _tell(server.url, server.login_url, as_json)
    try:
        await server.serve(stopping)
    finally:
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


async def _watch_parent(stopping: asyncio.Event) -> None:
    """A supervised page does not outlive the launcher that would stop it."""
    parent = os.getppid()
    while True:
        await asyncio.sleep(PARENT_CHECK_S)
        if os.getppid() != parent:
            stopping.set()
