"""`consortium votes`: how many banks approved a block, shown without showing which."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import click

from node.cli.access import Consortium, nobody_answers
from node.cli.activity import activity
from node.cli.explorer import utc_time
from node.cli.failure import CommandFailed
from node.cli.options import data_option, find_bank, json_option
from node.cli.table import answer_fields, answer_table
from node.cli.terminal import answer, answer_json
from node.client import LedgerClient, SealVerifier
from node.client.certified_blocks import CertifiedBlock, certified_block
from node.client.errors import LedgerUnavailable, RecordNotFound, RecordsInvalid
from node.client.record_check import RecordCheck
from node.ledger.ballots import Decision, ballot_message, ballot_tag
from node.ledger.types import BankIndex, Height
from node.runtime.consortium_directory import ConsortiumDirectory
from node.wire.records import BlockVotes, VotingStatus

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


@dataclass(frozen=True, slots=True)
class Votes:
    """The votes on one block, verified from the genesis alone."""

    block: CertifiedBlock
    raws: tuple[bytes, ...]
    """By increasing tag: as the next block records them, or those of the tip's certificate."""
    is_recorded: bool
    """Whether they are agreed; of the tip this bank's own certificate is shown."""

    @property
    def approved(self) -> int:
        """Ballots that approve."""
        return sum(ballot_message(raw).endswith(Decision.APPROVE.value) for raw in self.raws)

    @property
    def status(self) -> str:
        return "recorded" if self.is_recorded else "pending"

    def fields(self) -> list[tuple[str, str]]:
        """Return the lines to print above the table."""
        header = self.block.header
        active = self.block.active_set.size
        rejected = len(self.raws) - self.approved
        recorded = f"by block {header.height + 1}: all banks agree on them"
        pending = "pending: the next block records which ballots count; these are the bank's own"
        return [
            ("block", f"{header.height}, {header.block_id.hex()}"),
            ("time", utc_time(header.time_ms)),
            ("approved", f"{self.approved} of {active} banks approved"),
            ("rejected", f"{rejected} of {active} banks rejected" if rejected else "none recorded"),
            ("recorded", recorded if self.is_recorded else pending),
            ("verified", "every ballot, in the ring of the active banks, from the genesis alone"),
        ]

    def to_json_object(self) -> dict[str, object]:
        """Return everything by name."""
        header = self.block.header
        return {
            "height": header.height,
            "block_id": header.block_id.hex(),
            "time_ms": header.time_ms,
            "status": self.status,
            "approved": self.approved,
            "rejected": len(self.raws) - self.approved,
            "active_banks": self.block.active_set.size,
            "quorum": self.block.active_set.quorum,
            "verified": True,
            "votes": [
                {
                    "tag": ballot_tag(raw).hex(),
                    "decision": _decision(raw),
                    "bank": None,
                    "ballot": raw.hex(),
                }
                for raw in self.raws
            ],
        }


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
    answer_fields(votes.fields())
    answer("")
    shown = None if tags else SHOWN_TAG_DIGITS
    answer_table(
        ("tag", "decision", "bank"),
        [(ballot_tag(raw).hex()[:shown], _decision(raw), "not known") for raw in votes.raws],
    )
    answer("")
    answer(ANONYMITY)


def _decision(raw: bytes) -> str:
    return Decision(ballot_message(raw)[-1:]).name.lower()


async def _fetch(consortium: Consortium, which: str, first: BankIndex) -> Votes:
    with activity() as tell:
        tell("reading the votes")
        async with consortium.ledger(first) as ledger:
            try:
                return await _votes(ledger, consortium, which)
            except RecordNotFound as error:
                height = (await ledger.node_status()).height
                raise CommandFailed(
                    f"there are no votes on block {which}",
                    f"nobody votes on block 0, and the newest one is block {height}",
                ) from error
            except LedgerUnavailable as error:
                raise nobody_answers(consortium) from error


async def _votes(ledger: LedgerClient, consortium: Consortium, which: str) -> Votes:
    verifier = SealVerifier(consortium.genesis)
    height = await _wanted(ledger, which)
    listed = await ledger.votes(height, include_ballots=True)
    block = await certified_block(ledger, verifier, height)
    if listed.status is VotingStatus.PENDING:
        assert block.certificate is not None, "nobody votes on genesis"
        return Votes(block, block.certificate.ballots, is_recorded=False)
    child = await certified_block(ledger, verifier, Height(height + 1))
    assert child.block is not None, "above genesis every block is there"
    records = RecordCheck(consortium.genesis, verifier)
    fault = records.take(block.header, child.block, block.active_set)
    if fault:
        raise RecordsInvalid(f"block {height + 1}: {fault}")
    _require_same(listed, child.block.parent_ballots)
    return Votes(block, child.block.parent_ballots, is_recorded=True)


def _require_same(listed: BlockVotes, raws: tuple[bytes, ...]) -> None:
    """Raise `RecordsInvalid` if a bank's record is not what the next block holds."""
    approvals = [ballot_message(raw).endswith(Decision.APPROVE.value) for raw in raws]
    recorded = [(vote.tag, vote.approve, vote.ballot) for vote in listed.votes]
    held = [(ballot_tag(raw), yes, raw) for raw, yes in zip(raws, approvals, strict=True)]
    counts = (sum(approvals), len(raws) - sum(approvals))
    if recorded != held or (listed.approved, listed.rejected) != counts:
        raise RecordsInvalid("the bank's voting record is not what the next block holds")


async def _wanted(ledger: LedgerClient, which: str) -> Height:
    if which == TIP:
        return (await ledger.node_status()).height
    if which.isascii() and which.isdigit() and len(which) <= MAX_HEIGHT_DIGITS:
        return Height(int(which))
    raise click.UsageError(f"{which!r} is no height: give one such as 12, or tip")
