"""A whole consortium in memory under one seed: virtual time, a hostile network, crashes, disks.

The cores are the production ones, and so is the ledger (`production_ledger`). A bank keeps nothing
over a crash but its `Disk`, which holds exactly what `Persist`, `Apply` and `ExamineEvidence`
wrote. Effects are executed one by one, and a crash may come between any two. Checkers look at
every message sent and every block applied; a violation raises where it happens.

Not simulated: signatures, ballots and proofs, which are unforgeable oracles (BFT-12 section 16),
and the wire encoding of every single copy of a message: a message is encoded and decoded once, when
it is sent, and all who receive it share the frozen value.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from node.consensus.core import Consensus
from node.consensus.effects import (
    Alarm,
    Apply,
    Broadcast,
    BuildBlock,
    CancelTimer,
    Effect,
    ExamineEvidence,
    KeepBallots,
    Persist,
    Send,
    ServeBlocks,
    SetTimer,
    Validate,
    VerifyBallots,
)
from node.consensus.events import (
    ApplyFailed,
    Approved,
    BallotsVerified,
    BlockApplied,
    BlockBuilt,
    BlocksLoaded,
    BodyUnusable,
    Event,
    EvidenceExamined,
    MessageReceived,
    Rejected,
    TimerFired,
    TransactionsAvailable,
    Validated,
    WorkDue,
    WorkKind,
)
from node.consensus.messages import (
    MAX_SYNC_BLOCKS,
    Message,
    SealedBlock,
    decode_message,
    encode_message,
)
from node.consensus.parameters import ConsensusParameters
from node.ledger.ballots import VerifiedBallot
from node.ledger.blocks import Block
from node.ledger.types import BankIndex, TransactionId
from node.simulation.ballot_oracle import ballot_signer_of
from node.simulation.bank import Bank, Core, CoreFactory, honest
from node.simulation.checker import Checker, Watch
from node.simulation.disk import Disk
from node.simulation.ledger import Ledger, Valid
from node.simulation.network import Network
from node.simulation.oracle import OracleSigner, OracleVerifier, public_key

__all__ = ["Bank", "Cluster", "Core", "CoreFactory", "honest"]

BODIES_DEADLINE_MS = 10_000
"""Longest search for the transactions of one block, as on the node."""
WIRE_MEMORY = 1_000
"""Messages whose encoding is kept for a repetition."""
FETCH_TIMEOUT_MS = 500
"""How long one peer is waited for in that search."""
SLOW_BALLOTS_MS = 400
"""Longest verification of ballots while validation is slow."""


class Cluster:
    """All banks, the network between them, and time."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        seed: int | str = 0,
        network: Network | None = None,
        parameters: ConsensusParameters | None = None,
        crash_chance: float = 0.0,
        slow_validation_chance: float = 0.0,
        checkers: Iterable[Checker] = (),
        core_factory: CoreFactory = honest,
    ) -> None:
        self.random = random.Random(seed)
        self.ledger = ledger
        self.network = network or Network()
        self.parameters = parameters or ConsensusParameters()
        self.crash_chance = crash_chance
        """Chance that a bank crashes between two effects of one event."""
        self.slow_validation_chance = slow_validation_chance
        self.core_factory = core_factory
        genesis = ledger.genesis
        self.banks = [Bank(bank, Disk(genesis)) for bank in genesis.active_set.banks]
        self.indices = tuple([bank.index for bank in self.banks])
        self.byzantine: frozenset[int] = frozenset()
        """Banks whose statements prove nothing about the core."""
        self.watch = Watch(self, checkers)
        self.verifier = OracleVerifier()
        self.now_ms = 0
        self.crashes = 0
        self.messages_sent = 0
        self.events_handled = 0
        self.intercept: Callable[[BankIndex, BankIndex, Message], Message | None] | None = None
        """A hand in the network: may replace a message that arrives, or swallow it."""
        self.crashes_before_effect: Callable[[int], bool] | None = None
        """A hand on the power switch, asked before every single effect."""
        self.on_applied: Callable[[Bank, Block, Valid], None] | None = None
        """Told of every block that a bank applied."""
        self._peers = {
            bank: tuple([other for other in self.indices if other != bank]) for bank in self.indices
        }
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = 0
        self._wire: dict[int, tuple[Message, bytes, Message]] = {}
        self._decoded: dict[bytes, Message] = {}

    # Stage directions.

    def start(self, banks: Iterable[int] | None = None) -> None:
        """Start these banks, or all, from their disks."""
        for index in self.indices if banks is None else banks:
            self.restart(index)

    def crash(self, index: int) -> None:
        """Stop a bank at once; only its disk remains."""
        bank = self.banks[index]
        bank.core = None
        bank.life += 1
        bank.pool, bank.deferred, bank.timers = [], [], {}
        bank.held = set(bank.poison)

    def restart(self, index: int) -> None:
        """Start a bank from its disk, stopping it first if it runs."""
        self.crash(index)
        bank = self.banks[index]
        disk = bank.disk
        signer = OracleSigner(public_key(bank.index))
        core = Consensus(
            bank.index,
            self.indices,
            self.ledger.genesis.header.chain_id,
            self.parameters,
            signer,
            self.verifier,
            ballot_signer=ballot_signer_of(bank.index, self.ledger.genesis.header.chain_id),
        )
        bank.core = self.core_factory(bank.index, core)
        effects = bank.core.restart(
            disk.record,
            tip=disk.point.header,
            tip_seal=disk.chain[-1].seal if disk.chain else None,
            active_set=disk.point.active_set,
            blocks=tuple(disk.blocks.values()),
            transactions_available=0,
            silent_through=disk.silent_through(),
            evidence=tuple(disk.evidence.values()),
        )
        self.watch.restarted(bank)
        self._execute(bank, effects)
        self._schedule_bin(bank)

    def submit(self, *, invalid: bool = False, banks: Iterable[int] | None = None) -> TransactionId:
        """Put a new transaction into the pools of these banks, or of all that are up.

        An invalid one is put into the next block of whoever gets it.
        """
        identifier = self.ledger.transaction(invalid=invalid)
        for index in self.indices if banks is None else banks:
            bank = self.banks[index]
            if invalid and bank.core is not None:
                bank.poison.append(identifier)
                bank.held.add(identifier)
                self._announce(bank)
            else:
                self.receive_transaction(bank, identifier)
        return identifier

    def submit_every(self, period_ms: int, until_ms: int) -> None:
        """Submit a transaction to all banks in every period, from the next one on."""

        def tick() -> None:
            self.submit()
            if self.now_ms + period_ms <= until_ms:
                self.at(self.now_ms + period_ms, tick)

        self.at(self.now_ms + period_ms, tick)

    def run(self, duration_ms: int) -> None:
        """Let so much virtual time pass."""
        self.run_until(lambda: False, duration_ms)

    def run_until(self, condition: Callable[[], bool], limit_ms: int) -> bool:
        """Run until the condition holds or virtual time is up; return whether it holds."""
        end_ms = self.now_ms + limit_ms
        queue = self._queue
        while not condition():
            if not queue or queue[0][0] > end_ms:
                self.now_ms = end_ms
                return condition()
            self.now_ms, _, action = heapq.heappop(queue)
            action()
        return True

    def reach(self, height: int, *, banks: Iterable[int] | None = None, limit_ms: int) -> None:
        """Run until these banks sealed this height; fail with every bank's status otherwise."""
        wanted = [self.banks[index] for index in (self.indices if banks is None else banks)]
        if not self.run_until(lambda: all(b.height >= height for b in wanted), limit_ms):
            raise AssertionError(f"height {height} not reached:\n{self.describe()}")

    def describe(self) -> str:
        """Return where every bank stands, a line each."""
        return "\n".join(
            f"bank {bank.index} sealed {bank.height}: "
            f"{'down' if bank.core is None else bank.core.status()}"
            for bank in self.banks
        )

    def at(self, time_ms: int, action: Callable[[], None]) -> None:
        """Do something at a moment of virtual time."""
        self._sequence += 1
        heapq.heappush(self._queue, (time_ms, self._sequence, action))

    def hand(self, source: BankIndex, target: BankIndex, message: Message) -> None:
        """Let a bank receive a message now, whatever the network thinks of it."""
        self.deliver(self.banks[target], MessageReceived(source, message))

    def clock_ms(self, bank: Bank) -> int:
        """Return the bank's clock in the scale of header times."""
        start_ms = self.ledger.genesis.header.time_ms
        return max(0, start_ms + self.now_ms + bank.clock_offset_ms)

    # Transactions.

    def receive_transaction(self, bank: Bank, transaction_id: TransactionId) -> None:
        """Let a transaction reach a bank, from a client or from another bank."""
        if bank.core is None or transaction_id in bank.held:
            return
        bank.held.add(transaction_id)
        admitted = self.ledger.admit(bank.disk.point, transaction_id)
        if admitted is None:
            bank.deferred.append(transaction_id)
        elif admitted:
            bank.pool.append(transaction_id)
            self._announce(bank)

    def gossip(self, source: BankIndex, transaction_id: TransactionId) -> None:
        """Carry a transaction from its admitting bank to every other, as the network will."""
        for target in self._peers[source]:
            arrive = partial(self.receive_transaction, self.banks[target], transaction_id)
            for delay_ms in self.network.delays_ms(source, target, self.random):
                self.at(self.now_ms + delay_ms, arrive)

    def _announce(self, bank: Bank) -> None:
        self.deliver(bank, TransactionsAvailable(len(bank.pool) + len(bank.poison)))

    # The host.

    def deliver(self, bank: Bank, event: Event) -> None:
        """Give an event to a bank that is up, and do what it says."""
        if bank.core is not None:
            self.events_handled += 1
            self.watch.delivered(bank, event)
            self._execute(bank, bank.core.handle(event))

    def _later(self, bank: Bank, delay_ms: int, event: Callable[[], Event | None]) -> None:
        """Run `event` for this life of the bank, and deliver what it returns."""
        life = bank.life

        def fire() -> None:
            if bank.life == life:
                result = event()
                if result is not None:
                    self.deliver(bank, result)

        self.at(self.now_ms + delay_ms, fire)

    def _execute(self, bank: Bank, effects: list[Effect]) -> None:
        life = bank.life
        for effect in effects:
            if bank.life != life or self._power_fails(bank):
                return
            self._perform(bank, effect)

    def _power_fails(self, bank: Bank) -> bool:
        by_chance = self.crash_chance and self.random.random() < self.crash_chance
        asked = self.crashes_before_effect
        if not by_chance and (asked is None or not asked(bank.index)):
            return False
        self._lose_power(bank)
        return True

    def _lose_power(self, bank: Bank) -> None:
        """Crash, and come back from disk after a while unless something happens before."""
        self.crash(bank.index)
        self.crashes += 1
        self.watch.crashed(bank)
        life = bank.life
        self.at(
            self.now_ms + self.random.randint(1, 3_000),
            lambda: self.restart(bank.index) if bank.life == life else None,
        )

    def _perform(self, bank: Bank, effect: Effect) -> None:
        self.watch.performed(bank, effect)
        match effect:
            case Send():
                self._transmit(bank, (effect.to,), effect.message)
            case Broadcast():
                self._transmit(bank, self._peers[bank.index], effect.message)
            case SetTimer():
                self._set_timer(bank, effect)
            case CancelTimer():
                bank.timers.pop(effect.kind, None)
            case Persist():
                self._persist(bank, effect)
            case BuildBlock():
                self._later(bank, 2, lambda: self._build(bank, effect))
            case Validate():
                slow = self.random.random() < self.slow_validation_chance
                delay_ms = self.random.randint(1, 4_000) if slow else 2
                self._obtain(bank, effect, delay_ms, lambda: self._validate(bank, effect))
            case Apply():
                self._obtain(bank, effect, 3, lambda: self._apply(bank, effect))
            case ExamineEvidence():
                self._later(bank, 1, lambda: self._examine(bank, effect))
            case VerifyBallots():
                slow = self.random.random() < self.slow_validation_chance
                delay_ms = self.random.randint(1, SLOW_BALLOTS_MS) if slow else 1
                self._later(bank, delay_ms, lambda: self._verify_ballots(effect))
            case KeepBallots():
                bank.disk.keep(effect)
            case ServeBlocks():
                start = effect.from_height - 1
                blocks = tuple(bank.disk.chain[start : start + MAX_SYNC_BLOCKS])
                self._later(bank, 1, lambda: BlocksLoaded(effect.to, blocks))
            case Alarm():
                bank.alarms.append(effect)

    def _set_timer(self, bank: Bank, effect: SetTimer) -> None:
        kind, generation = effect.kind, effect.generation
        bank.timers[kind] = generation
        life = bank.life

        def fire() -> None:
            if bank.life == life and bank.timers.get(kind) == generation:
                del bank.timers[kind]
                self.deliver(bank, TimerFired(kind, generation))

        self.at(self.now_ms + effect.delay_ms, fire)

    def _persist(self, bank: Bank, effect: Persist) -> None:
        """Database, then guard; a crash in between leaves the guard behind, which is harmless."""
        bank.disk.persist(effect, bank.held)
        self.watch.persisted(bank, effect)
        if not self._power_fails(bank):
            bank.disk.write_guard(effect)

    def _transmit(self, bank: Bank, targets: Sequence[BankIndex], message: Message) -> None:
        _, _, decoded = self._wired(message)
        self.watch.sent(bank, message, targets)
        self.messages_sent += len(targets)
        source, network = bank.index, self.network
        for target in targets:
            for delay_ms in network.delays_ms(source, target, self.random):
                self._carry(source, target, decoded, delay_ms)

    def encoded(self, message: Message) -> bytes:
        """Return the canonical bytes of a message that was, or is about to be, sent."""
        return self._wired(message)[1]

    def _wired(self, message: Message) -> tuple[Message, bytes, Message]:
        """Return a message, its encoding, and what that decodes to; once for what is repeated."""
        known = self._wire.get(id(message))
        if known is None or known[0] is not message:
            if len(self._wire) > WIRE_MEMORY:
                self._wire.clear()
                self._decoded.clear()
            data = encode_message(message)
            decoded = self._decoded.get(data)
            if decoded is None:
                decoded = self._decoded[data] = decode_message(data)
            known = self._wire[id(message)] = (message, data, decoded)
        return known

    def _carry(self, source: BankIndex, target: BankIndex, message: Message, delay_ms: int) -> None:
        self.at(self.now_ms + delay_ms, lambda: self._arrive(source, target, message))

    def _arrive(self, source: BankIndex, target: BankIndex, message: Message | None) -> None:
        if self.intercept is not None and message is not None:
            message = self.intercept(source, target, message)
        if message is not None:
            self.deliver(self.banks[target], MessageReceived(source, message))

    def _build(self, bank: Bank, effect: BuildBlock) -> Event:
        point = bank.disk.point
        if effect.height != point.header.height + 1:
            return BlockBuilt(effect.height, effect.view, None)
        built = self.ledger.build(
            point,
            view=effect.view,
            proposer=bank.index,
            clock_ms=self.clock_ms(bank),
            candidates=bank.pool[: self.parameters.batch_limit],
            evidence=effect.evidence,
            ballots=effect.ballots,
        )
        if built.dropped:
            bank.pool = [known for known in bank.pool if known not in built.dropped]
        block = built.block
        if bank.poison:
            block = self.ledger.poison(block, bank.poison)
        return BlockBuilt(effect.height, effect.view, block)

    def _obtain(
        self,
        bank: Bank,
        effect: Validate | Apply,
        delay_ms: int,
        event: Callable[[], Event],
    ) -> None:
        """Go on when every transaction of the block is here, or answer that they are not to be had.

        Peers are asked one after the other, the source of the copy first, over the same network.
        """
        lacking = [item for item in effect.block.transaction_ids if not bank.holds(item)]
        if not lacking:
            self._later(bank, delay_ms, event)
            return
        others = self._peers[bank.index]
        start = others.index(effect.source) if effect.source in others else 0
        order = others[start:] + others[:start]
        deadline_ms = self.now_ms + BODIES_DEADLINE_MS

        def ask(position: int) -> Event | None:
            peer = self.banks[order[position % len(order)]]
            found = [item for item in lacking if peer.up and peer.holds(item)]
            way_ms = self._round_trip_ms(bank.index, peer.index) if found else None
            if way_ms is not None:
                bank.held.update(found)
            if all(bank.holds(item) for item in lacking):
                self._later(bank, delay_ms + (way_ms or 0), event)
            elif self.now_ms >= deadline_ms:
                unusable = BodyUnusable("the transactions cannot be had")
                if isinstance(effect, Validate):
                    return Validated(effect.ticket, unusable)
                return ApplyFailed(effect.ticket, unusable)
            else:
                wait_ms = FETCH_TIMEOUT_MS if way_ms is None and peer.up else 5
                self._later(bank, wait_ms, lambda: ask(position + 1))
            return None

        self._later(bank, 0, lambda: ask(0))

    def _round_trip_ms(self, asking: BankIndex, asked: BankIndex) -> int | None:
        there = self.network.delays_ms(asking, asked, self.random)
        back = self.network.delays_ms(asked, asking, self.random)
        return there[0] + back[0] if there and back else None

    def _validate(self, bank: Bank, effect: Validate) -> Event:
        clock_ms = self.clock_ms(bank) if effect.check_clock else None
        verdict = self.ledger.judge(bank.disk.point, effect.block, clock_ms=clock_ms)
        if isinstance(verdict, Valid):
            return Validated(effect.ticket, Approved())
        if isinstance(verdict, Rejected) and verdict.transaction_index is not None:
            culprit = effect.block.transaction_ids[verdict.transaction_index]
            bank.poison = [known for known in bank.poison if known != culprit]
        return Validated(effect.ticket, verdict)

    def _apply(self, bank: Bank, effect: Apply) -> Event:
        verdict = self.ledger.judge(bank.disk.point, effect.block, clock_ms=None)
        if not isinstance(verdict, Valid):
            return ApplyFailed(effect.ticket, verdict)
        block = effect.block
        bank.disk.apply(SealedBlock(block, effect.seal), verdict)
        self._refresh_pool(bank, block)
        self.watch.applied(bank, block, effect.seal, verdict)
        self._schedule_bin(bank)
        if self.on_applied is not None:
            self.on_applied(bank, block, verdict)
        return BlockApplied(
            block.height,
            block.header,
            verdict.after.active_set,
            len(bank.pool) + len(bank.poison),
            verdict.punished,
        )

    def _schedule_bin(self, bank: Bank) -> None:
        """Tell the core when the oldest open bin is due for closing, unless a block comes first."""
        due_ms = self.ledger.bin_due_ms(bank.disk.point)
        if due_ms is None or not bank.up:
            return
        height = bank.height

        def due() -> Event | None:
            return WorkDue(WorkKind.BIN) if bank.height == height else None

        self._later(bank, max(0, due_ms - self.clock_ms(bank)), due)

    def _refresh_pool(self, bank: Bank, block: Block) -> None:
        sealed = set(block.transaction_ids)
        bank.poison = [known for known in bank.poison if known not in sealed]
        waiting = [known for known in (*bank.pool, *bank.deferred) if known not in sealed]
        bank.pool, bank.deferred = [], []
        for identifier in waiting:
            admitted = self.ledger.admit(bank.disk.point, identifier)
            if admitted is None:
                bank.deferred.append(identifier)
            elif admitted:
                bank.pool.append(identifier)

    def _verify_ballots(self, effect: VerifyBallots) -> Event:
        verdicts = self.ledger.ballot_oracle.verify(
            effect.ballots, height=effect.height, view=effect.view, active_set=effect.active_set
        )
        valid = tuple([isinstance(verdict, VerifiedBallot) for verdict in verdicts])
        return BallotsVerified(effect.ticket, valid)

    def _examine(self, bank: Bank, effect: ExamineEvidence) -> Event:
        examined = self.ledger.examine(bank.disk.point, effect.item)
        if examined.key is not None:
            bank.disk.evidence.setdefault(examined.key, effect.item)
        return EvidenceExamined(effect.item, examined.key, examined.detail)
