"""A whole consortium in memory under one seed: virtual time, a hostile network, crashes, disks.

The cores are the production ones. A bank keeps nothing over a crash but its `Disk`, which holds
exactly what `Persist` and `Apply` wrote. Effects are executed one by one, and a crash may come
between any two. `checks.Checks` looks at every byte sent and every block applied.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from node.consensus.core import Consensus
from node.consensus.effects import (
    Alarm,
    Apply,
    Broadcast,
    BuildBlock,
    CancelTimer,
    Effect,
    Persist,
    Send,
    ServeBlocks,
    SetTimer,
    Validate,
)
from node.consensus.events import (
    ApplyFailed,
    Approved,
    BlockApplied,
    BlockBuilt,
    BlocksLoaded,
    Event,
    MessageReceived,
    Rejected,
    TimerFired,
    TransactionsAvailable,
    Validated,
)
from node.consensus.messages import (
    MAX_SYNC_BLOCKS,
    Message,
    SealedBlock,
    decode_message,
    encode_message,
)
from node.consensus.parameters import ConsensusParameters
from node.ledger.blocks import Block, Header
from node.ledger.types import BankIndex, BlockId, TransactionId
from tests.consensus import toy_ledger
from tests.consensus.checks import Checks
from tests.consensus.oracle import OracleSigner, OracleVerifier, public_key


@dataclass
class Disk:
    """All that a bank keeps over a crash."""

    chain: list[SealedBlock] = field(default_factory=list)
    record: bytes | None = None
    blocks: dict[BlockId, Block] = field(default_factory=dict)


@dataclass
class Network:
    """What the network may do to a message; times in milliseconds."""

    loss: float = 0.0
    duplication: float = 0.0
    min_delay_ms: int = 1
    max_delay_ms: int = 5
    cut: Callable[[BankIndex, BankIndex], bool] = lambda source, target: False
    """Whether messages from source to target are lost, now."""


class Bank:
    """One bank: a disk, and while it is up a core with its timers."""

    def __init__(self, index: BankIndex) -> None:
        self.index = index
        self.disk = Disk()
        self.core: Consensus | None = None
        self.life = 0
        """Counts restarts: what an earlier life started is not delivered to a later one."""
        self.pool: list[TransactionId] = []
        self.clock_offset_ms = 0
        self.alarms: list[Alarm] = []

    @property
    def height(self) -> int:
        return len(self.disk.chain)


class Cluster:
    def __init__(
        self,
        bank_count: int = 12,
        *,
        seed: int = 0,
        network: Network | None = None,
        parameters: ConsensusParameters | None = None,
        crash_chance: float = 0.0,
        slow_validation_chance: float = 0.0,
    ) -> None:
        self.random = random.Random(seed)
        self.network = network or Network()
        self.parameters = parameters or ConsensusParameters()
        self.crash_chance = crash_chance
        """Chance that a bank crashes between two effects of one event."""
        self.slow_validation_chance = slow_validation_chance
        self.banks = [Bank(BankIndex(index)) for index in range(bank_count)]
        self.active_set = toy_ledger.active_set_of(
            {bank.index: public_key(bank.index) for bank in self.banks}
        )
        self.genesis = toy_ledger.genesis_header(self.active_set)
        self.checks = Checks(self.genesis, self.active_set)
        self.crashes = 0
        self.verifier = OracleVerifier()
        self.now_ms = 0
        self.messages_sent = 0
        self.intercept: Callable[[BankIndex, BankIndex, Message], Message | None] | None = None
        """Test's hand in the network: may replace a message or swallow it."""
        self.crashes_before_effect: Callable[[int], bool] = lambda bank: False
        """Test's hand on the power switch, asked before every single effect."""
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = 0
        self._next_transaction = 0

    # Stage directions.

    def start(self, banks: Iterable[int] | None = None) -> None:
        for index in range(len(self.banks)) if banks is None else banks:
            self.restart(index)

    def crash(self, index: int) -> None:
        self.banks[index].core = None
        self.banks[index].life += 1

    def restart(self, index: int) -> None:
        bank = self.banks[index]
        self.crash(index)
        bank.core = Consensus(
            bank.index,
            tuple(other.index for other in self.banks),
            toy_ledger.CHAIN_ID,
            self.parameters,
            OracleSigner(public_key(bank.index)),
            self.verifier,
        )
        disk = bank.disk
        effects = bank.core.restart(
            disk.record,
            tip=self._tip(bank),
            tip_seal=disk.chain[-1].seal if disk.chain else None,
            active_set=self.active_set,
            blocks=tuple(disk.blocks.values()),
            transactions_available=len(bank.pool),
        )
        self._execute(bank, effects)

    def submit(self, *, invalid: bool = False, banks: Iterable[int] | None = None) -> TransactionId:
        """Put a new transaction into the pools of these banks, or of all that are up."""
        self._next_transaction += 1
        identifier = toy_ledger.transaction_id(self._next_transaction, invalid=invalid)
        for index in range(len(self.banks)) if banks is None else banks:
            bank = self.banks[index]
            if bank.core is not None:
                bank.pool.append(identifier)
                self.deliver(bank, TransactionsAvailable(len(bank.pool)))
        return identifier

    def submit_every(self, period_ms: int, until_ms: int) -> None:
        def tick() -> None:
            self.submit()
            if self.now_ms + period_ms <= until_ms:
                self.at(self.now_ms + period_ms, tick)

        self.at(self.now_ms + period_ms, tick)

    def run(self, duration_ms: int) -> None:
        self.run_until(lambda: False, duration_ms)

    def run_until(self, condition: Callable[[], bool], limit_ms: int) -> bool:
        """Run until the condition holds or virtual time is up; return whether it holds."""
        end_ms = self.now_ms + limit_ms
        while not condition():
            if not self._queue or self._queue[0][0] > end_ms:
                self.now_ms = end_ms
                return condition()
            self.now_ms, _, action = heapq.heappop(self._queue)
            action()
        return True

    def reach(self, height: int, *, banks: Iterable[int] | None = None, limit_ms: int) -> None:
        """Run until these banks sealed this height; fail with every bank's status otherwise."""
        wanted = [self.banks[i] for i in (range(len(self.banks)) if banks is None else banks)]
        if not self.run_until(lambda: all(b.height >= height for b in wanted), limit_ms):
            raise AssertionError(f"height {height} not reached:\n{self.describe()}")

    def describe(self) -> str:
        return "\n".join(
            f"bank {bank.index} sealed {bank.height}: "
            f"{'down' if bank.core is None else bank.core.status()}"
            for bank in self.banks
        )

    # The host.

    def at(self, time_ms: int, action: Callable[[], None]) -> None:
        self._sequence += 1
        heapq.heappush(self._queue, (time_ms, self._sequence, action))

    def hand(self, source: BankIndex, target: BankIndex, message: Message) -> None:
        """Let a bank receive a message now, whatever the network thinks of it."""
        self.deliver(self.banks[target], MessageReceived(source, message))

    def deliver(self, bank: Bank, event: Event) -> None:
        if bank.core is not None:
            self._execute(bank, bank.core.handle(event))

    def _later(self, bank: Bank, delay_ms: int, event: Callable[[], Event | None]) -> None:
        """Run `event` for this life of the bank, and deliver what it returns."""
        life = bank.life

        def fire() -> None:
            if bank.life != life:
                return
            result = event()
            if result is not None:
                self.deliver(bank, result)

        self.at(self.now_ms + delay_ms, fire)

    def _execute(self, bank: Bank, effects: list[Effect]) -> None:
        for effect in effects:
            by_chance = self.crash_chance and self.random.random() < self.crash_chance
            if by_chance or self.crashes_before_effect(bank.index):
                self._lose_power(bank)
                return
            self._perform(bank, effect)

    def _lose_power(self, bank: Bank) -> None:
        """Crash, and come back from disk after a while unless something happens before."""
        self.crash(bank.index)
        self.crashes += 1
        life = bank.life
        delay_ms = self.random.randint(1, 3_000)
        self.at(
            self.now_ms + delay_ms,
            lambda: self.restart(bank.index) if bank.life == life else None,
        )

    def _perform(self, bank: Bank, effect: Effect) -> None:
        match effect:
            case Persist():
                bank.disk.record = effect.record
                for block in effect.bodies:
                    bank.disk.blocks[block.block_id] = block
                self.checks.persisted(bank.index, effect)
            case Send():
                self._transmit(bank, [effect.to], effect.message)
            case Broadcast():
                others = [other.index for other in self.banks if other is not bank]
                self._transmit(bank, others, effect.message)
            case SetTimer():
                fired = TimerFired(effect.kind, effect.generation)
                self._later(bank, effect.delay_ms, lambda: fired)
            case CancelTimer():
                pass
            case BuildBlock():
                self._later(bank, 2, lambda: self._build(bank, effect))
            case Validate():
                slow = self.random.random() < self.slow_validation_chance
                delay_ms = self.random.randint(1, 4_000) if slow else 2
                self._later(bank, delay_ms, lambda: self._validate(bank, effect))
            case Apply():
                self._later(bank, 3, lambda: self._apply(bank, effect))
            case ServeBlocks():
                start = effect.from_height - 1
                blocks = tuple(bank.disk.chain[start : start + MAX_SYNC_BLOCKS])
                self._later(bank, 1, lambda: BlocksLoaded(effect.to, blocks))
            case Alarm():
                bank.alarms.append(effect)

    def _transmit(self, bank: Bank, targets: list[BankIndex], message: Message) -> None:
        self.checks.sent(bank.index, message, bank.disk.record, bank.disk.blocks)
        encoded = encode_message(message)
        for target in targets:
            self.messages_sent += 1
            self._carry(bank.index, target, encoded)

    def _carry(self, source: BankIndex, target: BankIndex, encoded: bytes) -> None:
        network, chance = self.network, self.random.random
        if network.cut(source, target):
            return
        copies = 1 if chance() >= network.duplication else 2
        for _ in range(copies):
            if chance() < network.loss:
                continue
            delay_ms = self.random.randint(network.min_delay_ms, network.max_delay_ms)
            self.at(self.now_ms + delay_ms, lambda: self._arrive(source, target, encoded))

    def _arrive(self, source: BankIndex, target: BankIndex, encoded: bytes) -> None:
        message: Message | None = decode_message(encoded)
        if self.intercept is not None and message is not None:
            message = self.intercept(source, target, message)
        if message is not None:
            self.deliver(self.banks[target], MessageReceived(source, message))

    def _tip(self, bank: Bank) -> Header:
        return bank.disk.chain[-1].block.header if bank.disk.chain else self.genesis

    def _build(self, bank: Bank, effect: BuildBlock) -> Event:
        block = toy_ledger.build(
            self._tip(bank),
            view=effect.view,
            proposer=bank.index,
            ids=tuple(bank.pool[: self.parameters.batch_limit]),
            clock_ms=max(0, self.now_ms + bank.clock_offset_ms),
        )
        return BlockBuilt(effect.height, effect.view, block)

    def _validate(self, bank: Bank, effect: Validate) -> Event:
        clock_ms = self.now_ms + bank.clock_offset_ms if effect.check_clock else None
        verdict = toy_ledger.judge(self._tip(bank), effect.block, clock_ms=clock_ms)
        if isinstance(verdict, Rejected) and verdict.transaction_index is not None:
            culprit = effect.block.transaction_ids[verdict.transaction_index]
            bank.pool = [known for known in bank.pool if known != culprit]
        return Validated(effect.ticket, verdict)

    def _apply(self, bank: Bank, effect: Apply) -> Event:
        verdict = toy_ledger.judge(self._tip(bank), effect.block, clock_ms=None)
        if not isinstance(verdict, Approved):
            return ApplyFailed(effect.ticket, verdict)
        disk = bank.disk
        disk.chain.append(SealedBlock(effect.block, effect.seal))
        disk.record = None
        disk.blocks = {}
        bank.pool = [known for known in bank.pool if known not in effect.block.transaction_ids]
        self.checks.applied(bank.index, effect.block, effect.seal)
        return BlockApplied(
            effect.block.height, effect.block.header, self.active_set, len(bank.pool)
        )
