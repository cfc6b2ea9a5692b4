"""Every method of the server: who may call it, how much it may send, how long it may take.

One table; a method that is not in it cannot be called. The test of this module calls each method
in each role.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from node.ledger.blocks import MAX_EVIDENCE_BYTES
from node.wire.identity import Role
from node.wire.limits import MAX_MESSAGE_BYTES, MAX_TRANSACTION_BYTES

LEDGER = "consortium.v1.Ledger"
PEER = "consortium.v1.Peer"
OPERATOR = "consortium.v1.Operator"
SUPERVISION = "consortium.v1.Supervision"
HEALTH = "grpc.health.v1.Health"
REFLECTION = "grpc.reflection.v1alpha.ServerReflection"

SMALL_REQUEST_BYTES = 1_024
SUBMISSION_BYTES = MAX_TRANSACTION_BYTES + 64
"""A transaction with the tags of its message."""
EVIDENCE_BYTES = MAX_EVIDENCE_BYTES + 64
"""An evidence item with the tags of its message."""
IDS_BYTES = 16 << 10
"""A request that lists ids: 200 of 34 bytes, or 64 of at most 10."""

READ_SECONDS = 15.0
SUBMIT_SECONDS = 30.0
SCAN_SECONDS = 300.0
WAIT_SECONDS = 600.0
SNAPSHOT_SECONDS = 3_600.0
"""A ledger of tens of millions of notes, to a reader that is not the fastest."""


@dataclass(frozen=True, slots=True)
class MethodRule:
    """What holds for one method."""

    roles: frozenset[Role]
    request_limit_bytes: int
    """Of each request message, checked before it is parsed."""
    time_limit_s: float | None
    """The server's cap, beside the caller's deadline; None for streams that live on."""
    calls_at_once: int | None = None
    """Calls of this method that one party may have open; None: only its quota of calls limits it.

    Set where an answer is large: it waits in memory until a slow reader takes it."""
    loopback_only: bool = False
    """Refused from other machines unless the node is configured otherwise."""


_ALL = frozenset(Role)
_SUBMITTERS = _ALL
"""The regulator too: it submits settlements."""
_BANKS = frozenset({Role.BANK})
_OBSERVERS = frozenset({Role.BANK, Role.REGULATOR})
_OPERATORS = frozenset({Role.OPERATOR})
_REGULATORS = frozenset({Role.REGULATOR})


def _read(time_limit_s: float = READ_SECONDS) -> MethodRule:
    return MethodRule(_ALL, SMALL_REQUEST_BYTES, time_limit_s)


def _operator(time_limit_s: float = READ_SECONDS) -> MethodRule:
    return MethodRule(_OPERATORS, SMALL_REQUEST_BYTES, time_limit_s, loopback_only=True)


METHODS: Mapping[str, MethodRule] = {
    f"/{LEDGER}/SubmitTransaction": MethodRule(_SUBMITTERS, SUBMISSION_BYTES, SUBMIT_SECONDS),
    f"/{LEDGER}/SubmitTransactions": MethodRule(_SUBMITTERS, SUBMISSION_BYTES, WAIT_SECONDS),
    f"/{LEDGER}/GetTransaction": _read(),
    f"/{LEDGER}/WaitForTransaction": _read(WAIT_SECONDS),
    f"/{LEDGER}/GetBlock": _read(),
    f"/{LEDGER}/StreamBlocks": MethodRule(_ALL, SMALL_REQUEST_BYTES, None),
    f"/{LEDGER}/GetInclusionProof": _read(),
    f"/{LEDGER}/ListNotes": _read(SCAN_SECONDS),
    f"/{LEDGER}/ListNullifiers": _read(SCAN_SECONDS),
    f"/{LEDGER}/ListClosedBins": _read(SCAN_SECONDS),
    f"/{LEDGER}/GetBins": MethodRule(_ALL, SMALL_REQUEST_BYTES, READ_SECONDS, 64),
    f"/{LEDGER}/GetSealedState": _read(),
    f"/{LEDGER}/ListEvidence": _read(SCAN_SECONDS),
    f"/{LEDGER}/ListTreasury": _read(SCAN_SECONDS),
    f"/{LEDGER}/GetVotes": _read(),
    f"/{LEDGER}/ListVotes": _read(SCAN_SECONDS),
    f"/{LEDGER}/ListSettlements": _read(SCAN_SECONDS),
    f"/{LEDGER}/ListBallotConflicts": MethodRule(_OBSERVERS, SMALL_REQUEST_BYTES, SCAN_SECONDS),
    f"/{LEDGER}/GetParameters": _read(),
    f"/{LEDGER}/GetNodeStatus": _read(),
    f"/{PEER}/Exchange": MethodRule(_BANKS, MAX_MESSAGE_BYTES, None),
    f"/{PEER}/FetchTransactions": MethodRule(_OBSERVERS, IDS_BYTES, READ_SECONDS, 16),
    f"/{PEER}/FetchBlocks": MethodRule(_OBSERVERS, SMALL_REQUEST_BYTES, READ_SECONDS, 16),
    f"/{PEER}/FetchBlock": MethodRule(_OBSERVERS, SMALL_REQUEST_BYTES, READ_SECONDS, 16),
    f"/{PEER}/FetchSnapshot": MethodRule(_BANKS, SMALL_REQUEST_BYTES, SNAPSHOT_SECONDS),
    f"/{OPERATOR}/GetStatus": _operator(),
    f"/{OPERATOR}/Shutdown": _operator(),
    f"/{OPERATOR}/GetDigests": _operator(SCAN_SECONDS),
    f"/{OPERATOR}/ListBlocks": _operator(SCAN_SECONDS),
    f"/{OPERATOR}/AuditTransactions": _operator(3_600.0),
    f"/{OPERATOR}/SetLogLevel": _operator(),
    f"/{OPERATOR}/InjectFault": _operator(),
    f"/{OPERATOR}/HealFaults": _operator(),
    f"/{OPERATOR}/GetRound": _operator(),
    f"/{OPERATOR}/GetTransactionTrace": _operator(),
    f"/{SUPERVISION}/SubmitEvidence": MethodRule(
        _REGULATORS, EVIDENCE_BYTES, SUBMIT_SECONDS, 4
    ),
    f"/{HEALTH}/Check": _read(),
    f"/{HEALTH}/Watch": MethodRule(_ALL, SMALL_REQUEST_BYTES, None),
    f"/{REFLECTION}/ServerReflectionInfo": _read(WAIT_SECONDS),
}
