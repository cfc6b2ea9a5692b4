"""`consortium challenge`: a bank has the regulator verify a block again."""

from __future__ import annotations

import asyncio

import click

from node.cli.activity import activity
from node.cli.failure import EXIT_FAILED, EXIT_USAGE, CommandFailed
from node.cli.options import data_option, find_bank, json_option
from node.cli.regulator_status import regulator_address, regulator_client
from node.cli.table import answer_fields
from node.cli.terminal import answer_json
from node.ledger.types import BankIndex, Height
from node.runtime.consortium_directory import ConsortiumDirectory, short_name
from node.wire.regulator_codec import MAX_REASON_CHARACTERS
from node.wire.regulator_records import ChallengeOutcome

RESULTS = {
    "correct": "the block is as it was sealed, and valid: the challenge is refuted",
    "bytes-differ": "no bank shows the block as it was sealed",
    "invalid": "the block is invalid although a quorum sealed it: the challenge is upheld",
}


@click.command()
@click.argument("height", type=click.IntRange(min=1))
@click.option("--bank", required=True, help="Who challenges, by name or index.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; it is kept for good.")
@data_option
@json_option
def command(
    height: int, bank: str, reason: str, directory: ConsortiumDirectory, as_json: bool
) -> None:
    """Have the regulator verify the block at HEIGHT again, in the name of a bank.

    The regulator verifies signatures, proofs, ballots, evidence and roots from the bytes that
    one bank stores, each time another. It keeps who challenged, why, and what came of it. Exit code
    1 if the challenge is upheld.

    \b
    Example:
      consortium challenge 1200 --bank dunmere --reason "our copy looks odd"
    """
    challenger = find_bank(directory.genesis(), bank)
    if not 0 < len(reason) <= MAX_REASON_CHARACTERS:
        raise CommandFailed(
            "there is no reason" if not reason else f"the reason has {len(reason)} characters",
            f"give one of 1 to {MAX_REASON_CHARACTERS} characters",
            EXIT_USAGE,
        )
    outcome = asyncio.run(_challenge(directory, challenger, Height(height), reason))
    record = outcome.outcome
    if as_json:
        answer_json(
            {
                "challenge": outcome.challenge,
                "challenged_by": short_name(challenger),
                "height": record.height,
                "block_id": record.block_id.hex(),
                "bank": short_name(record.bank),
                "result": record.result,
                "is_correct": record.result == "correct",
                "detail": record.detail,
                "transactions": record.transactions,
            }
        )
    else:
        answer_fields(
            [
                ("challenge", str(outcome.challenge)),
                ("block", f"{record.height}  {record.block_id.hex()}"),
                (
                    "verified",
                    f"{record.transactions} transactions, stored by {short_name(record.bank)}",
                ),
                ("result", RESULTS.get(record.result, record.result)),
                *([("detail", record.detail)] if record.detail else []),
            ]
        )
    if record.result != "correct":
        raise click.exceptions.Exit(EXIT_FAILED)


async def _challenge(
    directory: ConsortiumDirectory, bank: BankIndex, height: Height, reason: str
) -> ChallengeOutcome:
    regulator_address(directory)
    keys = directory.bank(bank).keys
    if not keys.is_dir():
        raise CommandFailed(
            f"the certificate of {short_name(bank)} is not here",
            "challenge from the bank's machine",
        )
    with activity() as tell:
        tell(f"the regulator verifies block {height} again")
        async with regulator_client(directory, keys) as regulator:
            return await regulator.challenge(height, reason)
