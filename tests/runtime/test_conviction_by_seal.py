"""All banks share a defect for one block; without it they convict by that block's seal (BFT-12 9).

Real nodes, databases, ballots and links. The defect is everybody's for as long as it lasts: no bank
objects, and nobody's signature on a proposal is kept.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from crypto.build import Payment, build_issue
from crypto.note import SessionKeys
from crypto.transaction import Kind, transaction_id
from node.client import SealVerifier, wait_sealed
from node.client.errors import LedgerError
from node.client.ledger_client import LedgerClient
from node.client.verification import SealedPlace
from node.consensus.evidence_items import SealedInvalid, encode_item
from node.ledger.ballots import BallotCertificate
from node.ledger.blocks import Block, Header
from node.ledger.execution_proof import proof_by_execution
from node.ledger.invalidity import encode_proof_of_sealed
from node.ledger.invariants import check_conservation
from node.ledger.rejection import Reason
from node.ledger.state import LedgerState
from node.ledger.types import Height, TransactionId
from node.runtime.exit_code import ExitCode
from node.wire.records import EvidenceStatus
from tests.ledger.chain import BASE, issuer_secret
from tests.regulator.defective import without_limits
from tests.runtime.cluster import Cluster, make_cluster
from tests.runtime.test_node import until_ready

pytestmark = pytest.mark.postgres

BANKS = 4
LIMIT = 1_000_000


@pytest_asyncio.fixture
async def cluster(
    reachable_directory: Path, make_database_url: Callable[[], str]
) -> AsyncIterator[Cluster]:
    made = make_cluster(reachable_directory, make_database_url, BANKS)
    made.start()
    try:
        async with asyncio.timeout(90):
            await until_ready(made, *range(BANKS))
            yield made
    finally:
        assert set(await made.stop()) == {ExitCode.STOPPED}


async def issue(cluster: Cluster, ledger: LedgerClient, amount: int) -> SealedPlace:
    raw = build_issue(
        kind=Kind.ISSUE,
        chain_id=cluster.genesis.chain_id,
        asset=BASE,
        amount=amount,
        issuer_secret=issuer_secret(1),
        payments=[Payment(SessionKeys.derive(os.urandom(32), 1).address, amount, bytes(32))],
        expiry=500,
        ring_base=4,
        random_bytes=os.urandom,
    )
    await ledger.submit(raw)
    identity = TransactionId(transaction_id(raw))
    return await wait_sealed(ledger, SealVerifier(cluster.genesis), identity, timeout_ms=20_000)


async def state_at(cluster: Cluster, bank: int) -> tuple[Header, LedgerState]:
    async with cluster.client(bank) as ledger:
        return SealVerifier(cluster.genesis).verify_state(await ledger.sealed_state())


async def accusation(
    cluster: Cluster, ledger: LedgerClient, height: Height, parent: Header, state: LedgerState
) -> SealedInvalid:
    """What the regulator makes of a block that it executes again."""
    stored = await ledger.block(height, include_transactions=True)
    block = Block.decode(stored.block)
    assert parent.block_id == block.header.parent_id
    proof = proof_by_execution(
        cluster.genesis,
        state,
        parent,
        block.header,
        ballots=block.parent_ballots,
        transactions=stored.transactions,
    )
    assert proof is not None
    item = SealedInvalid.of(
        block.header, BallotCertificate.decode(stored.certificate), encode_proof_of_sealed(proof)
    )
    assert item is not None
    return item


async def quiet(cluster: Cluster) -> tuple[Header, LedgerState]:
    """The tip once no bin waits for its closing block."""
    while True:
        header, state = await state_at(cluster, 0)
        if all(asset.open_bin is None for asset in state.assets):
            return header, state
        await asyncio.sleep(0.1)


async def test_section_9_banks_convict_by_the_seal_of_a_block_that_they_sealed_themselves(
    cluster: Cluster,
) -> None:
    """The creator by the seal (E5), and by their own votes those whose approvals are still known.

    An honest bank's item over the block before, which is valid, convicts nobody.
    """
    async with cluster.client() as ledger:
        await issue(cluster, ledger, LIMIT)
        parent, state = await quiet(cluster)
        with without_limits():
            sealed = await issue(cluster, ledger, LIMIT)
        assert sealed.header.parent_id == parent.block_id
        item = await accusation(cluster, ledger, sealed.header.height, parent, state)
        await refuse_a_false_one(cluster, ledger, parent, item)
        await hand_in(cluster, item)
        convicted = await until_punished(cluster, ledger)

    creator = sealed.header.proposer
    assert [bank for bank, offence in convicted if offence == "E5"] == [creator]
    approvers = [bank for bank, offence in convicted if offence == "E7"]
    assert len(set(approvers)) == len(approvers)
    assert len(convicted) == len(approvers) + 1


async def refuse_a_false_one(
    cluster: Cluster, ledger: LedgerClient, valid: Header, item: SealedInvalid
) -> None:
    stored = await ledger.block(valid.height)
    certificate = BallotCertificate.decode(stored.certificate)
    false = SealedInvalid.of(valid, certificate, item.proof)
    assert false is not None
    supervision = cluster.supervision(0)
    with pytest.raises(LedgerError) as refused:
        await supervision.submit_evidence(encode_item(false))
    await supervision.close()
    assert refused.value.reason_code == Reason.EVIDENCE.value


async def hand_in(cluster: Cluster, item: SealedInvalid) -> None:
    supervision = cluster.supervision(0)
    await supervision.submit_evidence(encode_item(item))
    await supervision.close()


async def until_punished(cluster: Cluster, ledger: LedgerClient) -> list[tuple[int, str]]:
    """Return the convicted once every bank's state has punished every item, and no other bank."""
    while True:
        await asyncio.sleep(0.2)
        held = [found async for page in ledger.evidence() for found in page]
        counts = Counter(found.bank for found in held)
        states = [(await state_at(cluster, bank))[1] for bank in range(BANKS)]
        if (
            held
            and all(found.status is EvidenceStatus.RECORDED for found in held)
            and len({state.root() for state in states}) == 1
            and all(bank.offences == counts[bank.index] for bank in states[0].banks)
        ):
            check_conservation(cluster.genesis, states[0])
            return [(found.bank, found.offence) for found in held]
