"""`consortium tx`: where a transaction stands, and what everybody sees of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import click

from node.cli.access import Consortium, nobody_answers
from node.cli.activity import activity
from node.cli.explorer import read_transaction_id, utc_time
from node.cli.failure import CommandFailed
from node.cli.options import data_option, find_bank, json_option
from node.cli.table import answer_fields, printable
from node.cli.terminal import answer_json
from node.client import LedgerClient, SealVerifier, confirm_sealed
from node.client.errors import LedgerUnavailable, RecordNotFound
from node.client.ledger_client import TransactionRecord
from node.client.verification import SealedPlace
from node.ledger.types import BankIndex, TransactionId
from node.runtime.consortium_directory import ConsortiumDirectory, short_name
from node.runtime.transaction_summary import FEE, REDEEMED, TransactionSummary
from node.wire.records import TransactionState

MEANINGS = {
    TransactionState.UNKNOWN: "this bank has never seen it",
    TransactionState.PENDING: "received; its proofs are being verified",
    TransactionState.ADMITTED: "verified by this bank and passed on; not final",
    TransactionState.PROPOSED: "in a block that is being voted on; not final",
    TransactionState.SEALED: "final",
    TransactionState.REJECTED: "refused by this bank",
    TransactionState.EXPIRED: "its expiry height passed before it was sealed; final",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one bank says of a transaction, and what of that is proven."""

    bank: BankIndex
    record: TransactionRecord
    summary: TransactionSummary | None
    """None if the bank does not keep the bytes, as of refused ones."""
    place: SealedPlace | None
    """Proven from the genesis; None unless it is sealed."""

    @property
    def state(self) -> str:
        return self.record.status.state.name.lower()

    def to_json_object(self) -> dict[str, object]:
        """Return everything by name."""
        status, place = self.record.status, self.place
        return {
            "transaction_id": status.transaction_id.hex(),
            "status": self.state,
            "asked": short_name(self.bank),
            "height": None if place is None else place.header.height,
            "block_id": None if place is None else place.header.block_id.hex(),
            "index": None if place is None else place.index,
            "time_ms": None if place is None else place.header.time_ms,
            "verified": place is not None,
            "reason": None if status.refusal is None else status.refusal.reason,
            "message": None if status.refusal is None else status.refusal.message,
            **({} if self.summary is None else self.summary.to_json_object()),
        }

    def fields(self) -> list[tuple[str, str]]:
        """Return the lines to print."""
        status, place = self.record.status, self.place
        lines = [
            ("transaction", status.transaction_id.hex()),
            ("status", f"{self.state}: {MEANINGS[status.state]}"),
        ]
        if status.refusal is not None:
            refusal = status.refusal
            lines.append(("reason", f"{refusal.reason}: {printable(refusal.message)}"))
        if place is not None:
            header = place.header
            lines += [
                ("block", f"{header.height}, place {place.index} of {header.transaction_count}"),
                ("block id", header.block_id.hex()),
                ("time", utc_time(header.time_ms)),
                ("verified", "the inclusion proof and the ballots, from the genesis alone"),
            ]
        if self.summary is not None:
            lines += _summary_fields(self.summary)
        return [*lines, ("asked", short_name(self.bank))]


def _summary_fields(summary: TransactionSummary) -> list[tuple[str, str]]:
    mint = summary.inputs == 0
    by, to = (f" by {summary.bank}", "") if mint else ("", f" to {summary.bank}")
    hidden = ", ".join(map(str, summary.bins))
    noun = "bin" if summary.inputs == 1 else "bins"
    if summary.fiscal_year:
        kind = f"{summary.kind} of {summary.fiscal_year}"
    else:
        kind = f"{summary.kind} of {summary.asset}{by}"
    counts = ", ".join(f"{bank} {count}" for bank, count in summary.counts.items())
    return [
        ("kind", kind),
        *([("approvals", counts)] if counts else []),
        *(
            (name, f"{money}{to if name == REDEEMED else ''}")
            for name, money in summary.amounts.items()
            if money.amount or name == FEE
        ),
        ("inputs", f"{summary.inputs}, hidden in {noun} {hidden}" if hidden else "none"),
        ("outputs", str(summary.outputs)),
        ("size", f"{summary.size_bytes} bytes"),
        ("expiry", f"block {summary.expiry_height}"),
    ]


@click.command()
@click.argument("transaction_id", metavar="ID")
@click.option("--bank", help="Ask this bank first, by name or index.")
@data_option
@json_option
def command(
    transaction_id: str, bank: str | None, directory: ConsortiumDirectory, as_json: bool
) -> None:
    """Show where the transaction ID stands, and everything about it that is public.

    That it is sealed is proven, from the genesis alone. Any other state is the word of the bank
    that was asked; if one has never seen the transaction, the next is asked.

    \b
    Examples:
      consortium tx 5f0e...9a
      consortium tx 5f0e...9a --bank dunmere --json
    """
    consortium = Consortium.load(directory)
    identity = read_transaction_id(transaction_id)
    first = BankIndex(0) if bank is None else find_bank(consortium.genesis, bank)
    finding = asyncio.run(_find(consortium, identity, first))
    if as_json:
        answer_json(finding.to_json_object())
    else:
        answer_fields(finding.fields())


async def _find(consortium: Consortium, identity: TransactionId, first: BankIndex) -> Finding:
    with activity() as tell:
        async with consortium.ledger(first) as ledger:
            try:
                for endpoint in ledger.endpoints:
                    tell(f"asking {short_name(ledger.preferred_endpoint.bank)}")
                    try:
                        return await _ask(consortium, ledger, identity)
                    except RecordNotFound:
                        if ledger.preferred_endpoint == endpoint:
                            ledger.prefer_next_endpoint()
            except LedgerUnavailable as error:
                raise nobody_answers(consortium) from error
    raise CommandFailed(
        f"no bank that answers knows transaction {identity.hex()}",
        "check the id and --data; what was refused long ago is forgotten",
    )


async def _ask(consortium: Consortium, ledger: LedgerClient, identity: TransactionId) -> Finding:
    genesis = consortium.genesis
    record = await ledger.transaction(identity, include_transaction=True)
    place = None
    if record.status.state is TransactionState.SEALED:
        place = await confirm_sealed(ledger, SealVerifier(genesis), identity)
    raw = record.transaction
    summary = None if raw is None else TransactionSummary.of(raw, genesis)
    return Finding(ledger.preferred_endpoint.bank, record, summary, place)
