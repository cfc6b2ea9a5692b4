"""Verification in processes gives the verdicts of a thread, several batches at a time."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures.process import BrokenProcessPool

import pytest
import pytest_asyncio

from node.ledger.proofs import AdmissionView, VerifiedTransaction, verify_transactions
from node.ledger.rejection import Reason, Rejection
from node.runtime.admission import Admission
from node.runtime.cpu_account import CpuAccount
from node.runtime.verification_workers import (
    Judgement,
    ProcessVerification,
    WorkerPool,
    make_verification,
    timed_verification,
)
from tests.ledger.chain import Chain
from tests.runtime.bank_parts import Bank, forged, funded, identity, open_bank

pytestmark = [pytest.mark.postgres, pytest.mark.asyncio(loop_scope="module")]


def started(ledger: Chain, workers: int) -> WorkerPool:
    """Not forked: a test runner has threads."""
    document = json.dumps(ledger.genesis.to_json_object()).encode()
    return WorkerPool.start(document, workers, method="spawn")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bank(module_database_url: Callable[[], str]) -> AsyncIterator[Bank]:
    ledger = Chain(seed="workers")
    workers = ProcessVerification(started(ledger, 2))
    async with open_bank(ledger, module_database_url, verification=workers) as opened:
        await funded(opened)
        yield opened


async def test_processes_give_the_verdicts_of_a_thread(bank: Bank) -> None:
    notes = bank.ledger.mature()
    raws = [
        bank.ledger.transfer(notes[:1]),
        forged(bank.ledger.transfer(notes[1:2])),
        bank.ledger.mint([7]),
        b"no transaction",
        bank.ledger.transfer(notes[:1], split=1)[:-1],
    ]
    view = await bank.chain.admission_view(raws)
    cpu = CpuAccount()
    workers = make_verification(started(bank.ledger, 1), cpu)
    try:
        found = await workers.verify(raws, view)
    finally:
        workers.close()
    expected = verify_transactions(raws, view, os.urandom)
    assert [_told(item) for item in found.verdicts] == [_told(item) for item in expected]
    assert [isinstance(item, VerifiedTransaction) for item in found.verdicts] == [
        *(True, False, True),
        *(False, False),
    ]
    assert cpu.report().verify_ms > 0, "the processes' time is the bank's"
    assert [item.judged for item in found.times.items] == [True, True, True, False, False]
    assert (found.times.proven, found.times.proofs_us > 0) == (3, True), "measured over there"


def _told(verdict: VerifiedTransaction | Rejection) -> object:
    if isinstance(verdict, Rejection):
        return verdict.reason, verdict.message
    return verdict


async def test_two_batches_are_verified_at_the_same_time(bank: Bank) -> None:
    """What arrives while a batch is under way begins at once, as long as a process is free."""
    raws = [bank.ledger.mint([value]) for value in range(20, 24)]
    bad = forged(bank.ledger.transfer(bank.ledger.mature()[:1]))
    answers = await asyncio.gather(
        *(bank.admission.verify(raw, f"client/{raw[90]}") for raw in [*raws, bad]),
        return_exceptions=True,
    )
    assert [item.raw for item in answers[:4] if isinstance(item, VerifiedTransaction)] == raws
    refusal = answers[4]
    assert isinstance(refusal, Rejection) and refusal.reason is Reason.SPEND
    assert bank.admission.known(identity(raws[0])) is not None


class _Gate:
    """Verification that waits until as many batches are under way as it allows."""

    at_once = 2

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.under_way = 0

    async def verify(self, raws: object, view: AdmissionView) -> Judgement:
        assert isinstance(raws, list)
        self.under_way += 1
        if self.under_way == self.at_once:
            self.open.set()
        await self.open.wait()
        return timed_verification(raws, view, os.urandom)

    def close(self) -> None:
        self.open.set()


async def test_admission_keeps_as_many_batches_under_way_as_there_are_processes(
    module_database_url: Callable[[], str],
) -> None:
    ledger, gate = Chain(seed="gate"), _Gate()
    async with open_bank(ledger, module_database_url, verification=gate) as opened:
        first = asyncio.create_task(opened.admission.verify(ledger.mint([1]), "client/a"))
        await asyncio.sleep(0.05)
        second = asyncio.create_task(opened.admission.verify(ledger.mint([2]), "client/b"))
        async with asyncio.timeout(10):
            await asyncio.gather(first, second)
        assert opened.admission.counters.batches == 2


async def test_a_process_that_dies_ends_admission(bank: Bank) -> None:
    """A bank that cannot verify must stop and say why."""
    others = multiprocessing.active_children()
    workers = ProcessVerification(started(bank.ledger, 2))
    admission = Admission(bank.chain, workers, bank.clock, lambda source, rejection: None)
    running = asyncio.create_task(admission.run())
    await admission.verify(bank.ledger.mint([31]), "client/a")
    for process in multiprocessing.active_children():
        if process not in others:
            process.kill()
    waiting = asyncio.create_task(admission.verify(bank.ledger.mint([32]), "client/a"))
    with pytest.raises(BrokenProcessPool):
        async with asyncio.timeout(10):
            await running
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_what_a_vote_waits_for_is_verified_beside_the_batch_under_way(
    module_database_url: Callable[[], str],
) -> None:
    ledger, gate = Chain(seed="urgent"), _Gate()
    gate.at_once = 2
    async with open_bank(ledger, module_database_url, verification=_OneAtATime(gate)) as opened:
        slow = asyncio.create_task(opened.admission.verify(ledger.mint([1]), "client/a"))
        await asyncio.sleep(0.05)
        named = asyncio.create_task(opened.admission.verify_named(ledger.mint([2]), "bank/1"))
        async with asyncio.timeout(10):
            await asyncio.gather(slow, named)


class _OneAtATime:
    """A verification that has one place for what arrives."""

    at_once = 1

    def __init__(self, gate: _Gate) -> None:
        self.verify = gate.verify
        self.close = gate.close
