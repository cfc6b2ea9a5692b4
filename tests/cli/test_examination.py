"""The examination of real nodes: clean as long as nothing is wrong, exact when something is.

Each kind of damage is done in one bank's own database, found, and repaired again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
import pytest_asyncio

from node.cli.doctor_report import DoctorReport, Finding, FindingKind
from node.cli.examination import Examination
from node.client import Wallet, issue, recipient
from node.client.connection import ClientCredentials
from node.client.wallet_file import KeyFile
from node.consensus.certificates import Seal
from node.ledger.types import BankIndex
from node.runtime.config import load_node_config, render_node_config
from node.runtime.exit_code import ExitCode
from node.runtime.secrets_directory import read_secret
from node.storage.embedded_postgres import EmbeddedPostgres
from node.wire import ledger_pb2, operator_pb2
from tests.cli.running_banks import RunningBanks, running_banks

pytestmark = [pytest.mark.postgres, pytest.mark.asyncio(loop_scope="module")]

DEADLINE_S = 60


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: EmbeddedPostgres
) -> AsyncIterator[RunningBanks]:
    """Four banks that sealed an issue of four notes, and two payments with them."""
    names = iter(["doctor_0", "doctor_1", "doctor_2", "doctor_3"])

    def make_database_url() -> str:
        name = next(names)
        postgres_server.create_database(name, name, "sesame")
        return postgres_server.url(name, name, "sesame")

    root = tmp_path_factory.mktemp("doctor") / "consortium"
    async with running_banks(root, make_database_url) as banks, asyncio.timeout(DEADLINE_S):
        await seal_payments(banks)
        yield banks
    for bank in range(4):
        postgres_server.drop_database(f"doctor_{bank}", f"doctor_{bank}")


async def seal_payments(banks: RunningBanks) -> None:
    consortium = banks.consortium
    async with consortium.ledger(BankIndex(0)) as ledger:
        directory = banks.directory.wallets
        key = KeyFile.create(Path(directory / "alice.key"))
        async with await Wallet.create(directory, "alice", key, ledger) as alice:
            secret = read_secret(banks.directory.bank(0).keys / "issuer.key")
            notes = [recipient(alice.address, 1_000)] * 4
            await issue(ledger, secret, notes)
            await alice.wait_for_funds(4_000)
            for _ in range(2):
                await alice.wait_sealed(await alice.pay(alice.address, 500))


async def examine(running: RunningBanks, *, full: bool = False) -> DoctorReport:
    return await Examination(
        running.consortium, full=full, meter=lambda step, done, total: None
    ).run()


@dataclass(frozen=True)
class Damage:
    """One value of one row, changed in one bank's database, and what must be found."""

    bank: int
    table: str
    column: str
    row: str
    """Condition that chooses the row."""
    change: str
    """Expression of the new value."""
    kind: FindingKind
    message: str
    """Part of the finding's message."""
    height: int | None = None
    """Where it must be found first; None if that depends on how many blocks there are."""

    def __str__(self) -> str:
        return f"{self.table}.{self.column}"


def flipped(column: str, offset: int) -> str:
    """One bit of a byte string."""
    return f"set_byte({column}, {offset}, get_byte({column}, {offset}) # 1)"


async def test_sound_ledgers_are_clean(running: RunningBanks) -> None:
    for full in (False, True):
        report = await examine(running, full=full)
        assert report.findings == ()
        assert report.clean
        assert report.state_roots_identical
        assert (report.banks, report.banks_answered, report.transactions) == (4, 4, 3)
        assert (report.notes, report.nullifiers) == (8, 2)
        assert report.seals_verified == 4 * report.height
        # Three transactions, each in a block of its own.
        assert report.proofs_verified == 3
        assert report.proofs_audited == 4 * 3
        assert report.roots_recomputed == (4 * report.height if full else 4 * 3)


async def test_the_command_answers_and_exits_with_0(running: RunningBanks) -> None:
    result = await running.command("doctor", "--json")
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert (answer["clean"], answer["banks_answered"], answer["findings"]) == (True, 4, [])
    result = await running.command("doctor")
    assert result.stdout.splitlines()[-1] == (
        f"clean: 4 identical ledgers, state root {answer['state_root']}"
    )


DAMAGES = (
    Damage(
        1,
        "blocks",
        "seal",
        "block_number = 1",
        flipped("seal", 150),
        FindingKind.SEAL,
        "finds that its seal does not verify: signature of bank",
        1,
    ),
    Damage(
        2,
        "blocks",
        "seal",
        "block_number = 2",
        flipped("seal", 1_500),
        FindingKind.SEAL,
        "a ballot does not verify",
        2,
    ),
    Damage(
        0,
        "bank_voting_records",
        "decision",
        "batch_id = 1",
        "'reject'",
        FindingKind.VOTING_RECORDS,
        "its voting records are not the ballots that its blocks hold",
    ),
    Damage(
        2,
        "transaction_bodies",
        "body",
        "true",
        flipped("body", 400),
        FindingKind.TRANSACTIONS_ROOT,
        "stored transactions are not those that the block names",
    ),
    Damage(
        3,
        "nullifiers",
        "nullifier",
        "sequence = 0",
        flipped("nullifier", 40),
        FindingKind.NULLIFIERS,
        "differs from most banks in its nullifiers from here on",
    ),
    Damage(
        0,
        "notes",
        "commitment",
        "sequence = 0",
        flipped("commitment", 40),
        FindingKind.NOTES,
        "differs from most banks in its notes from here on",
        1,
    ),
    Damage(
        1,
        "notes",
        "ciphertext",
        "sequence = 1",
        flipped("ciphertext", 4),
        FindingKind.NOTES,
        "differs from most banks in its notes from here on",
        1,
    ),
    Damage(
        2,
        "treasury",
        "amount",
        "bank_id = 2",
        "amount + 1",
        FindingKind.TREASURY,
        "differs from most banks in its treasury from here on",
    ),
    Damage(
        3,
        "blocks",
        "header",
        "block_number = 2",
        flipped("header", 150),
        FindingKind.DIVERGENCE,
        "banks have",
        2,
    ),
)


@pytest.mark.parametrize("damage", DAMAGES, ids=str)
async def test_damage_is_found_and_its_bank_is_named(running: RunningBanks, damage: Damage) -> None:
    async with damaged(running, damage):
        report = await examine(running)
    assert {item.bank for item in report.findings} == {damage.bank}
    found = [
        item
        for item in report.findings
        if item.kind is damage.kind and damage.message in item.message
    ]
    assert found, report.findings
    assert damage.height is None or found[0].height == damage.height


async def test_section_18_with_full_every_banks_rows_are_added_up(running: RunningBanks) -> None:
    (damage,) = [item for item in DAMAGES if item.table == "treasury"]
    async with damaged(running, damage):
        report = await examine(running, full=True)
    assert "the stake and penalty rows do not add up to what the banks' states say" in [
        item.message for item in report.findings
    ]
    assert {item.bank for item in report.findings} == {damage.bank}


async def test_the_command_names_the_first_divergence_and_exits_with_1(
    running: RunningBanks,
) -> None:
    async with damaged(running, DAMAGES[-1]):
        result = await running.command("doctor")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[-2] == "first divergence: dunmere at height 2 (divergence)"
    assert lines[-1].startswith("NOT clean: ")
    assert (await examine(running)).clean


@contextlib.asynccontextmanager
async def damaged(running: RunningBanks, damage: Damage) -> AsyncIterator[None]:
    """Change the value, put it back when the block ends, and let the bank that noticed go on."""
    where = f"ctid = (SELECT min(ctid) FROM {damage.table} WHERE {damage.row})"
    ((before,),) = running.execute(
        damage.bank, f"SELECT {damage.column} FROM {damage.table} WHERE {where}"
    )
    ((row,),) = running.execute(
        damage.bank,
        f"UPDATE {damage.table} SET {damage.column} = {damage.change} WHERE {where} RETURNING ctid",
    )
    try:
        yield
    finally:
        running.execute(
            damage.bank,
            f"UPDATE {damage.table} SET {damage.column} = %s WHERE ctid = %s",
            before,
            row,
        )
        await running.forget_damage(damage.bank)


READS: dict[str, Any] = {
    "Ledger/GetTransaction": lambda t: ledger_pb2.GetTransactionRequest(
        transaction_id=t, include_transaction=True
    ),
    "Ledger/WaitForTransaction": lambda t: ledger_pb2.WaitForTransactionRequest(transaction_id=t),
    "Ledger/GetBlock": lambda t: ledger_pb2.GetBlockRequest(height=2, include_transactions=True),
    "Ledger/StreamBlocks": lambda t: ledger_pb2.StreamBlocksRequest(include_transactions=True),
    "Ledger/GetInclusionProof": lambda t: ledger_pb2.GetInclusionProofRequest(transaction_id=t),
    "Ledger/ListNotes": lambda t: ledger_pb2.ListNotesRequest(),
    "Ledger/ListNullifiers": lambda t: ledger_pb2.ListNullifiersRequest(),
    "Ledger/ListClosedBins": lambda t: ledger_pb2.ListClosedBinsRequest(),
    "Ledger/GetBins": lambda t: ledger_pb2.GetBinsRequest(bin_ids=[0]),
    "Ledger/GetSealedState": lambda t: ledger_pb2.GetSealedStateRequest(),
    "Ledger/ListEvidence": lambda t: ledger_pb2.ListEvidenceRequest(),
    "Ledger/ListTreasury": lambda t: ledger_pb2.ListTreasuryRequest(),
    "Ledger/GetVotes": lambda t: ledger_pb2.GetVotesRequest(height=1, include_ballots=True),
    "Ledger/ListVotes": lambda t: ledger_pb2.ListVotesRequest(include_ballots=True, from_height=1),
    "Ledger/ListSettlements": lambda t: ledger_pb2.ListSettlementsRequest(),
    "Ledger/ListBallotConflicts": lambda t: ledger_pb2.ListBallotConflictsRequest(),
    "Ledger/GetParameters": lambda t: ledger_pb2.GetParametersRequest(),
    "Ledger/GetNodeStatus": lambda t: ledger_pb2.GetNodeStatusRequest(),
    "Operator/GetStatus": lambda t: operator_pb2.GetStatusRequest(),
    "Operator/GetDigests": lambda t: operator_pb2.GetDigestsRequest(),
    "Operator/ListBlocks": lambda t: operator_pb2.ListBlocksRequest(),
    "Operator/AuditTransactions": lambda t: operator_pb2.AuditTransactionsRequest(everything=True),
    "Operator/GetRound": lambda t: operator_pb2.GetRoundRequest(height=1),
    "Operator/GetTransactionTrace": lambda t: operator_pb2.GetTransactionTraceRequest(
        transaction_id=t
    ),
}
"""A request for every method that reads, by its name."""
FROM_MEMORY = ("Operator/GetRound", "Operator/GetTransactionTrace")
"""A bank that was started again has forgotten what it could have answered."""
ACTS = {
    "Ledger/SubmitTransaction",
    "Ledger/SubmitTransactions",
    "Operator/Shutdown",
    "Operator/SetLogLevel",
    "Operator/InjectFault",
    "Operator/HealFaults",
}


def methods_of(file: Any) -> dict[str, Any]:
    return {
        f"{service.name}/{method.name}": method
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }


async def answer_to(channel: grpc.aio.Channel, name: str, method: Any, request: bytes) -> bytes:
    path = f"/consortium.v1.{name}"
    if not method.server_streaming:
        return bytes(await channel.unary_unary(path)(request, timeout=DEADLINE_S))
    parts = [part async for part in channel.unary_stream(path)(request, timeout=DEADLINE_S)]
    return b"".join(parts)


async def test_section_17_no_answer_shows_who_sealed_a_block(running: RunningBanks) -> None:
    """Every method that a client, operator or the regulator may read from, at every bank."""
    methods = methods_of(ledger_pb2) | methods_of(operator_pb2)
    assert set(methods) == set(READS) | ACTS
    rows = [row for bank in range(4) for row in running.execute(bank, "SELECT seal FROM blocks")]
    seals = [Seal.decode(bytes(seal)) for (seal,) in rows if seal]  # type: ignore[arg-type]
    secret = {entry.signature for seal in seals for entry in seal.signatures}
    ballots = {raw for seal in seals for raw in seal.ballots}
    assert len(secret) >= 4 * 4
    (identity,) = running.execute(0, "SELECT min(transaction_id) FROM transactions")[0]
    directory, seen = running.directory, b""
    for endpoint in running.consortium.endpoints:
        for name, method in methods.items():
            if name in ACTS:
                continue
            role = directory.operator if name.startswith("Operator") else directory.client(0)
            place = directory.regulator if name.endswith("ListBallotConflicts") else role
            channel = ClientCredentials.load(place).open_channel(endpoint)
            try:
                request = READS[name](bytes(identity)).SerializeToString()
                answer = await answer_to(channel, name, method, request)
            except grpc.aio.AioRpcError as error:
                if name not in FROM_MEMORY or error.code() is not grpc.StatusCode.NOT_FOUND:
                    raise
                answer = b""
            finally:
                await channel.close()
            assert not [item for item in secret if item in answer], name
            seen += answer
    assert any(raw in seen for raw in ballots), "what certifies the blocks is shown all the same"


async def test_a_bank_that_is_down_is_named(running: RunningBanks) -> None:
    assert await running.stop(2) is ExitCode.STOPPED
    report = await examine(running)
    address = running.consortium.endpoints[2].address
    assert report.findings == (Finding(0, 2, FindingKind.DOWN, f"does not answer at {address}"),)
    assert not report.clean
    assert not report.state_roots_identical
    assert report.banks_answered == 3


async def test_a_bank_whose_port_for_metrics_is_taken_does_not_start(
    running: RunningBanks, caplog: pytest.LogCaptureFixture
) -> None:
    """Bank 2 is down, and shall serve its metrics where bank 0 does."""
    place = running.directory.bank(2)
    taken = running.consortium.metrics_addresses[0]
    config = replace(load_node_config(place.config_file), metrics_listen=taken)
    place.config_file.write_text(render_node_config(config, place.root.resolve()))
    running.start(2)
    assert await running.nodes[2] is ExitCode.CONFIGURATION
    said = [vars(record)["detail"] for record in caplog.records if record.msg == "cannot start"]
    assert len(said) == 1
    assert said[0].startswith(f"metrics cannot be served at {taken}: ")
