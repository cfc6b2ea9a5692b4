"""The ledger of one bank through blocking calls, for programs without an event loop.

`LedgerClient` is the API for everybody else. This one is for load generators and scripts: one
channel to one bank, a call blocks its thread (or its greenlet, after
`grpc.experimental.gevent.init_gevent()`), and nothing fails over. Answers are the bank's word; only
`prove_sealed` verifies something.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc

from crypto.transaction import transaction_id as hash_transaction
from node.client.connection import ClientCredentials, Endpoint
from node.client.errors import LedgerError, LedgerFault, VerificationError
from node.client.ledger_client import read_genesis
from node.client.status import error_of_call
from node.client.verification import SealVerifier
from node.ledger.blocks import Block
from node.ledger.encoding import MalformedEncoding
from node.ledger.types import Height, TransactionId
from node.wire import codec, ledger_pb2, ledger_pb2_grpc
from node.wire.fields import MalformedMessage
from node.wire.records import NodeStatus, Receipt, TransactionStatus

__all__ = ["BlockingLedger", "NodeStatus", "Receipt", "SealedBlock", "TransactionStatus"]

T = TypeVar("T")

DEFAULT_DEADLINE_MS = 10_000


@dataclass(frozen=True, slots=True)
class SealedBlock:
    """A block as the bank tells of it."""

    height: Height
    time_ms: int
    """Of its header."""
    transaction_ids: tuple[TransactionId, ...]


class BlockingLedger:
    """One bank's `consortium.v1.Ledger` service; every method raises `LedgerError`."""

    def __init__(
        self,
        endpoint: Endpoint,
        credentials: ClientCredentials,
        *,
        deadline_ms: int = DEFAULT_DEADLINE_MS,
    ) -> None:
        """`deadline_ms` is that of every call but `follow`."""
        self.endpoint = endpoint
        self._deadline_s = deadline_ms / 1000
        self._channel = credentials.open_blocking_channel(endpoint)
        self._stub: Any = ledger_pb2_grpc.LedgerStub(self._channel)

    def close(self) -> None:
        """End the connection, and every call on it."""
        self._channel.close()

    def node_status(self) -> NodeStatus:
        """Return how far the bank is."""
        request = ledger_pb2.GetNodeStatusRequest()
        return self._call("GetNodeStatus", request, codec.node_status_from_stub)

    def verifier(self, chain_id: bytes) -> SealVerifier:
        """Return what verifies seals of this chain; raises `VerificationError` for another."""
        request = ledger_pb2.GetParametersRequest()
        genesis = read_genesis(self._call("GetParameters", request, codec.parameters_from_stub))
        if genesis.chain_id != chain_id:
            raise VerificationError(
                f"the bank is of chain {genesis.chain_id.hex()}, not {chain_id.hex()}"
            )
        return SealVerifier(genesis)

    def submit(self, transaction: bytes) -> Receipt:
        """Submit canonical bytes; see `LedgerClient.submit`."""

        def read(answer: Any) -> Receipt:
            receipt = codec.receipt_from_stub(answer.receipt)
            if receipt.transaction_id != hash_transaction(transaction):
                raise MalformedMessage("receipt", "is for another transaction")
            return receipt

        request = ledger_pb2.SubmitTransactionRequest(transaction=transaction)
        return self._call("SubmitTransaction", request, read, submission=True)

    def transaction_status(self, transaction_id: bytes) -> TransactionStatus:
        """Return where a transaction stands; raises `RecordNotFound`."""
        request = ledger_pb2.GetTransactionRequest(transaction_id=transaction_id)
        return self._call(
            "GetTransaction", request, lambda answer: codec.status_from_stub(answer.status)
        )

    def prove_sealed(self, transaction: bytes, verifier: SealVerifier) -> Height:
        """Fetch the inclusion proof of these bytes, verify it, and return where they are sealed.

        Raises `NotYet` before they are sealed, `RecordNotFound`, `VerificationError`.
        """
        identity = hash_transaction(transaction)
        request = ledger_pb2.GetInclusionProofRequest(transaction_id=identity)
        proof = self._call("GetInclusionProof", request, codec.proof_from_stub)
        return verifier.verify_inclusion(transaction, proof).header.height

    def blocks(self, from_height: int, limit: int) -> list[SealedBlock]:
        """Return at most so many sealed blocks in order, those above the tip left out."""
        request = ledger_pb2.StreamBlocksRequest(from_height=from_height, limit=limit)
        return list(self._stream(request, self._deadline_s))

    def follow(self, from_height: int, *, timeout_ms: int) -> Iterator[SealedBlock]:
        """Yield sealed blocks in order, and those to come, until the time is up.

        Raises `LedgerTimeout` then: take it up again at the next height.
        """
        request = ledger_pb2.StreamBlocksRequest(from_height=from_height, follow=True)
        return self._stream(request, timeout_ms / 1000)

    def _stream(
        self, request: ledger_pb2.StreamBlocksRequest, timeout_s: float
    ) -> Iterator[SealedBlock]:
        with self._typed_errors() as fail:
            for answer in self._stub.StreamBlocks(request, timeout=timeout_s):
                yield fail.checked(_read_block, answer)

    def _call(
        self,
        method: str,
        request: Any,
        read: Callable[[Any], T],
        *,
        submission: bool = False,
    ) -> T:
        with self._typed_errors(submission) as fail:
            answer = getattr(self._stub, method)(request, timeout=self._deadline_s)
            return fail.checked(read, answer)

    def _typed_errors(self, submission: bool = False) -> _TypedErrors:
        return _TypedErrors(str(self.endpoint), submission)


class _TypedErrors:
    """Turns what gRPC and our decoders raise into the client's own errors."""

    def __init__(self, endpoint: str, submission: bool) -> None:
        self._endpoint = endpoint
        self._submission = submission

    def __enter__(self) -> _TypedErrors:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, grpc.RpcError):
            raise self._of_call(error) from None

    def _of_call(self, error: Any) -> LedgerError:
        return error_of_call(error, self._endpoint, submission=self._submission)

    def checked(self, read: Callable[[Any], T], answer: Any) -> T:
        """Read an answer; raises `LedgerFault` for one that breaks the contract."""
        try:
            return read(answer)
        except (MalformedMessage, MalformedEncoding) as error:
            raise LedgerFault(
                f"the bank's answer breaks the contract: {error}", endpoint=self._endpoint
            ) from error


def _read_block(answer: Any) -> SealedBlock:
    published = codec.published_block_from_stub(answer)
    if not published.block:
        return SealedBlock(Height(0), 0, ())
    block = Block.decode(published.block)
    return SealedBlock(block.height, block.header.time_ms, block.transaction_ids)
