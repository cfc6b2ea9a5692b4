"""A load test of a running consortium: `locust -f loadtest/locustfile.py`.

    consortium load prepare --transactions 10000 --out ten-thousand.load
    consortium up --genesis ten-thousand.load --data loaded
    locust -f loadtest/locustfile.py --data loaded --workload-file ten-thousand.load

Web interface, `--headless -u USERS -t TIME --csv NAME --html FILE`, `--processes N`, `--master` and
`--worker`, `--tags pay query proof stream`, `--shape step|spike|soak|open` work as Locust's users
expect. A user is a customer of one bank: it pays, waits until the payment is sealed, and goes on.
"""

from __future__ import annotations

import logging
import random
import sys
import time
from typing import Any

import gevent
from grpc.experimental import gevent as grpc_gevent
from locust import User, events, runners, tag, task
from locust.env import Environment
from locust.exception import StopUser

from loadtest import shapes
from loadtest.banks import Bank, DirectoryInvalid
from loadtest.options import OPEN, Options, add_options, requested_shape
from loadtest.payments import reason_of
from loadtest.session import ChainDiffers, Session, WorkloadMissing
from loadtest.stages import OPEN_USERS
from loadtest.stock import UsedUp
from node.client.errors import ClientError, LedgerError, VerificationError
from node.client.workload_file import WorkloadInvalid

MOST_OPEN = 4_096
"""Arrivals of one process that may be under way; those beyond are counted as not offered."""
PREPARATION_S = 60.0
LAG, NOT_OFFERED = "generator lag", "not-offered"
QUERY, STATUS, PROOF, STREAM = "query", "status", "proof", "stream"
STREAMED_BLOCKS = 10

# A worker on a machine that its load saturates may be late with many heartbeats.
runners.HEARTBEAT_LIVENESS = 30

logger = logging.getLogger("loadtest")
sessions: dict[Environment, Session] = {}
"""One a process."""

_shape = requested_shape(sys.argv[1:])
if _shape in shapes.CLASSES:
    Shape = shapes.CLASSES[_shape]


@events.init_command_line_parser.add_listener
def add_our_options(parser: Any) -> None:
    add_options(parser)


@events.init.add_listener
def open_session(environment: Environment, **_: Any) -> None:
    # After the fork of --processes, and before anything of gRPC exists.
    grpc_gevent.init_gevent()
    try:
        sessions[environment] = Session(environment, Options.of(environment.parsed_options))
    except (DirectoryInvalid, WorkloadInvalid) as error:
        logger.error("%s", error)
        sys.exit(2)
    session = sessions[environment]
    if session.workload is None:
        logger.warning("nobody pays without --workload-file; queries alone are made")
    if getattr(environment.parsed_options, "headless", False):
        # The web interface is there at once; without one, the time begins when all is ready.
        prepare(session)
    else:
        gevent.spawn(prepare, session)

    @events.quit.add_listener
    def write_summary(exit_code: int, **_: Any) -> None:
        session.write_summary(exit_code)


def prepare(session: Session) -> None:
    try:
        with gevent.Timeout(PREPARATION_S, False):
            session.prepare()
    except ChainDiffers as error:
        logger.error("%s", error)
        sys.exit(2)


@events.test_start.add_listener
def restart(environment: Environment, **_: Any) -> None:
    sessions[environment].restart()


@events.test_stopping.add_listener
def finish(environment: Environment, **_: Any) -> None:
    options: Any = environment.parsed_options
    sessions[environment].finish(options.settle_s)


class Customer(User):
    """A customer of one bank."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.session = sessions[environment]
        self.bank: Bank = self.session.banks.next()

    def wait_time(self) -> float:
        options: Any = self.environment.parsed_options
        return float(options.think_s)

    def on_start(self) -> None:
        options: Any = self.environment.parsed_options
        if options.shape == OPEN:
            self.arrive(options.rate / OPEN_USERS)

    def arrive(self, rate: float) -> None:
        """Let payments begin at times drawn by chance (Poisson), whatever becomes of the others."""
        due_s = time.monotonic()
        while True:
            due_s += random.expovariate(rate)
            gevent.sleep(max(0.0, due_s - time.monotonic()))
            payments = self.session.payments
            if payments is not None and payments.under_way >= MOST_OPEN:
                self.session.fire("admission", 0.0, 0, NOT_OFFERED)
                continue
            gevent.spawn(self.pay_once, due_s)

    def pay_once(self, due_s: float | None = None) -> None:
        session = self.session
        if session.payments is not None and session.payments.draining:
            gevent.sleep(1)
            return
        try:
            index, identity = session.next_payment()
        except UsedUp:
            session.used_up()
            gevent.sleep(1)
            return
        except WorkloadMissing:
            raise StopUser from None
        except ChainDiffers as error:
            session.fail(str(error))
            raise StopUser from None
        assert session.payments is not None, "there is a workload"
        if due_s is None:
            session.payments.submit(index, identity, self.bank).ended.wait()
            return
        session.fire(LAG, (time.monotonic() - due_s) * 1000, 0, None)
        session.payments.submit(index, identity, session.banks.next(), due_s)

    @tag("pay")
    @task(90)
    def pay(self) -> None:
        if self.session.workload is None:
            gevent.sleep(1)
            return
        self.pay_once()

    @tag("query")
    @task(6)
    def query(self) -> None:
        """Ask where a payment stands that was sealed a moment ago."""
        workload, index = self.session.workload, self.session.recent()
        if workload is None or index is None:
            self.request(STATUS, lambda: self.bank.ledger.node_status())
        else:
            identity = workload.transaction_id(index)
            self.request(QUERY, lambda: self.bank.ledger.transaction_status(identity))

    @tag("proof")
    @task(3)
    def prove(self) -> None:
        """Fetch a payment's inclusion proof and verify it."""
        workload, index = self.session.workload, self.session.recent()
        if workload is not None and index is not None:
            raw, verifier = workload[index], self.session.verifier
            self.request(PROOF, lambda: self.bank.ledger.prove_sealed(raw, verifier))
        else:
            gevent.sleep(0.1)

    @tag("stream")
    @task(1)
    def stream(self) -> None:
        """Read the last blocks."""
        ledger = self.bank.ledger
        status = self.request(STATUS, ledger.node_status)
        if status is not None:
            first = max(1, status.height - STREAMED_BLOCKS + 1)
            self.request(STREAM, lambda: ledger.blocks(first, STREAMED_BLOCKS))

    def request(self, name: str, call: Any) -> Any:
        """Make a call and tell Locust; leave a bank alone that does not answer."""
        self.bank.wait()
        begun_s = time.monotonic()
        failure: str | None = None
        answer = None
        try:
            answer = call()
            self.bank.answered()
        except LedgerError as error:
            failure = reason_of(error)
            if error.status in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
                self.bank.failed(error)
            elif error.retry_delay_ms:
                gevent.sleep(error.retry_delay_ms / 1000)
        except (VerificationError, ClientError) as error:
            failure = type(error).__name__
        self.session.fire(name, (time.monotonic() - begun_s) * 1000, 0, failure)
        return answer
