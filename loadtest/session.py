"""What one Locust process keeps for all its users: banks, transactions, and the final account."""

from __future__ import annotations

import json
import logging
import random
import time
from functools import cached_property
from pathlib import Path
from typing import Any

import gevent
from gevent.lock import BoundedSemaphore
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from loadtest.account import Account
from loadtest.banks import Bank, Banks
from loadtest.leases import Leases, first_unused
from loadtest.options import Options
from loadtest.payments import Payments
from loadtest.stock import Stock
from node.client.errors import LedgerError, RecordNotFound
from node.client.verification import SealVerifier
from node.client.workload_file import Workload, open_workload

DRAIN, ACCOUNT, USED_UP = "consortium_drain", "consortium_account", "consortium_used_up"
"""Messages between master and workers."""
CALLS_AT_ONCE = 512
"""Of one process; gevent's own limit is ten."""
ANSWER_GRACE_S = 10.0
PERCENTS = (0.5, 0.95, 0.99)

logger = logging.getLogger("loadtest")


class Failure(Exception):
    """A failed request, shown under its reason alone."""

    def __repr__(self) -> str:
        return str(self)


class WorkloadMissing(Exception):
    """There is nothing to pay with."""


class ChainDiffers(Exception):
    """The banks are of another chain than the workload; the message says what to do."""


class Session:
    """Made once a process; every user of it shares the channels."""

    def __init__(self, environment: Environment, options: Options) -> None:
        """Raises `DirectoryInvalid`, `WorkloadInvalid`."""
        self._environment = environment
        self._options = options
        self.banks = Banks.load(options.directory)
        # Under gevent a call waits for its answer in a thread of this pool.
        gevent.get_hub().threadpool.maxsize = CALLS_AT_ONCE
        self.workload: Workload | None = None
        self.payments: Payments | None = None
        self._stock: Stock | None = None
        self._leases: Leases | None = None
        self._beginning = BoundedSemaphore()
        self._checked = False
        self._drained = False
        self._used_up_told = False
        self._accounts: dict[str, Account] = {}
        """Of the workers, by their ids."""
        self._finished_workers: set[str] = set()
        self.total = Account()
        if options.workload_file is not None:
            self._open(options.workload_file)
        self._register()

    def _open(self, path: Path) -> None:
        self.workload = open_workload(path)
        self.payments = Payments(self.banks, self.workload, self.fire)
        if not isinstance(self._environment.runner, WorkerRunner):
            self._leases = Leases(len(self.workload), self._first_unused)
        self._stock = Stock(self._environment, self._leases)

    def prepare(self) -> None:
        """Do what would cost the first payment its time; raises `ChainDiffers`."""
        if self.workload is not None:
            self._begin()
            if self._leases is not None:
                self._leases.begin()

    def _register(self) -> None:
        runner = self._environment.runner
        if isinstance(runner, WorkerRunner):
            runner.register_message(DRAIN, self._on_drain, concurrent=True)
        elif isinstance(runner, MasterRunner):
            runner.register_message(ACCOUNT, self._on_account)
            runner.register_message(USED_UP, self._on_used_up, concurrent=True)

    # For users

    def fire(self, name: str, response_ms: float, length: int, failure: str | None) -> None:
        """Tell Locust of one request."""
        self._environment.events.request.fire(
            request_type="grpc",
            name=name,
            response_time=response_ms,
            response_length=length,
            exception=None if failure is None else Failure(failure),
            context={},
        )

    def next_payment(self) -> tuple[int, bytes]:
        """Return index and id of a transaction to submit.

        Raises `UsedUp`, `WorkloadMissing`, `ChainDiffers`.
        """
        if self.workload is None or self._stock is None or self.payments is None:
            raise WorkloadMissing
        self._begin()
        index = self._stock.take()
        return index, self.workload.transaction_id(index)

    @cached_property
    def verifier(self) -> SealVerifier:
        """What verifies inclusion proofs; raises `LedgerError`."""
        assert self.workload is not None, "only sealed payments are proven"
        return self.banks.next().ledger.verifier(self.workload.header.chain_id)

    def recent(self) -> int | None:
        """Return the index of a payment that was sealed a moment ago, None before the first."""
        if self.payments is None or not self.payments.recent:
            return None
        return random.choice(self.payments.recent)

    def used_up(self) -> None:
        """The file has no more transactions: say so once, and end the test."""
        if self._used_up_told:
            return
        self._used_up_told = True
        runner = self._environment.runner
        if isinstance(runner, WorkerRunner):
            runner.send_message(USED_UP, {})
        else:
            gevent.spawn(self._stop_used_up)

    def _begin(self) -> None:
        """Follow the ledger before the first payment; the banks must be of the workload's chain."""
        with self._beginning:
            if self._checked:
                return
            assert self.workload is not None and self.payments is not None, "there is a workload"
            self._require_chain(self.workload)
            self.payments.start()
            self._checked = True

    def _require_chain(self, workload: Workload) -> None:
        while True:
            bank = self.banks.next()
            bank.wait()
            try:
                chain_id = bank.ledger.node_status().chain_id
                break
            except LedgerError as error:
                bank.failed(error)
        if chain_id != workload.header.chain_id:
            raise ChainDiffers(
                f"{workload.path} is made for chain {workload.header.chain_id.hex()[:16]}, the "
                f"banks are of chain {chain_id.hex()[:16]}: start them with "
                f"`consortium up --genesis {workload.path}` in a new directory"
            )

    def fail(self, why: str) -> None:
        """End the test: nothing that it could measure makes sense."""
        logger.error("%s", why)
        self._environment.process_exit_code = 2
        runner = self._environment.runner
        if runner is not None:
            gevent.spawn(runner.quit)

    def _first_unused(self) -> int:
        assert self.workload is not None, "only a workload is leased"
        workload = self.workload

        def is_known(index: int) -> bool:
            return self._ask_is_known(workload.transaction_id(index))

        return first_unused(len(workload), is_known)

    def _ask_is_known(self, identity: bytes) -> bool:
        bank: Bank = self.banks.next()
        while True:
            bank.wait()
            try:
                return bank.ledger.transaction_status(identity).state > 1
            except RecordNotFound:
                return False
            except LedgerError as error:
                bank.failed(error)
                bank = self.banks.after(bank)

    # The end

    def restart(self) -> None:
        """A test begins, perhaps not the first one of this process."""
        self._drained = False
        self._used_up_told = False
        self._accounts.clear()
        self._finished_workers.clear()
        self.total = Account()
        if self.payments is not None:
            self.payments.restart()

    def finish(self, settle_s: float) -> None:
        """Wait for the end of all payments, here or at the workers, and say what came of them."""
        if self._drained or self.payments is None:
            return
        self._drained = True
        runner = self._environment.runner
        if isinstance(runner, WorkerRunner):
            return
        if isinstance(runner, MasterRunner):
            self._collect(runner, settle_s)
        else:
            self.total = self.payments.drain(settle_s)
        failed = self.total.lost or self.total.undecided
        (logger.error if failed else logger.info)("%s", self.total)
        if failed:
            self._environment.process_exit_code = 1

    def _collect(self, runner: MasterRunner, settle_s: float) -> None:
        asked = [client.id for client in runner.clients.all]
        runner.send_message(DRAIN, {"settle_s": settle_s})
        deadline_s = time.monotonic() + settle_s + ANSWER_GRACE_S
        while time.monotonic() < deadline_s and not self._accounts.keys() >= set(asked):
            gevent.sleep(0.1)
        silent = set(asked) - self._accounts.keys()
        if silent:
            logger.error("%d workers gave no account of their payments", len(silent))
            self._environment.process_exit_code = 1
        self.total = Account()
        for account in self._accounts.values():
            self.total.add(account)

    def _on_drain(self, environment: Environment, msg: Any, **_: Any) -> None:
        assert self.payments is not None, "the master has a workload, as its workers"
        account = self.payments.drain(msg.data["settle_s"])
        runner = environment.runner
        assert isinstance(runner, WorkerRunner), "the master asked"
        # Locust's master waits half a second for the last figures: they go before the account.
        runner._send_stats()
        runner.send_message(ACCOUNT, account.to_object())

    def _on_account(self, environment: Environment, msg: Any, **_: Any) -> None:
        self._accounts[msg.node_id] = Account.of_object(msg.data)

    def _on_used_up(self, environment: Environment, msg: Any, **_: Any) -> None:
        self._finished_workers.add(msg.node_id)
        runner = environment.runner
        assert isinstance(runner, MasterRunner), "only the master is told"
        if self._finished_workers >= {client.id for client in runner.clients.all}:
            self._stop_used_up()

    def _stop_used_up(self) -> None:
        assert self.workload is not None, "it was used up"
        logger.warning(
            "the workload file is used up: %s has %d transactions; "
            "`consortium load prepare --transactions N` makes a larger one",
            self.workload.path,
            len(self.workload),
        )
        runner = self._environment.runner
        assert runner is not None, "a test was running"
        if self._environment.web_ui is None:
            runner.quit()
        else:
            runner.stop()

    def write_summary(self, exit_code: int) -> None:
        """Write account and response times as JSON, where the process counts for all."""
        path = self._options.summary_file
        if path is None or isinstance(self._environment.runner, WorkerRunner):
            return
        document = {
            "schema": "consortium/load/1",
            "exit_code": exit_code,
            "account": self.total.to_object(),
            "used_up": self._used_up_told or bool(self._finished_workers),
            "requests": self._requests(),
            "failures": [
                {"name": error.name, "reason": str(error.error), "count": error.occurrences}
                for error in self._environment.stats.errors.values()
            ],
        }
        if self.workload is not None:
            header = self.workload.header
            document["workload"] = {
                "file": str(self.workload.path),
                "name": header.name,
                "ring_base": header.ring_base,
                "bank_count": header.bank_count,
                "bins_per_block": header.bins_per_block,
                "transaction_count": header.transaction_count,
            }
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")

    def _requests(self) -> list[dict[str, object]]:
        rows = []
        for entry in self._environment.stats.entries.values():
            percentiles = {
                f"p{round(100 * percent)}_ms": entry.get_response_time_percentile(percent)
                for percent in PERCENTS
            }
            rows.append(
                {
                    "name": entry.name,
                    "requests": entry.num_requests,
                    "failures": entry.num_failures,
                    "per_second": round(entry.total_rps, 2),
                    "mean_ms": round(entry.avg_response_time, 1),
                    **percentiles,
                    "max_ms": round(entry.max_response_time, 1),
                }
            )
        return rows
