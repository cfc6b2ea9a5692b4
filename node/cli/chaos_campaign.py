"""Carrying out a chaos campaign on a running consortium: acts, recoveries, the reckoning.

Up to n-q banks are faulty at a time. A bank counts as faulty from the act until it has caught up
with the others, is linked and ready again. What strikes all (PostgreSQL, everything at once) is
done alone, and everybody must come back from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from node.cli.access import Consortium
from node.cli.chaos_load import ChaosLoad
from node.cli.chaos_memory import MemoryWatch
from node.cli.chaos_plan import LONGEST_S, Act, ActKind, ChaosPlan
from node.cli.chaos_report import ChaosReport, Done
from node.cli.doctor_report import DoctorReport
from node.client.errors import ClientError, LedgerError, RecordNotFound
from node.client.ledger_client import LedgerClient
from node.client.operator_client import OperatorClient
from node.ledger.active_set import quorum_size
from node.ledger.types import BankIndex, Height, TransactionId
from node.runtime import fault_databases, fault_processes
from node.runtime.consortium_directory import short_name
from node.runtime.diagnosis import BEHIND_BLOCKS
from node.runtime.fault_injection import describe_link
from node.runtime.fault_processes import FaultRefused
from node.runtime.process_condition import ProcessCondition, process_conditions
from node.runtime.start_requests import request_start
from node.wire.operator_records import ByzantineFault, NodeReport
from node.wire.records import EvidenceStatus, TransactionState

RECOVERED_WITHIN_S = 90.0
SETTLED_WITHIN_S = 120.0
LOOK_INTERVAL_S = 0.2
ASK_AGAIN_S = 1.0
"""A request to start a bank is lost if the launcher has not noticed its end; it is repeated."""
GAP_S = (0.1, 0.5)
LOOKUPS_AT_ONCE = 64

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Extent:
    """How long a campaign lasts and what it may break at a time."""

    until_s: float | None
    """Seconds; None: until the plan has nothing left."""
    beyond: bool
    """Whether more banks may be faulty at a time than the consensus tolerates."""
    every_s: float | None = None
    """One act every so many seconds; None: as fast as banks recover."""


class Campaign:
    """One campaign; `async with Campaign(...) as campaign: report = await campaign.run(...)`."""

    def __init__(self, consortium: Consortium, plan: ChaosPlan, seed: int, tell: Tell) -> None:
        self._consortium = consortium
        self._plan = plan
        self._seed = seed
        self._tell = tell
        self._banks = [bank.index for bank in consortium.genesis.banks]
        self._quorum = quorum_size(len(self._banks))
        self._active = len(self._banks)
        self._stack = contextlib.AsyncExitStack()
        self._clients: dict[BankIndex, OperatorClient] = {}
        self._faulty: dict[BankIndex, bool] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._begun_s = time.monotonic()
        self._done: list[Done] = []
        self._skipped = 0
        self._most_faulty = 0
        self._lied: set[BankIndex] = set()
        self._top = Height(0)
        self._top_since_s = self._begun_s
        self._striking = False
        self._excused = False
        """Whether the present stall may be because of something that struck all."""
        self._longest_stall_s = 0.0
        self._memory = MemoryWatch()

    async def __aenter__(self) -> Campaign:
        for bank in self._banks:
            client = self._consortium.operator(bank, deadline_ms=2_000)
            self._clients[bank] = await self._stack.enter_async_context(client)
        return self

    async def __aexit__(self, *error: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    async def run(self, load: ChaosLoad, extent: Extent) -> tuple[Sequence[Done], int]:
        """Carry out the acts; return them with the number of blocks sealed meanwhile."""
        self._begun_s = time.monotonic()
        watching = asyncio.create_task(self._watch(load))
        try:
            first = await self._highest()
            await self._act_until(extent)
            await self.everybody_back()
            return self._done, await self._highest() - first
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    def budget(self, *, beyond: bool = False) -> int:
        """Return how many banks may be faulty now; at least one, or nothing could be done."""
        tolerated = self._quorum - 1 if beyond else self._active - self._quorum
        return max(1, tolerated)

    async def everybody_back(self) -> list[BankIndex]:
        """Wait until every bank has recovered; return those that have not in time."""
        target = await self._highest()
        recovered = await asyncio.gather(*(self._recovered(b, target) for b in self._banks))
        return [bank for bank, came in zip(self._banks, recovered, strict=True) if not came]

    async def _act_until(self, extent: Extent) -> None:
        while True:
            if extent.until_s is not None and self._elapsed_s > extent.until_s:
                break
            while len(self._faulty) >= self.budget(beyond=extent.beyond):
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            act = self._plan.draw([bank for bank in self._banks if bank not in self._faulty])
            if act is None:
                break
            if act.kind.strikes_all:
                if self._tasks:
                    await asyncio.wait(self._tasks)
                await self._carry_out(act)
                await asyncio.sleep(extent.every_s or 0)
                continue
            assert act.bank is not None, "only what strikes all names no bank"
            self._faulty[act.bank] = True
            self._most_faulty = max(self._most_faulty, len(self._faulty))
            task = asyncio.create_task(self._carry_out(act))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            share = act.lasts_s / LONGEST_S
            gap_s = GAP_S[0] + (GAP_S[1] - GAP_S[0]) * share
            await asyncio.sleep(gap_s if extent.every_s is None else extent.every_s)
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _carry_out(self, act: Act) -> None:
        begun_s = self._elapsed_s
        self._striking = act.bank is None
        try:
            recovered_s = await self._strike_all(act) if act.bank is None else await self._hit(act)
        except (FaultRefused, ClientError) as error:
            self._skipped += 1
            self._tell(f"{act.kind} skipped: {error}")
            return
        finally:
            self._striking = False
            if act.bank is not None:
                self._faulty.pop(act.bank, None)
        done = Done(act.kind, act.bank, _detail(act), begun_s, recovered_s)
        self._done.append(done)
        came = "NOT back" if recovered_s is None else f"back after {recovered_s:.1f} s"
        self._tell(f"{begun_s:5.0f} s  {done.kind}: {done.detail}, {came}")

    async def _hit(self, act: Act) -> float | None:
        """Break one bank, mend it, and wait until it is back."""
        bank, directory = act.bank, self._consortium.directory
        assert bank is not None, "one bank is hit"
        match act.kind:
            case ActKind.KILL:
                await asyncio.to_thread(fault_processes.crash, directory, bank)
                await asyncio.sleep(act.lasts_s)
                request_start(directory, bank)
            case ActKind.PAUSE:
                fault_processes.pause(directory, bank)
                await asyncio.sleep(act.lasts_s)
                fault_processes.resume(directory, bank)
            case ActKind.SESSIONS:
                await asyncio.to_thread(fault_databases.end_sessions, directory, bank)
                # The node notices within a moment; until then it looks well.
                await self._until_not_ready(bank)
            case _:
                assert act.fault is not None, "the others are faults of the node"
                if isinstance(act.fault, ByzantineFault):
                    self._lied.add(bank)
                await self._clients[bank].inject_fault(act.fault)
                await asyncio.sleep(act.lasts_s)
                await self._heal(bank)
        mended_s = time.monotonic()
        again = bank if act.kind is ActKind.KILL else None
        if not await self._recovered(bank, await self._highest(), start=again):
            return None
        return time.monotonic() - mended_s

    async def _strike_all(self, act: Act) -> float | None:
        """Kill PostgreSQL, or every process; return how long until all are back."""
        directory = self._consortium.directory
        self._excused = True
        target = await self._highest()
        begun_s = time.monotonic()
        victims: Sequence[BankIndex] = []
        if act.kind is ActKind.BLACKOUT:
            victims = self._banks
            await asyncio.gather(
                *(asyncio.to_thread(self._crash_if_running, bank) for bank in victims),
                asyncio.to_thread(fault_databases.kill_server, directory),
            )
        else:
            await asyncio.to_thread(fault_databases.kill_server, directory)
            await asyncio.gather(*map(self._until_not_ready, self._banks))
        came = await asyncio.gather(
            *(
                self._recovered(bank, target, start=bank if bank in victims else None)
                for bank in self._banks
            )
        )
        return time.monotonic() - begun_s if all(came) else None

    def _crash_if_running(self, bank: BankIndex) -> None:
        with contextlib.suppress(FaultRefused):
            fault_processes.crash(self._consortium.directory, bank)

    async def _heal(self, bank: BankIndex) -> None:
        deadline_s = time.monotonic() + RECOVERED_WITHIN_S
        while True:
            try:
                await self._clients[bank].heal_faults()
                return
            except LedgerError:
                # A slow bank may take longer to answer than a call waits.
                if time.monotonic() > deadline_s:
                    raise
                await asyncio.sleep(LOOK_INTERVAL_S)

    async def _until_not_ready(self, bank: BankIndex) -> None:
        """Wait until a bank that lost its database has noticed; not longer than 5 seconds."""
        with contextlib.suppress(TimeoutError, LedgerError):
            async with asyncio.timeout(5):
                ready = True
                while ready:
                    await asyncio.sleep(LOOK_INTERVAL_S / 2)
                    ready = (await self._clients[bank].report()).ready

    async def _recovered(
        self, bank: BankIndex, target: Height, *, start: BankIndex | None = None
    ) -> bool:
        """Wait until a bank is ready, linked with a quorum and has reached `target`."""
        deadline_s = time.monotonic() + RECOVERED_WITHIN_S
        asked_s = 0.0
        while time.monotonic() < deadline_s:
            if start is not None and time.monotonic() - asked_s > ASK_AGAIN_S:
                conditions = process_conditions(self._consortium.directory)
                if conditions.get(bank) is ProcessCondition.EXITED:
                    request_start(self._consortium.directory, bank)
                asked_s = time.monotonic()
            with contextlib.suppress(LedgerError):
                if self._is_back(await self._clients[bank].report(), target):
                    return True
            await asyncio.sleep(LOOK_INTERVAL_S)
        return False

    def _is_back(self, report: NodeReport, target: Height) -> bool:
        linked = sum(peer.linked_in and peer.linked_out for peer in report.peers)
        return (
            report.ready
            and not report.faults
            and linked >= min(self._quorum, len(self._banks)) - 1
            and report.height >= target - (BEHIND_BLOCKS - 1)
        )

    async def _highest(self) -> Height:
        reports = await self._reports()
        return max((report.height for report in reports), default=self._top)

    async def _reports(self) -> list[NodeReport]:
        async def ask(bank: BankIndex) -> NodeReport | None:
            with contextlib.suppress(LedgerError):
                return await self._clients[bank].report()
            return None

        conditions = process_conditions(self._consortium.directory)
        there = [b for b in self._banks if conditions.get(b) is not ProcessCondition.PAUSED]
        answers = await asyncio.gather(*map(ask, there))
        return [answer for answer in answers if answer is not None]

    async def _watch(self, load: ChaosLoad) -> None:
        """Follow the height, for the longest stall, and the active set, for the budget."""
        while True:
            reports = await self._reports()
            now_s = time.monotonic()
            self._memory.take(self._elapsed_s, reports)
            ahead = max(reports, key=lambda report: report.height, default=None)
            if ahead is not None and ahead.consensus.active_banks:
                self._active, self._quorum = ahead.consensus.active_banks, ahead.consensus.quorum
            if ahead is not None and ahead.height > self._top:
                self._note_stall(now_s)
                self._top, self._top_since_s = ahead.height, now_s
                self._excused = self._striking
            elif not load.waiting:
                self._top_since_s = now_s
            await asyncio.sleep(LOOK_INTERVAL_S)

    def _note_stall(self, now_s: float) -> None:
        if not self._excused:
            self._longest_stall_s = max(self._longest_stall_s, now_s - self._top_since_s)

    @property
    def _elapsed_s(self) -> float:
        return time.monotonic() - self._begun_s

    # The reckoning

    async def reckon(
        self, load: ChaosLoad, doctor: DoctorReport, unsettled: int, heights: int, *, beyond: bool
    ) -> ChaosReport:
        """Compare what was acknowledged with what every bank has; return the report."""
        return ChaosReport(
            seed=self._seed,
            banks=len(self._banks),
            acts=tuple(sorted(self._done, key=lambda act: act.begun_s)),
            skipped=self._skipped,
            most_faulty=self._most_faulty,
            fault_budget=max(1, len(self._banks) - quorum_size(len(self._banks)))
            if not beyond
            else self.budget(beyond=True),
            seconds=self._elapsed_s,
            heights=heights,
            longest_stall_s=self._longest_stall_s,
            memory_growth_percent=self._memory.growth(),
            acknowledged=len(load.acknowledged),
            unsettled=unsettled,
            lost=tuple(await self._lost(load)),
            liars=tuple(sorted(self._lied)),
            convicted=await self._convicted(),
            equal_roots=doctor.state_roots_identical,
            doctor_clean=doctor.clean,
            findings=tuple(map(str, doctor.findings)),
        )

    async def _lost(self, load: ChaosLoad) -> list[str]:
        found: list[str] = []
        room = asyncio.Semaphore(LOOKUPS_AT_ONCE)

        async def look_up(bank: BankIndex, ledger: LedgerClient, wanted: TransactionId) -> None:
            async with room:
                try:
                    status = (await ledger.transaction(wanted)).status
                except RecordNotFound:
                    found.append(f"{short_name(bank)} does not know {wanted.hex()}")
                    return
            height = None if status.position is None else status.position.height
            if status.state is not TransactionState.SEALED or height != load.acknowledged[wanted]:
                found.append(
                    f"{short_name(bank)} has {wanted.hex()} {status.state.name} at {height}, "
                    f"acknowledged at {load.acknowledged[wanted]}"
                )

        for bank in self._banks:
            async with self._single(bank) as ledger:
                await asyncio.gather(
                    *(look_up(bank, ledger, wanted) for wanted in load.acknowledged)
                )
        return found

    async def _convicted(self) -> tuple[int, ...]:
        accused: set[int] = set()
        for bank in self._banks:
            async with self._single(bank) as ledger:
                async for page in ledger.evidence():
                    accused |= {
                        item.bank for item in page if item.status is EvidenceStatus.RECORDED
                    }
        return tuple(sorted(accused))

    def _single(self, bank: BankIndex) -> LedgerClient:
        endpoint = self._consortium.endpoints[bank]
        return LedgerClient([endpoint], self._consortium.client_credentials(bank))


def _detail(act: Act) -> str:
    if act.bank is None:
        return "all banks"
    name = short_name(act.bank)
    if act.fault is None:
        return name
    if isinstance(act.fault, ByzantineFault):
        return f"{name}, {act.fault.style}"
    return f"{name}, {describe_link(act.fault)}"
