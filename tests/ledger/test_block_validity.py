"""Which block may follow which, and building one (BFT-12 3, 8, 10)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from crypto.merkle import EMPTY_ROOT, merkle_root
from crypto.transaction import Kind
from node.ledger.ballots import ballot_tag
from node.ledger.blocks import MAX_EVIDENCE, MAX_EVIDENCE_BYTES, Block, Header
from node.ledger.offences import Offence, VerifiedEvidence
from node.ledger.parameters import Parameters
from node.ledger.proofs import VerifiedTransaction
from node.ledger.rejection import Reason, Rejection
from node.ledger.state import LedgerState
from node.ledger.types import Amount, BankIndex, Height, TimeMs, View
from tests.ledger.chain import FEE, Chain, comparable, make_genesis, refusal


def refused(
    chain: Chain,
    block: Block,
    transactions: tuple[VerifiedTransaction | Rejection, ...] = (),
    clock_ms: int | None = None,
    evidence: Sequence[VerifiedEvidence | Rejection] = (),
) -> tuple[Reason, str, int | None]:
    with pytest.raises(Rejection) as error:
        chain.validate(block, transactions, clock_ms, evidence)
    return refusal(error.value)


def with_header(block: Block, **changes: object) -> Block:
    return replace(block, header=replace(block.header, **changes))  # type: ignore[arg-type]


def test_a_built_block_is_valid_and_commits_to_everything(chain: Chain) -> None:
    raws = [chain.transfer(chain.mature()[:1]), chain.mint([5]), chain.mint([6, 7])]
    verified = chain.verify(*raws)
    built = chain.build(verified, after_ms=2_500)
    state = built.transition.state
    votes = tuple(sorted([item.raw for item in chain.votes()], key=ballot_tag))
    assert built.block == Block(
        Header(
            chain_id=chain.genesis.chain_id,
            height=Height(5),
            parent_id=chain.header.block_id,
            original_view=View(0),
            proposer=BankIndex(1),
            time_ms=TimeMs(chain.header.time_ms + 2_500),
            transactions_root=merkle_root(raws),
            evidence_root=EMPTY_ROOT,
            ballots_root=merkle_root(votes),
            transaction_count=3,
            post_state_root=state.root(),
            next_set_hash=state.active_set(chain.genesis).set_hash,
        ),
        votes,
        (),
        tuple(item.transaction_id for item in verified),
    )
    assert (built.transactions, built.dropped) == (verified, ())
    assert tuple(item.raw for item in built.ballots) == votes
    validated = chain.validate(built.block, verified, built.block.header.time_ms)
    assert comparable(validated) == comparable(built.transition)


def test_a_bank_that_only_has_the_encoded_state_reaches_the_same_verdict(chain: Chain) -> None:
    """A restarted bank decodes its state; nothing may live beside the encoding."""
    verified = chain.verify(chain.transfer(chain.mature()[:2]), chain.mint([5]))
    built = chain.build(verified, after_ms=2_500)
    restarted = chain.fork()
    restarted.transition = replace(chain.transition, state=LedgerState.decode(chain.state.encode()))
    validated = restarted.validate(built.block, verified)
    assert comparable(validated) == comparable(built.transition)


HEADER_CASES: list[
    tuple[Callable[[Chain, Block], Block], Reason, Callable[[Chain, Block], str]]
] = [
    (
        lambda chain, block: with_header(block, chain_id=bytes(32)),
        Reason.CHAIN,
        lambda chain, block: "the block belongs to another ledger",
    ),
    (
        lambda chain, block: with_header(block, height=6),
        Reason.HEIGHT,
        lambda chain, block: "height 6 does not follow height 4",
    ),
    (
        lambda chain, block: with_header(block, height=4),
        Reason.HEIGHT,
        lambda chain, block: "height 4 does not follow height 4",
    ),
    (
        lambda chain, block: with_header(block, parent_id=bytes(32)),
        Reason.PARENT,
        lambda chain, block: f"the parent is {'00' * 32}, not {chain.header.block_id.hex()}",
    ),
    (
        lambda chain, block: with_header(block, time_ms=chain.header.time_ms),
        Reason.TIME,
        lambda chain, block: (
            f"time {chain.header.time_ms} is not after the parent's {chain.header.time_ms}"
        ),
    ),
    (
        lambda chain, block: with_header(block, proposer=2),
        Reason.PROPOSER,
        lambda chain, block: "bank 2 created the block, bank 1 leads view 0",
    ),
    (
        lambda chain, block: with_header(block, original_view=1),
        Reason.PROPOSER,
        lambda chain, block: "bank 1 created the block, bank 2 leads view 1",
    ),
    (
        lambda chain, block: with_header(block, proposer=4),
        Reason.PROPOSER,
        lambda chain, block: "bank 4 created the block, bank 1 leads view 0",
    ),
    (
        lambda chain, block: with_header(block, transaction_count=2),
        Reason.TRANSACTION_COUNT,
        lambda chain, block: "1 transactions, the header says 2",
    ),
    (
        lambda chain, block: with_header(block, ballots_root=bytes(32)),
        Reason.BALLOTS,
        lambda chain, block: (
            f"the header says {'00' * 32}, computed {block.header.ballots_root.hex()}"
        ),
    ),
    (
        lambda chain, block: with_header(block, evidence_root=bytes(32)),
        Reason.EVIDENCE,
        lambda chain, block: f"the header says {'00' * 32}, computed {EMPTY_ROOT.hex()}",
    ),
    (
        lambda chain, block: with_header(block, transactions_root=bytes(32)),
        Reason.TRANSACTIONS_ROOT,
        lambda chain, block: (
            f"the header says {'00' * 32}, computed {block.header.transactions_root.hex()}"
        ),
    ),
    (
        lambda chain, block: with_header(block, post_state_root=bytes(32)),
        Reason.STATE_ROOT,
        lambda chain, block: (
            f"the header says {'00' * 32}, computed {block.header.post_state_root.hex()}"
        ),
    ),
    (
        lambda chain, block: with_header(block, next_set_hash=bytes(32)),
        Reason.NEXT_SET,
        lambda chain, block: (
            f"the header says {'00' * 32}, computed {block.header.next_set_hash.hex()}"
        ),
    ),
]


@pytest.mark.parametrize(("change", "reason", "message"), HEADER_CASES)
def test_a_changed_block_is_refused_with_the_reason(
    chain: Chain,
    change: Callable[[Chain, Block], Block],
    reason: Reason,
    message: Callable[[Chain, Block], str],
) -> None:
    """BFT-12 8: every one of these is class D."""
    built = chain.build(chain.verify(chain.mint([5])))
    changed = change(chain, built.block)
    assert refused(chain, changed, built.transactions) == (
        reason,
        message(chain, built.block),
        None,
    )
    assert reason.is_deterministic


def test_a_block_whose_time_was_changed_has_another_state(chain: Chain) -> None:
    """The header's time is part of the state, so it cannot be moved alone."""
    built = chain.build(chain.verify(chain.mint([5])))
    changed = with_header(built.block, time_ms=built.block.header.time_ms + 1)
    assert refused(chain, changed, built.transactions)[0] is Reason.STATE_ROOT


def test_a_later_views_leader_may_create_a_block(chain: Chain) -> None:
    """BFT-12 P2: a new block in view v has orig_view = v."""
    built = chain.build(view=6)
    assert (built.block.header.original_view, built.block.header.proposer) == (6, 3)
    assert chain.validate(built.block, ()) == built.transition


def test_the_clock_is_judged_last_and_only_when_asked(chain: Chain) -> None:
    """BFT-12 8: class S, never for a proposal that carries a qc."""
    built = chain.build(after_ms=10_000)
    time_ms = built.block.header.time_ms
    assert chain.validate(built.block, (), None) == built.transition
    assert chain.validate(built.block, (), time_ms - 5_000) == built.transition
    assert refused(chain, built.block, (), time_ms - 5_001) == (
        Reason.CLOCK,
        f"time {time_ms} is 5001 ms ahead of my clock, at most 5000 ms are allowed",
        None,
    )
    wrong_root = with_header(built.block, post_state_root=bytes(32))
    assert refused(chain, wrong_root, (), 0)[0] is Reason.STATE_ROOT


def test_the_proposers_time_is_after_its_parents_whatever_its_clock(chain: Chain) -> None:
    """BFT-12 8: max(its clock, parent + 1)."""
    assert chain.build(after_ms=-50_000).block.header.time_ms == chain.header.time_ms + 1


def test_the_batch_limit_bounds_blocks_and_builders() -> None:
    parameters = Parameters(ring_base=4, transfer_fee=Amount(FEE), batch_limit=2)
    chain = Chain(make_genesis(parameters=parameters))
    verified = chain.verify(chain.mint([1]), chain.mint([2]), chain.mint([3]))
    built = chain.build(verified)
    assert (built.transactions, built.dropped) == (verified[:2], ())
    larger = replace(built.block, transaction_ids=tuple(item.transaction_id for item in verified))
    assert refused(chain, larger, verified) == (
        Reason.TRANSACTION_COUNT,
        "3 transactions, at most 2",
        None,
    )


def test_order_is_part_of_the_block(chain: Chain) -> None:
    verified = chain.verify(chain.mint([1]), chain.mint([2]))
    built = chain.build(verified)
    swapped = replace(built.block, transaction_ids=built.block.transaction_ids[::-1])
    assert refused(chain, swapped, verified[::-1])[0] is Reason.TRANSACTIONS_ROOT


def test_an_invalid_transaction_is_named_by_its_place(chain: Chain) -> None:
    """FLAW-08, FLAW-09: one bad payment and the whole block is refused."""
    note = chain.mature()[0]
    verified = chain.verify(chain.mint([1]), chain.transfer([note]), chain.transfer([note]))
    built = chain.build(verified[:2])
    poisoned = replace(
        with_header(
            built.block,
            transaction_count=3,
            transactions_root=merkle_root([item.raw for item in verified]),
        ),
        transaction_ids=tuple(item.transaction_id for item in verified),
    )
    assert refused(chain, poisoned, verified) == (Reason.NULLIFIER, "spent before", 2)


def poisoned_block(chain: Chain, raws: list[bytes]) -> Block:
    """A block that a faulty leader made without looking at the proofs."""
    honest = chain.build().block
    return replace(
        with_header(honest, transaction_count=len(raws), transactions_root=merkle_root(raws)),
        transaction_ids=tuple(chain.decode(raw).transaction_id for raw in raws),
    )


def test_a_false_proof_is_named_by_its_place(chain: Chain) -> None:
    """The first bad transaction in block order, by whichever rule it breaks."""
    note = chain.mature()[0]
    forged = bytearray(chain.transfer(chain.mature()[1:2]))
    forged[-32] ^= 1
    raws = [chain.mint([1]), chain.transfer([note]), bytes(forged), chain.transfer([note])]
    verdicts = chain.judge(raws)
    block = poisoned_block(chain, raws)
    assert refused(chain, block, verdicts) == (Reason.SPEND, "an equation does not hold", 2)
    reordered = [raws[1], raws[3], raws[2], raws[0]]
    assert refused(chain, poisoned_block(chain, reordered), chain.judge(reordered)) == (
        Reason.NULLIFIER,
        "spent before",
        1,
    )


def test_a_spend_of_a_bin_that_is_not_closed_yet_is_refused_in_a_block(chain: Chain) -> None:
    """IDX1 8.2: `bin-unknown` is "not yet" at admission, but a definite verdict on a block."""
    raw = chain.transfer(chain.mature()[:1])
    chain.history.closed_bins.clear()
    block = poisoned_block(chain, [raw])
    assert refused(chain, block, chain.judge([raw])) == (Reason.BIN_UNKNOWN, "bin 0", 0)


def test_candidates_are_dropped_one_by_one_in_the_order_given(chain: Chain) -> None:
    """BFT-12 8: a proposer drops and evicts invalid ones before it builds."""
    note = chain.mature()[0]
    candidates = chain.verify(
        chain.mint([80], bank=1, kind=Kind.PAYOUT),
        chain.transfer([note], redeem=80),
        chain.transfer([note]),
        chain.mint([80], bank=1, kind=Kind.PAYOUT),
    )
    built = chain.build(candidates)
    assert built.transactions == (candidates[1], candidates[3])
    assert [(item.transaction_id, refusal(item.rejection)) for item in built.dropped] == [
        (
            candidates[0].transaction_id,
            (
                Reason.INSUFFICIENT_ACCOUNT,
                "the account of bank 1 holds 0, 80 is wanted",
                None,
            ),
        ),
        (candidates[2].transaction_id, (Reason.NULLIFIER, "spent before", None)),
    ]
    assert comparable(chain.validate(built.block, built.transactions)) == (
        comparable(built.transition)
    )


def test_the_hosts_mistakes_are_not_the_blocks_fault(chain: Chain) -> None:
    verified = chain.verify(chain.mint([1]), chain.mint([2]))
    built = chain.build(verified)
    with pytest.raises(AssertionError, match=r"^one verdict per transaction"):
        chain.validate(built.block, verified[:1])
    with pytest.raises(AssertionError, match=r"^the verdicts are those of the block's"):
        chain.validate(built.block, verified[::-1])
    behind = chain.fork()
    behind.seal()
    behind.header = chain.header
    with pytest.raises(AssertionError, match=r"^the state is not the parent's"):
        behind.validate(built.block, verified)
    with pytest.raises(AssertionError, match=r"^the state is not the parent's"):
        behind.build()


def with_evidence(block: Block, items: Sequence[VerifiedEvidence]) -> Block:
    raws = tuple(item.raw for item in items)
    return replace(with_header(block, evidence_root=merkle_root(raws)), evidence=raws)


def test_section_9_a_block_carries_its_evidence_and_commits_to_it(chain: Chain) -> None:
    items = [chain.evidence(3), chain.evidence(1, 2), chain.evidence(1, 2, Offence.DOUBLE_COMMIT)]
    built = chain.build(evidence=items)
    assert built.evidence == (items[1], items[2], items[0])
    assert built.block.evidence == tuple(item.raw for item in built.evidence)
    assert built.block.header.evidence_root == merkle_root(built.block.evidence)
    assert chain.validate(built.block, (), None, built.evidence) == built.transition
    assert Block.decode(built.block.encode()) == built.block


def test_section_9_evidence_that_proves_nothing_spoils_the_block(chain: Chain) -> None:
    """Every voter checks every item again; its verdict is the block's."""
    built = chain.build(evidence=[chain.evidence(1), chain.evidence(2)])
    wrong = Rejection(Reason.EVIDENCE, "the signature of the second vote does not verify")
    verdicts = (built.evidence[0], wrong)
    assert refused(chain, built.block, (), None, verdicts) == (
        Reason.EVIDENCE, "the signature of the second vote does not verify", None
    )  # fmt: skip


def test_section_9_evidence_out_of_order_or_repeated_is_refused(chain: Chain) -> None:
    one, other = chain.evidence(1), chain.evidence(2)
    again = chain.evidence(1, offence=Offence.DOUBLE_BALLOT)
    honest = chain.build().block
    message = "the items are not in increasing order of their keys"
    for items in ([other, one], [one, one], [one, again]):
        block = with_evidence(honest, items)
        assert refused(chain, block, (), None, items) == (Reason.EVIDENCE, message, None)


def test_section_9_the_header_commits_to_the_evidence(chain: Chain) -> None:
    built = chain.build(evidence=[chain.evidence(1), chain.evidence(2)])
    fewer = replace(built.block, evidence=built.block.evidence[:1])
    assert refused(chain, fewer, (), None, built.evidence[:1]) == (
        Reason.EVIDENCE,
        f"the header says {merkle_root(built.block.evidence).hex()}, "
        f"computed {merkle_root(fewer.evidence).hex()}",
        None,
    )


def test_section_9_a_slash_left_out_of_the_state_is_noticed(chain: Chain) -> None:
    items = [chain.evidence(1)]
    unpunished = with_evidence(chain.build().block, items)
    assert refused(chain, unpunished, (), None, items)[0] is Reason.STATE_ROOT


def test_section_12_evidence_has_its_limits(chain: Chain) -> None:
    many = [
        chain.evidence(bank, height, offence)
        for height in range(1, 6)
        for bank in range(4)
        for offence in (*Offence,)[1:5]
    ]
    built = chain.build(evidence=many)
    assert len(many) > len(built.evidence) == MAX_EVIDENCE
    assert chain.validate(built.block, (), None, built.evidence) == built.transition
    block = with_evidence(built.block, sorted(many, key=lambda item: item.key)[: MAX_EVIDENCE + 1])
    assert refused(chain, block) == (
        Reason.EVIDENCE, "65 evidence items, at most 64", None
    )  # fmt: skip
    large = [chain.evidence(bank, size=700_000) for bank in range(4)]
    too_large = chain.evidence(0, offence=Offence.LOCK_VIOLATION, size=MAX_EVIDENCE_BYTES + 1)
    built = chain.build(evidence=[*large, too_large, chain.evidence(3, 2)])
    assert built.evidence == (chain.evidence(3, 2), *large[:2])
    assert chain.validate(built.block, (), None, built.evidence) == built.transition
    block = with_evidence(built.block, [too_large])
    assert refused(chain, block) == (
        Reason.EVIDENCE, "an evidence item of 1048577 bytes, at most 1048576", None
    )  # fmt: skip


def test_a_verdict_on_each_evidence_item_is_the_hosts_duty(chain: Chain) -> None:
    built = chain.build(evidence=[chain.evidence(1), chain.evidence(2)])
    with pytest.raises(AssertionError, match=r"^one verdict per evidence item"):
        chain.validate(built.block, ())
    with pytest.raises(AssertionError, match=r"^the verdicts are the block's"):
        chain.validate(built.block, (), None, built.evidence[::-1])
