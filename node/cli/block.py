"""`consortium block`: one block, how it was sealed and what is in it."""

from __future__ import annotations

import asyncio

import click

from node.cli.access import Consortium, nobody_answers
from node.cli.activity import activity
from node.cli.explorer import read_id, seal_text, utc_time
from node.cli.failure import EXIT_USAGE, CommandFailed
from node.cli.options import data_option, find_bank, json_option
from node.cli.table import answer_fields, answer_table
from node.cli.terminal import answer, answer_json
from node.client import LedgerClient, SealVerifier
from node.client.certified_blocks import CertifiedBlock, certified_block
from node.client.errors import LedgerUnavailable, RecordNotFound
from node.ledger.ballots import ballot_tag
from node.ledger.types import BankIndex, BlockId, Height
from node.runtime.consortium_directory import ConsortiumDirectory, short_name
from node.runtime.transaction_summary import TransactionSummary

TIP = "tip"
MAX_HEIGHT_DIGITS = 18


@click.command()
@click.argument("which", metavar="HEIGHT|ID|tip")
@click.option("--bank", help="Ask this bank first, by name or index.")
@data_option
@json_option
def command(which: str, bank: str | None, directory: ConsortiumDirectory, as_json: bool) -> None:
    """Show a block: its header, how it was sealed, and what its transactions show to everybody.

    Ballots, transactions and their root are verified from the genesis alone. The ballots of one
    block may differ from bank to bank, and each bank's are a quorum; `consortium votes` shows
    those that all banks agreed to record.

    \b
    Examples:
      consortium block 12
      consortium block tip --json
    """
    consortium = Consortium.load(directory)
    genesis = consortium.genesis
    first = BankIndex(0) if bank is None else find_bank(genesis, bank)
    block = asyncio.run(_fetch(consortium, which, first))
    summaries = [TransactionSummary.of(raw, genesis) for raw in block.transactions]
    if as_json:
        answer_json(_json_object(block, summaries))
        return
    answer_fields(_fields(block))
    if summaries:
        answer("")
        answer_table(
            ("place", "transaction", "kind", "public", "bank", "in", "out", "bytes"),
            [_cells(place, summary) for place, summary in enumerate(summaries)],
            right=(0, 5, 6, 7),
        )


async def _fetch(consortium: Consortium, which: str, first: BankIndex) -> CertifiedBlock:
    with activity() as tell:
        tell(f"reading block {which}")
        async with consortium.ledger(first) as ledger:
            try:
                wanted = await _wanted(ledger, which)
                return await certified_block(ledger, SealVerifier(consortium.genesis), wanted)
            except RecordNotFound as error:
                height = (await ledger.node_status()).height
                raise CommandFailed(
                    f"there is no block {which}", f"the newest one is block {height}"
                ) from error
            except LedgerUnavailable as error:
                raise nobody_answers(consortium) from error


async def _wanted(ledger: LedgerClient, which: str) -> Height | BlockId:
    identity = read_id(which)
    if identity is not None:
        return BlockId(identity)
    if which == TIP:
        return (await ledger.node_status()).height
    if which.isascii() and which.isdigit() and len(which) <= MAX_HEIGHT_DIGITS:
        return Height(int(which))
    raise CommandFailed(
        f"{which!r} is neither a height nor the id of a block",
        "give a height such as 12, an id of 64 hexadecimal digits, or tip",
        EXIT_USAGE,
    )


def _fields(block: CertifiedBlock) -> list[tuple[str, str]]:
    header = block.header
    certificate = block.certificate
    seal, proposer = "none: this is the genesis", "nobody"
    if certificate is not None:
        seal = seal_text(certificate, block.active_set.size)
        proposer = short_name(header.proposer)
    return [
        ("block", str(header.height)),
        ("id", header.block_id.hex()),
        ("parent", header.parent_id.hex()),
        ("time", utc_time(header.time_ms)),
        ("proposer", f"{proposer}, in view {header.original_view}"),
        ("transactions", str(header.transaction_count)),
        ("root", header.transactions_root.hex()),
        ("state root", header.post_state_root.hex()),
        ("next set", header.next_set_hash.hex()),
        ("seal", seal),
        ("verified", "ballots, transactions and their root, from the genesis alone"),
    ]


def _cells(place: int, summary: TransactionSummary) -> tuple[str, ...]:
    return (
        str(place),
        summary.transaction_id,
        summary.kind,
        summary.amount_text(),
        summary.bank or "-",
        str(summary.inputs),
        str(summary.outputs),
        str(summary.size_bytes),
    )


def _json_object(block: CertifiedBlock, summaries: list[TransactionSummary]) -> dict[str, object]:
    header, certificate = block.header, block.certificate
    return {
        "height": header.height,
        "block_id": header.block_id.hex(),
        "parent_id": header.parent_id.hex(),
        "time_ms": header.time_ms,
        "proposer": short_name(header.proposer),
        "original_view": header.original_view,
        "transaction_count": header.transaction_count,
        "transactions_root": header.transactions_root.hex(),
        "evidence_root": header.evidence_root.hex(),
        "ballots_root": header.ballots_root.hex(),
        "post_state_root": header.post_state_root.hex(),
        "next_set_hash": header.next_set_hash.hex(),
        "seal": None
        if certificate is None
        else {
            "view": certificate.view,
            "ballots": len(certificate.ballots),
            "active_banks": block.active_set.size,
            "tags": [ballot_tag(raw).hex() for raw in certificate.ballots],
        },
        "verified": True,
        "transactions": [summary.to_json_object() for summary in summaries],
    }
