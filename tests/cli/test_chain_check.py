"""One bank's blocks against the genesis: every link, ballot and root that is off is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from crypto.merkle import merkle_root
from node.cli.chain_check import ChainCheck, diverging_banks
from node.cli.doctor_report import Finding, FindingKind
from node.client.record_check import RecordCheck
from node.client.verification import SealVerifier
from node.ledger.ballots import ballot_tag
from node.ledger.blocks import Block, Header
from node.ledger.types import BankIndex, BlockId
from node.wire.records import PublishedBlock
from tests.client.small_bank import SealedLedger, certify
from tests.ledger import booth
from tests.ledger.chain import Chain

BANK = BankIndex(2)


@pytest.fixture(scope="module")
def ledger() -> SealedLedger:
    """Three sealed blocks, with an issue in each."""
    sealed = SealedLedger(Chain())
    for amount in (10, 20, 30):
        sealed.seal(sealed.chain.mint([amount]))
    return sealed


def check(ledger: SealedLedger, blocks: list[PublishedBlock]) -> ChainCheck:
    genesis = ledger.chain.genesis
    verifier = SealVerifier(genesis)
    outcome = ChainCheck(BANK, genesis, verifier, records=RecordCheck(genesis, verifier))
    for height, stored in enumerate(blocks):
        outcome.take(stored)
        if height:
            outcome.take_bodies(height, stored)
    return outcome


def resealed(ledger: SealedLedger, at: int, **changes: object) -> PublishedBlock:
    """A block whose header says something else, approved by all banks all the same."""
    stored = ledger.blocks[at]
    block = Block.decode(stored.block)
    header = replace(block.header, **changes)  # type: ignore[arg-type]
    active_set = ledger.chain.genesis.active_set([BankIndex(b) for b in range(4)])
    certificate = certify(header, active_set).encode()
    return PublishedBlock(
        header.encode(), replace(block, header=header).encode(), certificate, stored.transactions
    )


def test_a_sound_chain_has_no_findings(ledger: SealedLedger) -> None:
    outcome = check(ledger, ledger.blocks)
    assert outcome.findings == []
    assert outcome.seals_verified == 3
    assert outcome.block_ids == [Header.decode(item.header).block_id for item in ledger.blocks]
    assert [len(ids) for ids in outcome.transaction_ids] == [0, 1, 1, 1]


def test_a_forged_ballot(ledger: SealedLedger) -> None:
    blocks = list(ledger.blocks)
    certificate = bytearray(blocks[2].certificate)
    certificate[-40] ^= 1
    blocks[2] = replace(blocks[2], certificate=bytes(certificate))
    assert check(ledger, blocks).findings == [
        Finding(
            2, BANK, FindingKind.SEAL, "a ballot does not verify: ballot: an equation does not hold"
        )
    ]


def test_the_certificate_of_another_block(ledger: SealedLedger) -> None:
    blocks = list(ledger.blocks)
    blocks[2] = replace(blocks[2], certificate=blocks[1].certificate)
    assert check(ledger, blocks).findings == [
        Finding(2, BANK, FindingKind.SEAL, "the ballot certificate is of another block")
    ]


def test_a_block_that_does_not_follow(ledger: SealedLedger) -> None:
    """A quorum's ballots do not make up for a missing link."""
    blocks = list(ledger.blocks)
    blocks[2] = resealed(ledger, 2, parent_id=BlockId(bytes(32)))
    assert check(ledger, blocks).findings == [
        Finding(
            2, BANK, FindingKind.HEADER, "the block does not name the block before it as its parent"
        ),
        Finding(
            3, BANK, FindingKind.HEADER, "the block does not name the block before it as its parent"
        ),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"height": 5}, "the block at this height says that it is of height 5"),
        ({"chain_id": bytes(32)}, "the block is of another chain"),
        ({"time_ms": 1}, "the block is older than the one before it"),
        (
            {"transaction_count": 2},
            "the block names another number of transactions than its header",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_header_that_contradicts_its_place(
    ledger: SealedLedger, changes: dict[str, object], message: str
) -> None:
    blocks = ledger.blocks[:3]
    blocks[2] = resealed(ledger, 2, **changes)
    found = [item for item in check(ledger, blocks).findings if item.kind is FindingKind.HEADER]
    assert found == [Finding(2, BANK, FindingKind.HEADER, message)]


def test_another_genesis(ledger: SealedLedger) -> None:
    blocks = [replace(ledger.blocks[0], header=ledger.blocks[1].header)]
    assert check(ledger, blocks).findings == [
        Finding(0, BANK, FindingKind.HEADER, "block 0 is not that of this genesis")
    ]


def test_bytes_that_are_no_block(ledger: SealedLedger) -> None:
    blocks = list(ledger.blocks[:2])
    blocks[1] = replace(blocks[1], header=b"nonsense", block=b"")
    (first, second) = check(ledger, blocks).findings
    assert (first.height, first.kind, second.kind) == (1, FindingKind.HEADER, FindingKind.HEADER)
    assert first.message.startswith("the stored block does not decode: ")


def test_other_transactions(ledger: SealedLedger) -> None:
    blocks = list(ledger.blocks)
    blocks[2] = replace(blocks[2], transactions=blocks[1].transactions)
    blocks[3] = replace(blocks[3], transactions=())
    message = "stored transactions are not those that the block names"
    assert check(ledger, blocks).findings == [
        Finding(2, BANK, FindingKind.TRANSACTIONS_ROOT, message),
        Finding(3, BANK, FindingKind.TRANSACTIONS_ROOT, message),
    ]


def test_another_merkle_root(ledger: SealedLedger) -> None:
    blocks = list(ledger.blocks[:3])
    blocks[2] = resealed(ledger, 2, transactions_root=bytes(32))
    assert check(ledger, blocks).findings == [
        Finding(
            2,
            BANK,
            FindingKind.TRANSACTIONS_ROOT,
            "stored transactions do not have the Merkle root of the header",
        )
    ]


def with_votes(ledger: SealedLedger, at: int, votes: Sequence[bytes]) -> PublishedBlock:
    """A block that carries these votes on its parent, certified by all banks all the same."""
    stored = resealed(ledger, at, ballots_root=merkle_root(votes))
    block = Block.decode(stored.block)
    return replace(stored, block=replace(block, parent_ballots=tuple(votes)).encode())


def votes_of(ledger: SealedLedger, at: int) -> list[bytes]:
    return list(Block.decode(ledger.blocks[at].block).parent_ballots)


def test_section_17_the_votes_are_those_that_the_header_commits_to(ledger: SealedLedger) -> None:
    blocks = list(ledger.blocks)
    block = Block.decode(blocks[3].block)
    fewer = replace(block, parent_ballots=block.parent_ballots[1:])
    blocks[3] = replace(blocks[3], block=fewer.encode())
    assert check(ledger, blocks).findings == [
        Finding(
            3,
            BANK,
            FindingKind.VOTING_RECORDS,
            "the block's ballots do not have the Merkle root of the header",
        )
    ]


def cast(ledger: SealedLedger, at: int, bank: int, view: int | None = None) -> bytes:
    active_set = ledger.chain.genesis.active_set([BankIndex(b) for b in range(4)])
    return booth.cast(active_set, Header.decode(ledger.blocks[at].header), bank, view)


VOTES: dict[str, tuple[Callable[[SealedLedger], list[bytes]], str]] = {
    "one too few": (
        lambda ledger: votes_of(ledger, 3)[1:],
        "ballots: 3 approvals of the parent, exactly 4 are required",
    ),
    "one twice": (
        lambda ledger: [votes_of(ledger, 3)[0], *votes_of(ledger, 3)],
        "ballots: the tags are not in strictly increasing order",
    ),
    "of the block before": (
        lambda ledger: votes_of(ledger, 2),
        "a ballot is of another height or view",
    ),
    "of two views": (
        lambda ledger: sorted(
            [*(cast(ledger, 2, bank) for bank in range(3)), cast(ledger, 2, 3, view=1)],
            key=ballot_tag,
        ),
        "a ballot does not verify: context: ballot for another height or round",
    ),
    "none": (lambda ledger: [], "ballots: 0 approvals of the parent, exactly 4 are required"),
}


@pytest.mark.parametrize("name", VOTES)
def test_section_17_votes_against_the_rules_are_named_although_sealed(
    ledger: SealedLedger, name: str
) -> None:
    """A quorum that seals such a block has agreed to break the rules."""
    make, message = VOTES[name]
    blocks = [*ledger.blocks[:3], with_votes(ledger, 3, make(ledger))]
    (finding,) = check(ledger, blocks).findings
    assert (finding.height, finding.kind) == (3, FindingKind.VOTING_RECORDS)
    assert finding.message == f"the votes on the block before it: {message}"


def test_section_17_a_block_that_nobody_certified_counts_no_votes(ledger: SealedLedger) -> None:
    genesis = ledger.chain.genesis
    verifier = SealVerifier(genesis)
    records = RecordCheck(genesis, verifier)
    forged = resealed(ledger, 3, time_ms=Header.decode(ledger.blocks[3].header).time_ms + 1)
    uncertified = replace(forged, certificate=ledger.blocks[3].certificate)
    for blocks in (ledger.blocks, [*ledger.blocks[:3], uncertified]):
        shown = ChainCheck(BANK, genesis, verifier, records=records)
        for stored in blocks:
            shown.take(stored)
    (tally,) = records.tallies
    assert (tally.ballots, tally.blocks, records.blocks_recorded) == (8, 2, 2)


def ids(text: str) -> list[BlockId]:
    return [BlockId(letter.encode() * 32) for letter in text]


@pytest.mark.parametrize(
    ("chains", "expected"),
    [
        (["abcd", "abcd", "abcd", "abcd"], []),
        # One that is behind has not diverged.
        (["abcd", "abcd", "ab", "abcd"], []),
        (["abcd", "abxy", "abcd", "abcd"], [(2, 1)]),
        (["abcd", "abxd", "abcd", "xbcd"], [(0, 3), (2, 1)]),
    ],
)
def test_the_first_divergence_of_each_bank(
    chains: list[str], expected: list[tuple[int, int]]
) -> None:
    findings = diverging_banks(
        {BankIndex(bank): ids(chain) for bank, chain in enumerate(chains)}, last_height=3
    )
    assert sorted((item.height, item.bank) for item in findings) == expected
    assert all(item.kind is FindingKind.DIVERGENCE for item in findings)


def test_a_divergence_is_told_with_both_blocks() -> None:
    chains = {BankIndex(bank): ids(chain) for bank, chain in enumerate(["ab", "ab", "ax"])}
    assert list(diverging_banks(chains, 1)) == [
        Finding(
            1,
            2,
            FindingKind.DIVERGENCE,
            f"has block {'78' * 8} where 2 banks have {'62' * 8}",
        )
    ]
