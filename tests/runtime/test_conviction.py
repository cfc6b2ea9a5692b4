"""From a lie to a conviction, out of the active set and back, on real nodes (BFT-12 9, 10, 18)."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio

from crypto.build import Payment, build_issue
from crypto.note import SessionKeys
from crypto.transaction import Kind, transaction_id
from node.client import SealVerifier, wait_sealed
from node.client.errors import GovernanceInvalid, TransactionRefused
from node.client.governance import approve, readmission_terms, stake_movement
from node.client.issuing import issue as submit_issue
from node.client.ledger_client import LedgerClient
from node.client.payment_order import recipient
from node.client.verification import SealedPlace
from node.client.wallet import Wallet
from node.client.wallet_file import Passphrase
from node.ledger.governance import GovernanceKind, assemble_approved
from node.ledger.invariants import check_conservation
from node.ledger.rejection import Reason
from node.ledger.state import BankState, LedgerState
from node.ledger.types import Amount, BankIndex, TransactionId
from node.runtime.exit_code import ExitCode
from node.wire.operator_records import ByzantineFault, NodeReport
from node.wire.records import EvidenceItem, EvidenceStatus
from tests.ledger.chain import BASE, issuer_secret
from tests.runtime.cluster import Cluster, make_cluster
from tests.runtime.test_node import until_ready

pytestmark = pytest.mark.postgres

LIAR = BankIndex(3)
HONEST = (0, 1, 2, 4)
INITIAL_STAKE = 45_003
STAKES = (INITIAL_STAKE, 42_753, 38_478, 30_783, 24_627, 19_702, 15_762, 12_610, 10_088, 8_071)
"""Of the liar after each offence: 5 %, 10 %, then 20 % each time, every penalty rounded down."""
FLOOR = 13_501
"""The first stake that is at least 30 % of the initial one."""


@pytest_asyncio.fixture
async def cluster(
    reachable_directory: Path, make_database_url: Callable[[], str]
) -> AsyncIterator[Cluster]:
    made = make_cluster(reachable_directory, make_database_url, 5, allow_faults=True)
    made.start()
    try:
        async with asyncio.timeout(90):
            await until_ready(made, *range(5))
            yield made
    finally:
        assert set(await made.stop()) == {ExitCode.STOPPED}


async def state_at(cluster: Cluster, bank: int) -> LedgerState:
    async with cluster.client(bank) as ledger:
        return SealVerifier(cluster.genesis).verify_state(await ledger.sealed_state())[1]


def make_issue(cluster: Cluster) -> bytes:
    return build_issue(
        kind=Kind.ISSUE,
        chain_id=cluster.genesis.chain_id,
        asset=BASE,
        amount=1,
        issuer_secret=issuer_secret(1),
        payments=[Payment(SessionKeys.derive(os.urandom(32), 1).address, 1, bytes(32))],
        expiry=500,
        ring_base=4,
        random_bytes=os.urandom,
    )


async def hand_in(cluster: Cluster, ledger: LedgerClient, raw: bytes) -> SealedPlace:
    identity = TransactionId(transaction_id(raw))
    await ledger.submit(raw)
    return await wait_sealed(ledger, SealVerifier(cluster.genesis), identity, timeout_ms=20_000)


async def lie_until_removed(cluster: Cluster) -> BankState:
    """Have the liar vote twice, again and again, until it has left the active set."""
    async with cluster.operator(LIAR) as operator:
        (fault,) = await operator.inject_fault(ByzantineFault("double-voter"))
        assert fault.kind == "byzantine"
        async with cluster.client(0) as ledger:
            while (await state_at(cluster, 0)).banks[LIAR].active:
                await hand_in(cluster, ledger, make_issue(cluster))
        assert await operator.heal_faults() == ()
        # It lied up to its last height, and what it said then may be recorded after it left.
        async with cluster.client(0) as ledger:
            while True:
                if EvidenceStatus.PENDING not in {item.status for item in await evidence(ledger)}:
                    break
                await asyncio.sleep(0.1)
    return (await state_at(cluster, 0)).banks[LIAR]


async def evidence(ledger: LedgerClient) -> list[EvidenceItem]:
    return [item async for page in ledger.evidence() for item in page]


async def test_a_liar_is_convicted_slashed_removed_and_may_return(
    cluster: Cluster, reachable_directory: Path
) -> None:
    liar = await lie_until_removed(cluster)
    assert liar.stake == STAKES[liar.offences] < FLOOR <= STAKES[6]

    async with cluster.client(0) as ledger:
        await assert_punished(ledger, liar.offences)
        await assert_observer_follows(cluster, ledger)
        with pytest.raises(GovernanceInvalid, match=r"^the stake of bank 3 is \d+ minor units"):
            await readmission_terms(ledger, LIAR)
        await top_up(cluster, ledger, reachable_directory)
        await readmit(cluster, ledger)
        place = await hand_in(cluster, ledger, make_issue(cluster))
        proof = await ledger.inclusion_proof(place.transaction_id)
        assert len(proof.set_changes) == 2
    states = {bank: await state_at(cluster, bank) for bank in range(5)}
    height = min(state.height for state in states.values())
    roots = {state.root() for state in states.values() if state.height == height}
    assert len(roots) == 1
    for state in states.values():
        check_conservation(cluster.genesis, state)


async def assert_punished(ledger: LedgerClient, offences: int) -> None:
    """Every offence has its evidence, its penalty row, and no other bank has any."""
    items = await evidence(ledger)
    recorded = [item for item in items if item.status is EvidenceStatus.RECORDED]
    penalties = [before - after for before, after in pairwise(STAKES[: offences + 1])]
    assert sorted(item.penalty or 0 for item in recorded) == sorted(penalties)
    assert {(item.bank, item.offence) for item in items} == {(LIAR, "E1")}
    rows = [row async for page in ledger.treasury() for row in page if row.kind == "penalty"]
    assert [(row.bank, row.amount) for row in rows] == [(LIAR, amount) for amount in penalties]


async def assert_observer_follows(cluster: Cluster, ledger: LedgerClient) -> None:
    """Four banks decide; the removed one keeps up and may still be asked to submit."""
    async with cluster.client(LIAR) as observer:
        place = await hand_in(cluster, observer, make_issue(cluster))
    block = await ledger.block(place.header.height)
    assert block.header == place.header.encode()
    report = await _report(cluster, LIAR)
    assert (report.consensus.active_banks, report.consensus.quorum) == (4, 4)


async def _report(cluster: Cluster, bank: int) -> NodeReport:
    async with cluster.operator(bank) as operator:
        return await operator.report()


async def top_up(cluster: Cluster, ledger: LedgerClient, directory: Path) -> None:
    """Bring money into the liar's public account, and from there into its stake."""
    missing = INITIAL_STAKE - (await state_at(cluster, 0)).banks[LIAR].stake
    wallet = await Wallet.create(directory, "alice", Passphrase("of the tests"), ledger)
    minted = await submit_issue(
        ledger, issuer_secret(0), [recipient(wallet.address, missing + 100)]
    )
    await wait_sealed(
        ledger, SealVerifier(cluster.genesis), minted.transaction_id, timeout_ms=20_000
    )
    await wallet.wait_for_funds(missing + 100)
    payment = await wallet.redeem(missing, LIAR)
    await wallet.wait_sealed(payment.number, timeout_ms=20_000)
    raw = await stake_movement(
        ledger, GovernanceKind.STAKE_TOP_UP, LIAR, Amount(missing), issuer_secret(LIAR)
    )
    await hand_in(cluster, ledger, raw)
    bank = (await state_at(cluster, 0)).banks[LIAR]
    assert (bank.stake, bank.balance, bank.active) == (INITIAL_STAKE, 0, False)


async def readmit(cluster: Cluster, ledger: LedgerClient) -> None:
    """A quorum of the four active banks is all of them; three are too few."""
    terms = await readmission_terms(ledger, LIAR)
    approvals = [
        approve(terms, BankIndex(bank), hashlib.sha256(b"consensus %d" % bank).digest())
        for bank in HONEST
    ]
    with pytest.raises(TransactionRefused) as refused:
        await hand_in(cluster, ledger, assemble_approved(terms, approvals[:3]))
    assert refused.value.reason is Reason.APPROVAL_COUNT
    await hand_in(cluster, ledger, assemble_approved(terms, approvals))
    assert (await state_at(cluster, 0)).banks[LIAR].active
