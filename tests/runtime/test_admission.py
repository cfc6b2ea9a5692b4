"""Admission: micro-batches, one verification for the same bytes, and who pays for bad proofs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
import pytest_asyncio

from node.ledger.proofs import VerifiedTransaction
from node.ledger.rejection import Reason, Rejection
from node.runtime import admission as admission_module
from node.runtime import transaction_pool
from node.runtime.admission import AdmissionCounters
from tests.ledger.chain import Chain
from tests.runtime.bank_parts import Bank, forged, funded, identity, open_bank

pytestmark = [pytest.mark.postgres, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(
    module_database_url: Callable[[], str],
) -> AsyncIterator[Bank]:
    async with open_bank(Chain(seed="admission"), module_database_url) as bank:
        await funded(bank)
        yield bank


@pytest.fixture
def bank(shared: Bank) -> Bank:
    """The bank with fresh counters; its verdicts are of other transactions."""
    shared.admission.counters = AdmissionCounters()
    shared.blamed.clear()
    return shared


async def verdicts(bank: Bank, *items: tuple[bytes, str]) -> list[object]:
    """What each source was told, all asking at the same moment."""
    answers = await asyncio.gather(
        *(bank.admission.verify(raw, source) for raw, source in items), return_exceptions=True
    )
    return [answer.reason if isinstance(answer, Rejection) else answer for answer in answers]


async def test_what_arrives_together_is_verified_in_one_batch(bank: Bank) -> None:
    raws = [bank.ledger.mint([value]) for value in range(1, 6)]
    answers = await verdicts(bank, *((raw, f"client/{raw[60]}") for raw in raws))
    assert [answer.raw for answer in answers] == raws  # type: ignore[attr-defined]
    assert bank.admission.counters == AdmissionCounters(verified=5, refused=0, batches=1)
    assert [bank.admission.known(identity(raw)) for raw in raws] == answers


async def test_while_blocks_are_full_a_batch_waits_for_company(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one batch takes together costs least; a vote that needs some of it does not wait."""
    monkeypatch.setattr(admission_module, "PATIENT_GATHER_S", 600.0)
    monkeypatch.setattr(transaction_pool, "FULL_BLOCKS_AHEAD", 0)
    raws = [bank.ledger.mint([value]) for value in range(301, 304)]
    first = bank.admission.ticket(raws[0], "client/a")
    await asyncio.sleep(5 * admission_module.GLANCE_S)
    assert bank.admission.counters == AdmissionCounters()
    second = bank.admission.ticket(raws[1], "client/b")
    named = await bank.admission.verify_named(raws[2], "bank/1")
    assert named.raw == raws[2]
    assert bank.admission.counters == AdmissionCounters(verified=1, batches=1)
    monkeypatch.setattr(transaction_pool, "FULL_BLOCKS_AHEAD", 4)
    assert [(await ticket).raw for ticket in (first, second)] == raws[:2]
    assert bank.admission.counters == AdmissionCounters(verified=3, batches=2)


async def test_a_full_batch_waits_for_nothing(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission_module, "PATIENT_GATHER_S", 600.0)
    monkeypatch.setattr(admission_module, "BATCH_LIMIT", 2)
    monkeypatch.setattr(transaction_pool, "FULL_BLOCKS_AHEAD", 0)
    raws = [bank.ledger.mint([value]) for value in range(311, 315)]
    answers = await verdicts(bank, *((raw, f"client/{raw[60]}") for raw in raws))
    assert [answer.raw for answer in answers] == raws  # type: ignore[attr-defined]
    assert bank.admission.counters == AdmissionCounters(verified=4, batches=2)


async def test_one_bad_proof_is_found_and_refused_alone(bank: Bank) -> None:
    """IDX1 10.7: the batch is halved until the liar stands alone."""
    notes = bank.ledger.mature()
    good = [bank.ledger.mint([value]) for value in range(6, 10)]
    bad = forged(bank.ledger.transfer(notes[:1]))
    items = [(raw, f"client/{index}") for index, raw in enumerate([*good[:2], bad, *good[2:]])]
    answers = await verdicts(bank, *items)
    assert answers[2] is Reason.SPEND
    assert all(isinstance(answer, VerifiedTransaction) for answer in answers[:2] + answers[3:])
    assert bank.admission.counters == AdmissionCounters(verified=4, refused=1, batches=1)
    assert bank.admission.known(identity(bad)) is None
    assert bank.blamed == [("client/2", "spend")]


async def test_a_liar_is_verified_by_itself_from_then_on(bank: Bank) -> None:
    """BFT-12 12: one liar cannot make everybody bisect."""
    bad = forged(bank.ledger.transfer(bank.ledger.mature()[:1], split=1))
    assert await verdicts(bank, (bad, "bank/3")) == [Reason.SPEND]
    assert "bank/3" in bank.admission.suspects
    bank.admission.counters = AdmissionCounters()
    items = [(bank.ledger.mint([value]), "bank/3") for value in (21, 22)]
    items += [(bank.ledger.mint([value]), "bank/1") for value in (23, 24)]
    await verdicts(bank, *items)
    # One common batch, and one of each of the suspect's two.
    assert bank.admission.counters == AdmissionCounters(verified=4, refused=0, batches=3)
    assert bank.blamed == [("bank/3", "spend")]


async def test_what_fails_before_the_equations_blames_nobody(bank: Bank) -> None:
    """Only a failing equation costs the others a bisection."""
    unregistered = Chain(bank.ledger.genesis, seed="other chain").mint([5], chain_id=b"\x01" * 32)
    answers = await verdicts(bank, (b"\x01", "client/x"), (unregistered, "client/x"))
    assert answers == [Reason.LENGTH, Reason.CHAIN]
    assert (bank.blamed, "client/x" in bank.admission.suspects) == ([], False)


async def test_the_same_bytes_share_one_verification(bank: Bank) -> None:
    raw = bank.ledger.mint([31])
    answers = await verdicts(bank, *((raw, f"bank/{index}") for index in range(10, 20)))
    assert {id(answer) for answer in answers} == {id(answers[0])}
    assert bank.admission.counters == AdmissionCounters(verified=1, refused=0, batches=1)


async def test_a_caller_that_leaves_does_not_take_the_verdict_with_it(bank: Bank) -> None:
    raw = bank.ledger.mint([32])
    leaving = asyncio.create_task(bank.admission.verify(raw, "client/leaving"))
    staying = asyncio.create_task(bank.admission.verify(raw, "client/staying"))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying).raw == raw
    assert leaving.cancelled()


async def test_above_the_waiting_limit_clients_are_told_to_come_back(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission_module, "WAITING_LIMIT", 2)
    raws = [bank.ledger.mint([value]) for value in (41, 42, 43)]
    answers = await verdicts(bank, *((raw, "client/many") for raw in raws))
    assert answers[2] is Reason.MEMPOOL_FULL
    assert all(isinstance(answer, VerifiedTransaction) for answer in answers[:2])
    assert await verdicts(bank, (raws[2], "client/many")) != [Reason.MEMPOOL_FULL]
    assert bank.admission.waiting == 0


async def test_section_12_one_source_leaves_room_for_others_and_for_what_blocks_name(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission_module, "WAITING_LIMIT", 3)
    monkeypatch.setattr(admission_module, "WAITING_LIMIT_OF_SOURCE", 2)
    raws = [bank.ledger.mint([value]) for value in (44, 45, 46, 47, 48)]
    flood = [asyncio.create_task(bank.admission.verify(raw, "client/a")) for raw in raws[:3]]
    other = asyncio.create_task(bank.admission.verify(raws[3], "client/b"))
    named = asyncio.create_task(bank.admission.verify_named(raws[4], "bank/1"))
    answers = await asyncio.gather(*flood, other, named, return_exceptions=True)
    assert isinstance(answers[2], Rejection)
    assert answers[2].reason is Reason.MEMPOOL_FULL
    assert all(isinstance(answers[index], VerifiedTransaction) for index in (0, 1, 3, 4))


async def test_a_batch_has_a_limit(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission_module, "BATCH_LIMIT", 2)
    raws = [bank.ledger.mint([value]) for value in (51, 52, 53)]
    await verdicts(bank, *((raw, "client/three") for raw in raws))
    assert bank.admission.counters == AdmissionCounters(verified=3, refused=0, batches=2)


async def test_only_so_many_verdicts_are_remembered(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission_module, "REMEMBERED_VERDICTS", 2)
    raws = [bank.ledger.mint([value]) for value in (61, 62, 63)]
    for raw in raws:
        await bank.admission.verify(raw, "client/a")
    assert [bank.admission.known(identity(raw)) is None for raw in raws] == [True, False, False]
    bank.admission.forget([identity(raws[1])])
    assert bank.admission.known(identity(raws[1])) is None


async def test_a_block_is_not_judged_by_a_verdict_on_an_older_state(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was under way when a bin closed is judged again for the block that spends from it."""
    raw = bank.ledger.mint([31])
    judge = bank.admission._judge

    async def judge_before_the_bin_closed(raws: Sequence[bytes]) -> tuple[Rejection, ...]:
        monkeypatch.setattr(bank.admission, "_judge", judge)
        return tuple([Rejection(Reason.BIN_OPEN, "the bin still fills") for _ in raws])

    monkeypatch.setattr(bank.admission, "_judge", judge_before_the_bin_closed)
    gossip = asyncio.create_task(bank.admission.verify(raw, "bank/1"))
    await asyncio.sleep(0)
    assert (await bank.admission.verify_named(raw, "bank/2")).raw == raw
    with pytest.raises(Rejection) as refused:
        await gossip
    assert refused.value.reason is Reason.BIN_OPEN
    assert bank.admission.counters == AdmissionCounters(verified=1, refused=1, batches=2)
