"""What operators ask of a bank: reports, digests that the doctor compares, levels, a stop."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio

from node.consensus.core import Consensus
from node.consensus.parameters import ConsensusParameters
from node.consensus.signatures import Ed25519Signer, Ed25519Verifier, RingBallotSigner
from node.ledger.blocks import Header
from node.ledger.rejection import Rejection
from node.ledger.types import Height, View
from node.rpc.backend import NotFound
from node.rpc.credentials import TlsFiles
from node.runtime.audit import Audit
from node.runtime.config import DatabaseSettings, NodeConfig
from node.runtime.consensus_host import ConsensusHost
from node.runtime.evidence_examiner import EvidenceExaminer
from node.runtime.fault_injection import FaultInjection
from node.runtime.guard_file import GuardFile
from node.runtime.incoming_links import IncomingLinks
from node.runtime.operator_backend import OperatorBackend
from node.runtime.peer_network import PeerNetwork
from node.storage.errors import WriterLost
from node.wire.identity import Identity, Role
from node.wire.operator_records import (
    AlarmReport,
    AuditExtent,
    MempoolReport,
    TrafficReport,
)
from node.wire.records import Hello
from tests.ledger.chain import Chain, ballot_key
from tests.runtime.bank_parts import BANK, Bank, forged, funded, identity, open_bank

pytestmark = pytest.mark.postgres

OLIVIA = Identity("test-ledger", Role.OPERATOR, "olivia")


@dataclass
class Operated:
    """A bank with what an operator sees of it."""

    bank: Bank
    backend: OperatorBackend
    host: ConsensusHost
    stops: list[str]
    url: str = ""
    unready: list[str] = field(default_factory=list)


def assemble(bank: Bank, directory: Path, guard: GuardFile) -> Operated:
    genesis = bank.ledger.genesis
    banks = tuple(item.index for item in genesis.banks)
    incoming = IncomingLinks(banks)
    network = PeerNetwork(
        "test-ledger",
        (),
        TlsFiles(directory),
        lambda: Hello(genesis.chain_id, BANK, "0.1.0", bank.chain.height),
        incoming,
        bank.clock,
        lambda linked: None,
    )
    core = Consensus(
        BANK,
        banks,
        genesis.chain_id,
        ConsensusParameters(),
        Ed25519Signer(hashlib.sha256(b"consensus 0").digest()),
        Ed25519Verifier(),
        RingBallotSigner(ballot_key(0), genesis.chain_id),
    )
    core.restart(
        None, tip=bank.chain.header, tip_seal=None, active_set=bank.chain.active_set, blocks=()
    )
    host = ConsensusHost(
        BANK,
        bank.chain,
        bank.pool,
        EvidenceExaminer(bank.chain, Ed25519Verifier()),
        bank.database,
        guard,
        network,
        bank.clock,
        lambda block: None,
    )
    config = NodeConfig(
        bank=BANK,
        short_name="bank-0",
        listen="127.0.0.1:0",
        peers=(),
        genesis_file=directory / "genesis.json",
        key_directory=directory,
        guard_file=directory / "signing.guard",
        database=DatabaseSettings(directory / "database.url"),
        mempool_transactions=77,
        mempool_bytes=7_777,
    )
    stops: list[str] = []
    unready: list[str] = []
    backend = OperatorBackend(
        config,
        bank.chain,
        bank.database,
        core,
        host,
        bank.pool,
        bank.admission,
        network,
        FaultInjection((), network, None, lambda fault: None, bank.clock),
        Audit(bank.chain, bank.database, os.urandom),
        bank.clock,
        lambda: unready[0] if unready else None,
        stops.append,
        observation=bank.observation,
    )
    return Operated(bank, backend, host, stops, unready=unready)


@pytest_asyncio.fixture
async def operated(tmp_path: Path, make_database_url: Callable[[], str]) -> AsyncIterator[Operated]:
    guard = GuardFile(tmp_path / "signing.guard", bytes(16))
    url = make_database_url()
    async with open_bank(Chain(seed="operated"), lambda: url) as bank:
        await funded(bank)
        operated = assemble(bank, tmp_path, guard)
        operated.url = url
        yield operated
    guard.close()


async def test_the_report_is_of_this_moment(operated: Operated) -> None:
    bank, ledger = operated.bank, operated.bank.ledger
    raw = ledger.mint([5])
    await bank.pool.submit(raw, "client/alice")
    bad = forged(ledger.transfer(ledger.mature()[:1]))
    await bank.pool.take_gossip([bad], "bank/2")
    bank.clock.now_s += 2.5
    operated.host.raise_alarm("bad-proof", "bank/2 sent a bad proof")
    report = await operated.backend.report()
    chain = bank.chain
    assert (report.bank, report.bank_name, report.chain_id) == (
        BANK,
        "Bank 0",
        chain.genesis.chain_id,
    )
    assert (report.height, report.block_id, report.state_root, report.time_ms) == (
        2,
        chain.header.block_id,
        chain.state.root(),
        chain.header.time_ms,
    )
    assert report.mempool == MempoolReport(
        transactions=1,
        bytes=len(raw),
        capacity_transactions=77,
        capacity_bytes=7_777,
        admitted=1,
        refused=1,
        batches=2,
    )
    assert report.cpu.total_ms > 0
    assert report.traffic == TrafficReport()
    assert (report.last_seal_age_ms, report.process.uptime_ms) == (2_500, 2_500)
    assert (report.ready, report.halted, report.peers) == (True, "", ())
    assert report.alarms == (
        AlarmReport("bad-proof", "bank/2 sent a bad proof", bank.clock.wall_ms()),
    )
    assert (report.consensus.height, report.consensus.active_banks, report.consensus.quorum) == (
        3,
        4,
        4,
    )
    assert report.process.pid == os.getpid()
    assert report.database.connected and report.database.size_bytes > 0


async def test_an_unready_bank_says_so(operated: Operated) -> None:
    operated.unready.append("this bank is stopping")
    assert (await operated.backend.report()).ready is False


async def test_an_operator_is_answered_even_when_the_writing_session_is_lost(
    operated: Operated,
) -> None:
    """Because something is wrong the operator asks: what still works is answered."""
    database = operated.bank.database
    before = (await operated.backend.report()).database
    with psycopg.connect(operated.url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    with pytest.raises(WriterLost):
        await database.persist_consensus(b"record", Height(3), View(0), 1)
    after = (await operated.backend.report()).database
    assert (before.connected, after.connected) == (True, False)
    assert (after.server_version, after.size_bytes > 0) == (before.server_version, True)


async def test_digests_of_a_height_do_not_move_with_the_tip(operated: Operated) -> None:
    """The doctor compares banks at one height while blocks go on."""
    bank, ledger = operated.bank, operated.bank.ledger
    await bank.seal(ledger.transfer(ledger.mature()[:1]))
    before = await operated.backend.digests(Height(0), Height(3))
    assert (before.state_root, before.tip_height) == (bank.chain.state.root(), 3)
    assert (before.transaction_count, before.nullifier_count, before.note_count) == (2, 1, 4)
    assert before.block_ids[-1] == bank.chain.header.block_id
    assert len(before.block_ids) == 4
    await bank.seal(ledger.mint([6]))
    after = await operated.backend.digests(Height(0), Height(3))
    assert (after.tip_height, before.tip_height) == (4, 3)
    assert (after.block_ids, after.state_root, after.note_digest, after.treasury_digest) == (
        before.block_ids,
        before.state_root,
        before.note_digest,
        before.treasury_digest,
    )
    tip = await operated.backend.digests(Height(4), None)
    assert (tip.at_height, tip.note_count) == (4, 5)
    assert tip.note_digest != before.note_digest


async def test_there_are_no_digests_above_the_tip(operated: Operated) -> None:
    for from_height, at_height in ((0, 3), (3, None), (2, 1)):
        with pytest.raises(NotFound):
            await operated.backend.digests(
                Height(from_height), None if at_height is None else Height(at_height)
            )


async def test_stored_blocks_come_with_their_transactions(operated: Operated) -> None:
    blocks = [block async for block in operated.backend.stored_blocks(Height(1), None)]
    assert [Header.decode(block.header).height for block in blocks] == [1, 2]
    assert [len(block.transactions) for block in blocks] == [1, 0]
    only = [block async for block in operated.backend.stored_blocks(Height(0), Height(0))]
    assert [(block.block, block.certificate) for block in only] == [(b"", b"")]


async def test_an_audit_runs_through(operated: Operated) -> None:
    reports = [report async for report in operated.backend.audit(AuditExtent(b"", None))]
    assert (reports[-1].checked, reports[-1].failures, reports[-1].done) == (1, (), True)


async def test_a_trace_is_what_the_pool_and_the_verification_did(operated: Operated) -> None:
    bank, ledger = operated.bank, operated.bank.ledger
    raw = ledger.transfer(ledger.mature()[:1])
    await bank.pool.submit(raw, "client/alice")
    trace = await operated.backend.transaction_trace(identity(raw))
    assert (trace.bank, trace.transaction_id, trace.source) == (BANK, identity(raw), "client")
    assert [(check.name, check.passed, check.batch) for check in trace.checks] == [
        (name, True, 1)
        for name in (
            *("lookup", "encoding", "rules", "context", "points", "nullifiers"),
            *("challenges", "proofs", "conflicts"),
        )
    ]
    assert trace.checks[7].duration_us > trace.checks[1].duration_us, "proofs take the time"
    assert [event.kind.value for event in trace.events] == [
        *("received", "verified", "admitted", "gossiped"),
    ]
    moments = [event.at_us for event in trace.events]
    assert moments == sorted(moments)
    assert "alice" not in str(trace), "no client is named"
    performance = (await operated.backend.report()).performance
    assert performance.verify_ms_p50 is not None and performance.verify_ms_p50 > 0


async def test_a_refused_transaction_names_the_check_that_it_failed(operated: Operated) -> None:
    bank, ledger = operated.bank, operated.bank.ledger
    notes = ledger.mature()
    good = ledger.transfer(notes[:1])
    await bank.pool.submit(good, "client/alice")
    for raw, failed, reason in (
        (forged(ledger.transfer(notes[1:2])), "proofs", "spend: "),
        (good[:-1], "encoding", "length: "),
        (ledger.transfer(notes[:1], split=1), "conflicts", "nullifier: "),
        (ledger.transfer(notes[1:2], fee=1), "rules", "fee: "),
    ):
        with pytest.raises(Rejection):
            await bank.pool.submit(raw, "client/bob")
        trace = await operated.backend.transaction_trace(identity(raw))
        assert [check.name for check in trace.checks if not check.passed] == [failed]
        assert trace.checks[-1].name == failed
        assert trace.checks[-1].message != ""
        assert trace.events[-1].kind.value == "refused"
        assert trace.events[-1].detail.startswith(reason)
        assert "bob" not in str(trace)


async def test_what_is_not_kept_is_not_found_and_the_message_says_what_is(
    operated: Operated,
) -> None:
    with pytest.raises(NotFound, match=r"the last 512 heights since its start, and its tip is 2$"):
        await operated.backend.round(Height(2))
    with pytest.raises(NotFound, match=r"the last 20000 transactions since its start$"):
        await operated.backend.transaction_trace(identity(b"unknown"))


async def test_a_stop_says_who_asked_and_why(operated: Operated) -> None:
    await operated.backend.shutdown("maintenance", OLIVIA)
    await operated.backend.shutdown("", OLIVIA)
    assert operated.stops == ["requested by operator/olivia: maintenance", "by operator/olivia"]


async def test_the_log_level_can_be_changed_and_the_old_one_is_told(operated: Operated) -> None:
    root = logging.getLogger()
    level = root.level
    try:
        root.setLevel(logging.WARNING)
        assert await operated.backend.set_log_level("debug") == "WARNING"
        assert await operated.backend.set_log_level("ERROR") == "DEBUG"
        assert root.level == logging.ERROR
    finally:
        root.setLevel(level)
