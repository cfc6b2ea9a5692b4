"""`consortium votes`: how many banks approved a block, shown without showing which."""

from __future__ import annotations

import asyncio

import click

from node.cli.access import Consortium, nobody_answers
from node.cli.activity import activity
from node.cli.explorer import utc_time
from node.cli.failure import CommandFailed
from node.cli.options import data_option, find_bank, json_option
from node.cli.table import answer_fields, answer_table
from node.cli.terminal import answer, answer_json
from node.client import LedgerClient, SealVerifier
from node.client.errors import LedgerUnavailable, RecordNotFound
from node.client.verified_votes import Votes, decision_of, verified_votes
from node.ledger.ballots import ballot_tag
from node.ledger.types import BankIndex, Height
from node.runtime.consortium_directory import ConsortiumDirectory

TIP = "tip"
MAX_HEIGHT_DIGITS = 18
SHOWN_TAG_DIGITS = 16

ANONYMITY = """\
Each ballot proves that one of the active banks cast it, and its tag that no bank cast two. Nothing
in it tells which bank, and the tags of different blocks have nothing in common. The opener (the
regulator, or t of its m officers) can name the author of a ballot, with a proof. What ballots do
not hide: banks know from their own links who sent them what; a block's leader may choose which ten
of twelve ballots are recorded; the counts of a very short fiscal year tell much; and evidence of an
offence shows the signed statements that prove it."""


@click.command()
@click.argument("block", metavar="[HEIGHT|tip]", default=TIP)
@click.option("--bank", help="Ask this bank first, by name or index.")
@click.option("--tags", is_flag=True, help="Print whole tags: 192 hexadecimal digits each.")
@data_option
@json_option
def command(
    block: str, bank: str | None, tags: bool, directory: ConsortiumDirectory, as_json: bool
) -> None:
    """Show the votes on a block, or on the newest one: how many approved, and not which banks.

    The votes on a block are recorded by the next one; until then they are pending. Every ballot is
    verified from the genesis alone.

    \b
    Examples:
      consortium votes
      consortium votes 12 --json
    """
    consortium = Consortium.load(directory)
    first = BankIndex(0) if bank is None else find_bank(consortium.genesis, bank)
    votes = asyncio.run(_fetch(consortium, block, first))
    if as_json:
        answer_json(votes.to_json_object())
        return
    answer_fields(_fields(votes))
    answer("")
    shown = None if tags else SHOWN_TAG_DIGITS
    answer_table(
        ("tag", "decision", "bank"),
        [(ballot_tag(raw).hex()[:shown], decision_of(raw), "not known") for raw in votes.raws],
    )
    answer("")
    answer(ANONYMITY)


def _fields(votes: Votes) -> list[tuple[str, str]]:
    """Return the lines to print above the table."""
    header = votes.block.header
    active = votes.block.active_set.size
    rejected = len(votes.raws) - votes.approved
    recorded = f"by block {header.height + 1}: all banks agree on them"
    pending = "pending: the next block records which ballots count; these are the bank's own"
    return [
        ("block", f"{header.height}, {header.block_id.hex()}"),
        ("time", utc_time(header.time_ms)),
        ("approved", f"{votes.approved} of {active} banks approved"),
        ("rejected", f"{rejected} of {active} banks rejected" if rejected else "none recorded"),
        ("recorded", recorded if votes.is_recorded else pending),
        ("verified", "every ballot, in the ring of the active banks, from the genesis alone"),
    ]


async def _fetch(consortium: Consortium, which: str, first: BankIndex) -> Votes:
    with activity() as tell:
        tell("reading the votes")
        async with consortium.ledger(first) as ledger:
            try:
                height = await _wanted(ledger, which)
                return await verified_votes(ledger, SealVerifier(consortium.genesis), height)
            except RecordNotFound as error:
                height = (await ledger.node_status()).height
                raise CommandFailed(
                    f"there are no votes on block {which}",
                    f"nobody votes on block 0, and the newest one is block {height}",
                ) from error
            except LedgerUnavailable as error:
                raise nobody_answers(consortium) from error


async def _wanted(ledger: LedgerClient, which: str) -> Height:
    if which == TIP:
        return (await ledger.node_status()).height
    if which.isascii() and which.isdigit() and len(which) <= MAX_HEIGHT_DIGITS:
        return Height(int(which))
    raise click.UsageError(f"{which!r} is no height: give one such as 12, or tip")
