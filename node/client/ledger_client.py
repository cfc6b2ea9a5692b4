"""Typed access to the `consortium.v1.Ledger` service of one or more banks.

Every call has a deadline and fails over (`failover`); that is safe for submissions too, because
they are idempotent by transaction id, and for lists, because sequence numbers and heights mean
the same at every bank. Nothing here is trusted: `verification` and `ledger_replay` check what
matters.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from crypto.transaction import transaction_id as hash_transaction
from node.client.connection import ClientCredentials, Endpoint
from node.client.errors import LedgerError, LedgerFault, LedgerTimeout, VerificationError
from node.client.failover import CALL_FAILURES, Attempts, BankLinks
from node.client.status import error_of_refusal
from node.client.tracing import process_tracing
from node.ledger.genesis import Genesis, GenesisInvalid
from node.ledger.types import BlockId, Height, TransactionId
from node.wire import codec, ledger_pb2
from node.wire.fields import MalformedMessage
from node.wire.records import (
    BallotConflict,
    BinRecord,
    BlockVotes,
    ClosedBinDigest,
    EvidenceItem,
    InclusionProof,
    LedgerParameters,
    NodeStatus,
    NoteRecord,
    NullifierRecord,
    PublishedBlock,
    PublishedState,
    Receipt,
    SettledYear,
    TransactionStatus,
    TreasuryMovement,
)

DEFAULT_DEADLINE_MS = 10_000
"""For a call with one answer: a hundred times what a busy bank needs."""
DEFAULT_STREAM_DEADLINE_MS = 120_000
"""For one connection of a stream; it is taken up again where it ended."""
MAX_GENESIS_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class SubmissionOutcome:
    """What became of one item of `submit_many`: a receipt or an error, never both."""

    item: int
    """Its index in the list given."""
    receipt: Receipt | None
    error: LedgerError | None


@dataclass(frozen=True, slots=True)
class TransactionRecord:
    """A transaction's status at the bank that answered, with its bytes if they were asked for."""

    status: TransactionStatus
    transaction: bytes | None


class LedgerClient:
    """Client of the ledger; `async with LedgerClient.connect(...) as ledger:`.

    All methods raise `LedgerError` subclasses. May be shared by any number of tasks of one loop.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        credentials: ClientCredentials,
        *,
        deadline_ms: int = DEFAULT_DEADLINE_MS,
        stream_deadline_ms: int = DEFAULT_STREAM_DEADLINE_MS,
    ) -> None:
        """The first endpoint is the home bank; the others serve when it cannot."""
        assert endpoints, "at least one endpoint"
        self._banks = BankLinks(
            endpoints, credentials, deadline_ms=deadline_ms, stream_deadline_ms=stream_deadline_ms
        )
        self._genesis: Genesis | None = None
        self._tracing = process_tracing()

    @staticmethod
    def connect(
        endpoints: Sequence[Endpoint | str] | Endpoint | str,
        credentials: ClientCredentials | Path | str,
        *,
        deadline_ms: int = DEFAULT_DEADLINE_MS,
    ) -> LedgerClient:
        """Return a client for endpoints such as `"3@127.0.0.1:7003"`, home bank first.

        `credentials` may be a directory with `ca.crt`, `tls.crt` and `tls.key`. Connections are
        made when they are first needed. Raises `CredentialsInvalid`, ValueError.
        """
        listed = [endpoints] if isinstance(endpoints, Endpoint | str) else list(endpoints)
        parsed = [Endpoint.parse(item) if isinstance(item, str) else item for item in listed]
        if not parsed:
            raise ValueError("give at least one endpoint")
        if not isinstance(credentials, ClientCredentials):
            credentials = ClientCredentials.load(Path(credentials))
        _ = credentials.identity
        return LedgerClient(parsed, credentials, deadline_ms=deadline_ms)

    async def __aenter__(self) -> LedgerClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._banks.close()

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        return self._banks.endpoints

    @property
    def preferred_endpoint(self) -> Endpoint:
        """The bank that the next call goes to first."""
        return self._banks.preferred.endpoint

    def prefer_next_endpoint(self) -> Endpoint:
        """Turn to the next bank, for example because this one takes too long to see a seal."""
        self._banks.turn_from(self._banks.preferred)
        return self.preferred_endpoint

    async def submit(self, transaction: bytes) -> Receipt:
        """Submit canonical bytes; the receipt is no promise, only a seal is.

        Raises `TransactionRefused` with the ledger's reason, `LedgerOverloaded` when the bank has
        no room, `LedgerTimeout` if the fate of the submission is open.
        """

        def read(answer: Any) -> Receipt:
            receipt = codec.receipt_from_stub(answer.receipt)
            if receipt.transaction_id != hash_transaction(transaction):
                raise MalformedMessage("receipt", "is for another transaction")
            return receipt

        request = ledger_pb2.SubmitTransactionRequest(transaction=transaction)
        with self._tracing.submission(transaction):
            return await self._banks.call("SubmitTransaction", request, read, submission=True)

    async def submit_many(
        self, transactions: Sequence[bytes]
    ) -> AsyncGenerator[SubmissionOutcome, None]:
        """Submit many over one stream; yields an outcome for each, in the order of verification.

        If the bank fails, what has no answer yet goes to the next one.
        """
        waiting = dict(enumerate(transactions))
        attempts = Attempts(self._banks)
        begun_us = self._tracing.begin()
        while waiting:
            link = self._banks.preferred
            requests = [
                ledger_pb2.SubmitTransactionsRequest(item=item, transaction=raw)
                for item, raw in waiting.items()
            ]
            try:
                stream = link.method("SubmitTransactions")(
                    iter(requests), timeout=self._banks.stream_deadline_s
                )
                async for answer in stream:
                    outcome = submission_outcome(answer, str(link.endpoint))
                    raw = waiting.pop(outcome.item, None)
                    if raw is not None:
                        attempts.made_progress()
                        self._tracing.answered(raw, begun_us, outcome.error)
                        yield outcome
                if waiting:
                    raise LedgerFault(f"{len(waiting)} transactions were left without an answer")
            except CALL_FAILURES as error:
                attempts.next_bank_or_raise(link.failure(error), link)

    async def transaction(
        self, transaction_id: TransactionId, *, include_transaction: bool = False
    ) -> TransactionRecord:
        """Return where a transaction stands; raises `RecordNotFound`.

        Bytes that do not hash to the id are refused as the bank's fault.
        """

        def read(answer: Any) -> TransactionRecord:
            raw = codec.raw_transaction(answer.transaction) if answer.transaction else None
            if raw is not None and hash_transaction(raw) != transaction_id:
                raise MalformedMessage("transaction", "is another transaction")
            return TransactionRecord(codec.status_from_stub(answer.status), raw)

        request = ledger_pb2.GetTransactionRequest(
            transaction_id=transaction_id, include_transaction=include_transaction
        )
        return await self._banks.call("GetTransaction", request, read)

    async def wait_for(
        self, transaction_id: TransactionId, *, timeout_ms: int
    ) -> AsyncGenerator[TransactionStatus, None]:
        """Yield every state of a transaction until a final one; raises `LedgerTimeout`.

        The states are the word of the bank that answers; a change of bank may repeat some.
        """
        with self._tracing.wait(transaction_id) as saw:
            async with aclosing(self._states(transaction_id, timeout_ms)) as states:
                async for status in states:
                    saw(status.state.name.lower())
                    yield status

    async def _states(
        self, transaction_id: TransactionId, timeout_ms: int
    ) -> AsyncGenerator[TransactionStatus, None]:
        request = ledger_pb2.WaitForTransactionRequest(transaction_id=transaction_id)
        deadline_s = time.monotonic() + timeout_ms / 1000
        attempts = Attempts(self._banks)
        while (remaining_s := deadline_s - time.monotonic()) > 0:
            link = self._banks.preferred
            try:
                async for answer in link.method("WaitForTransaction")(
                    request, timeout=min(remaining_s, self._banks.stream_deadline_s)
                ):
                    attempts.made_progress()
                    status = codec.status_from_stub(answer)
                    yield status
                    if status.state.is_final:
                        return
                raise LedgerFault("the bank ended the wait without a final state")
            except CALL_FAILURES as error:
                failure = link.failure(error)
                # The end of a long wait is no failure of the bank; the loop looks at the clock.
                if not isinstance(failure, LedgerTimeout):
                    attempts.next_bank_or_raise(failure, link)
        raise LedgerTimeout(
            f"transaction {transaction_id.hex()} was not final within {timeout_ms} ms",
            status="DEADLINE_EXCEEDED",
        )

    async def block(
        self, which: Height | BlockId, *, include_transactions: bool = False
    ) -> PublishedBlock:
        """Return a sealed block by height or id; raises `RecordNotFound`."""
        request = ledger_pb2.GetBlockRequest(include_transactions=include_transactions)
        if isinstance(which, bytes):
            request.block_id = which
        else:
            request.height = which
        return await self._banks.call("GetBlock", request, codec.published_block_from_stub)

    async def stream_blocks(
        self, from_height: Height, *, follow: bool = False, include_transactions: bool = False
    ) -> AsyncGenerator[PublishedBlock, None]:
        """Yield sealed blocks in order, with `follow` also those still to come, without end."""

        def request_from(position: int, remaining: int | None) -> Any:
            return ledger_pb2.StreamBlocksRequest(
                from_height=position,
                follow=follow,
                include_transactions=include_transactions,
                limit=remaining or 0,
            )

        def read(answer: Any) -> Sequence[PublishedBlock]:
            return (codec.published_block_from_stub(answer),)

        async for page in self._banks.pages(
            "StreamBlocks", request_from, read, from_height, endless=follow
        ):
            for block in page:
                yield block

    async def inclusion_proof(self, transaction_id: TransactionId) -> InclusionProof:
        """Return the offline proof of a sealed transaction.

        Raises `NotYet` while it is on its way, `RecordNotFound`.
        """
        request = ledger_pb2.GetInclusionProofRequest(transaction_id=transaction_id)
        return await self._banks.call("GetInclusionProof", request, codec.proof_from_stub)

    def notes(
        self, from_sequence: int, limit: int | None = None
    ) -> AsyncGenerator[Sequence[NoteRecord], None]:
        """Yield pages of all notes in ledger order, from a sequence number to the tip."""

        def request_from(position: int, remaining: int | None) -> Any:
            return ledger_pb2.ListNotesRequest(from_sequence=position, limit=remaining or 0)

        return self._banks.pages(
            "ListNotes", request_from, codec.notes_from_stub, from_sequence, limit
        )

    def nullifiers(
        self, from_sequence: int, limit: int | None = None
    ) -> AsyncGenerator[Sequence[NullifierRecord], None]:
        """Yield pages of all nullifiers in ledger order, from a sequence number to the tip."""

        def request_from(position: int, remaining: int | None) -> Any:
            return ledger_pb2.ListNullifiersRequest(from_sequence=position, limit=remaining or 0)

        return self._banks.pages(
            "ListNullifiers", request_from, codec.nullifiers_from_stub, from_sequence, limit
        )

    def closed_bins(
        self, from_sequence: int, limit: int | None = None
    ) -> AsyncGenerator[Sequence[ClosedBinDigest], None]:
        """Yield pages of all closed bins in closing order, from a sequence number to the tip."""

        def request_from(position: int, remaining: int | None) -> Any:
            return ledger_pb2.ListClosedBinsRequest(from_sequence=position, limit=remaining or 0)

        return self._banks.pages(
            "ListClosedBins", request_from, codec.closed_bins_from_stub, from_sequence, limit
        )

    def evidence(
        self, from_sequence: int = 0, limit: int | None = None
    ) -> AsyncGenerator[Sequence[EvidenceItem], None]:
        """Yield pages of the evidence that the bank holds, oldest first, unverified."""

        def request_from(position: int, remaining: int | None) -> Any:
            return ledger_pb2.ListEvidenceRequest(from_sequence=position, limit=remaining or 0)

        return self._banks.pages(
            "ListEvidence", request_from, codec.evidence_from_stub, from_sequence, limit
        )

    def treasury(
        self,
        from_sequence: int = 0,
        limit: int | None = None,
        *,
        fiscal_year: int | None = None,
    ) -> AsyncGenerator[Sequence[TreasuryMovement], None]:
        """Yield pages of treasury rows in ledger order, from a sequence number to the tip.

        `fiscal_year` leaves out those of other years; rows keep their numbers.
        """

        def request_from(position: int, remaining: int | None) -> Any:
            return ledger_pb2.ListTreasuryRequest(
                from_sequence=position, limit=remaining or 0, fiscal_year=fiscal_year
            )

        return self._banks.pages(
            "ListTreasury",
            request_from,
            codec.treasury_from_stub,
            from_sequence,
            limit,
            place=lambda movement: movement.sequence,
        )

    async def votes(self, height: Height, *, include_ballots: bool = False) -> BlockVotes:
        """Return the bank's voting record of a block, unverified; raises `RecordNotFound`."""

        def read(answer: Any) -> BlockVotes:
            votes = codec.votes_from_stub(answer)
            if votes.height != height:
                raise MalformedMessage("height", "is not the one that was asked for")
            return votes

        request = ledger_pb2.GetVotesRequest(height=height, include_ballots=include_ballots)
        return await self._banks.call("GetVotes", request, read)

    async def votes_from(
        self, from_height: Height, limit: int | None = None, *, include_ballots: bool = False
    ) -> AsyncGenerator[BlockVotes, None]:
        """Yield the bank's voting records from a height to the tip, unverified."""

        def request_from(position: int, remaining: int | None) -> Any:
            return ledger_pb2.ListVotesRequest(
                from_height=position, limit=remaining or 0, include_ballots=include_ballots
            )

        def read(answer: Any) -> Sequence[BlockVotes]:
            return (codec.votes_from_stub(answer),)

        async for page in self._banks.pages("ListVotes", request_from, read, from_height, limit):
            for votes in page:
                yield votes

    def settlements(
        self, from_year: int = 0, limit: int | None = None
    ) -> AsyncGenerator[Sequence[SettledYear], None]:
        """Yield pages of settled fiscal years in their order, unverified."""

        def request_from(position: int, remaining: int | None) -> Any:
            return ledger_pb2.ListSettlementsRequest(from_year=position, limit=remaining or 0)

        return self._banks.pages(
            "ListSettlements",
            request_from,
            codec.settlements_from_stub,
            from_year,
            limit,
            place=lambda settled: settled.fiscal_year,
        )

    def ballot_conflicts(
        self, from_sequence: int = 0, limit: int | None = None
    ) -> AsyncGenerator[Sequence[BallotConflict], None]:
        """Yield pages of the conflicting ballots that the bank found, unverified.

        For banks and the regulator.
        """

        def request_from(position: int, remaining: int | None) -> Any:
            return ledger_pb2.ListBallotConflictsRequest(
                from_sequence=position, limit=remaining or 0
            )

        return self._banks.pages(
            "ListBallotConflicts", request_from, codec.conflicts_from_stub, from_sequence, limit
        )

    async def bins(self, bin_ids: Sequence[int]) -> tuple[BinRecord, ...]:
        """Return closed bins in the order asked for; raises `RecordNotFound`, `NotYet`."""

        def read(answer: Any) -> tuple[BinRecord, ...]:
            bins = codec.bins_from_stub(answer)
            if [record.bin_id for record in bins] != list(bin_ids):
                raise MalformedMessage("bins", "are not those that were asked for")
            return bins

        request = ledger_pb2.GetBinsRequest(bin_ids=bin_ids)
        return await self._banks.call("GetBins", request, read)

    async def sealed_state(self) -> PublishedState:
        """Return the tip with its state, unverified (`SealVerifier.verify_state`)."""
        request = ledger_pb2.GetSealedStateRequest()
        return await self._banks.call("GetSealedState", request, codec.published_state_from_stub)

    async def parameters(self) -> LedgerParameters:
        """Return what all banks agree on, and the bank's height."""
        request = ledger_pb2.GetParametersRequest()
        return await self._banks.call("GetParameters", request, codec.parameters_from_stub)

    async def genesis(self, chain_id: bytes | None = None) -> Genesis:
        """Return the genesis, which hashes to its chain id; fetched once.

        Give the `chain_id` you know: whoever takes it from the bank trusts that bank once. Raises
        `VerificationError` for another chain or a genesis that does not hold.
        """
        if self._genesis is None:
            self._genesis = read_genesis(await self.parameters())
        if chain_id is not None and self._genesis.chain_id != chain_id:
            raise VerificationError(
                f"the bank is of chain {self._genesis.chain_id.hex()}, not {chain_id.hex()}"
            )
        return self._genesis

    async def node_status(self) -> NodeStatus:
        """Return who answers and how far it is."""
        request = ledger_pb2.GetNodeStatusRequest()
        return await self._banks.call("GetNodeStatus", request, codec.node_status_from_stub)


def submission_outcome(answer: Any, endpoint: str) -> SubmissionOutcome:
    """Read one answer of a submission stream; raises `MalformedMessage`."""
    match answer.WhichOneof("outcome"):
        case "receipt":
            return SubmissionOutcome(answer.item, codec.receipt_from_stub(answer.receipt), None)
        case "rejection":
            refusal = codec.refusal_from_stub(answer.rejection)
            return SubmissionOutcome(answer.item, None, error_of_refusal(refusal, endpoint))
        case _:
            raise MalformedMessage("outcome", "is neither a receipt nor a rejection")


def read_genesis(parameters: LedgerParameters) -> Genesis:
    """Return the genesis that a bank serves, which hashes to the chain id it names.

    Raises `VerificationError`.
    """
    if len(parameters.genesis_json) > MAX_GENESIS_BYTES:
        raise VerificationError("the genesis is larger than any")
    try:
        genesis = Genesis.from_json_object(json.loads(parameters.genesis_json))
    except (ValueError, RecursionError, GenesisInvalid) as error:
        raise VerificationError(f"the bank's genesis does not hold: {error}") from error
    if genesis.chain_id != parameters.chain_id:
        raise VerificationError("the bank's genesis is not that of the chain it names")
    return genesis
