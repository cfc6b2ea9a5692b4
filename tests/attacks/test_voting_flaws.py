"""Flaws of earlier systems in voting and sealing, tried on a running consortium: FLAW-08, 09, 17,
18 and 20.

The attacker is the leader itself: it holds its own keys and proposes what it likes.
"""

from __future__ import annotations

import ast
import asyncio
import dataclasses
import hashlib
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest

import node
from crypto.merkle import merkle_root
from crypto.transaction import transaction_id
from node.consensus.certificates import (
    CertificateInvalid,
    QuorumCertificate,
    Seal,
    SignatureEntry,
    verify_commits,
    verify_quorum_certificate,
)
from node.consensus.messages import Decision, Proposal, Vote, encode_message
from node.consensus.signatures import Ed25519Signer, Ed25519Verifier, SignatureInvalid
from node.consensus.signing import SigningContext
from node.ledger.active_set import ActiveSet, quorum_size
from node.ledger.blocks import Block, Header
from node.ledger.encoding import MalformedEncoding
from node.ledger.types import BankIndex, BlockId, Height, TransactionId, View
from node.wire import peer_pb2
from tests.attacks.conftest import require_calm
from tests.attacks.consortium import BANKS, DEADLINE_S, Consortium
from tests.attacks.peer_stream import deliver
from tests.ledger.chain import Chain, make_genesis

ROOMS = [Path(next(iter(node.__path__))), Path(next(iter(node.__path__))).parent / "crypto"]
RANGE_RESPONSES = 108 + 104 + 2 * 281 + 8 + 288
"""Where the range proof's scalars begin in a TRANSFER of one input and two outputs (IDX1 5.2)."""
in_module_loop = pytest.mark.asyncio(loop_scope="module")


def signer(bank: int) -> Ed25519Signer:
    return Ed25519Signer(hashlib.sha256(b"consensus %d" % bank).digest())


# --- FLAW-08, FLAW-09: what is voted on is looked at -------------------------------------------


@dataclass(frozen=True)
class Poison:
    """A dishonest leader's block, and the bodies that it hands out with it."""

    block: Block
    gossip: tuple[bytes, ...] = ()
    """Valid by themselves: sent to every bank."""
    served: tuple[bytes, ...] = ()
    """Invalid: kept for the banks that ask the leader."""


def with_header(block: Block, **changes: object) -> Block:
    return replace(block, header=replace(block.header, **changes))  # type: ignore[arg-type]


def block_of(chain: Chain, raws: Sequence[bytes]) -> Block:
    """A block naming these transactions with a root that is right for their bytes."""
    empty = chain.build().block
    header = {"transaction_count": len(raws), "transactions_root": merkle_root(list(raws))}
    ids = tuple(TransactionId(transaction_id(raw)) for raw in raws)
    return replace(with_header(empty, **header), transaction_ids=ids)


def header_lie(**changes: object) -> Callable[[Chain], Poison]:
    return lambda chain: Poison(with_header(chain.build().block, **changes))


def with_bad_proof(chain: Chain, position: int) -> Poison:
    """A good issue, and a transfer of one note with one bit of a proof changed."""
    good, bad = chain.mint([11]), bytearray(chain.transfer(chain.mature()[:1]))
    bad[position] ^= 1
    raws = [good, bytes(bad)]
    return Poison(block_of(chain, raws), gossip=(good,), served=(bytes(bad),))


def with_bad_signature(chain: Chain) -> Poison:
    raw = bytearray(chain.mint([12]))
    raw[-64] ^= 1
    return Poison(block_of(chain, [bytes(raw)]), served=(bytes(raw),))


def double_spend(chain: Chain) -> Poison:
    notes = chain.mature()[:1]
    raws = (chain.transfer(notes), chain.transfer(notes, split=1))
    return Poison(block_of(chain, raws), gossip=raws)


def spent_before(chain: Chain) -> Poison:
    """Made when the note was unspent; spent by the block before."""
    raw = chain.transfer(chain.mature()[:1])
    altered = raw[:108] + (0).to_bytes(8, "little") + min(chain.history.spent) + raw[212:]
    return Poison(block_of(chain, [altered]), served=(altered,))


def over_the_limit(chain: Chain) -> Poison:
    raws = (chain.mint([600_000], bank=3), chain.mint([500_000], bank=3))
    return Poison(block_of(chain, raws), gossip=raws)


def one_transaction_twice(chain: Chain) -> Poison:
    raw = chain.mint([12])
    return Poison(block_of(chain, [raw, raw]), gossip=(raw,))


def money_from_nowhere(chain: Chain) -> Poison:
    """An honest transaction, and a state in which the leader has more than it leaves."""
    raw = chain.mint([13])
    honest = chain.build(chain.verify(raw))
    banks = list(honest.transition.state.banks)
    banks[0] = replace(banks[0], balance=banks[0].balance + 1_000)
    state = replace(honest.transition.state, banks=tuple(banks))
    return Poison(with_header(honest.block, post_state_root=state.root()), gossip=(raw,))


POISONS: dict[str, tuple[Callable[[Chain], Poison], str]] = {
    "a state root of its own": (header_lie(post_state_root=bytes(32)), "state-root"),
    "money from nowhere in the state": (money_from_nowhere, "state-root"),
    "another active set": (header_lie(next_set_hash=bytes(32)), "next-set"),
    "another parent": (header_lie(parent_id=BlockId(bytes(32))), "parent"),
    "a time before its parent's": (header_lie(time_ms=1), "time"),
    "a time far ahead": (lambda chain: Poison(chain.build(after_ms=900_000).block), "clock"),
    "a bad range proof": (lambda chain: with_bad_proof(chain, RANGE_RESPONSES), "range"),
    "a bad spend proof": (lambda chain: with_bad_proof(chain, -32), "spend"),
    "a bad signature": (with_bad_signature, "signature"),
    "a note spent twice": (double_spend, "nullifier"),
    "a note spent before": (spent_before, "nullifier"),
    "issues over the limit": (over_the_limit, "issuance-limit"),
    "one transaction twice": (one_transaction_twice, "duplicate-transaction"),
}


async def propose(consortium: Consortium, poison: Poison) -> None:
    """Send the leader's signed proposal to every other bank, bodies first."""
    chain = consortium.follower
    leader = chain.leader()
    active_set = chain.state.active_set(chain.genesis)
    height = Height(chain.height + 1)
    unsigned = Proposal(leader, height, View(0), poison.block, None, None, None, bytes(64))
    context = SigningContext.of(chain.genesis.chain_id, active_set, height)
    signature = signer(leader).sign(unsigned.signed_bytes(context))
    await serve_bodies(consortium, leader, poison.served)
    if poison.gossip:
        await send_to_others(consortium, leader, peer_pb2.PeerFrame(transactions=poison.gossip))
        # The verdicts on what was gossiped are in by the time the proposal arrives.
        await asyncio.sleep(0.3)
    message = encode_message(replace(unsigned, signature=signature))
    await send_to_others(consortium, leader, peer_pb2.PeerFrame(consensus_messages=[message]))


async def send_to_others(
    consortium: Consortium, sender: BankIndex, frame: peer_pb2.PeerFrame
) -> None:
    """One frame to every other bank, in the sender's name."""
    encoded = frame.SerializeToString()
    await asyncio.gather(
        *(
            deliver(consortium, [encoded], to=bank, certificate_of=sender)
            for bank in range(BANKS)
            if bank != sender
        )
    )


async def serve_bodies(consortium: Consortium, bank: int, bodies: Sequence[bytes]) -> None:
    """Plant bodies in the leader's own database, so that its node hands them out."""
    url = consortium.cluster.banks[bank].config.database.url_file.read_text()
    async with await psycopg.AsyncConnection.connect(url) as connection:
        for raw in bodies:
            await connection.execute(
                "INSERT INTO transaction_bodies (transaction_id, body) VALUES (%s, %s)",
                [transaction_id(raw), raw],
            )


def refusals(caplog: pytest.LogCaptureFixture, block: Block) -> list[str]:
    """The reason of every bank that refused this block."""
    return [
        getattr(record, "reason", "")
        for record in caplog.get_records("call")
        if record.getMessage() == "block rejected"
        and getattr(record, "block", "") == block.block_id.hex()
    ]


async def until_refused(caplog: pytest.LogCaptureFixture, block: Block) -> None:
    """Wait for the first refusal. With four banks it ends the view (rq = 1), so a bank that was
    slower may not judge the block any more; none may approve it."""
    async with asyncio.timeout(DEADLINE_S):
        while not refusals(caplog, block):  # noqa: ASYNC110 - log records raise no event
            await asyncio.sleep(0.02)


@pytest.mark.postgres
@in_module_loop
@pytest.mark.parametrize("name", POISONS)
async def test_flaw_08_09_a_bad_proposal_is_refused_with_its_reason_and_never_sealed(
    consortium: Consortium, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Votes are judgements: bodies, proofs, nullifiers and roots are checked by every bank."""
    caplog.set_level(logging.WARNING)
    make, reason = POISONS[name]
    await consortium.require_agreement()
    await consortium.follow()
    chain = consortium.follower
    poison = make(chain)
    height = Height(chain.height + 1)
    await propose(consortium, poison)
    await until_refused(caplog, poison.block)
    # The banks change the view and seal something else at this height.
    await consortium.require_sealing()
    await consortium.require_agreement()
    assert set(refusals(caplog, poison.block)) == {reason}
    stored = await consortium.clients[2].block(height)
    assert Block.decode(stored.block).block_id != poison.block.block_id
    require_calm(caplog)


@pytest.mark.postgres
@in_module_loop
async def test_flaw_09_an_empty_list_does_not_pass_for_a_full_one(
    consortium: Consortium, caplog: pytest.LogCaptureFixture
) -> None:
    """A list that is not the header's is no copy of the block: nobody votes for it."""
    caplog.set_level(logging.WARNING)
    chain = consortium.follower
    raw = chain.mint([14])
    honest = chain.build(chain.verify(raw)).block
    emptied = replace(honest, transaction_ids=())
    height = chain.height
    await propose(consortium, Poison(emptied))
    await asyncio.sleep(0.3)
    assert {bank.height for bank in await consortium.snapshots()} == {height}
    assert refusals(caplog, emptied) == []
    await consortium.require_sealing()
    await consortium.require_agreement()


# --- FLAW-17: what a signature says ------------------------------------------------------------

CHAIN_ID = b"\x17" * 32
SET = make_genesis(banks=12).active_set(tuple(BankIndex(bank) for bank in range(12)))
CONTEXT = SigningContext.of(CHAIN_ID, SET, Height(5))
BLOCK = BlockId(b"\x05" * 32)
VOTE = Vote(BankIndex(3), Height(5), View(1), BLOCK, Decision.REJECT, "spend", 7, bytes(64))


@pytest.mark.parametrize(
    "change",
    [
        {"bank": BankIndex(4)},
        {"view": View(2)},
        {"block_id": BlockId(bytes(32))},
        {"decision": Decision.APPROVE},
        {"reason": "range"},
        {"transaction_index": 8},
        {"transaction_index": None},
    ],
    ids=lambda change: next(iter(change)),
)
def test_flaw_17_a_vote_signs_everything_that_it_says(change: dict[str, object]) -> None:
    """BFT-12 2: no field of a vote can be changed or moved under another signature."""
    signature = signer(3).sign(VOTE.signed_bytes(CONTEXT))
    key = SET.keys[BankIndex(3)]
    Ed25519Verifier().verify(key, VOTE.signed_bytes(CONTEXT), signature)
    altered = replace(VOTE, **change)  # type: ignore[arg-type]
    with pytest.raises(SignatureInvalid):
        Ed25519Verifier().verify(key, altered.signed_bytes(CONTEXT), signature)


@pytest.mark.parametrize(
    "context",
    [
        replace(CONTEXT, chain_id=bytes(32)),
        replace(CONTEXT, set_hash=bytes(32)),
        replace(CONTEXT, height=Height(6)),
    ],
    ids=["chain", "set", "height"],
)
def test_flaw_17_a_vote_cannot_be_replayed_elsewhere(context: SigningContext) -> None:
    signature = signer(3).sign(VOTE.signed_bytes(CONTEXT))
    with pytest.raises(SignatureInvalid):
        Ed25519Verifier().verify(SET.keys[BankIndex(3)], VOTE.signed_bytes(context), signature)


def test_flaw_17_every_statement_of_one_place_signs_other_bytes() -> None:
    """An approval is no commit, a commit no proposal."""
    view, bank = View(0), BankIndex(3)
    statements = {
        CONTEXT.proposal(view, bank, BLOCK),
        CONTEXT.approval(view, bank, BLOCK),
        CONTEXT.vote(view, bank, BLOCK, Decision.REJECT, "", None),
        CONTEXT.commit(view, bank, BLOCK),
        CONTEXT.timeout(view, bank, View(-1)),
    }
    assert len(statements) == 5


# --- FLAW-18: one quorum, ten of twelve --------------------------------------------------------


def commits(banks: Sequence[int], block_id: BlockId = BLOCK) -> tuple[SignatureEntry, ...]:
    return tuple(
        SignatureEntry(
            BankIndex(bank),
            signer(bank).sign(CONTEXT.commit(View(0), BankIndex(bank), block_id)),
        )
        for bank in banks
    )


def test_flaw_18_the_quorum_is_five_sixths_rounded_up() -> None:
    """BFT-12 1: two quorums share 2q - n banks, and n - q may fail."""
    assert {n: quorum_size(n) for n in range(4, 17)} == {
        4: 4, 5: 5, 6: 5, 7: 6, 8: 7, 9: 8, 10: 9, 11: 10, 12: 10, 13: 11, 14: 12, 15: 13, 16: 14,
    }  # fmt: skip
    for n in range(4, 17):
        assert 6 * quorum_size(n) >= 5 * n > 6 * (quorum_size(n) - 1)
    assert (SET.quorum, SET.reject_threshold) == (10, 3)


def test_flaw_18_nine_commits_of_twelve_seal_nothing_and_ten_do() -> None:
    verify_commits(
        Seal(Height(5), View(0), BLOCK, commits(range(10))), CHAIN_ID, SET, Ed25519Verifier()
    )
    for banks in (list(range(9)), [*range(9), 8], [*range(9), 12]):
        signatures = commits(banks)
        seal = Seal(Height(5), View(0), BLOCK, signatures)
        with pytest.raises(CertificateInvalid):
            verify_commits(seal, CHAIN_ID, SET, Ed25519Verifier())
    other = (*commits(range(9)), *commits([9], BlockId(bytes(32))))
    with pytest.raises(CertificateInvalid, match=r"^signature of bank 9 does not verify$"):
        verify_commits(Seal(Height(5), View(0), BLOCK, other), CHAIN_ID, SET, Ed25519Verifier())


def test_flaw_18_nine_approvals_certify_nothing_and_commits_are_no_approvals() -> None:
    def approvals(banks: Sequence[int]) -> tuple[SignatureEntry, ...]:
        return tuple(
            SignatureEntry(
                BankIndex(bank),
                signer(bank).sign(CONTEXT.approval(View(0), BankIndex(bank), BLOCK)),
            )
            for bank in banks
        )

    def check(signatures: tuple[SignatureEntry, ...]) -> None:
        certificate = QuorumCertificate(Height(5), View(0), BLOCK, signatures)
        verify_quorum_certificate(certificate, CHAIN_ID, SET, Ed25519Verifier())

    check(approvals(range(10)))
    for signatures in (approvals(range(9)), commits(range(10))):
        with pytest.raises(CertificateInvalid):
            check(signatures)


def test_flaw_18_the_quorum_is_computed_in_one_place() -> None:
    """Nothing else is divided by three or six; everybody asks the active set."""
    sources = [
        path
        for room in ROOMS
        for path in sorted(room.rglob("*.py"))
        if not re.search(r"_pb2(_grpc)?\.py$", path.name)
    ]
    assert len(sources) > 100
    divisions = [
        f"{path.parent.name}/{path.name}: {ast.unparse(item)}"
        for path in sources
        for item in ast.walk(ast.parse(path.read_text()))
        if isinstance(item, ast.BinOp)
        and isinstance(item.op, ast.FloorDiv | ast.Div)
        and isinstance(item.right, ast.Constant)
        and item.right.value in (3, 6)
    ]
    assert divisions == ["ledger/active_set.py: -5 * bank_count // 6"]
    sized = [path.name for path in sources if "def quorum_size" in path.read_text()]
    assert sized == ["active_set.py"]


def test_flaw_18_the_set_hash_binds_the_quorum_and_every_key() -> None:
    hashes = {SET.set_hash, replace(SET, opener_key=bytes(96)).set_hash}
    for index, member in enumerate(SET.members):
        for change in ({"consensus_key": bytes(32)}, {"ballot_key": bytes(96)}):
            members = list(SET.members)
            members[index] = replace(member, **change)
            hashes.add(ActiveSet(tuple(members), SET.opener_key).set_hash)
    hashes.add(ActiveSet(SET.members[:11], SET.opener_key).set_hash)
    assert len(hashes) == 3 + 2 * 12


# --- FLAW-20: an id covers every byte ----------------------------------------------------------

HEADER = Header(
    chain_id=b"\x01" * 32,
    height=Height(5),
    parent_id=BlockId(b"\x02" * 32),
    original_view=View(1),
    proposer=BankIndex(3),
    time_ms=1_774_981_800_000,  # type: ignore[arg-type]
    transactions_root=b"\x04" * 32,
    evidence_root=b"\x05" * 32,
    ballots_root=b"\x06" * 32,
    transaction_count=9,
    post_state_root=b"\x07" * 32,
    next_set_hash=b"\x08" * 32,
)


@pytest.mark.parametrize("name", [item.name for item in dataclasses.fields(Header)])
def test_flaw_20_a_block_id_covers_every_field(name: str) -> None:
    value = getattr(HEADER, name)
    other = bytes(32) if isinstance(value, bytes) else value + 1
    assert replace(HEADER, **{name: other}).block_id != HEADER.block_id


def test_flaw_20_no_byte_of_a_header_can_be_changed_under_its_id() -> None:
    encoded = HEADER.encode()
    ids = {HEADER.block_id}
    undecodable = 0
    for position in range(len(encoded)):
        altered = encoded[:position] + bytes([encoded[position] ^ 1]) + encoded[position + 1 :]
        try:
            ids.add(Header.decode(altered).block_id)
        except MalformedEncoding:
            undecodable += 1
    assert len(ids) + undecodable == len(encoded) + 1
    assert undecodable == 4 + len(b"bft12/1/header"), "only the domain itself"


def test_flaw_20_the_private_content_is_under_the_id_byte_by_byte(
    funded_content: tuple[Block, list[bytes]],
) -> None:
    """The header's root hashes all bytes of every transaction, ciphertexts and proofs included."""
    block, raws = funded_content
    assert block.header.transactions_root == merkle_root(raws)
    for position in (0, 60, 500, 5_277):
        altered = bytearray(raws[0])
        altered[position] ^= 1
        changed = merkle_root([bytes(altered), *raws[1:]])
        assert with_header(block, transactions_root=changed).block_id != block.block_id
    assert merkle_root(raws[::-1]) != merkle_root(raws)
    assert merkle_root([*raws, raws[-1]]) != merkle_root(raws)


@pytest.fixture
def funded_content() -> tuple[Block, list[bytes]]:
    chain = Chain()
    raws = [chain.mint([1, 2]), chain.mint([3, 4]), chain.mint([5, 6])]
    return chain.build(chain.verify(*raws)).block, raws
