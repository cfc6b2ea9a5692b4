"""What happens when a row of the bank's own database is not what the bank wrote: it halts.

A halted bank signs nothing, proposes nothing and serves no blocks to others, and keeps answering
its operators. Going on would be worse than stopping: what it would sign rests on a ledger that is
not the consortium's. The damage stands in the database (`Database.findings`), so a restart does
not forget it; rebuilding the database from the other banks ends it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from node.consensus.certificates import (
    CertificateInvalid,
    verify_quorum_certificate,
    verify_seal,
    verify_timeout_certificate,
)
from node.consensus.messages import Seal
from node.consensus.record import DurableRecord, RecordInvalid
from node.consensus.restart import own_statements
from node.consensus.signatures import SignatureInvalid, Verifier
from node.consensus.signing import SigningContext
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import verify_ballot_certificate
from node.ledger.encoding import MalformedEncoding
from node.ledger.genesis import Genesis
from node.ledger.rejection import Rejection
from node.ledger.state import genesis_header
from node.ledger.types import BankIndex, Height
from node.storage.errors import IntegrityViolation
from node.storage.records import StoredConsensus, Tip

logger = logging.getLogger(__name__)

ALARM_KIND = "corrupted"


class Integrity:
    """Whether this bank may trust its database; once it may not, that is final."""

    def __init__(self, short_name: str) -> None:
        """`short_name` is what the operator calls the bank on the command line."""
        self._short_name = short_name
        self._violation: IntegrityViolation | None = None
        self._reported = asyncio.Event()
        self._listeners: list[Callable[[str, str], None]] = []

    @property
    def violation(self) -> IntegrityViolation | None:
        """The first damage found, None as long as there is none."""
        return self._violation

    @property
    def next_step(self) -> str:
        """What the operator should do."""
        return f"`consortium node rebuild {self._short_name}` restores it from the other banks"

    @property
    def reason(self) -> str | None:
        """Why the bank has halted and what to do, None if it has not."""
        return None if self._violation is None else f"{self._violation}; {self.next_step}"

    def on_alarm(self, listener: Callable[[str, str], None]) -> None:
        """Tell `listener` kind and text of the alarm, now if it was raised already."""
        self._listeners.append(listener)
        if self.reason is not None:
            listener(ALARM_KIND, self.reason)

    def report(self, violation: IntegrityViolation) -> None:
        """Halt the bank; the first report counts."""
        if self._violation is not None:
            return
        self._violation = violation
        logger.critical(
            "halted: stored data is damaged",
            extra={
                "table": violation.table,
                "height": violation.height,
                "detail": violation.detail,
                "next": self.next_step,
            },
        )
        for listener in self._listeners:
            listener(ALARM_KIND, str(self.reason))
        self._reported.set()

    async def wait(self) -> None:
        """Return when damage was reported."""
        await self._reported.wait()


async def run_unless_damaged(integrity: Integrity, *work: Coroutine[Any, Any, None]) -> None:
    """Run all `work` until one part of it fails or damage is reported, whichever comes first.

    Raises what failed, unless that is the damage itself.
    """
    tasks = [asyncio.create_task(part) for part in (*work, integrity.wait())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if integrity.violation is None:
                task.result()
    except IntegrityViolation as violation:
        integrity.report(violation)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def check_tip(genesis: Genesis, tip: Tip, verifier: Verifier) -> None:
    """Check that the tip is sealed by its active set, or is block 0 of this genesis.

    Signatures and the proofs of the ballots, which the next block records.

    Header and state were compared with their hashes when the tip was loaded. Raises
    `IntegrityViolation`.
    """
    header = tip.header
    if header.height == 0:
        if header != genesis_header(genesis):
            raise IntegrityViolation("blocks", 0, "block 0 is not that of the genesis")
        return
    try:
        seal = Seal.decode(tip.seal)
    except MalformedEncoding as error:
        raise IntegrityViolation("blocks", header.height, f"the seal: {error}") from error
    if (seal.height, seal.block_id) != (header.height, header.block_id):
        raise IntegrityViolation("blocks", header.height, "the seal is of another block")
    record = tip.state.set_record_at(header.height)
    assert record is not None, "the state remembers the set of its own height"
    try:
        active_set = genesis.active_set(record.banks)
        verify_seal(seal, genesis.chain_id, active_set, verifier)
        verify_ballot_certificate(seal.published(), genesis.chain_id, active_set)
    except (CertificateInvalid, Rejection) as error:
        raise IntegrityViolation("blocks", header.height, f"the seal: {error}") from error


def check_record(
    stored: StoredConsensus,
    bank: BankIndex,
    chain_id: bytes,
    tip_height: Height,
    active_set: ActiveSet,
    verifier: Verifier,
) -> None:
    """Check that the consensus record is this bank's own and that all in it is signed.

    `active_set` is that of the height after the tip; the record of an earlier height is history.
    Raises `IntegrityViolation`.
    """

    def damaged(detail: str) -> IntegrityViolation:
        return IntegrityViolation("consensus_record", stored.height, detail)

    if stored.height <= tip_height:
        return
    if stored.height > tip_height + 1:
        raise damaged(f"it is of a height that the tip, at {tip_height}, has not reached")
    try:
        record = DurableRecord.decode(stored.record)
    except RecordInvalid as error:
        raise damaged(str(error)) from error
    if (record.height, record.view, record.step) != (stored.height, stored.view, stored.step):
        raise damaged("the columns beside the record say another height, view or step")
    context = SigningContext.of(chain_id, active_set, record.height)
    try:
        for statement in own_statements(record):
            if statement.bank != bank or statement.height != record.height:
                raise damaged("a statement in it is of another bank or height")
            if bank in active_set:
                verifier.verify(
                    active_set.keys[bank], statement.signed_bytes(context), statement.signature
                )
        if record.highest is not None:
            verify_quorum_certificate(record.highest, chain_id, active_set, verifier)
        if record.entry is not None:
            verify_timeout_certificate(record.entry, chain_id, active_set, verifier)
    except SignatureInvalid as error:
        raise damaged("a statement in it is not what this bank signed") from error
    except CertificateInvalid as error:
        raise damaged(f"a certificate in it does not hold: {error}") from error
