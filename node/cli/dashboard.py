"""`consortium dashboard`: the operator's page over a consortium, started by itself or by `up`."""

from __future__ import annotations

import asyncio
import signal

import click

from node.cli.access import Consortium
from node.cli.options import data_option, json_option
from node.cli.terminal import answer, answer_json
from node.client.connection import ClientCredentials
from node.dashboard.place import Place
from node.dashboard.server import DashboardServer, ServerSettings
from node.dashboard.sessions import new_login_token
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.fault_book import corrupted_rows
from node.runtime.process_condition import process_conditions

DEFAULT_LISTEN = "127.0.0.1:8700"


@click.command()
@click.option(
    "--listen",
    default=DEFAULT_LISTEN,
    show_default=True,
    metavar="HOST:PORT",
    help="Where the page is served; port 0 for any free one.",
)
@click.option("--no-faults", is_flag=True, help="Let the page break nothing.")
@data_option
@json_option
def command(listen: str, no_faults: bool, directory: ConsortiumDirectory, as_json: bool) -> None:
    """Serve the operator's page of a consortium until Ctrl-C.

    \b
    Examples:
      consortium dashboard
      consortium dashboard --listen 127.0.0.1:9000 --no-faults
    """
    host, _, port = listen.rpartition(":")
    consortium = Consortium.load(directory)
    place = Place(
        genesis=consortium.genesis,
        credentials=ClientCredentials.load(directory.operator),
        endpoints=lambda: Consortium.load(directory).endpoints,
        processes=lambda: process_conditions(directory),
        corrupted=lambda: corrupted_rows(directory),
    )
    asyncio.run(_serve(place, ServerSettings(host, int(port), new_login_token()), as_json))


async def _serve(place: Place, settings: ServerSettings, as_json: bool) -> None:
    server = DashboardServer(place, settings)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopping.set)
    if as_json:
        answer_json({"event": "dashboard", "url": server.url, "login_url": server.login_url})
    else:
        answer(server.login_url)
    await server.serve(stopping)
