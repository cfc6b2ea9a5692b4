"""Watching the consortium for all viewers: one look at every bank a second, one stream of blocks.

While nobody looks on, the looks become rare; they go on for the charts' ten minutes. The stream
comes from one bank; when that bank dies, stops answering or falls behind, the next one tells on
from the same height.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import replace

from node.client.errors import ClientError, LedgerError, VerificationError
from node.client.verification import SealVerifier
from node.dashboard.alarms import AlarmBook
from node.dashboard.block_row import BlockRow
from node.dashboard.broadcast import Broadcast
from node.dashboard.encoding import to_event, to_json
from node.dashboard.links import BankConnections
from node.dashboard.overview import bank_objects, overview_object, public_overview
from node.dashboard.place import Place
from node.dashboard.samples import KEPT_MS, CpuMeter, SealRate, take_sample
from node.ledger.blocks import Header
from node.ledger.encoding import MalformedEncoding
from node.ledger.genesis import Genesis
from node.ledger.types import BankIndex, Height
from node.runtime.consortium_look import ConsortiumLook
from node.runtime.process_condition import ProcessCondition
from node.runtime.version import SOFTWARE_VERSION
from node.wire.operator_records import NodeReport
from node.wire.records import PublishedBlock, PublishedState

SessionFields = Callable[[str | None], Mapping[str, object]]

LOOK_INTERVAL_S = 1.0
IDLE_INTERVAL_S = 5.0
RECENT_BLOCKS = 30
REMEMBERED_BALLOTS = 512
"""Of the blocks that are looked at now; the process is to stay small."""
RETRY_S = 0.5
SHUNNED_S = 5.0
"""A bank whose stream failed is not asked for blocks again for so long, if another answers."""
LATE_LOOKS = 2
"""A source that so many looks in a row has not told what others had at the look before."""
GONE = (ProcessCondition.EXITED, ProcessCondition.PAUSED)

_log = logging.getLogger(__name__)


class Watch:
    """Everything the page knows of now; `run` keeps it so."""

    def __init__(self, place: Place, session_fields: SessionFields) -> None:
        """`session_fields` tells what `hello` says of a session, None being no session."""
        self.place = place
        self._session_fields = session_fields
        self.verifier = SealVerifier(place.genesis, remembered_ballots=REMEMBERED_BALLOTS)
        self.connections = BankConnections(place.endpoints(), place.credentials)
        self.broadcast = Broadcast(self.snapshot)
        self.reports: dict[BankIndex, NodeReport] = {}
        """Of the last look, by bank; lacks those that did not answer."""
        self.failures: dict[BankIndex, LedgerError] = {}
        """Why those did not."""
        self.look: ConsortiumLook | None = None
        self.overview: dict[str, object] = {}
        self.source: BankIndex | None = None
        """The bank whose blocks are followed."""
        self.height = 0
        """Of the newest block seen."""
        self.blocks: deque[BlockRow] = deque(maxlen=RECENT_BLOCKS)
        """Oldest first."""
        self._samples: deque[tuple[int, bytes]] = deque()
        """When, and the sample as JSON."""
        self._rate = SealRate()
        self._cpu = CpuMeter()
        self._alarms = AlarmBook()
        self._reading: asyncio.Task[None] | None = None
        self._shunned_until_s: dict[BankIndex, float] = {}
        self._late_looks = 0
        self._tip_before = 0
        """The greatest height that a bank told at the look before."""
        self._looked = asyncio.Event()
        self._looking = asyncio.Lock()
        self._looked_at_s = float("-inf")
        self._sealed_transactions = 0
        self._counted_height: int | None = None
        """Up to which a verified state has counted them; None before."""

    @property
    def genesis(self) -> Genesis:
        return self.place.genesis

    async def run(self) -> None:
        """Look and follow until cancelled; closes the connections then."""
        tasks = [asyncio.create_task(self._look_on()), asyncio.create_task(self._follow())]
        try:
            await asyncio.gather(*tasks)
        finally:
            if self._reading is not None:
                tasks.append(self._reading)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.connections.close()

    # Looking

    async def _look_on(self) -> None:
        while True:
            begun_s = time.monotonic()
            try:
                await self.look_once()
            except Exception:  # edge: one bad answer must not end the page for everybody
                _log.exception("a look at the banks failed")
            if not self.reports:
                await self._find_addresses()
            watched = self.broadcast.has_viewers
            interval_s = LOOK_INTERVAL_S if watched.is_set() else IDLE_INTERVAL_S
            await asyncio.sleep(max(0.05, begun_s + LOOK_INTERVAL_S - time.monotonic()))
            if interval_s > LOOK_INTERVAL_S:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(watched.wait(), interval_s - LOOK_INTERVAL_S)

    async def fresh(self) -> None:
        """Look now if nobody did within the last second."""
        async with self._looking:
            if time.monotonic() - self._looked_at_s > LOOK_INTERVAL_S:
                await self._look_once()

    async def look_once(self) -> None:
        """Ask every bank that can answer, and tell the viewers."""
        async with self._looking:
            await self._look_once()

    async def _look_once(self) -> None:
        processes = self.place.processes()
        asked = [bank.index for bank in self.genesis.banks if processes.get(bank.index) not in GONE]
        answers = await self.connections.ask(lambda bank: bank.report(), asked)
        self.reports = {b: item for b, item in answers.items() if isinstance(item, NodeReport)}
        self.failures = {b: item for b, item in answers.items() if isinstance(item, LedgerError)}
        self._tell(answers, processes)
        self._looked.set()
        self._looked_at_s = time.monotonic()
        self._judge_source()

    def _tell(
        self,
        answers: Mapping[BankIndex, NodeReport | LedgerError],
        processes: Mapping[int, ProcessCondition],
    ) -> None:
        at_ms = now_ms()
        look = ConsortiumLook.assemble(
            self.genesis,
            self.connections.endpoints,
            answers,
            processes,
            self.place.corrupted(),
        )
        self.look = look
        self._cpu.take(at_ms, self.reports)
        self._alarms.take(at_ms, look, self.reports)
        sample = to_json(take_sample(at_ms, self._rate, self._cpu, self.reports).to_json_object())
        self._samples.append((at_ms, sample))
        while self._samples[0][0] < at_ms - KEPT_MS:
            self._samples.popleft()
        self.overview = overview_object(
            self.genesis,
            look,
            self.reports,
            at_ms=at_ms,
            source=self.source,
            height=self.height,
            cpu_percent=self._cpu.percent,
            alarms=self._alarms.newest(),
            sealed_transactions=self._sealed_transactions,
            metrics=self.place.metrics,
        )
        if self.broadcast.viewers:
            self.broadcast.publish(
                to_event("overview", to_json(self.overview)),
                to_event("overview", to_json(public_overview(self.overview))),
            )
            self.broadcast.publish(to_event("sample", sample))

    async def _find_addresses(self) -> None:
        """Connect anew where banks have other addresses than before."""
        endpoints = tuple(self.place.endpoints())
        if endpoints == self.connections.endpoints:
            return
        old, self.connections = self.connections, BankConnections(endpoints, self.place.credentials)
        self._leave_source()
        await old.close()

    # Following

    def _judge_source(self) -> None:
        """Leave a source that is gone or late; the other banks know how late."""
        source = self.source
        if source is None:
            return
        self._late_looks = self._late_looks + 1 if self.height < self._tip_before else 0
        self._tip_before = max((report.height for report in self.reports.values()), default=0)
        is_gone = source not in self.reports and bool(self.reports)
        is_late = self._late_looks >= LATE_LOOKS and len(self.reports) > 1
        if is_gone or is_late:
            self._leave_source()

    def _leave_source(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        self._late_looks = 0

    def _choose_source(self) -> BankIndex | None:
        """Return the bank that is furthest ahead, a shunned one only if there is no other."""
        now_s = time.monotonic()
        ready = [report for report in self.reports.values() if report.ready]
        willing = [
            report for report in ready if self._shunned_until_s.get(report.bank, 0.0) <= now_s
        ]
        best = max(willing or ready, key=lambda report: (report.height, -report.bank), default=None)
        return None if best is None else best.bank

    async def _follow(self) -> None:
        await self._looked.wait()
        while True:
            source = self._choose_source()
            if source is None:
                self.source = None
                await asyncio.sleep(RETRY_S)
                continue
            self.source = source
            self.connections.prefer(source)
            self._reading = asyncio.create_task(self._read(source))
            await asyncio.wait({self._reading})
            if not self._reading.cancelled() and (failure := self._reading.exception()):
                _log.error("reading blocks of bank %d failed", source, exc_info=failure)
            self._shunned_until_s[source] = time.monotonic() + SHUNNED_S
            if self._choose_source() == source:
                await asyncio.sleep(RETRY_S)

    async def _read(self, source: BankIndex) -> None:
        """Take blocks of one bank until its stream ends."""
        client = self.connections.of_bank(source)
        tip = max((report.height for report in self.reports.values()), default=0)
        first, old_until = self.height + 1, -1
        if not self.blocks:
            first, old_until = max(0, tip - RECENT_BLOCKS + 1), tip
        try:
            if self._counted_height is None:
                await self._count(await client.sealed_state())
            async with aclosing(client.stream_blocks(Height(first), follow=True)) as blocks:
                async for stored in blocks:
                    self._take(stored, old_until)
        except (ClientError, MalformedEncoding) as error:
            _log.info("bank %d tells no more blocks: %s", source, type(error).__name__)

    async def _count(self, sealed: PublishedState) -> None:
        """Begin the count of sealed transactions with what a quorum certified."""
        _, state = await asyncio.to_thread(self.verifier.verify_state, sealed)
        self._sealed_transactions = state.transaction_count
        self._counted_height = state.height

    def _take(self, stored: PublishedBlock, old_until: int) -> None:
        self._require_next(Header.decode(stored.header))
        row = BlockRow.of(stored, now_ms())
        if row.height <= old_until:
            row = replace(row, seen_ms=row.time_ms)
        else:
            self._rate.add(row.seen_ms, row.transactions)
        self.height = row.height
        self.blocks.append(row)
        if self._counted_height is not None and row.height > self._counted_height:
            self._sealed_transactions += row.transactions
            self._counted_height = row.height
        self.broadcast.publish(to_event("block", to_json(row.to_json_object())))

    def _require_next(self, header: Header) -> None:
        """Raise `VerificationError` unless a block follows on the last one that was told.

        Ballots are verified where a block is looked at, not here; but two banks that tell different
        chains are noticed, and the list begins anew with what another bank tells.
        """
        if header.chain_id != self.genesis.chain_id:
            raise VerificationError("the bank tells blocks of another chain")
        if not self.blocks:
            return
        last = self.blocks[-1]
        if header.height == last.height + 1 and header.parent_id.hex() == last.block_id:
            return
        self.blocks.clear()
        self.height = 0
        self.broadcast.resynchronise()
        raise VerificationError("the bank tells a block that does not follow on the last one")

    # Telling

    def answering(self) -> list[BankIndex]:
        """Return the banks that answered the last look."""
        return list(self.reports)

    def row(self, bank: BankIndex, *, operator: bool) -> dict[str, object]:
        """Return a bank's row of the newest overview, which must have been made."""
        shown = self.overview if operator else public_overview(self.overview)
        rows = shown["banks"]
        assert isinstance(rows, list), "an overview has a list of banks"
        row: dict[str, object] = rows[bank]
        return row

    def hello(self, session: str | None) -> dict[str, object]:
        """Return what a viewer begins with, besides samples."""
        genesis = self.genesis
        asset = genesis.base_asset
        return {
            "consortium": genesis.name,
            "chain_id": genesis.chain_id.hex(),
            "software_version": SOFTWARE_VERSION,
            "bank_count": len(genesis.banks),
            "banks": bank_objects(genesis),
            "quorum": None if self.look is None else self.look.diagnosis.quorum,
            "asset": {"code": asset.code, "decimals": asset.decimals},
            **self._session_fields(session),
            "faults_allowed": self.place.faults is not None,
            "blocks": [row.to_json_object() for row in reversed(self.blocks)],
        }

    def snapshot(self, session: str | None) -> bytes:
        """Return the events that a viewer begins with: hello, and the overview if there is one."""
        events = to_event("hello", self._whole_hello(session))
        if self.overview:
            events += to_event("overview", to_json(self.shown_overview(session)))
        return events

    def snapshot_object(self, session: str | None) -> bytes:
        """Return the same as one JSON object."""
        hello = self._whole_hello(session)
        overview = to_json(self.shown_overview(session))
        return hello[:-1] + (b"," + overview[1:] if len(overview) > 2 else b"}")

    def shown_overview(self, session: str | None) -> Mapping[str, object]:
        """Return the newest overview as this session may see it."""
        if session is not None or not self.overview:
            return self.overview
        return public_overview(self.overview)

    def _whole_hello(self, session: str | None) -> bytes:
        samples = b"[" + b",".join(sample for _, sample in self._samples) + b"]"
        return to_json(self.hello(session))[:-1] + b',"samples":' + samples + b"}"


def now_ms() -> int:
    """Return the wall clock in milliseconds since 1970."""
    return int(time.time() * 1000)
