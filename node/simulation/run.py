"""Playing one schedule, with every checker looking on."""

from __future__ import annotations

import gc
import traceback
from dataclasses import dataclass, field
from functools import partial
from random import Random

from node.consensus.core import Consensus
from node.consensus.parameters import ConsensusParameters
from node.ledger.active_set import quorum_size
from node.ledger.fiscal_year import fiscal_year
from node.ledger.types import BankIndex, FiscalYear, Height, View
from node.simulation.ballot_oracle import ballot_signer_of
from node.simulation.byzantine import STYLES, make_byzantine
from node.simulation.byzantine.coalition import Coalition
from node.simulation.checker import Checker, Violation
from node.simulation.checkers.agreement import Agreement
from node.simulation.checkers.conviction import EveryOffence, NoFalseConviction
from node.simulation.checkers.durability import Durability
from node.simulation.checkers.innocence import Innocence
from node.simulation.checkers.money import Conservation, TreasurySums
from node.simulation.checkers.rollback import RollbackGuard
from node.simulation.checkers.settlements import Settlements
from node.simulation.checkers.state_roots import StateRoots
from node.simulation.checkers.validity import Validity
from node.simulation.checkers.voting_record import OneBallot, VotingRecord
from node.simulation.checkers.write_ahead import WriteAhead
from node.simulation.clients import Clients
from node.simulation.disk import Disk
from node.simulation.engine import Bank, Cluster, Core
from node.simulation.genesis import make_genesis
from node.simulation.network import Network
from node.simulation.operators import Operators
from node.simulation.oracle import OracleSigner, public_key
from node.simulation.production_ledger import LedgerPoint, ProductionLedger
from node.simulation.profiles import PROFILES
from node.simulation.regulator import Regulator
from node.simulation.schedule import (
    Blackout,
    BlackoutAtEvidence,
    ByzantineBank,
    ClockSkew,
    Crash,
    Departure,
    Disturbance,
    Flicker,
    LateJoiner,
    Partition,
    PoisonedBlock,
    RestoredBackup,
    Schedule,
    SlowValidation,
    Weather,
)

INTERNAL = "internal error"
"""Named as the checker where production code or the simulator itself raised."""
CALM_MS = 30
"""Longest delay once everything has healed."""
AFTERMATH_MS = 1_000
"""How long a run that promises no progress is watched after the healing."""
RECOVERY_HEIGHTS = 5
RECOVERY_LIMIT_MS = 120_000
CONVICTION_LIMIT_MS = 60_000
READMISSION_LIMIT_MS = 60_000
SETTLEMENT_LIMIT_MS = 30_000
EVIDENCE_LOOK_MS = 2
OPERATORS_MS = 500
REGULATOR_MS = 700


@dataclass(slots=True)
class Outcome:
    """What one run came to."""

    seed: int
    heights: int = 0
    events: int = 0
    messages: int = 0
    crashes: int = 0
    blackouts: int = 0
    convictions: int = 0
    removals: int = 0
    readmissions: int = 0
    settlements: int = 0
    """Fiscal years that the regulator settled."""
    carried: int = 0
    """Those whose pot the banks carried on."""
    attempts: int = 0
    """Settlements that the regulator tried although it may not."""
    openings: int = 0
    """Ballots that it opened because their bank cast two."""
    acknowledged: int = 0
    virtual_ms: int = 0
    recovery_ms: int = 0
    """From the healing until some more heights were sealed everywhere."""
    violation: Violation | None = field(default=None)


class Run:
    """One schedule on its way; `play` is the whole of it."""

    def __init__(self, schedule: Schedule, observers: tuple[Checker, ...] = ()) -> None:
        self.schedule = schedule
        genesis = make_genesis(
            schedule.bank_count,
            slash_floor_percent=schedule.slash_floor_percent,
            fiscal_year_seconds=schedule.fiscal_year_seconds,
        )
        self.ledger = ProductionLedger(genesis, memoise=schedule.memoise)
        self.convictions, self.offences = NoFalseConviction(), EveryOffence()
        self.conservation, self.rollback = Conservation(), RollbackGuard()
        self.record = VotingRecord()
        self.settlements = Settlements(self.record)
        self.cluster = Cluster(
            self.ledger,
            seed=self._seed("network"),
            parameters=ConsensusParameters.of(genesis),
            core_factory=self._core,
            checkers=(
                *observers,
                WriteAhead(),
                Innocence(),
                OneBallot(),
                self.rollback,
                Agreement(),
                Validity(self.ledger),
                StateRoots(),
                self.conservation,
                TreasurySums(),
                self.record,
                self.settlements,
                self.convictions,
                self.offences,
                Durability(),
            ),
        )
        self.cluster.byzantine = frozenset(item.bank for item in schedule.byzantine)
        self._styles = {item.bank: item for item in schedule.byzantine}
        self._coalition = Coalition(Random(self._seed("coalition")))
        self._lies = {bank: Random(self._seed(f"bank {bank}")) for bank in self._styles}
        self.clients = Clients(self.cluster, self.ledger, Random(self._seed("clients")))
        self.conservation.clients = self.clients
        self.operators = Operators(self.cluster, self.ledger)
        self.operators.readmit = schedule.readmission
        self.operators.carry_pots = not schedule.settlement
        self.regulator = Regulator(self.cluster, self.ledger, Random(self._seed("regulator")))
        self.regulator.settles = schedule.settlement
        self._absences = Random(self._seed("absences"))
        self._partitions: list[Partition] = []
        self._absent: set[BankIndex] = set()
        self.outcome = Outcome(schedule.seed)

    def play(self) -> Outcome:
        """Trouble, healing, recovery and the last look; a violation is part of the outcome."""
        try:
            self._trouble()
            self._heal()
            if PROFILES[self.schedule.profile].promises_liveness:
                self._recover()
                self._let_liars_lead()
                self._convict()
                self._readmit()
                self._settle()
            self.cluster.watch.finish()
        except Violation as violation:
            self.outcome.violation = violation
        except Exception as error:  # edge: whatever breaks inside a run is a finding with a seed
            trail = "".join(traceback.format_exception(error)[-3:])
            self.outcome.violation = Violation(
                INTERNAL, f"{type(error).__name__}: {error}\n{trail}"
            )
        self._count()
        return self.outcome

    def _seed(self, purpose: str) -> str:
        return f"{self.schedule.profile}/{self.schedule.seed}/{purpose}"

    def _core(self, bank: BankIndex, consensus: Consensus) -> Core:
        item: ByzantineBank | None = self._styles.get(bank)
        if item is None:
            return consensus
        signer = OracleSigner(public_key(bank))
        ballot_signer = ballot_signer_of(bank, self.ledger.definition.chain_id)
        if item.style is None:
            return self._coalition.join(bank, consensus, signer, ballot_signer)
        return make_byzantine(item.style, consensus, signer, ballot_signer, self._lies[bank])

    def _trouble(self) -> None:
        schedule, cluster = self.schedule, self.cluster
        for item in schedule.disturbances:
            if isinstance(item, LateJoiner):
                self._absent.add(item.bank)
            cluster.at(item.at_ms, partial(self._disturb, item))
        limits_ms = 2 * RECOVERY_LIMIT_MS + CONVICTION_LIMIT_MS + READMISSION_LIMIT_MS
        limits_ms += SETTLEMENT_LIMIT_MS
        end_ms = schedule.trouble_ms + limits_ms
        self.clients.submit_every(schedule.load_period_ms, end_ms)
        self.operators.act_every(OPERATORS_MS, end_ms)
        self.regulator.act_every(REGULATOR_MS, end_ms)
        cluster.start([bank for bank in cluster.indices if bank not in self._absent])
        cluster.run(schedule.trouble_ms)

    def _disturb(self, item: Disturbance) -> None:
        cluster = self.cluster
        cluster.watch.disturbed(str(item))
        match item:
            case Weather():
                cluster.network = Network(
                    item.loss, item.duplication, 1, item.max_delay_ms, cluster.network.cut
                )
            case Partition():
                self._partitions.append(item)
                cluster.at(item.until_ms, partial(self._partitions_changed, item))
                self._set_cut()
            case Crash():
                self._power_off(item.bank, item.until_ms)
            case Flicker():
                cluster.crash_chance = item.chance
                cluster.at(item.until_ms, partial(setattr, cluster, "crash_chance", 0.0))
            case Blackout():
                self.outcome.blackouts += 1
                for index in cluster.indices:
                    self._power_off(
                        index, cluster.now_ms + self._absences.randint(1, item.max_absence_ms)
                    )
            case BlackoutAtEvidence():
                self._look_for_evidence()
            case Departure():
                if item.bank in self.schedule.gone:
                    self._absent.add(item.bank)
                    cluster.crash(item.bank)
            case LateJoiner():
                cluster.at(item.until_ms, partial(self._join, item.bank))
            case RestoredBackup():
                backup = cluster.banks[item.bank].disk.backup()
                cluster.at(item.until_ms, lambda: self._restore(item.bank, backup))
            case ClockSkew():
                cluster.banks[item.bank].clock_offset_ms = item.offset_ms
            case SlowValidation():
                cluster.slow_validation_chance = item.chance
                off = partial(setattr, cluster, "slow_validation_chance", 0.0)
                cluster.at(item.until_ms, off)
            case PoisonedBlock():
                if item.bank in cluster.byzantine and cluster.banks[item.bank].up:
                    cluster.submit(invalid=True, banks=[item.bank])

    def _look_for_evidence(self) -> None:
        """Take all power while evidence is on disks, and in a block on few of them at most.

        The offender has sealed the height, so it cannot offend there again; who has the block
        stays down until everything heals, so nobody proposes it again. What is left is memory.
        """
        cluster, schedule = self.cluster, self.schedule
        spare = schedule.bank_count - quorum_size(schedule.bank_count) - len(self._absent)
        for bank in cluster.banks:
            for key, item in bank.disk.evidence.items():
                holders = {
                    other.index
                    for other in cluster.banks
                    if any(item in block.evidence for block in other.disk.blocks.values())
                }
                if key.height <= cluster.banks[key.bank].height and len(holders) <= spare:
                    self.outcome.blackouts += 1
                    # Whatever is under way meets nobody.
                    silent_ms = cluster.now_ms + cluster.network.max_delay_ms + 1
                    for index in cluster.indices:
                        gone = index in holders
                        self._power_off(index, schedule.trouble_ms if gone else silent_ms)
                    return
        if cluster.now_ms + EVIDENCE_LOOK_MS < schedule.trouble_ms:
            cluster.at(cluster.now_ms + EVIDENCE_LOOK_MS, self._look_for_evidence)

    def _power_off(self, bank: BankIndex, until_ms: int) -> None:
        if bank in self._absent:
            return
        cluster = self.cluster
        cluster.crash(bank)
        cluster.crashes += 1
        life = cluster.banks[bank].life
        cluster.at(until_ms, lambda: self._power_on(bank, life))

    def _power_on(self, bank: BankIndex, life: int) -> None:
        if self.cluster.banks[bank].life == life:
            self.cluster.restart(bank)

    def _join(self, bank: BankIndex) -> None:
        if bank in self._absent:
            self._absent.discard(bank)
            self.cluster.restart(bank)

    def _restore(self, bank: BankIndex, backup: Disk) -> None:
        if bank in self._absent:
            return
        member: Bank = self.cluster.banks[bank]
        self.cluster.crash(bank)
        member.disk = member.disk.restored(backup)
        self.rollback.restored(member)
        self.cluster.restart(bank)

    def _partitions_changed(self, ended: Partition) -> None:
        if ended in self._partitions:
            self._partitions.remove(ended)
        self._set_cut()

    def _set_cut(self) -> None:
        partitions = tuple(self._partitions)

        def cut(source: BankIndex, target: BankIndex) -> bool:
            for item in partitions:
                outward = source in item.inside and target not in item.inside
                inward = target in item.inside and source not in item.inside
                if outward or (inward and not item.one_way):
                    return True
            return False

        self.cluster.network.cut = cut if partitions else None

    def _heal(self) -> None:
        cluster, gone = self.cluster, self.schedule.gone
        cluster.watch.disturbed("everything heals")
        cluster.crash_chance = cluster.slow_validation_chance = 0
        self._partitions.clear()
        cluster.network = Network(max_delay_ms=CALM_MS)
        for bank in cluster.banks:
            if bank.index in gone:
                cluster.crash(bank.index)
            elif not bank.up:
                self._absent.discard(bank.index)
                cluster.restart(bank.index)
        for bank in cluster.banks:
            bank.clock_offset_ms = max(-2_000, min(2_000, bank.clock_offset_ms))
        self._absent |= gone
        if not PROFILES[self.schedule.profile].promises_liveness:
            cluster.run(AFTERMATH_MS)

    def _waiting(self) -> list[Bank]:
        """Correct banks that are up: those that progress is promised to."""
        return [
            bank
            for bank in self.cluster.banks
            if bank.index not in self.cluster.byzantine and bank.index not in self.schedule.gone
        ]

    def _is_live(self) -> bool:
        """Whether progress is promised: b+c <= n-q (section 14)."""
        schedule = self.schedule
        faulty = len(schedule.gone) + len(schedule.byzantine)
        return faulty <= schedule.bank_count - quorum_size(schedule.bank_count)

    def _recover(self) -> None:
        """Liveness (section 14): with b+c <= n-q, everybody seals again."""
        cluster = self.cluster
        if not self._is_live():
            return
        waiting = self._waiting()
        goal = max(bank.height for bank in waiting) + RECOVERY_HEIGHTS
        healed_ms = cluster.now_ms
        if not cluster.run_until(
            lambda: all(bank.height >= goal for bank in waiting), RECOVERY_LIMIT_MS
        ):
            raise Violation(
                "liveness",
                f"height {goal} is not sealed everywhere {RECOVERY_LIMIT_MS} ms after everything "
                f"healed:\n{cluster.describe()}",
            )
        self.outcome.recovery_ms = cluster.now_ms - healed_ms

    def _let_liars_lead(self) -> None:
        """Seal until whoever lies as a leader has had its turn among banks that hear each other."""
        if not self._is_live():
            return
        cluster, waiting = self.cluster, self._waiting()
        liars = {
            item.bank
            for item in self.schedule.byzantine
            if item.style is not None and STYLES[item.style].as_leader
        }
        highest = max(waiting, key=lambda bank: bank.height)
        active_set, tip = highest.disk.point.active_set, highest.height
        turns = range(tip + 1, tip + 1 + active_set.size)
        led = [height for height in turns if active_set.leader(Height(height), View(0)) in liars]
        goal = max(led, default=tip)
        if not cluster.run_until(
            lambda: all(bank.height >= goal for bank in waiting), RECOVERY_LIMIT_MS
        ):
            raise Violation("liveness", f"height {goal} is not sealed:\n{cluster.describe()}")

    def _convict(self) -> None:
        offences = self.offences
        if not self.cluster.run_until(lambda: not offences.outstanding(), CONVICTION_LIMIT_MS):
            raise offences.violation(
                f"not punished {CONVICTION_LIMIT_MS} ms after recovery: "
                + ", ".join(
                    f"bank {item.bank}, class {item.offence_class}, height {item.height} "
                    f"(held by banks {sorted(offences.holders(item))})"
                    for item in offences.outstanding()
                )
            )

    def _readmit(self) -> None:
        """Return (section 10): topped up and voted for, a removed bank is active again."""
        convictions = self.convictions
        if not self.schedule.readmission or not convictions.removed:
            return
        self.clients.redeem_always = True
        if not self.cluster.run_until(lambda: convictions.readmitted > 0, READMISSION_LIMIT_MS):
            raise Violation(
                "readmission",
                f"no removed bank is active again {READMISSION_LIMIT_MS} ms after recovery",
            )

    def _settle(self) -> None:
        """Settlement (section 18): what was over when everything had healed is settled, or, if the
        regulator does not do it, carried on once its next year is over too."""
        schedule, settlements = self.schedule, self.settlements
        if schedule.fiscal_year_seconds is None:
            return
        waiting = self._waiting()
        year = min(_current_year(bank) for bank in waiting)
        year = year if schedule.settlement else FiscalYear(year - 1)

        def is_settled() -> bool:
            # Whoever is behind settles last.
            last = min(waiting, key=lambda bank: bank.height)
            return not settlements.overdue(_point_of(last).state, year)

        if not self.cluster.run_until(is_settled, SETTLEMENT_LIMIT_MS):
            raise Violation(
                "settlement",
                f"a year before FY{year} is not settled {SETTLEMENT_LIMIT_MS} ms after recovery",
            )

    def _count(self) -> None:
        cluster, outcome = self.cluster, self.outcome
        correct = [bank for bank in cluster.banks if bank.index not in cluster.byzantine]
        furthest = max(correct, key=lambda bank: bank.height)
        outcome.heights = furthest.height
        outcome.events = cluster.events_handled
        outcome.messages = cluster.messages_sent
        outcome.crashes = cluster.crashes
        outcome.virtual_ms = cluster.now_ms
        outcome.acknowledged = len(self.clients.acknowledged)
        settled = [item for item in self.settlements.settled if item.draw_seed is not None]
        outcome.settlements = len(settled)
        outcome.carried = len(self.settlements.settled) - len(settled)
        outcome.attempts = self.regulator.attempts
        outcome.openings = self.regulator.openings
        outcome.convictions = len(self.convictions.punished)
        outcome.removals = self.convictions.removed
        outcome.readmissions = self.convictions.readmitted


def _point_of(bank: Bank) -> LedgerPoint:
    point = bank.disk.point
    assert isinstance(point, LedgerPoint), "runs are on the production ledger"
    return point


def _current_year(bank: Bank) -> FiscalYear:
    """Return the fiscal year of a bank's last block."""
    point = _point_of(bank)
    genesis = point.genesis
    return fiscal_year(genesis.parameters, genesis.time_ms, point.header.time_ms)


def play(schedule: Schedule, observers: tuple[Checker, ...] = ()) -> Outcome:
    """Play a schedule to its end."""
    # What a run makes lives as long as the run does, and what is left over goes at once after it:
    # looking for it meanwhile takes a tenth of the time.
    collects = gc.isenabled()
    gc.disable()
    try:
        return Run(schedule, observers).play()
    finally:
        if collects:
            gc.enable()
