"""The command group: names, options that every command has, and the edge where errors become words.

Modules of commands are imported when they are needed: a node's process must not carry them all.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from typing import Any

import click

from node.cli.failure import EXIT_FAILED, CommandFailed

# gRPC reads it when it is imported, which no command has done yet. Its fork handlers are of no use
# here, for every child is started by exec, and have crashed one that PostgreSQL's initdb was for.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
# It tells of its connections' ends on standard error, by itself; what matters of them, errors say.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

COMMANDS: Mapping[str, tuple[str, str]] = {
    "up": ("node.cli.up", "Start a consortium, run it, and stop it with Ctrl-C."),
    "init": ("node.cli.init", "Make a consortium whose banks have machines of their own."),
    "down": ("node.cli.down", "Stop a running consortium and whatever is left of one."),
    "status": ("node.cli.status", "Show every bank: height, view, peers, quorum margin."),
    "node": ("node.cli.node", "Run, start or stop one bank's node."),
    "wallet": ("node.cli.wallet", "Make wallets, and see what is in them."),
    "issue": ("node.cli.issue", "Mint notes for a wallet, as a bank."),
    "pay": ("node.cli.pay", "Pay from a wallet to a wallet or an address."),
    "redeem": ("node.cli.redeem", "Turn notes into a balance of a bank's public account."),
    "payout": ("node.cli.payout", "Turn a bank's public balance into notes for a wallet."),
    "tx": ("node.cli.transaction", "Show where a transaction stands, and what is public."),
    "block": ("node.cli.block", "Show a block, how it was sealed and what is in it."),
    "votes": ("node.cli.votes", "Show how many banks approved a block, and not which."),
    "round": ("node.cli.round", "Show when each bank took each step of deciding a height."),
    "trace": ("node.cli.trace", "Show what every bank checked of a transaction, and when."),
    "proof": ("node.cli.proof", "Prove that a transaction is sealed; verify a proof offline."),
    "evidence": ("node.cli.evidence", "Show who is accused of what, verified here."),
    "treasury": ("node.cli.treasury", "Show stakes, fees, pots, rewards, and that they add up."),
    "regulator": ("node.cli.regulator", "Run the regulator, see what it did, open a ballot."),
    "challenge": (
        "node.cli.regulator_challenge",
        "Have the regulator verify a block again, as a bank.",
    ),
    "stake": ("node.cli.stake", "Move money between a bank's public account and its stake."),
    "readmit": ("node.cli.readmit", "Let a removed bank return, with a quorum's approval."),
    "pot-carry": ("node.cli.pot_carry", "Move on the pot of a year that nobody settled."),
    "logs": ("node.cli.logs", "Read the banks' logs, one or all, or follow them."),
    "top": ("node.cli.top", "Watch the banks live in a terminal."),
    "export": ("node.cli.export", "Write blocks and transactions as JSON lines and Parquet."),
    "metrics": ("node.cli.metrics", "Show the banks' metrics; list them for Prometheus."),
    "load": ("node.cli.load", "Prove a load beforehand, and run it with Locust."),
    "bench": ("node.cli.bench", "Measure what this machine does."),
    "vectors": ("node.cli.check_vectors", "Check a file of IDX1 vectors."),
    "dashboard": ("node.cli.dashboard", "Serve the page on which operators see it live."),
    "fault": ("node.cli.fault", "Break a running consortium on purpose, and mend it."),
    "fuzz": ("node.cli.fuzz", "Send hostile messages to a running consortium; none may matter."),
    "revoke": ("node.cli.revoke", "Revoke a party's certificate, and give it another."),
    "simulate": ("node.cli.simulate", "Run whole consortiums under many seeds, and check them."),
    "chaos": ("node.cli.chaos", "Break a consortium at random under load; count what is lost."),
    "doctor": ("node.cli.doctor", "Verify every bank's ledger and compare them all."),
}
"""Module and short help of each command; the module holds a click command named `command`."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = importlib.import_module(entry[0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            raise click.Abort from None
        except BrokenPipeError:
            # Whoever read the answer has seen enough; what is left of it must not be flushed.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.exceptions.Exit(EXIT_FAILED) from None
        except Exception as error:  # edge: a person reads one sentence, not a traceback
            if ctx.params.get("debug"):
                raise
            from node.cli.error_advice import failure_of

            raise failure_of(error) from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """A permissioned ledger of banks: confidential payments, sealed by ten of twelve.

    \b
    Start here:
      consortium up --demo 300     twelve banks, 300 payments, a check of everything
      consortium up                twelve banks that stay up until Ctrl-C
    """


if __name__ == "__main__":
    sys.exit(main(prog_name="consortium"))


__all__ = ["CommandFailed", "main"]
