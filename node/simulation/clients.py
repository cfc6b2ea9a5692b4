"""The banks' clients: they issue, pay, redeem, spend twice, ask again, and remember every answer.

A client hands its transaction to one bank, which gossips it. The answer "sealed" comes from that
bank once it has applied the block; from then on the transaction must never be lost (the
durability checker holds every bank to it). Without an answer the client asks another bank.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from crypto.layout import Kind
from node.ledger.blocks import Block
from node.ledger.effects import Transition
from node.ledger.types import Amount, BankIndex, Height, TransactionId
from node.simulation.engine import Bank, Cluster
from node.simulation.ledger import Valid
from node.simulation.production_ledger import LedgerPoint, ProductionLedger
from node.simulation.transactions import mint_bytes, nullifier_of, transfer_bytes

EXPIRY_HEIGHTS = 500
NOTHING = Amount(0)
PATIENCE_MS = 3_000
"""How long a client waits for an answer before it asks another bank."""


@dataclass(slots=True)
class Note:
    """A note with the value that only its owner knows."""

    value: Amount
    one_time_key: bytes
    bin_id: int


@dataclass(slots=True)
class Order:
    """A transaction that waits for its answer."""

    bank: BankIndex
    since_ms: int


class Clients:
    """All clients of all banks, under one generator."""

    def __init__(self, cluster: Cluster, ledger: ProductionLedger, random: Random) -> None:
        self._cluster = cluster
        self._ledger = ledger
        self._random = random
        self._made = 0
        self._values: dict[TransactionId, tuple[Amount, ...]] = {}
        self.tip: LedgerPoint = ledger.genesis
        """The ledger that wallets have followed, as far as any bank applied it."""
        self.unspent: dict[bytes, Note] = {}
        """Notes on the ledger, by nullifier."""
        self._offered: set[bytes] = set()
        """Nullifiers in transactions under way."""
        self.orders: dict[TransactionId, Order] = {}
        self.acknowledged: dict[TransactionId, Height] = {}
        self.redeem_always = False
        """Whether every transfer pays into a bank's account, so that none stays poor by chance."""
        ledger.make_transaction = self._make
        cluster.on_applied = self._on_applied

    def submit_every(self, period_ms: int, until_ms: int) -> None:
        """Hand in a transaction in every period, and ask again for what got no answer."""

        def tick() -> None:
            self.submit()
            self._ask_again()
            if self._cluster.now_ms + period_ms <= until_ms:
                self._cluster.at(self._cluster.now_ms + period_ms, tick)

        self._cluster.at(self._cluster.now_ms + period_ms, tick)

    def submit(self) -> None:
        """Make a transaction and hand it to a bank that is up."""
        open_banks = [bank for bank in self._cluster.banks if bank.up]
        if not open_banks:
            return
        if self._random.random() < 0.1 and self._spend_twice(open_banks):
            return
        self._hand_in(self._make(False), self._random.choice(open_banks))

    def _spend_twice(self, open_banks: list[Bank]) -> bool:
        """Pay two banks' clients with one note: at most one of the two may ever be sealed."""
        note = self._idle_note()
        if note is None:
            return False
        for _ in range(2):
            self._hand_in(self._transfer(note), self._random.choice(open_banks))
        return True

    def _hand_in(self, transaction_id: TransactionId, bank: Bank) -> None:
        self.orders[transaction_id] = Order(bank.index, self._cluster.now_ms)
        self._cluster.receive_transaction(bank, transaction_id)
        self._cluster.gossip(bank.index, transaction_id)

    def _ask_again(self) -> None:
        now_ms = self._cluster.now_ms
        for transaction_id, order in list(self.orders.items()):
            if now_ms - order.since_ms < PATIENCE_MS:
                continue
            open_banks = [bank for bank in self._cluster.banks if bank.up]
            if open_banks:
                self._hand_in(transaction_id, self._random.choice(open_banks))

    def _make(self, invalid: bool) -> TransactionId:
        draw = self._random.random()
        note = self._idle_note() if draw < 0.4 else None
        if invalid:
            forge = self._transfer_raw(note) if note is not None else self._mint_raw(Kind.ISSUE, 1)
            return self._ledger.oracle.register(forge, owned=False)
        if note is not None:
            return self._transfer(note)
        if draw > 0.9:
            rich = [bank.index for bank in self.tip.state.banks if bank.balance >= 10]
            if rich:
                return self._register(
                    self._mint_raw(Kind.PAYOUT, 1, bank=self._random.choice(rich), amount=10),
                    (Amount(10),),
                )
        outputs = self._random.randint(1, 3)
        amount = 1_000 * outputs
        raw = self._mint_raw(Kind.ISSUE, outputs, amount=amount)
        return self._register(raw, (Amount(1_000),) * outputs)

    def _idle_note(self) -> Note | None:
        fee = self._ledger.definition.parameters.transfer_fee
        for nullifier, note in self.unspent.items():
            if nullifier not in self._offered and note.value > 3 * fee:
                return note
        return None

    def _transfer(self, note: Note) -> TransactionId:
        fee = self._ledger.definition.parameters.transfer_fee
        redeem = Amount(fee) if self._random.random() < 0.3 or self.redeem_always else NOTHING
        rest = note.value - fee - redeem
        values = (Amount(rest // 2), Amount(rest - rest // 2))
        return self._register(self._transfer_raw(note, redeem), values)

    def _transfer_raw(self, note: Note, redeem: Amount = NOTHING) -> bytes:
        genesis = self._ledger.definition
        bank = self._beneficiary()
        nullifier = nullifier_of(note.one_time_key)
        self._offered.add(nullifier)
        return transfer_bytes(
            genesis,
            [(note.bin_id, nullifier)],
            number=self._next_number(),
            outputs=2,
            redeem=redeem,
            account=genesis.account_of(bank) if redeem else bytes(32),
            expiry=self._expiry(),
        )

    def _beneficiary(self) -> BankIndex:
        """Whose account is redeemed into: a removed bank's first, which needs it for its stake."""
        banks = self.tip.state.banks
        removed = [bank.index for bank in banks if not bank.active]
        return self._random.choice(removed or [bank.index for bank in banks])

    def _mint_raw(
        self, kind: Kind, outputs: int, *, bank: BankIndex | None = None, amount: int = 1_000
    ) -> bytes:
        genesis = self._ledger.definition
        issuer = BankIndex(self._random.randrange(len(genesis.banks))) if bank is None else bank
        return mint_bytes(
            genesis,
            kind,
            issuer,
            Amount(amount),
            number=self._next_number(),
            outputs=outputs,
            expiry=self._expiry(),
        )

    def _register(self, raw: bytes, values: tuple[Amount, ...]) -> TransactionId:
        identifier = self._ledger.oracle.register(raw, owned=True)
        self._values[identifier] = values
        return identifier

    def _next_number(self) -> int:
        self._made += 1
        return self._made

    def _expiry(self) -> int:
        return self.tip.header.height + EXPIRY_HEIGHTS

    def _on_applied(self, bank: Bank, block: Block, outcome: Valid) -> None:
        after = outcome.after
        assert isinstance(after, LedgerPoint), "clients live on the production ledger"
        if block.height > self.tip.header.height:
            self.tip = after
            self._learn(after.transition)
        if bank.index in self._cluster.byzantine:
            return
        for transaction_id in block.transaction_ids:
            order = self.orders.get(transaction_id)
            if order is not None and order.bank == bank.index:
                del self.orders[transaction_id]
                self.acknowledged[transaction_id] = block.height
                self._cluster.watch.acknowledged(bank, transaction_id)

    def _learn(self, transition: Transition) -> None:
        """Follow the chain as wallets do: notes come and go, and what they hid comes to light."""
        for spent in transition.nullifiers:
            self.unspent.pop(spent.nullifier, None)
        for note in transition.notes:
            value = self._values[note.transaction_id][note.output_index]
            key = note.output.one_time_key
            self.unspent[nullifier_of(key)] = Note(value, key, note.bin_id)
