"""One transaction: where it stands, what each bank did with it, and the proof that it is sealed."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping
from dataclasses import asdict

from crypto.merkle import HASH_BYTES, PROOF_HEADER_BYTES
from node.client.errors import LedgerError, NotYet, RecordNotFound, VerificationError
from node.client.ledger_client import TransactionRecord
from node.dashboard.block_answer import public_fields, why_silent
from node.dashboard.errors import PageError, not_found
from node.dashboard.ledger_reading import LedgerReading
from node.ledger.ballots import BallotCertificate
from node.ledger.types import BankIndex, TransactionId
from node.runtime.consortium_directory import short_name
from node.wire.operator_records import TransactionTrace
from node.wire.records import InclusionProof, TransactionState

MEANINGS = {
    TransactionState.UNKNOWN: "no bank that answers has seen it",
    TransactionState.PENDING: "received; its proofs are being verified",
    TransactionState.ADMITTED: "verified by a bank and passed on; not final",
    TransactionState.PROPOSED: "in a block that is being voted on; not final",
    TransactionState.SEALED: "final",
    TransactionState.REJECTED: "refused; final at the bank that refused it",
    TransactionState.EXPIRED: "its expiry height passed before it was sealed; final",
}
PREFERENCE = (
    TransactionState.SEALED,
    TransactionState.PROPOSED,
    TransactionState.ADMITTED,
    TransactionState.PENDING,
    TransactionState.EXPIRED,
    TransactionState.REJECTED,
    TransactionState.UNKNOWN,
)
"""Of two banks' words the one that is further is shown."""


async def transaction_object(
    reading: LedgerReading,
    identity: TransactionId,
    traces: Mapping[BankIndex, TransactionTrace | LedgerError] | None,
) -> dict[str, object]:
    """Return everything about a transaction; `traces` is None for who may not see them.

    Raises `PageError` if no bank that answers knows it.
    """
    asked, record = await _find(reading, identity)
    status = record.status
    proof = None
    checked: dict[str, object] = {"verified": False}
    if status.state is TransactionState.SEALED and record.transaction is not None:
        proof, checked = await _proof(reading, identity, record.transaction)
    public = None
    if record.transaction is not None:
        public = public_fields(reading.genesis, record.transaction)
    position, refusal = status.position, status.refusal
    return {
        "id": identity.hex(),
        "status": {
            "state": status.state.name.lower(),
            "meaning": MEANINGS[status.state],
            "asked": short_name(asked),
            "reason": None if refusal is None else refusal.reason,
            "message": None if refusal is None else refusal.message,
            "time_ms": None if position is None else position.time_ms,
            **checked,
        },
        "height": None if position is None else position.height,
        "index": None if position is None else position.index,
        "block_id": None if position is None else position.block_id.hex(),
        "kind": None if public is None else public["kind"],
        "public": public,
        "bytes": None if record.transaction is None else len(record.transaction),
        "banks": []
        if traces is None
        else [_trace(bank.index, traces.get(bank.index)) for bank in reading.genesis.banks],
        "proof": proof,
    }


async def _find(
    reading: LedgerReading, identity: TransactionId
) -> tuple[BankIndex, TransactionRecord]:
    """Ask the bank whose blocks are followed; if it knows nothing final, all others at once."""
    source = reading.watch.source
    if source is not None:
        found = await _ask(reading, source, identity)
        if isinstance(found, TransactionRecord) and found.status.state is TransactionState.SEALED:
            return source, found
    banks = list(reading.watch.reports) or [bank.index for bank in reading.genesis.banks]
    answers = await asyncio.gather(*(_ask(reading, bank, identity) for bank in banks))
    known = [
        (bank, answer)
        for bank, answer in zip(banks, answers, strict=True)
        if isinstance(answer, TransactionRecord)
    ]
    if not known:
        if answers and not any(isinstance(answer, RecordNotFound) for answer in answers):
            raise PageError(503, "no-bank-answers", "no bank answers", "see `consortium status`")
        raise not_found(
            "no bank that answers knows this transaction",
            "check the id; what was refused long ago is forgotten",
        )
    return min(known, key=lambda item: PREFERENCE.index(item[1].status.state))


async def _ask(
    reading: LedgerReading, bank: BankIndex, identity: TransactionId
) -> TransactionRecord | LedgerError:
    try:
        client = reading.connections.of_bank(bank)
        return await client.transaction(identity, include_transaction=True)
    except LedgerError as error:
        return error


async def _proof(
    reading: LedgerReading, identity: TransactionId, raw: bytes
) -> tuple[dict[str, object] | None, dict[str, object]]:
    """Return the proof for the browser, and whether it holds, by this server's own check."""
    try:
        proof = await reading.ledger.inclusion_proof(identity)
    except (RecordNotFound, NotYet) as error:
        return None, {"verified": False, "why": error.message}
    try:
        place = await asyncio.to_thread(reading.verifier.verify_inclusion, raw, proof)
    except VerificationError as error:
        return None, {"verified": False, "why": str(error)}
    certificate = BallotCertificate.decode(proof.certificate)
    header = place.header
    size, siblings = _path(proof)
    shown = {
        "header_hex": proof.header.hex(),
        "block_id": header.block_id.hex(),
        "height": header.height,
        "leaf_hash": proof.leaf_hash.hex(),
        "leaf_preimage_hex": "00" + raw.hex(),
        "index": place.index,
        "size": size,
        "siblings": siblings,
        "root": header.transactions_root.hex(),
        "ballots": len(certificate.ballots),
        "quorum": reading.verifier.active_set_at(header.height, proof.set_changes).quorum,
    }
    words = "the path and every ballot were verified by this page's server, from the genesis alone"
    return shown, {"verified": True, "why": words}


def _path(proof: InclusionProof) -> tuple[int, list[str]]:
    """Return size and siblings, from the leaf upward (IDX1 11.2), of a proof that holds."""
    _, size, count = struct.unpack_from("<QQB", proof.proof)
    ends = [PROOF_HEADER_BYTES + HASH_BYTES * step for step in range(count + 1)]
    return size, [proof.proof[begin : begin + HASH_BYTES].hex() for begin in ends[:-1]]


def _trace(bank: BankIndex, answer: TransactionTrace | LedgerError | None) -> dict[str, object]:
    row: dict[str, object] = {
        "bank": bank,
        "name": short_name(bank),
        "source": None,
        "events": [],
        "checks": [],
    }
    if not isinstance(answer, TransactionTrace):
        return {**row, "error": why_silent(answer)}
    return {
        **row,
        "source": answer.source,
        "events": [
            {"kind": event.kind.value, "at_us": event.at_us, "detail": event.detail}
            for event in answer.events
        ],
        "checks": [asdict(check) for check in answer.checks],
    }
