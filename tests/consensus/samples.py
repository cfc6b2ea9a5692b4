"""One value of every message with real Ed25519 signatures: the input of the encoding vectors.

Four banks with the keys `SHA-256("bft12 vector key" || index)`; height 5, view 3.
"""

from __future__ import annotations

import dataclasses
import hashlib

from crypto.ballot import BallotOpening
from crypto.opener_shares import PartialDecryption
from node.consensus.accusations import approved_invalid, invalid_proposal, pair_of
from node.consensus.accusations import rejected_proposal as rejected
from node.consensus.certificates import RejectionEntry, SignatureEntry, TimeoutEntry
from node.consensus.evidence_items import (
    DoubleBallot,
    EvidenceItem,
    SealedInvalid,
    encode_item,
)
from node.consensus.messages import (
    BlockRequest,
    BlockResponse,
    Commit,
    Decision,
    Evidence,
    Message,
    Proposal,
    QuorumCertificate,
    RejectCertificate,
    Seal,
    SealedBlock,
    SignedStatement,
    Status,
    SyncRequest,
    SyncResponse,
    Timeout,
    TimeoutCertificate,
    Vote,
)
from node.consensus.record import DurableRecord
from node.consensus.signatures import Ed25519Signer
from node.consensus.signing import SigningContext
from node.ledger.active_set import ActiveSet, Member
from node.ledger.blocks import Block, Header
from node.ledger.types import BankIndex, BlockId, Height, TimeMs, TransactionId, View

CHAIN_ID = hashlib.sha256(b"bft12 vector chain").digest()
SIGNERS = [
    Ed25519Signer(hashlib.sha256(b"bft12 vector key" + bytes([index])).digest())
    for index in range(4)
]
ACTIVE_SET = ActiveSet(
    tuple(
        Member(BankIndex(index), signer.public_key, bytes([index]) * 96)
        for index, signer in enumerate(SIGNERS)
    ),
    bytes(96),
)
"""Its ballot keys are no points: encodings and Ed25519 signatures alone are looked at."""
HEIGHT = Height(5)
VIEW = View(3)
CONTEXT = SigningContext.of(CHAIN_ID, ACTIVE_SET, HEIGHT)


def block() -> Block:
    header = Header(
        chain_id=CHAIN_ID,
        height=HEIGHT,
        parent_id=BlockId(bytes([1]) * 32),
        original_view=View(2),
        proposer=BankIndex(3),
        time_ms=TimeMs(1_700_000_000_123),
        transactions_root=bytes([2]) * 32,
        evidence_root=bytes([3]) * 32,
        ballots_root=bytes([4]) * 32,
        transaction_count=2,
        post_state_root=bytes([5]) * 32,
        next_set_hash=ACTIVE_SET.set_hash,
    )
    return Block(header, (), (), (TransactionId(bytes([6]) * 32), TransactionId(bytes([7]) * 32)))


def approval(bank: int, view: View) -> Vote:
    who, block_id = BankIndex(bank), block().block_id
    signature = SIGNERS[bank].sign(CONTEXT.approval(view, who, block_id))
    return Vote(who, HEIGHT, view, block_id, Decision.APPROVE, "", None, signature)


def rejection(bank: int) -> Vote:
    who, block_id = BankIndex(bank), block().block_id
    statement = CONTEXT.vote(VIEW, who, block_id, Decision.REJECT, "nullifier", 1)
    return Vote(
        who,
        HEIGHT,
        VIEW,
        block_id,
        Decision.REJECT,
        "nullifier",
        1,
        SIGNERS[bank].sign(statement),
        ballot=b"ballot",
    )


def commit(bank: int) -> Commit:
    who, block_id = BankIndex(bank), block().block_id
    signature = SIGNERS[bank].sign(CONTEXT.commit(VIEW, who, block_id))
    return Commit(who, HEIGHT, VIEW, block_id, signature, ballot=b"ballot")


def quorum_certificate() -> QuorumCertificate:
    votes = [approval(bank, View(2)) for bank in range(4)]
    entries = tuple(SignatureEntry(vote.bank, vote.signature) for vote in votes)
    return QuorumCertificate(HEIGHT, View(2), block().block_id, entries)


def timeout_certificate() -> TimeoutCertificate:
    entries = []
    for bank, claim in ((0, -1), (1, 2), (2, 1), (3, -1)):
        statement = CONTEXT.timeout(View(2), BankIndex(bank), View(claim))
        entries.append(TimeoutEntry(BankIndex(bank), View(claim), SIGNERS[bank].sign(statement)))
    return TimeoutCertificate(HEIGHT, View(2), tuple(entries))


def reject_certificate() -> RejectCertificate:
    vote = rejection(2)
    entry = RejectionEntry(vote.bank, vote.reason, vote.transaction_index, vote.signature)
    return RejectCertificate(HEIGHT, VIEW, vote.block_id, (entry,))


def seal() -> Seal:
    entries = tuple(SignatureEntry(BankIndex(bank), commit(bank).signature) for bank in range(4))
    return Seal(HEIGHT, VIEW, block().block_id, entries, (b"ballot", b"other ballot"))


def proposal() -> Proposal:
    who = ACTIVE_SET.leader(HEIGHT, VIEW)
    signature = SIGNERS[who].sign(CONTEXT.proposal(VIEW, who, block().block_id))
    return Proposal(
        who,
        HEIGHT,
        VIEW,
        block(),
        timeout_certificate(),
        quorum_certificate(),
        seal(),
        signature,
    )


def timeout() -> Timeout:
    statement = CONTEXT.timeout(VIEW, BankIndex(1), View(2))
    return Timeout(
        BankIndex(1),
        HEIGHT,
        VIEW,
        View(2),
        quorum_certificate(),
        timeout_certificate(),
        SIGNERS[1].sign(statement),
    )


def messages() -> dict[str, Message]:
    return {
        "proposal": proposal(),
        "vote approve": approval(1, VIEW),
        "vote reject": rejection(2),
        "commit": commit(3),
        "timeout": timeout(),
        "quorum certificate": quorum_certificate(),
        "seal": seal(),
        "reject certificate": reject_certificate(),
        "status": Status(HEIGHT, VIEW, timeout_certificate(), quorum_certificate()),
        "status at view 0": Status(HEIGHT, View(0), None, None, asks=True),
        "sync request": SyncRequest(Height(4)),
        "sync response": SyncResponse((SealedBlock(block(), seal()),), Height(9)),
        "block request": BlockRequest(HEIGHT, block().block_id),
        "block response": BlockResponse(block()),
        "evidence": Evidence(encode_item(evidence()["E1"])),
    }


def statements() -> dict[str, SignedStatement]:
    return {
        name: message
        for name, message in messages().items()
        if isinstance(message, SignedStatement)
    }


def created() -> Proposal:
    """The creator's proposal of `block`, in the view of its creation."""
    header = block().header
    statement = CONTEXT.proposal(header.original_view, header.proposer, header.block_id)
    signature = SIGNERS[header.proposer].sign(statement)
    return Proposal(
        header.proposer, HEIGHT, header.original_view, block(), None, None, None, signature
    )


def rejection_at_creation(bank: int) -> Vote:
    who, view, block_id = BankIndex(bank), created().view, block().block_id
    statement = CONTEXT.vote(view, who, block_id, Decision.REJECT, "bin-open", bank)
    signature = SIGNERS[bank].sign(statement)
    return Vote(who, HEIGHT, view, block_id, Decision.REJECT, "bin-open", bank, signature)


def evidence() -> dict[str, EvidenceItem]:
    """One item of every kind, by its name in BFT-12 section 9."""
    first = created()
    other_header = dataclasses.replace(block().header, time_ms=TimeMs(1_700_000_000_124))
    other = Block(other_header, (), (), ())
    statement = CONTEXT.proposal(first.view, first.bank, other.block_id)
    second = dataclasses.replace(
        first, block=other, signature=SIGNERS[first.bank].sign(statement)
    )
    commit_statement = CONTEXT.commit(VIEW, BankIndex(3), other.block_id)
    second_commit = dataclasses.replace(
        commit(3), block_id=other.block_id, signature=SIGNERS[3].sign(commit_statement)
    )
    claimed = CONTEXT.timeout(View(4), BankIndex(3), View(2))
    forgot = Timeout(BankIndex(3), HEIGHT, View(4), View(2), None, None, SIGNERS[3].sign(claimed))
    shown = invalid_proposal(first, b"proof")
    voted_down = rejected(first, [rejection_at_creation(bank) for bank in range(4)], 4)
    assert shown is not None
    assert voted_down is not None
    cast_twice = DoubleBallot(
        BankIndex(2), HEIGHT, VIEW, b"ballot", b"other ballot", BallotOpening(2, bytes(range(64)))
    )
    officers = tuple(
        PartialDecryption(index, bytes([index]) * 96, bytes([16 + index]) * 96, bytes(64))
        for index in (1, 3)
    )
    opened_by_officers = dataclasses.replace(cast_twice, opening=BallotOpening(2, officers))
    sealed = SealedInvalid.of(block().header, seal().published(), b"proof")
    assert sealed is not None
    items: dict[str, EvidenceItem | None] = {
        "E1": pair_of(rejection(1), approval(1, VIEW)),
        "E2": pair_of(first, second),
        "E3": pair_of(commit(3), second_commit),
        "E4": pair_of(commit(3), forgot),
        "E5": shown,
        "E6": voted_down,
        "E7 on E5": approved_invalid(approval(1, VIEW), shown),
        "E7 on E6": approved_invalid(approval(0, View(2)), voted_down),
        "E8": cast_twice,
        "E8 by officers": opened_by_officers,
        "E5 by the seal": sealed,
        "E7 on E5 by the seal": approved_invalid(approval(1, VIEW), sealed),
    }
    return {name: item for name, item in items.items() if item is not None}


def record() -> DurableRecord:
    return DurableRecord(
        height=HEIGHT,
        view=VIEW,
        step=7,
        voted=approval(1, VIEW),
        committed=commit(1),
        timeout=timeout(),
        highest=quorum_certificate(),
        entry=timeout_certificate(),
        proposed=proposal(),
    )
