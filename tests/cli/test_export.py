"""`consortium export`: what analysts get is what is sealed, the same from every bank."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crypto.transaction import transaction_id
from node.cli.export_schema import SCHEMA_VERSION, TABLES
from node.consensus.evidence_verification import verify_evidence
from node.consensus.signatures import Ed25519Verifier
from node.ledger.ballots import BallotCertificate, ballot_tag
from node.ledger.blocks import Block, Header
from node.ledger.types import BlockId
from node.wire.records import EvidenceItem
from tests.cli.double_votes import double_vote
from tests.cli.served_consortium import Authority, ServedConsortium, served_consortium
from tests.cli.settled import begin, pay, settlement, settling_chain

NAMES = ("amberfield", "birchmoor", "cedarholm", "dunmere")


@pytest.fixture
def settled(tmp_path: Path, authority: Authority) -> Iterator[ServedConsortium]:
    """Five blocks: an issue, its closed bin, a payment, a new year, the old one's settlement."""
    with served_consortium(tmp_path / "consortium", authority, settling_chain()) as consortium:

        def play() -> None:
            pay(consortium.ledger)
            begin(consortium.ledger, 2027)
            consortium.ledger.seal(settlement(consortium.ledger, 2026))

        consortium.in_loop(play)
        yield consortium


def exported(consortium: ServedConsortium, target: Path, *options: str) -> dict[str, Any]:
    """Run the export; return its manifest."""
    result = consortium.run("export", "--out", str(target), "--json", *options)
    assert result.exit_code == 0, result.output
    manifest: dict[str, Any] = json.loads(result.stdout)
    assert json.loads((target / "manifest.json").read_text()) == manifest
    return manifest


def refused(consortium: ServedConsortium, target: Path, *options: str) -> tuple[int, str]:
    """Run an export that must fail and leave nothing behind; return exit code and message."""
    beside = sorted(target.parent.iterdir())
    result = consortium.run("export", "--out", str(target), *options)
    assert (result.stdout, sorted(target.parent.iterdir())) == ("", beside)
    lines = [line for line in result.stderr.splitlines() if not line.startswith("blocks exported")]
    return result.exit_code, "\n".join(lines)


def rows_of(target: Path, table: str) -> list[dict[str, Any]]:
    lines = (target / f"{table}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_the_manifest_describes_the_files(settled: ServedConsortium, tmp_path: Path) -> None:
    target = tmp_path / "out"
    manifest = exported(settled, target)
    genesis = settled.ledger.chain.genesis
    tables = manifest.pop("tables")
    assert manifest == {
        "schema_version": SCHEMA_VERSION,
        "consortium": genesis.name,
        "chain_id": genesis.chain_id.hex(),
        "from_height": 0,
        "to_height": 5,
        "first_block_id": Header.decode(settled.ledger.blocks[0].header).block_id.hex(),
        "last_block_id": settled.ledger.chain.header.block_id.hex(),
        "verified": True,
        "base_asset": "INR",
        "assets": [{"code": asset.code, "decimals": asset.decimals} for asset in genesis.assets],
        "banks": [
            {
                "index": bank.index,
                "bank": NAMES[bank.index],
                "name": bank.name,
                "sector": bank.sector.value,
            }
            for bank in genesis.banks
        ],
    }
    assert {name: table["rows"] for name, table in tables.items()} == {
        "blocks": 6,
        "transactions": 3,
        "votes": 16,
        "treasury": 9,
        "evidence": 0,
    }
    listed = {file["name"]: file for table in tables.values() for file in table["files"].values()}
    assert {path.name for path in target.iterdir()} == {*listed, "manifest.json"}
    for name, file in listed.items():
        data = (target / name).read_bytes()
        assert (file["size_bytes"], file["sha256"]) == (
            len(data),
            hashlib.sha256(data).hexdigest(),
        )


def test_rows_are_what_is_sealed(settled: ServedConsortium, tmp_path: Path) -> None:
    target = tmp_path / "out"
    exported(settled, target)
    headers = [Header.decode(stored.header) for stored in settled.ledger.blocks]
    assert rows_of(target, "blocks")[3] == {
        "height": 3,
        "block_id": headers[3].block_id.hex(),
        "parent_id": headers[2].block_id.hex(),
        "time": "2026-03-31T18:30:04.000Z",
        "proposer": NAMES[headers[3].proposer],
        "original_view": 0,
        "transactions": 1,
        "transaction_bytes": len(settled.ledger.blocks[3].transactions[0]),
        "evidence": 0,
        "recorded_votes": 4,
        "fees": 100,
        "transactions_root": headers[3].transactions_root.hex(),
        "evidence_root": headers[3].evidence_root.hex(),
        "ballots_root": headers[3].ballots_root.hex(),
        "post_state_root": headers[3].post_state_root.hex(),
        "next_set_hash": headers[3].next_set_hash.hex(),
    }
    issue, payment, settling = rows_of(target, "transactions")
    (raw,) = settled.ledger.blocks[3].transactions
    spends = settled.ledger.chain.decode(raw).inputs
    assert payment == {
        "height": 3,
        "index": 0,
        "transaction_id": transaction_id(raw).hex(),
        "time": "2026-03-31T18:30:04.000Z",
        "kind": "transfer",
        "asset": "INR",
        "fee": 100,
        "redeemed": 0,
        "amount": None,
        "bank": None,
        "inputs": 1,
        "outputs": len(settled.ledger.chain.decode(raw).outputs),
        "bins": [spend.bin_id for spend in spends],
        "nullifiers": [spend.nullifier.hex() for spend in spends],
        "size_bytes": len(raw),
        "expiry_height": payment["expiry_height"],
        "fiscal_year": None,
        "approvals": [],
    }
    assert (issue["kind"], issue["amount"], issue["bank"]) == ("issue", 4_000, "amberfield")
    assert (settling["kind"], settling["fiscal_year"], settling["approvals"]) == (
        "settlement",
        "FY2026",
        [{"bank": name, "count": 3} for name in NAMES],
    )
    held = Block.decode(settled.ledger.blocks[4].block).parent_ballots
    assert [row for row in rows_of(target, "votes") if row["height"] == 3] == [
        {
            "height": 3,
            "block_id": headers[3].block_id.hex(),
            "recorded_height": 4,
            "view": 0,
            "tag": ballot_tag(raw).hex(),
            "approve": True,
        }
        for raw in held
    ]


def test_section_18_treasury_rows_add_up_to_what_the_treasury_shows(
    settled: ServedConsortium, tmp_path: Path
) -> None:
    target = tmp_path / "out"
    exported(settled, target)
    treasury = settled.ask("treasury", "--rows")
    rows = rows_of(target, "treasury")
    assert [(row["sequence"], row["amount"], row["kind"], row["reason"]) for row in rows] == [
        (row["record"], row["amount_minor"], row["kind"], row["reason"]) for row in treasury["rows"]
    ]
    for bank in treasury["banks"]:
        own = [row for row in rows if row["bank"] == bank["bank"]]
        assert sum(row["amount"] for row in own if row["kind"] == "stake") == bank["stake_minor"]
        assert sum(row["amount"] for row in own if row["kind"] == "reward") == bank["rewards_minor"]
    fees = sum(row["fees"] for row in rows_of(target, "blocks"))
    assert fees == treasury["invariant"]["fees_minor"] == 100


def punish(consortium: ServedConsortium) -> EvidenceItem:
    """Seal a block that convicts cedarholm of two votes at height 1."""
    found = double_vote(consortium)
    chain = consortium.ledger.chain
    verified = verify_evidence(
        found.item,
        chain_id=chain.genesis.chain_id,
        active_set_at=lambda _: chain.state.active_set(chain.genesis),
        verifier=Ed25519Verifier(),
        disprove=lambda *_: pytest.fail("two votes need no disproof"),
    )
    consortium.in_loop(lambda: consortium.ledger.seal(evidence=(verified,)))
    return found


def test_section_9_evidence_stands_with_the_penalty_that_the_treasury_moved(
    settled: ServedConsortium, tmp_path: Path
) -> None:
    found = punish(settled)
    manifest = exported(settled, tmp_path / "out", "--from", "6")
    assert manifest["from_height"] == manifest["to_height"] == 6
    stake = settled.ledger.chain.genesis.banks[2].initial_stake
    penalty = {
        "recorded_height": 6,
        "evidence_id": found.evidence_id.hex(),
        "offence": "E1",
        "bank": "cedarholm",
        "offence_height": 1,
        "size_bytes": len(found.item),
        "penalty": stake * 5 // 100,
    }
    assert rows_of(tmp_path / "out", "evidence") == [penalty]
    (row,) = rows_of(tmp_path / "out", "treasury")
    assert (row["kind"], row["bank"], row["amount"]) == ("penalty", "cedarholm", penalty["penalty"])
    assert rows_of(tmp_path / "out", "blocks")[0]["evidence"] == 1

    # A bank that hides the penalty is found out.
    def hide(page: Any) -> Any:
        return [replace(item, kind="stake") if item.kind == "penalty" else item for item in page]

    settled.banks[0].forge["treasury"] = hide
    exit_code, said = refused(settled, tmp_path / "hidden", "--from", "6")
    assert (exit_code, said.splitlines()[0]) == (
        1,
        "Error: the penalties of block 6 are not those of its evidence.",
    )


def test_parquet_holds_the_same_rows_typed(settled: ServedConsortium, tmp_path: Path) -> None:
    target = tmp_path / "out"
    exported(settled, target)
    for table in TABLES:
        stored = pq.read_table(target / f"{table.name}.parquet")
        assert stored.column_names == [column.name for column in table.columns]
        rows = stored.to_pylist()
        for row in rows:
            for name, value in row.items():
                if name == "time":
                    row[name] = value.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        assert rows == rows_of(target, table.name)
    schema = pq.read_schema(target / "transactions.parquet")
    assert [str(schema.field(name).type) for name in ("height", "fee", "time", "bins")] == [
        "uint64",
        "int64",
        "timestamp[ms, tz=UTC]",
        "list<element: uint64>",
    ]
    assert (schema.field("fee").nullable, schema.field("height").nullable) == (True, False)
    assert isinstance(schema.field("time").type, pa.TimestampType)


def test_every_bank_gives_the_same_bytes(settled: ServedConsortium, tmp_path: Path) -> None:
    for bank in NAMES[:2]:
        exported(settled, tmp_path / bank, "--bank", bank)
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / bank).iterdir()} for bank in NAMES[:2]
    )
    assert first == second


def test_ranges_that_adjoin_make_the_whole(settled: ServedConsortium, tmp_path: Path) -> None:
    exported(settled, tmp_path / "whole", "--format", "jsonl")
    ranges = (("0", "0"), ("1", "3"), ("4", "5"))
    for first, last in ranges:
        options = ("--from", first, "--to", last, "--format", "jsonl")
        exported(settled, tmp_path / first, *options)
    for table in TABLES:
        whole = (tmp_path / "whole" / f"{table.name}.jsonl").read_bytes()
        parts = [(tmp_path / first / f"{table.name}.jsonl").read_bytes() for first, _ in ranges]
        assert b"".join(parts) == whole


def test_one_format_alone(settled: ServedConsortium, tmp_path: Path) -> None:
    exported(settled, tmp_path / "out", "--format", "parquet")
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".parquet", ".json"}


def test_it_is_said_in_words(settled: ServedConsortium, tmp_path: Path) -> None:
    target = tmp_path / "out"
    lines = settled.run("export", "--out", str(target), "--format", "jsonl").stdout.splitlines()
    assert lines[0] == f"blocks 0 to 5 are in {target}"
    assert [line.split()[:3] for line in lines[2:7]] == [
        ["blocks", "6", "blocks.jsonl"],
        ["transactions", "3", "transactions.jsonl"],
        ["votes", "16", "votes.jsonl"],
        ["treasury", "9", "treasury.jsonl"],
        ["evidence", "0", "evidence.jsonl"],
    ]
    assert lines[7] == (
        "verified: every ballot and every block from the genesis, the treasury by its sums"
    )


def test_the_schema_is_documented(consortium: ServedConsortium) -> None:
    answer = consortium.ask("export", "--schema")
    assert answer["schema_version"] == SCHEMA_VERSION
    assert [table["name"] for table in answer["tables"]] == [table.name for table in TABLES]
    text = consortium.succeed("export", "--schema")
    for table in TABLES:
        assert f"{table.name}: {table.meaning}" in text
        for column in table.columns:
            assert any(
                line.split()[:1] == [column.name] and line.endswith(column.meaning)
                for line in text.splitlines()
            )


@pytest.mark.parametrize(
    ("options", "exit_code", "message"),
    [
        (("--to", "6"), 1, "Error: there is no block 6.\nNext: the newest one is block 5."),
        (("--from", "9"), 1, "Error: there is no block 9.\nNext: the newest one is block 5."),
        (
            ("--from", "4", "--to", "3"),
            2,
            "Error: the range from 4 to 3 is empty.\n"
            "Next: give --from a height that is not above --to.",
        ),
    ],
)
def test_a_range_that_is_not_there(
    settled: ServedConsortium,
    tmp_path: Path,
    options: tuple[str, ...],
    exit_code: int,
    message: str,
) -> None:
    assert refused(settled, tmp_path / "out", *options) == (exit_code, message)


def test_what_is_there_is_never_changed(settled: ServedConsortium, tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    assert refused(settled, target) == (
        2,
        f"Error: {target} exists already.\n"
        "Next: choose another --out; an export never changes what is there.",
    )
    assert list(target.iterdir()) == []


def test_a_block_without_a_quorum_is_not_exported(
    settled: ServedConsortium, tmp_path: Path
) -> None:
    stored = settled.ledger.blocks[3]
    certificate = BallotCertificate.decode(stored.certificate)
    short = replace(certificate, ballots=certificate.ballots[:3])
    settled.ledger.blocks[3] = replace(stored, certificate=short.encode())
    assert refused(settled, tmp_path / "out") == (
        1,
        "Error: ballots: 3 ballots, exactly 4 are required.\n"
        "Next: ask another bank; run `consortium doctor`.",
    )
    manifest = exported(settled, tmp_path / "believed", "--no-verify")
    assert manifest["verified"] is False


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"amount": 68}, "the treasury's fees of block 3 are not those of its transactions"),
        ({"fiscal_year": 2027}, "the treasury does not add up: FY2026 has ended, and -67 of"),
        ({"sequence": 9}, "treasury row 4 is missing"),
    ],
)
def test_section_18_a_bank_that_lies_about_money_is_found_out(
    settled: ServedConsortium, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    def lie(page: Any) -> Any:
        return [replace(row, **change) if row.kind == "fee" else row for row in page]

    settled.banks[0].forge["treasury"] = lie
    exit_code, said = refused(settled, tmp_path / "out")
    assert (exit_code, said.startswith(f"Error: {message}")) == (1, True), said


@pytest.mark.parametrize("options", [(), ("--no-verify",)])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("another block", "the bank showed block 5 for block 0"),
        ("no transactions", "transactions"),
        ("another parent", "block"),
    ],
)
def test_another_block_than_the_next_is_refused(
    settled: ServedConsortium, tmp_path: Path, options: tuple[str, ...], name: str, message: str
) -> None:
    genesis, *blocks = settled.ledger.blocks

    def lie(stored: Any) -> Any:
        if name == "another block":
            return blocks[-1]
        if name == "no transactions":
            return replace(stored, transactions=())
        return stored if stored == genesis else replace(stored, header=orphaned(stored.header))

    settled.banks[0].forge["blocks"] = lie
    exit_code, said = refused(settled, tmp_path / "out", *options)
    assert (exit_code, message in said) == (1, True), said


def orphaned(header: bytes) -> bytes:
    """The same header with another parent."""
    return replace(Header.decode(header), parent_id=BlockId(bytes(32))).encode()


def test_nobody_answers(settled: ServedConsortium, tmp_path: Path) -> None:
    settled.stop_banks()
    exit_code, message = refused(settled, tmp_path / "out")
    assert (exit_code, message.splitlines()[0]) == (
        3,
        f"Error: no bank of {settled.directory.root} answers.",
    )
