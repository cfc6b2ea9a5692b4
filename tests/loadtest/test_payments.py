"""Payments under way: each is followed to its end and counted once.

The bank is a script of answers; the real ones are met in `test_load_on_processes`.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import gevent
import gevent.hub
import pytest

from crypto.transaction import transaction_id
from loadtest import payments as payments_module
from loadtest.account import Account
from loadtest.payments import Payments
from node.client.blocking_ledger import SealedBlock
from node.client.errors import (
    LedgerError,
    LedgerOverloaded,
    LedgerUnavailable,
    RecordNotFound,
    TransactionRefused,
)
from node.client.workload_file import WorkloadHeader, WorkloadWriter, open_workload
from node.ledger.rejection import Reason
from node.ledger.types import Height, TransactionId
from node.wire.records import Receipt, Refusal, TransactionState, TransactionStatus

RAWS = [bytes([number]) * 7 for number in range(4)]
IDS = [TransactionId(transaction_id(raw)) for raw in RAWS]
Answer = TransactionState | LedgerError


@dataclass
class ScriptedLedger:
    """A bank that answers what it is told to."""

    answers: deque[Answer] = field(default_factory=deque)
    states: dict[bytes, TransactionStatus] = field(default_factory=dict)
    sealed: deque[SealedBlock] = field(default_factory=deque)
    before_answer: Callable[[], None] = lambda: None

    def node_status(self) -> SealedBlock:
        return SealedBlock(Height(0), 0, ())

    def submit(self, raw: bytes) -> Receipt:
        self.before_answer()
        answer = self.answers.popleft()
        if isinstance(answer, LedgerError):
            raise answer
        return Receipt(TransactionId(transaction_id(raw)), answer, Height(1))

    def follow(self, from_height: int, *, timeout_ms: int) -> Iterator[SealedBlock]:
        while True:
            while self.sealed:
                yield self.sealed.popleft()
            gevent.sleep(0.001)

    def transaction_status(self, identity: bytes) -> TransactionStatus:
        if identity not in self.states:
            raise RecordNotFound("never seen")
        return self.states[identity]


@dataclass
class ScriptedBank:
    ledger: ScriptedLedger
    failures: int = 0
    is_left_alone = False

    def wait(self) -> None: ...

    def answered(self) -> None: ...

    def failed(self, error: LedgerError) -> None:
        self.failures += 1


@dataclass
class ScriptedBanks:
    banks: list[ScriptedBank]

    def __len__(self) -> int:
        return len(self.banks)

    def next(self) -> ScriptedBank:
        return self.banks[0]

    def after(self, bank: ScriptedBank) -> ScriptedBank:
        return self.banks[(self.banks.index(bank) + 1) % len(self.banks)]


@dataclass
class Setting:
    """One process of a load test, with one scripted bank."""

    path: Path
    fired: list[tuple[str, str | None]] = field(default_factory=list)

    def run(self, work: Callable[[Payments, ScriptedBank], None], *answers: Answer) -> Account:
        """Do `work` and drain, on a hub of its own; return the account."""
        accounts: list[Account] = []
        failures: list[BaseException] = []

        def inside() -> None:
            try:
                bank = ScriptedBank(ScriptedLedger(deque(answers)))
                with open_workload(self.path) as workload:
                    payments = Payments(ScriptedBanks([bank]), workload, self._fire)
                    payments.start()
                    work(payments, bank)
                    accounts.append(payments.drain(0.05))
            except BaseException as error:  # edge: the test that waits raises it again
                failures.append(error)
            finally:
                gevent.hub.get_hub().destroy()

        # The hub of the main thread would meddle with the signals of the other tests.
        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        if failures:
            raise failures[0]
        return accounts[0]

    def _fire(self, name: str, milliseconds: float, length: int, failure: str | None) -> None:
        assert milliseconds >= 0
        self.fired.append((name, failure))


@pytest.fixture
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setting:
    monkeypatch.setattr(payments_module, "RETRY_S", 0.001)
    path = tmp_path / "load"
    header = WorkloadHeader(
        bytes(32), "local", 4, 4, len(RAWS), 1, 1, 1, "INR", transaction_bytes=7, expiry=9
    )
    with WorkloadWriter(path, len(RAWS), 7) as writer:
        for index, raw in enumerate(RAWS):
            writer.put(index, raw)
        writer.finish(header)
    return Setting(path)


def block(*indexes: int) -> SealedBlock:
    return SealedBlock(Height(1), 0, tuple([IDS[index] for index in indexes]))


ADMITTED = TransactionState.ADMITTED


def test_an_acknowledged_payment_that_a_block_shows_is_sealed(setting: Setting) -> None:
    def work(payments: Payments, bank: ScriptedBank) -> None:
        payment = payments.submit(0, IDS[0], bank)
        bank.ledger.sealed.append(block(0))
        payment.ended.wait()
        assert list(payments.recent) == [0]

    assert setting.run(work, ADMITTED) == Account(submitted=1, acknowledged=1, sealed=1)
    assert setting.fired == [("admission", None), ("sealed", None)]


def test_a_block_may_be_faster_than_the_answer(setting: Setting) -> None:
    def work(payments: Payments, bank: ScriptedBank) -> None:
        def seal_at_once() -> None:
            bank.ledger.sealed.append(block(0))
            gevent.sleep(0.02)

        bank.ledger.before_answer = seal_at_once
        payments.submit(0, IDS[0], bank)

    assert setting.run(work, ADMITTED) == Account(submitted=1, acknowledged=1, sealed=1)
    assert setting.fired == [("sealed", None), ("admission", None)]


def test_a_bank_without_room_is_asked_again(setting: Setting) -> None:
    def work(payments: Payments, bank: ScriptedBank) -> None:
        payments.submit(0, IDS[0], bank)
        bank.ledger.sealed.append(block(0))

    full = LedgerOverloaded("full", reason_code="mempool-full", retry_delay_ms=1)
    account = setting.run(work, full, full, ADMITTED)
    assert account == Account(submitted=1, acknowledged=1, sealed=1)
    assert setting.fired == [
        *[("admission", "mempool-full")] * 2,
        ("admission", None),
        ("sealed", None),
    ]


def test_a_silent_bank_is_left_alone_and_the_same_bytes_go_on(setting: Setting) -> None:
    def work(payments: Payments, bank: ScriptedBank) -> None:
        payments.submit(0, IDS[0], bank)
        assert bank.failures == 1
        bank.ledger.sealed.append(block(0))

    silent = LedgerUnavailable("down", status="UNAVAILABLE")
    account = setting.run(work, silent, ADMITTED)
    assert account == Account(submitted=1, acknowledged=1, sealed=1)
    assert setting.fired[0] == ("admission", "unavailable")


def test_a_refusal_is_counted_by_its_reason(setting: Setting) -> None:
    def work(payments: Payments, bank: ScriptedBank) -> None:
        payments.submit(0, IDS[0], bank)
        payments.submit(1, IDS[1], bank)

    spent = TransactionRefused(Reason.NULLIFIER, "spent")
    account = setting.run(work, spent, TransactionState.SEALED)
    refused = Counter({"nullifier": 1, "submitted-before": 1})
    assert account == Account(submitted=2, refused=refused)
    assert setting.fired == [("admission", "nullifier"), ("admission", "submitted-before")]


def test_at_the_end_every_payment_is_looked_up(setting: Setting) -> None:
    """Sealed, rejected, still under way, forgotten: nothing that was acknowledged is left out."""

    def work(payments: Payments, bank: ScriptedBank) -> None:
        for index in range(4):
            payments.submit(index, IDS[index], bank)
        rejected = TransactionState.REJECTED
        bank.ledger.states = {
            IDS[0]: TransactionStatus(IDS[0], TransactionState.SEALED),
            IDS[1]: TransactionStatus(IDS[1], rejected, refusal=Refusal("nullifier", "spent")),
            IDS[2]: TransactionStatus(IDS[2], ADMITTED),
        }

    account = setting.run(work, *[ADMITTED] * 4)
    assert account == Account(
        submitted=4,
        acknowledged=4,
        sealed=1,
        rejected=Counter({"nullifier": 1}),
        undecided=1,
        lost=1,
    )
    assert str(account) == (
        "4 payments acknowledged: 1 sealed, 1 rejected (1 nullifier), 1 UNDECIDED, 1 LOST"
    )
    assert setting.fired[4:] == [
        *[("sealed", None), ("sealed", "nullifier"), ("sealed", "undecided"), ("sealed", "lost")]
    ]


def test_accounts_of_workers_add_up() -> None:
    one = Account(3, 2, 1, Counter(a=1), Counter(b=1), 0, 0, 1)
    other = Account(5, 5, 2, Counter(a=1, c=1), Counter(), 1, 1, 0)
    total = Account()
    for account in (one, other):
        total.add(Account.of_object(account.to_object()))
    assert total == Account(8, 7, 3, Counter(a=2, c=1), Counter(b=1), 1, 1, 1)
    assert str(one) == "2 payments acknowledged: 1 sealed, 1 rejected (1 a), zero lost"
