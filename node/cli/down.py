"""`consortium down`: stop a running consortium, and what one that was killed has left."""

from __future__ import annotations

import contextlib
import time

import click
import psutil

from node.cli.failure import CommandFailed
from node.cli.options import data_option, json_option
from node.cli.terminal import answer, answer_json
from node.runtime.bank_databases import database_server
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.running_consortium import RunningConsortium, is_supervised
from node.runtime.supervisor import stop_left_over

PATIENCE_S = 10.0
POLL_S = 0.05


@click.command()
@data_option
@json_option
def command(directory: ConsortiumDirectory, as_json: bool) -> None:
    """Stop a running consortium, and whatever is left of one that was killed.

    Stopping what does not run is no error.

    \b
    Example:
      consortium down
    """
    directory.genesis()
    begun_s = time.monotonic()
    stopped = _stop_supervisor(directory)
    stopped += stop_left_over(directory, database_server(directory))
    elapsed_s = time.monotonic() - begun_s
    if as_json:
        answer_json({"stopped": stopped, "seconds": round(elapsed_s, 2)})
    elif stopped:
        answer(f"stopped {', '.join(stopped)} ({elapsed_s:.1f} s)")
    else:
        answer("nothing was running")


def _stop_supervisor(directory: ConsortiumDirectory) -> list[str]:
    if not is_supervised(directory):
        return []
    running = RunningConsortium.load(directory)
    process = None if running is None else running.supervisor.find()
    if process is None:
        raise CommandFailed(
            f"a process holds {directory.root} that is not known yet",
            "it is just starting: try again in a few seconds",
        )
    deadline_s = time.monotonic() + PATIENCE_S
    with contextlib.suppress(psutil.NoSuchProcess):
        process.terminate()
    while is_supervised(directory):
        if time.monotonic() > deadline_s:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
            psutil.wait_procs([process], timeout=PATIENCE_S)
            return [f"process {process.pid} by force"]
        time.sleep(POLL_S)
    return [f"the consortium of process {process.pid}"]
