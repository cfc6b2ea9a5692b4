"""Callers without the right to call, and banks that misbehave on the wire (ARCHITECTURE 6,
BFT-12 12).

Each gets its status and reason, and the consortium goes on sealing.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import grpc
import grpc.aio
import pytest

from node.consensus.messages import (
    BlockResponse,
    Commit,
    Decision,
    Proposal,
    SignedStatement,
    SyncRequest,
    Timeout,
    Vote,
    encode_message,
)
from node.consensus.signatures import Ed25519Signer
from node.consensus.signing import SigningContext
from node.ledger.blocks import Block
from node.ledger.types import NO_VIEW, BankIndex, BlockId, Height, View
from node.rpc.certificates import CertificateAuthority, utc_now
from node.rpc.roles import METHODS
from node.wire import peer_pb2
from node.wire.identity import Identity, Role
from node.wire.limits import MAX_FRAME_MESSAGES
from tests.attacks.conftest import require_calm
from tests.attacks.consortium import BANKS, DEADLINE_S, Consortium, Snapshot, credentials
from tests.attacks.peer_stream import DISPLACED, deliver, fault_of_frames, hello, peer_stream
from tests.rpc.faults import fault_of_call

pytestmark = pytest.mark.postgres
in_module_loop = pytest.mark.asyncio(loop_scope="module")

STATUS = "/consortium.v1.Ledger/GetNodeStatus"
FETCH_TRANSACTIONS = "/consortium.v1.Peer/FetchTransactions"
STREAMS = {"Exchange", "ListBlocks", "AuditTransactions"}


# --- at the door -------------------------------------------------------------------------------


async def refused_handshake(channel: grpc.aio.Channel) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary(STATUS)(b"", timeout=10)
    await channel.close()
    return caught.value.code()


@in_module_loop
async def test_no_tls_is_no_connection(consortium: Consortium) -> None:
    channel = grpc.aio.insecure_channel(consortium.address(0))
    assert await refused_handshake(channel) is grpc.StatusCode.UNAVAILABLE


@in_module_loop
async def test_no_certificate_is_no_connection(consortium: Consortium) -> None:
    channel = grpc.aio.secure_channel(
        consortium.address(0),
        grpc.ssl_channel_credentials(root_certificates=consortium.authority.pem),
        options=consortium.channel_options(0),
    )
    assert await refused_handshake(channel) is grpc.StatusCode.UNAVAILABLE


@in_module_loop
@pytest.mark.parametrize("role", list(Role))
async def test_a_certificate_of_another_authority_is_no_connection(
    consortium: Consortium, role: Role
) -> None:
    foreign = CertificateAuthority.create(consortium.slug, utc_now())
    issued = foreign.issue(Identity(consortium.slug, role, "1"), utc_now())
    stranger = replace(credentials(issued), ca_certificate=consortium.authority.pem)
    channel = consortium.channel(0, stranger)
    assert await refused_handshake(channel) is grpc.StatusCode.UNAVAILABLE


@in_module_loop
@pytest.mark.parametrize("began_days", [-30, 30])
async def test_a_certificate_out_of_its_time_is_no_connection(
    consortium: Consortium, began_days: int
) -> None:
    issued = consortium.authority.issue(
        Identity(consortium.slug, Role.CLIENT, "late"),
        utc_now() + timedelta(days=began_days),
        validity=timedelta(days=1),
    )
    channel = consortium.channel(0, credentials(issued))
    assert await refused_handshake(channel) is grpc.StatusCode.UNAVAILABLE


@in_module_loop
async def test_a_certificate_of_another_consortium_is_nobodys(
    consortium: Consortium, caplog: pytest.LogCaptureFixture
) -> None:
    """One authority may serve two consortia; the name in the certificate decides."""
    other = replace(consortium.authority, consortium="other")
    issued = other.issue(Identity("other", Role.CLIENT, "eve"), utc_now())
    channel = consortium.channel(0, credentials(issued))
    fault = await fault_of_call(channel.unary_unary(STATUS)(b"", timeout=10))
    assert (fault.status, fault.reason) == ("UNAUTHENTICATED", "identity")
    require_calm(caplog)


@in_module_loop
async def test_a_bank_outside_the_genesis_is_nobody(
    consortium: Consortium, caplog: pytest.LogCaptureFixture
) -> None:
    fault = await fault_of_frames(consortium, to=0, certificate_of=BANKS)
    assert (fault.status, fault.reason) == ("UNAUTHENTICATED", "identity")
    require_calm(caplog)


FORBIDDEN = [
    (role, path)
    for path, rule in METHODS.items()
    for role in Role
    if role not in rule.roles and path.startswith("/consortium.")
]


@in_module_loop
@pytest.mark.parametrize(
    ("role", "path"), FORBIDDEN, ids=[f"{role} {path.split('/')[-1]}" for role, path in FORBIDDEN]
)
async def test_a_role_that_may_not_call_is_told_so(
    consortium: Consortium, role: Role, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    channel = consortium.channel(0, consortium.credentials_of(role, "1"))
    method = path.rpartition("/")[2]

    async def one_request() -> object:
        return await channel.unary_unary(path)(b"", timeout=10)

    async def one_stream() -> object:
        return await channel.stream_stream(path)(iter([b""]), timeout=10).read()

    streams = method in STREAMS or method == "SubmitTransactions"
    fault = await fault_of_call(one_stream() if streams else one_request())
    assert (fault.status, fault.reason) == ("PERMISSION_DENIED", "role")
    assert fault.message == f"the role {role} may not call this method"
    require_calm(caplog)


def test_every_role_is_kept_from_something() -> None:
    """So that the test above covers clients, operators, banks and the regulator."""
    assert {role for role, _ in FORBIDDEN} == set(Role)
    assert (Role.OPERATOR, "/consortium.v1.Peer/Exchange") in FORBIDDEN
    assert (Role.BANK, "/consortium.v1.Operator/Shutdown") in FORBIDDEN


@in_module_loop
async def test_a_caller_with_too_many_open_calls_is_told_to_wait(
    consortium: Consortium, caplog: pytest.LogCaptureFixture
) -> None:
    channel = consortium.channel(0, consortium.credentials_of(Role.REGULATOR, "flood"))
    request = b"\x0a\x20" + bytes(32)
    wait = channel.unary_stream("/consortium.v1.Ledger/WaitForTransaction")
    calls = [wait(request) for _ in range(64)]
    for call in calls:
        await call.read()
    fault = await fault_of_call(channel.unary_unary(STATUS)(b"", timeout=10))
    assert (fault.status, fault.reason) == ("RESOURCE_EXHAUSTED", "too-many-calls")
    assert fault.retry_delay_ms == 250
    for call in calls:
        call.cancel()
    require_calm(caplog)


# --- bytes that no correct bank sends ----------------------------------------------------------


def frame(**fields: object) -> bytes:
    return peer_pb2.PeerFrame(**fields).SerializeToString()  # type: ignore[arg-type]


FIRST_FRAMES: dict[str, tuple[Callable[[Consortium], bytes], str, str]] = {
    "another bank's index": (
        lambda consortium: hello(consortium, 2),
        "PERMISSION_DENIED",
        "other-bank",
    ),
    "another genesis": (
        lambda consortium: hello(consortium, 1, bytes(32)),
        "FAILED_PRECONDITION",
        "other-genesis",
    ),
    "a short chain id": (
        lambda consortium: hello(consortium, 1, b"short"),
        "INVALID_ARGUMENT",
        "malformed",
    ),
    "an index beyond every bank": (
        lambda consortium: hello(consortium, 1 << 20),
        "INVALID_ARGUMENT",
        "malformed",
    ),
    "no hello": (lambda consortium: frame(), "INVALID_ARGUMENT", "malformed"),
    "a transaction first": (
        lambda consortium: frame(transactions=[b"\x01"]),
        "INVALID_ARGUMENT",
        "malformed",
    ),
    "a hello with a transaction": (
        lambda consortium: hello(consortium, 1) + frame(transactions=[b"\x01"]),
        "INVALID_ARGUMENT",
        "malformed",
    ),
    "garbage": (lambda consortium: b"\xff" * 64, "INVALID_ARGUMENT", "malformed"),
}


@in_module_loop
@pytest.mark.parametrize("name", FIRST_FRAMES)
async def test_a_false_introduction_ends_the_stream(
    consortium: Consortium, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    first, status, reason = FIRST_FRAMES[name]
    fault = await fault_of_frames(consortium, to=0, certificate_of=1, first=first(consortium))
    assert (fault.status, fault.reason) == (status, reason)
    require_calm(caplog)


LATER_FRAMES: dict[str, tuple[Callable[[Consortium], bytes], str, str]] = {
    "a second hello": (lambda c: hello(c, 1), "INVALID_ARGUMENT", "malformed"),
    "garbage": (lambda c: b"\xff" * 64, "INVALID_ARGUMENT", "malformed"),
    "an empty message": (
        lambda c: frame(consensus_messages=[b""]),
        "INVALID_ARGUMENT",
        "malformed",
    ),
    "an unknown type": (
        lambda c: frame(consensus_messages=[b"\x63" + bytes(40)]),
        "INVALID_ARGUMENT",
        "malformed",
    ),
    "a message cut short": (
        lambda c: frame(consensus_messages=[signed(c, 1, vote(c))[:-1]]),
        "INVALID_ARGUMENT",
        "malformed",
    ),
    "a message with more behind it": (
        lambda c: frame(consensus_messages=[signed(c, 1, vote(c)) + b"\x00"]),
        "INVALID_ARGUMENT",
        "malformed",
    ),
    "random messages": (
        lambda c: frame(consensus_messages=[b"\x01" + os.urandom(600)]),
        "INVALID_ARGUMENT",
        "malformed",
    ),
    "a message above its type's limit": (
        lambda c: frame(consensus_messages=[b"\x02" + bytes(1 << 20)]),
        "INVALID_ARGUMENT",
        "malformed",
    ),
    "an empty transaction": (
        lambda c: frame(transactions=[b""]),
        "INVALID_ARGUMENT",
        "malformed",
    ),
    "a transaction longer than any": (
        lambda c: frame(transactions=[bytes(16_985)]),
        "INVALID_ARGUMENT",
        "malformed",
    ),
    "more messages than are decoded in one go": (
        lambda c: frame(consensus_messages=[signed(c, 1, vote(c))] * (MAX_FRAME_MESSAGES + 1)),
        "INVALID_ARGUMENT",
        "malformed",
    ),
    "a flood of empty items": (
        lambda c: b"\x12\x00" * 16_385,
        "INVALID_ARGUMENT",
        "malformed",
    ),
    "a vote in another bank's name": (
        lambda c: frame(consensus_messages=[signed(c, 2, vote(c))]),
        "PERMISSION_DENIED",
        "impersonation",
    ),
    "a commit in another bank's name": (
        lambda c: frame(consensus_messages=[signed(c, 0, commit(c))]),
        "PERMISSION_DENIED",
        "impersonation",
    ),
    "a timeout in another bank's name": (
        lambda c: frame(consensus_messages=[signed(c, 3, timeout(c))]),
        "PERMISSION_DENIED",
        "impersonation",
    ),
    "a proposal in another bank's name": (
        lambda c: frame(consensus_messages=[signed(c, 2, proposal(c))]),
        "PERMISSION_DENIED",
        "impersonation",
    ),
}


def place(consortium: Consortium, ahead: int = 1) -> Height:
    return Height(consortium.follower.height + ahead)


def vote(consortium: Consortium, ahead: int = 1, block_id: bytes = bytes(32)) -> Vote:
    return Vote(
        BankIndex(0),
        place(consortium, ahead),
        View(0),
        BlockId(block_id),
        Decision.APPROVE,
        "",
        None,
        bytes(64),
    )


def commit(consortium: Consortium, ahead: int = 1) -> Commit:
    return Commit(BankIndex(0), place(consortium, ahead), View(0), BlockId(bytes(32)), bytes(64))


def timeout(consortium: Consortium, ahead: int = 1) -> Timeout:
    height = place(consortium, ahead)
    return Timeout(BankIndex(0), height, View(0), NO_VIEW, None, None, bytes(64))


def proposal(consortium: Consortium, ahead: int = 1) -> Proposal:
    header = replace(consortium.follower.header, height=place(consortium, ahead))
    block = Block(header, (), (), ())
    return Proposal(BankIndex(0), header.height, View(0), block, None, None, None, bytes(64))


def signed(
    consortium: Consortium, bank: int, statement: Vote | Commit | Timeout | Proposal
) -> bytes:
    """The canonical bytes of the statement, correctly signed by this bank's own key."""
    named = replace(statement, bank=BankIndex(bank))
    chain = consortium.follower
    active_set = chain.state.active_set(chain.genesis)
    context = SigningContext.of(chain.genesis.chain_id, active_set, named.height)
    signer = Ed25519Signer(hashlib.sha256(b"consensus %d" % bank).digest())
    return encode_message(replace(named, signature=signer.sign(named.signed_bytes(context))))


@in_module_loop
@pytest.mark.parametrize("name", LATER_FRAMES)
async def test_a_frame_that_no_correct_bank_sends_ends_the_stream(
    consortium: Consortium, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    make, status, reason = LATER_FRAMES[name]
    before = await consortium.snapshots()
    fault = await fault_of_frames(consortium, make(consortium), to=0, certificate_of=1)
    assert (fault.status, fault.reason) == (status, reason)
    assert await consortium.snapshots() == before
    require_calm(caplog)


@in_module_loop
async def test_a_frame_above_grpcs_limit_ends_the_stream(
    consortium: Consortium, caplog: pytest.LogCaptureFixture
) -> None:
    code = None
    async with asyncio.timeout(DEADLINE_S):
        # The honest node of the certificate takes its stream back within a moment; then again.
        while code is not grpc.StatusCode.RESOURCE_EXHAUSTED:
            async with peer_stream(consortium, to=0, certificate_of=1) as stream:
                stream.send(bytes((4 << 20) + 1))
                try:
                    await asyncio.wait_for(stream.taken(1 << 30), 2)
                except grpc.aio.AioRpcError as error:
                    code = error.code()
                    assert code in (*DISPLACED, grpc.StatusCode.RESOURCE_EXHAUSTED), error
                except TimeoutError:
                    continue
    require_calm(caplog)


@in_module_loop
async def test_the_newer_stream_of_a_bank_takes_the_place_of_the_older(
    consortium: Consortium, caplog: pytest.LogCaptureFixture
) -> None:
    async with peer_stream(consortium, to=0, certificate_of=1) as older:
        await older.taken(1)
        async with peer_stream(consortium, to=0, certificate_of=1) as newer:
            await newer.taken(1)
            fault = await older.fault()
    assert (fault.status, fault.reason) == ("ABORTED", "replaced")
    require_calm(caplog)


# --- well-formed and worthless -----------------------------------------------------------------


def unsigned(consortium: Consortium, statement: SignedStatement) -> bytes:
    return encode_message(replace(statement, bank=BankIndex(1), signature=os.urandom(64)))


WORTHLESS: dict[str, Callable[[Consortium], list[bytes]]] = {
    "bad signatures": lambda c: [
        unsigned(c, vote(c)),
        unsigned(c, commit(c)),
        unsigned(c, timeout(c)),
        unsigned(c, proposal(c)),
    ],
    "statements about sealed heights": lambda c: (
        [signed(c, 1, vote(c, ahead)) for ahead in range(-3, 1)]
        + [signed(c, 1, commit(c, ahead)) for ahead in range(-3, 1)]
        + [signed(c, 1, timeout(c, ahead)) for ahead in range(-3, 1)]
    ),
    "statements about heights far ahead": lambda c: [
        signed(c, 1, vote(c, 10**6)),
        signed(c, 1, commit(c, 10**6)),
        signed(c, 1, proposal(c, 10**6)),
    ],
    "views far ahead": lambda c: [
        signed(c, 1, replace(vote(c), view=View(10**6))),
        signed(c, 1, replace(timeout(c), view=View(10**6))),
    ],
    "votes for blocks that nobody proposed": lambda c: [
        signed(c, 1, vote(c, block_id=os.urandom(32))) for _ in range(50)
    ],
    "one vote a thousand times": lambda c: [signed(c, 1, vote(c))] * 1_000,
    "a block that nobody asked for": lambda c: [encode_message(BlockResponse(proposal(c).block))],
    "a proposal by a bank that does not lead": lambda c: [
        signed(c, (c.follower.leader() + 1) % BANKS, proposal(c))
    ],
}


CONFLICT = frozenset({"conflicting-statements"})
ALARMS = {
    "statements about sealed heights": CONFLICT,
    "votes for blocks that nobody proposed": CONFLICT,
    "one vote a thousand times": CONFLICT,
}
"""A bank that signs two votes for one view is named to the operators (BFT-12 E1)."""


async def at_rest(consortium: Consortium) -> list[Snapshot]:
    """Wait until nothing moves: evidence of an earlier case may be on its way into a block."""
    seen: list[Snapshot] = []
    async with asyncio.timeout(DEADLINE_S):
        while True:
            await consortium.require_agreement()
            now = await consortium.snapshots()
            if now == seen:
                await consortium.follow()
                return now
            seen = now
            await asyncio.sleep(1)


@in_module_loop
@pytest.mark.parametrize("name", WORTHLESS)
async def test_worthless_statements_are_dropped_and_the_consortium_goes_on(
    consortium: Consortium, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """BFT-12 12: dropped before anything is stored; the stream stays."""
    sender = (consortium.follower.leader() + 1) % BANKS if "does not lead" in name else 1
    before = await at_rest(consortium)
    messages = WORTHLESS[name](consortium)
    for bank in range(BANKS):
        if bank == sender:
            continue
        frames = [
            frame(consensus_messages=messages[start : start + MAX_FRAME_MESSAGES])
            for start in range(0, len(messages), MAX_FRAME_MESSAGES)
        ]
        await deliver(consortium, frames, to=bank, certificate_of=sender)
    if name not in ALARMS:
        # Conflicting statements are evidence, which a block records: those change something.
        assert await consortium.snapshots() == before
    await consortium.require_sealing()
    await consortium.require_agreement()
    require_calm(caplog, alarms=ALARMS.get(name, frozenset()))


@in_module_loop
async def test_genuine_statements_of_the_past_replayed_by_their_signer_change_nothing(
    consortium: Consortium, caplog: pytest.LogCaptureFixture
) -> None:
    """A seal is the only statement that lives on, and it proves what is sealed already."""
    channel = consortium.channel(0, consortium.credentials_of(Role.BANK, "1"))
    fetch = channel.unary_unary("/consortium.v1.Peer/FetchBlocks")
    tip = peer_pb2.FetchBlocksRequest(from_height=consortium.follower.height)
    answer = await fetch(tip.SerializeToString(), timeout=10)
    (stored,) = peer_pb2.FetchBlocksResponse.FromString(answer).blocks
    before = await consortium.snapshots()
    seal_message = b"\x06" + stored.seal
    replay = frame(consensus_messages=[seal_message] * 20)
    await deliver(consortium, [replay], to=0, certificate_of=1)
    assert await consortium.snapshots() == before
    await consortium.require_sealing()
    require_calm(caplog)


@in_module_loop
async def test_a_flood_of_sync_requests_is_taken_and_limited(
    consortium: Consortium, caplog: pytest.LogCaptureFixture
) -> None:
    """BFT-12 12: answers to SyncReq are limited per peer."""
    request = encode_message(SyncRequest(Height(1)))
    flood = [frame(consensus_messages=[request] * 100)] * 63
    await deliver(consortium, flood, to=0, certificate_of=1)
    await consortium.require_sealing()
    require_calm(caplog)


@in_module_loop
async def test_gossip_with_bad_proofs_is_refused_at_its_senders_expense(
    consortium: Consortium, caplog: pytest.LogCaptureFixture
) -> None:
    chain = consortium.follower
    good = chain.mint([3, 4])
    bad = [good[:-1] + bytes([good[-1] ^ bit]) for bit in (1, 2, 4, 8)]
    before = await consortium.snapshots()
    await deliver(consortium, [frame(transactions=bad * 50)], to=0, certificate_of=1)
    assert await consortium.snapshots() == before
    await consortium.require_sealing()
    require_calm(caplog)


# --- fetching ----------------------------------------------------------------------------------


@in_module_loop
@pytest.mark.parametrize("role", [Role.BANK, Role.REGULATOR])
async def test_a_flood_of_unknown_ids_is_answered_with_nothing(
    consortium: Consortium, role: Role, caplog: pytest.LogCaptureFixture
) -> None:
    channel = consortium.channel(0, consortium.credentials_of(role, "1"))
    fetch = channel.unary_unary(FETCH_TRANSACTIONS)
    flood = [
        peer_pb2.FetchTransactionsRequest(
            transaction_ids=[os.urandom(32) for _ in range(200)]
        ).SerializeToString()
        for _ in range(50)
    ]
    at_once = METHODS[FETCH_TRANSACTIONS].calls_at_once
    assert at_once is not None, "its answers are large"
    for start in range(0, len(flood), at_once):
        some = flood[start : start + at_once]
        answers = await asyncio.gather(*(fetch(request, timeout=20) for request in some))
        assert set(answers) == {b""}
    for ids in ([], [bytes(32)] * 201, [bytes(31)], [bytes(33)]):
        request = peer_pb2.FetchTransactionsRequest(transaction_ids=ids).SerializeToString()
        fault = await fault_of_call(fetch(request, timeout=10))
        assert (fault.status, fault.reason) == ("INVALID_ARGUMENT", "malformed")
        assert fault.fields == ("transaction_ids",)
    await consortium.require_sealing()
    require_calm(caplog)


@in_module_loop
async def test_blocks_that_do_not_exist_are_not_found(
    consortium: Consortium, caplog: pytest.LogCaptureFixture
) -> None:
    channel = consortium.channel(0, consortium.credentials_of(Role.BANK, "1"))
    by_id = channel.unary_unary("/consortium.v1.Peer/FetchBlock")
    unknown = peer_pb2.FetchBlockRequest(block_id=os.urandom(32)).SerializeToString()
    fault = await fault_of_call(by_id(unknown, timeout=10))
    assert (fault.status, fault.reason) == ("NOT_FOUND", "not-found")
    from_height = channel.unary_unary("/consortium.v1.Peer/FetchBlocks")
    for height in (10**6, 2**64 - 1):
        request = peer_pb2.FetchBlocksRequest(from_height=height).SerializeToString()
        answer = peer_pb2.FetchBlocksResponse.FromString(await from_height(request, timeout=10))
        assert (len(answer.blocks), answer.top) == (0, consortium.follower.height)
    require_calm(caplog)
