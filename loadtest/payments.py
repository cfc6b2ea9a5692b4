"""Payments under way in one process: submitted, acknowledged, sealed, and none forgotten.

Two response times a payment: `admission`, until the bank has verified it and answers, and `sealed`,
from the first attempt to submit it until a bank tells that the block which holds it is sealed. One
stream of blocks a process tells of all of them. A payment that was acknowledged is followed to its
end, whatever users come and go: it is sealed, or rejected with a reason, or counted as lost.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import gevent
from gevent.event import Event

from loadtest.account import Account
from loadtest.banks import Bank, Banks
from node.client.blocking_ledger import SealedBlock, TransactionStatus
from node.client.errors import (
    LedgerError,
    LedgerFault,
    LedgerOverloaded,
    LedgerTimeout,
    LedgerUnavailable,
    RecordNotFound,
    TransactionRefused,
)
from node.client.workload_file import Workload

ADMISSION, SEALED = "admission", "sealed"
FOLLOW_MS = 300_000
"""Length of one block stream; then it is taken up again."""
OVERDUE_S = 20.0
"""A payment that no block has shown for so long is looked up by itself."""
LOOK_UPS = 100
"""At once."""
RETRY_S = 0.5
RECENT = 1_000
"""Sealed payments that queries and proofs are about."""
UNKNOWN_STATE, ADMITTED_STATE, SEALED_STATE = 1, 3, 5
"""`TransactionState` as it travels; beyond SEALED a transaction was given up."""

Fire = Callable[[str, float, int, str | None], None]
"""Name of a request, milliseconds, bytes, and the reason if it failed."""


@dataclass(eq=False)
class Payment:
    """One transaction from the first attempt to submit it to its end."""

    index: int
    since_s: float
    """When it was submitted first, or was due."""
    acknowledged: bool = False
    looked_up_s: float = 0.0
    ended: Event = field(default_factory=Event)


class Payments:
    """Submits and follows the payments of this process."""

    def __init__(self, banks: Banks, workload: Workload, fire: Fire) -> None:
        self._banks = banks
        self._workload = workload
        self._fire = fire
        self._open: dict[bytes, Payment] = {}
        self._followed = banks.next()
        self._next_height: int | None = None
        self._following: gevent.Greenlet | None = None
        self._overdue: gevent.Greenlet | None = None
        self.account = Account()
        self.recent: deque[int] = deque(maxlen=RECENT)
        """Indexes of payments that were sealed last."""
        self.draining = False
        self._sending = 0

    @property
    def under_way(self) -> int:
        return len(self._open)

    def start(self) -> None:
        """Begin to follow the ledger, before the first payment."""
        if self._following is None:
            self._next_height = self._height() + 1
            self._following = gevent.spawn(self._follow)
            self._overdue = gevent.spawn(self._look_after_overdue)

    def restart(self) -> None:
        """Begin a new account."""
        self.account = Account()
        self.draining = False

    def submit(
        self, index: int, identity: bytes, bank: Bank, due_s: float | None = None
    ) -> Payment:
        """Submit a transaction until a bank has answered; never cut short by a user's end."""
        payment = Payment(index, time.monotonic() if due_s is None else due_s)
        # Its block may be here before the answer.
        self._open[identity] = payment
        self.account.submitted += 1
        self._sending += 1
        sending = gevent.spawn(self._send, identity, payment, bank)
        sending.link(self._sent)
        sending.join()
        return payment

    def drain(self, within_s: float) -> Account:
        """Wait until every acknowledged payment has come to its end; return the account."""
        self.draining = True
        deadline_s = time.monotonic() + within_s
        while (self._sending or self._acknowledged_open()) and time.monotonic() < deadline_s:
            gevent.sleep(0.05)
        known = self._look_up(list(self._open.items()))
        for identity, payment in self._open.items():
            if not payment.acknowledged:
                self.account.unanswered += 1
            elif identity in known:
                self.account.undecided += 1
                self._fire(SEALED, self._age_ms(payment), 0, "undecided")
            else:
                self.account.lost += 1
                self._fire(SEALED, self._age_ms(payment), 0, "lost")
            payment.ended.set()
        self._open.clear()
        return self.account

    def _acknowledged_open(self) -> bool:
        return any(payment.acknowledged for payment in self._open.values())

    def _age_ms(self, payment: Payment) -> float:
        return (time.monotonic() - payment.since_s) * 1000

    # Submitting

    def _sent(self, sending: gevent.Greenlet) -> None:
        self._sending -= 1

    def _send(self, identity: bytes, payment: Payment, bank: Bank) -> None:
        raw = self._workload[payment.index]
        first = True
        while not payment.ended.is_set():
            if bank.is_left_alone:
                bank = self._banks.after(bank)
                bank.wait()
            begun_s = time.monotonic()
            try:
                receipt = bank.ledger.submit(raw)
            except LedgerError as error:
                self._fire(ADMISSION, _since_ms(begun_s), len(raw), reason_of(error))
                if not self._again_after(error, identity, payment, bank):
                    return
            else:
                bank.answered()
                if first and receipt.state > ADMITTED_STATE:
                    # A bank that answers for the first time says ADMITTED.
                    self._fire(ADMISSION, _since_ms(begun_s), len(raw), "submitted-before")
                    self._refused(identity, payment, "submitted-before")
                    return
                self._fire(ADMISSION, _since_ms(begun_s), len(raw), None)
                payment.acknowledged = True
                self.account.acknowledged += 1
                if payment.ended.is_set():
                    # The block was here first.
                    self.account.sealed += 1
                return
            first = False

    def _again_after(
        self, error: LedgerError, identity: bytes, payment: Payment, bank: Bank
    ) -> bool:
        """Pause as the failure demands; return False if it was final."""
        if isinstance(error, LedgerUnavailable | LedgerTimeout | LedgerFault):
            bank.failed(error)
        elif isinstance(error, LedgerOverloaded) or error.retry_delay_ms:
            gevent.sleep((error.retry_delay_ms or RETRY_S * 1000) / 1000)
        else:
            self._refused(identity, payment, reason_of(error))
            return False
        return not self.draining

    def _refused(self, identity: bytes, payment: Payment, reason: str) -> None:
        if self._open.pop(identity, None) is not None:
            self.account.refused[reason] += 1
        payment.ended.set()

    # Following

    def _height(self) -> int:
        while True:
            try:
                return self._followed.ledger.node_status().height
            except LedgerError as error:
                self._turn_from_followed(error)

    def _follow(self) -> None:
        while True:
            assert self._next_height is not None, "set before"
            try:
                ledger = self._followed.ledger
                for block in ledger.follow(self._next_height, timeout_ms=FOLLOW_MS):
                    self._followed.answered()
                    self._take(block)
                    self._next_height = block.height + 1
            except LedgerTimeout:
                continue
            except LedgerError as error:
                self._turn_from_followed(error)

    def _turn_from_followed(self, error: LedgerError) -> None:
        self._followed.failed(error)
        self._followed = self._banks.after(self._followed)
        self._followed.wait()

    def _take(self, block: SealedBlock) -> None:
        for identity in block.transaction_ids:
            payment = self._open.pop(identity, None)
            if payment is not None:
                self._sealed(payment)

    def _sealed(self, payment: Payment) -> None:
        self._fire(SEALED, self._age_ms(payment), 0, None)
        self.recent.append(payment.index)
        if payment.acknowledged:
            self.account.sealed += 1
        payment.ended.set()

    def _look_after_overdue(self) -> None:
        while True:
            gevent.sleep(OVERDUE_S / 4)
            now_s = time.monotonic()
            overdue = [
                item
                for item in self._open.items()
                if item[1].acknowledged
                and now_s - max(item[1].since_s, item[1].looked_up_s) > OVERDUE_S
            ]
            self._look_up(overdue[:LOOK_UPS])

    def _look_up(self, items: list[tuple[bytes, Payment]]) -> set[bytes]:
        """Ask what became of payments that no block has shown; return those that a bank knows."""
        known = set()
        for identity, payment in items:
            payment.looked_up_s = time.monotonic()
            status = self._status(identity)
            if status is None or status.state <= UNKNOWN_STATE:
                continue
            known.add(identity)
            if status.state < SEALED_STATE or self._open.pop(identity, None) is None:
                continue
            if status.state == SEALED_STATE:
                self._sealed(payment)
                continue
            reason = "expired" if status.refusal is None else status.refusal.reason
            self._fire(SEALED, self._age_ms(payment), 0, reason)
            (self.account.rejected if payment.acknowledged else self.account.refused)[reason] += 1
            payment.ended.set()
        return known

    def _status(self, identity: bytes) -> TransactionStatus | None:
        """Return what the first bank says that knows the transaction."""
        bank = self._followed
        for _ in range(len(self._banks)):
            bank = self._banks.after(bank)
            try:
                status = bank.ledger.transaction_status(identity)
            except RecordNotFound:
                continue
            except LedgerError as error:
                bank.failed(error)
                continue
            if status.state > UNKNOWN_STATE:
                return status
        return None


def reason_of(error: LedgerError) -> str:
    """Return how a failure is called in the report: the ledger's reason, or gRPC's status."""
    if isinstance(error, TransactionRefused):
        return error.reason.value
    return error.reason_code or error.status.lower().replace("_", "-")


def _since_ms(begun_s: float) -> float:
    return (time.monotonic() - begun_s) * 1000
