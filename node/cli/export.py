"""`consortium export`: sealed blocks and what is in them as JSON lines and Parquet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import click

from node.cli.access import Consortium, nobody_answers
from node.cli.export_files import FORMATS, ExportDirectory, require_absent
from node.cli.export_rows import BlockReader
from node.cli.export_schema import SCHEMA_VERSION, TABLES, schema_object
from node.cli.failure import EXIT_USAGE, CommandFailed
from node.cli.options import data_option, find_bank, json_option
from node.cli.table import answer_table
from node.cli.terminal import Meter, answer, answer_json, progress
from node.client import LedgerClient, SealVerifier
from node.client.errors import LedgerUnavailable, RecordsInvalid
from node.client.treasury_books import TreasuryBooks
from node.ledger.genesis import Genesis
from node.ledger.types import BankIndex, Height
from node.runtime.consortium_directory import ConsortiumDirectory, short_name
from node.wire.records import PublishedBlock, TreasuryMovement

BOTH = "both"
MOVEMENTS_PER_CALL = 1_000


@dataclass(frozen=True, slots=True)
class Extent:
    """What to export, both ends included."""

    from_height: int
    to_height: int | None
    """None: the newest block."""


@click.command()
@click.option(
    "--from", "from_height", metavar="H", type=click.IntRange(min=0), default=0, show_default=True,
    help="First height; 0 is the genesis.",
)  # fmt: skip
@click.option(
    "--to", "to_height", metavar="H", type=click.IntRange(min=0),
    help="Last height, itself included (default: the newest block).",
)  # fmt: skip
@click.option(
    "--out", "target", type=click.Path(path_type=Path),
    help="Directory to make; it must not exist yet.",
)  # fmt: skip
@click.option(
    "--format", "file_format", type=click.Choice([*FORMATS, BOTH]), default=BOTH, show_default=True,
    help="Kind of files.",
)  # fmt: skip
@click.option("--bank", help="Ask this bank first, by name or index.")
@click.option("--no-verify", is_flag=True, help="Believe the bank: verify no ballots and no sums.")
@click.option("--schema", is_flag=True, help="Explain every table and column instead.")
@data_option
@json_option
def command(
    from_height: int,
    to_height: int | None,
    target: Path | None,
    file_format: str,
    bank: str | None,
    no_verify: bool,
    schema: bool,
    directory: ConsortiumDirectory,
    as_json: bool,
) -> None:
    """Write blocks, transactions, votes, treasury movements and evidence of a range of heights.

    Only what is public; `--schema` explains it. Everything is verified on the way: each block's
    ballots, contents and recorded votes from the genesis alone, the treasury's fees and penalties
    against the blocks, and all its movements, added up, against a sealed state. The directory
    appears when it is whole, with a manifest of its files and their SHA-256.

    A row belongs to the block that carries it: ranges that adjoin can be exported one at a time,
    each into a directory of its own, and their files put together. Every bank gives the same bytes.

    \b
    Examples:
      consortium export --out ledger
      consortium export --from 1001 --to 2000 --out ledger-2 --format parquet
      consortium export --schema
    """
    if schema:
        _show_schema(as_json=as_json)
        return
    if target is None:
        raise click.UsageError("Missing option '--out'.")
    if to_height is not None and from_height > to_height:
        raise CommandFailed(
            f"the range from {from_height} to {to_height} is empty",
            "give --from a height that is not above --to",
            EXIT_USAGE,
        )
    require_absent(target)
    consortium = Consortium.load(directory)
    first = BankIndex(0) if bank is None else find_bank(consortium.genesis, bank)
    formats = FORMATS if file_format == BOTH else (file_format,)
    extent = Extent(from_height, to_height)
    with ExportDirectory(target, formats) as files, progress("blocks exported") as meter:
        manifest = asyncio.run(
            _export(consortium, first, extent, files, meter, verify=not no_verify)
        )
    if as_json:
        answer_json(manifest)
        return
    _show(target, manifest)


async def _export(
    consortium: Consortium,
    first: BankIndex,
    extent: Extent,
    files: ExportDirectory,
    meter: Meter,
    *,
    verify: bool,
) -> dict[str, object]:
    async with consortium.ledger(first) as ledger:
        try:
            work = _Export(consortium.genesis, ledger, files, verify=verify)
            return await work.run(extent, meter)
        except LedgerUnavailable as error:
            raise nobody_answers(consortium) from error


class _Export:
    """One export; blocks and treasury rows are read side by side."""

    def __init__(
        self, genesis: Genesis, ledger: LedgerClient, files: ExportDirectory, *, verify: bool
    ) -> None:
        self._genesis = genesis
        self._ledger = ledger
        self._files = files
        self._verifier = SealVerifier(genesis) if verify else None
        self._books = TreasuryBooks()

    async def run(self, extent: Extent, meter: Meter) -> dict[str, object]:
        """Write everything; return the manifest."""
        sealed = await self._ledger.sealed_state()
        header, state = (self._verifier or SealVerifier(self._genesis)).verify_state(sealed)
        top = header.height
        first, last = extent.from_height, top if extent.to_height is None else extent.to_height
        if max(first, last) > top:
            raise CommandFailed(
                f"there is no block {max(first, last)}", f"the newest one is block {top}"
            )
        reader = BlockReader(self._genesis, self._verifier, sealed.set_changes, Height(first))
        if first > 0:
            reader.begin_after(await self._ledger.block(Height(first - 1)))
        movements = _Movements(self._ledger, self._books)
        blocks = self._blocks(first, last)
        done, first_id, last_id = 0, "", ""
        async with aclosing(blocks):
            if first > 0:
                await movements.up_to(first - 1)
            async for stored in blocks:
                made = await movements.up_to(first + done, keep=True)
                # The proofs take milliseconds a block; the connection must not wait for them.
                rows = await asyncio.to_thread(reader.take, stored, made)
                await asyncio.to_thread(self._files.write, rows)
                last_id = str(rows.blocks[0]["block_id"])
                first_id = first_id or last_id
                done += 1
                meter(done, last - first + 1)
        if done != last - first + 1:
            raise RecordsInvalid(f"the bank ended the blocks at {first + done - 1}, not at {last}")
        if self._verifier is not None:
            await movements.up_to(top)
            if faults := self._books.faults(state):
                raise RecordsInvalid(f"the treasury does not add up: {faults[0]}")
        return self._files.publish(self._facts(first, last, first_id, last_id))

    async def _blocks(self, first: int, last: int) -> AsyncGenerator[PublishedBlock, None]:
        stream = self._ledger.stream_blocks(Height(first), include_transactions=True)
        height = first
        async with aclosing(stream):
            async for stored in stream:
                yield stored
                if height == last:
                    return
                height += 1

    def _facts(self, first: int, last: int, first_id: str, last_id: str) -> dict[str, object]:
        genesis = self._genesis
        return {
            "schema_version": SCHEMA_VERSION,
            "consortium": genesis.name,
            "chain_id": genesis.chain_id.hex(),
            "from_height": first,
            "to_height": last,
            "first_block_id": first_id,
            "last_block_id": last_id,
            "verified": self._verifier is not None,
            "base_asset": genesis.base_asset.code,
            "assets": [
                {"code": asset.code, "decimals": asset.decimals} for asset in genesis.assets
            ],
            "banks": [
                {
                    "index": bank.index,
                    "bank": short_name(bank.index),
                    "name": bank.name,
                    "sector": bank.sector.value,
                }
                for bank in genesis.banks
            ],
        }


class _Movements:
    """Treasury rows in ledger order, handed out block by block and added up on the way."""

    def __init__(self, ledger: LedgerClient, books: TreasuryBooks) -> None:
        self._rows = self._read(ledger)
        self._books = books
        self._next: TreasuryMovement | None = None

    @staticmethod
    async def _read(ledger: LedgerClient) -> AsyncIterator[TreasuryMovement]:
        # A call at a time: a stream would wait, open, while blocks are verified.
        position = 0
        while True:
            found = 0
            async for page in ledger.treasury(position, MOVEMENTS_PER_CALL):
                for row in page:
                    if row.sequence != position:
                        raise RecordsInvalid(f"treasury row {position} is missing")
                    position += 1
                    yield row
                found += len(page)
            if found < MOVEMENTS_PER_CALL:
                return

    async def up_to(self, height: int, *, keep: bool = False) -> list[TreasuryMovement]:
        """Take the rows up to a height; return them if they are to be kept."""
        kept: list[TreasuryMovement] = []
        while True:
            if self._next is None:
                self._next = await anext(self._rows, None)
            if self._next is None or self._next.height > height:
                return kept
            self._books.add(self._next)
            if keep:
                kept.append(self._next)
            self._next = None


def _show(target: Path, manifest: dict[str, object]) -> None:
    answer(f"blocks {manifest['from_height']} to {manifest['to_height']} are in {target}")
    tables = manifest["tables"]
    assert isinstance(tables, dict), "as it was made above"
    answer_table(
        ("table", "rows", "file", "bytes", "sha256"),
        [
            (name, str(table["rows"]), file["name"], str(file["size_bytes"]), file["sha256"])
            for name, table in tables.items()
            for file in table["files"].values()
        ],
        right=(1, 3),
    )
    if manifest["verified"]:
        answer("verified: every ballot and every block from the genesis, the treasury by its sums")
    else:
        answer("not verified: this is the word of the bank that answered")


def _show_schema(*, as_json: bool) -> None:
    if as_json:
        answer_json(schema_object())
        return
    for table in TABLES:
        answer(f"{table.name}: {table.meaning}")
        answer_table(
            ("column", "type", "null", "meaning"),
            [
                (column.name, column.type, "yes" if column.nullable else "", column.meaning)
                for column in table.columns
            ],
        )
        answer("")
    answer(f"schema version {SCHEMA_VERSION}; money is in minor units of the asset")
