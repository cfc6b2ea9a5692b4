"""The simulated regulator: settles fiscal years, opens ballots that convict, and tries what it may
not (BFT-12 sections 17, 18).

It follows the chain of the bank that is furthest and counts what was recorded, by the oracle's word
in place of one decryption for each block. Its settlements are proven by the real opener's key over
the real sums. Its attempts that must fail go to everybody, and to a Byzantine bank, which puts them
into its next block.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

from crypto.ballot_tally import EMPTY_SUM
from crypto.opener_shares import OpenerShare, encode_partials
from node.consensus.effects import KeepBallots
from node.consensus.events import MessageReceived
from node.consensus.evidence_items import DoubleBallot, encode_item
from node.consensus.messages import Evidence
from node.ledger.ballots import Decision, ballot_message
from node.ledger.encoding import Writer
from node.ledger.fiscal_year import fiscal_year
from node.ledger.settlement import (
    BankCount,
    SettlementClaim,
    prove_settlement,
    prove_settlement_partially,
)
from node.ledger.state import LedgerState
from node.ledger.types import BankIndex, FiscalYear, Height, TransactionId
from node.simulation.ballot_oracle import ballot_key, opener_key
from node.simulation.engine import Bank, Cluster
from node.simulation.genesis import draw_seed
from node.simulation.production_ledger import LedgerPoint, ProductionLedger

EXPIRY_HEIGHTS = 200
ATTEMPT_CHANCE = 0.2
"""Of something that it may not do, in each period."""
ACCOMPLICE_CHANCE = 0.1
"""That a Byzantine bank puts it into its next block, which hides whatever else is wrong there."""


class Regulator:
    """Looks at the ledger now and then and does what is due."""

    def __init__(self, cluster: Cluster, ledger: ProductionLedger, random: Random) -> None:
        self._cluster = cluster
        self._ledger = ledger
        self._random = random
        self.settles = True
        """Whether it does its duty; otherwise years stay unsettled."""
        self.oversteps = True
        """Whether it tries what it may not."""
        self._counted = Height(0)
        self._counts: dict[FiscalYear, Counter[BankIndex]] = {}
        self._pending: tuple[FiscalYear, TransactionId, Height] | None = None
        self._opened: dict[tuple[bytes, bytes], bytes] = {}
        """Evidence items, by the two ballots that they are about."""
        self.attempts = 0

    @property
    def openings(self) -> int:
        """Ballots that were opened."""
        return len(self._opened)

    def act_every(self, period_ms: int, until_ms: int) -> None:
        """Look once in every period."""

        def tick() -> None:
            self.act()
            if self._cluster.now_ms + period_ms <= until_ms:
                self._cluster.at(self._cluster.now_ms + period_ms, tick)

        self._cluster.at(self._cluster.now_ms + period_ms, tick)

    def act(self) -> None:
        """Count, settle the oldest year that is over, and open what convicts."""
        byzantine = self._cluster.byzantine
        correct = [bank for bank in self._cluster.banks if bank.up and bank.index not in byzantine]
        if not correct:
            return
        guide = max(correct, key=lambda bank: bank.height)
        self._count(guide)
        for bank in correct:
            for pair in bank.disk.ballot_conflicts.values():
                self._open(bank, pair)
        point = guide.disk.point
        assert isinstance(point, LedgerPoint), "years are settled on the production ledger"
        due = _oldest_unsettled(point.state)
        if due is None or guide.height < self._counted:
            return  # Whoever was further is down: its blocks come back.
        if self.settles and due < _year_of(point):
            self._settle(guide, point, due)
        if self.oversteps and self._random.random() < ATTEMPT_CHANCE:
            self._attempt(guide, point, due)

    def _count(self, guide: Bank) -> None:
        chain, point = guide.disk.chain, guide.disk.point
        assert isinstance(point, LedgerPoint), "ballots are recorded on the production ledger"
        genesis = self._ledger.definition
        for height in range(self._counted + 1, guide.height + 1):
            block = chain[height - 1].block
            if block.parent_ballots:
                parent = chain[height - 2].block.header
                year = fiscal_year(genesis.parameters, genesis.time_ms, parent.time_ms)
                active_set = point.state.active_set_at(genesis, parent.height)
                assert active_set is not None, "no run is longer than the evidence window"
                counts = self._counts.setdefault(year, Counter())
                for raw in block.parent_ballots:
                    if ballot_message(raw)[-1:] == Decision.APPROVE.value:
                        voter = self._ledger.ballot_oracle.voter(raw, active_set)
                        assert voter is not None, "sealed ballots were verified"
                        counts[voter] += 1
            self._counted = Height(height)

    def _settle(self, guide: Bank, point: LedgerPoint, year: FiscalYear) -> None:
        pending = self._pending
        if pending is None or pending[0] != year or pending[2] < point.header.height:
            claim = self._claim(point, year)
            raw = prove_settlement(
                claim,
                self._ledger.definition,
                _sum_of(point.state, year),
                opener_key(),
                self._random.randbytes,
            )
            identifier = self._ledger.oracle.register(raw, owned=True)
            pending = self._pending = (year, identifier, claim.expiry)
        self._hand_in(guide, pending[1])

    def _claim(self, point: LedgerPoint, year: FiscalYear) -> SettlementClaim:
        genesis = self._ledger.definition
        is_tallied = _sum_of(point.state, year) != EMPTY_SUM
        counts = self._counts.get(year, Counter()) if is_tallied else Counter()
        first = fiscal_year(genesis.parameters, genesis.time_ms, genesis.time_ms)
        return SettlementClaim(
            chain_id=genesis.chain_id,
            year=year,
            counts=tuple([BankCount(bank.index, counts[bank.index]) for bank in genesis.banks]),
            draw_seed=draw_seed(year - first),
            expiry=Height(point.header.height + EXPIRY_HEIGHTS),
        )

    def _attempt(self, guide: Bank, point: LedgerPoint, due: FiscalYear) -> None:
        """Try a settlement that no correct bank may take."""
        over = due < _year_of(point)
        attempts = [self._of_another_opener, self._with_other_counts, self._with_another_seed]
        attempts += [self._already_settled] if point.state.settled_through else []
        attempt = self._random.choice(attempts) if over else self._too_early
        identifier = self._ledger.oracle.register(attempt(point, due), owned=False)
        self.attempts += 1
        self._hand_in(guide, identifier)
        liars = [bank for bank in self._cluster.banks if bank.index in self._cluster.byzantine]
        for bank in liars[:1]:
            if bank.up and self._random.random() < ACCOMPLICE_CHANCE:
                bank.poison.append(identifier)
                bank.held.add(identifier)

    def _too_early(self, point: LedgerPoint, year: FiscalYear) -> bytes:
        return self._prove(point, self._claim(point, year))

    def _already_settled(self, point: LedgerPoint, year: FiscalYear) -> bytes:
        return self._prove(point, self._claim(point, point.state.settled_through))

    def _with_another_seed(self, point: LedgerPoint, year: FiscalYear) -> bytes:
        claim = replace(self._claim(point, year), draw_seed=self._random.randbytes(32))
        return self._prove(point, claim)

    def _with_other_counts(self, point: LedgerPoint, year: FiscalYear) -> bytes:
        """One vote moved from one bank to another, or one more for each, under a true proof."""
        true = self._claim(point, year)
        raw = self._prove(point, true)
        counts = list(true.counts)
        if self._random.random() < 0.5:
            counts = [replace(item, count=item.count + 1) for item in counts]
        else:
            giver = max(range(len(counts)), key=lambda index: counts[index].count)
            taker = (giver + 1) % len(counts)
            counts[giver] = replace(counts[giver], count=max(0, counts[giver].count - 1))
            counts[taker] = replace(counts[taker], count=counts[taker].count + 1)
        return replace(true, counts=tuple(counts)).encode() + raw[len(true.encode()) :]

    def _of_another_opener(self, point: LedgerPoint, year: FiscalYear) -> bytes:
        claim = self._claim(point, year)
        partial = prove_settlement_partially(
            claim,
            self._ledger.definition,
            _sum_of(point.state, year),
            OpenerShare.whole(ballot_key(0)),
            self._random.randbytes,
        )
        return claim.encode() + Writer().blob(encode_partials([partial])).finish()

    def _prove(self, point: LedgerPoint, claim: SettlementClaim) -> bytes:
        """Prove a claim whose counts are right, whatever else is wrong with it."""
        genesis, total = self._ledger.definition, _sum_of(point.state, claim.year)
        return prove_settlement(claim, genesis, total, opener_key(), self._random.randbytes)

    def _open(self, bank: Bank, pair: KeepBallots) -> None:
        """Open one of two ballots with one tag, and hand the proof to the bank that kept them."""
        point = bank.disk.point
        assert isinstance(point, LedgerPoint), "evidence is judged by the production ledger"
        active_set = point.state.active_set_at(point.genesis, pair.height)
        if active_set is None:
            return
        key = (pair.first, pair.second)
        item = self._opened.get(key)
        if item is None:
            first, second = sorted(key)
            opening = self._ledger.ballot_oracle.open(first, active_set)
            accused = active_set.banks[opening.index]
            item = self._opened[key] = encode_item(
                DoubleBallot(accused, pair.height, pair.view, first, second, opening)
            )
        self._cluster.deliver(bank, MessageReceived(bank.index, Evidence(item)))

    def _hand_in(self, guide: Bank, identifier: TransactionId) -> None:
        self._cluster.receive_transaction(guide, identifier)
        self._cluster.gossip(guide.index, identifier)


def _oldest_unsettled(state: LedgerState) -> FiscalYear | None:
    """Return the lowest year with a pot or a tally, which comes next."""
    years = [pot.year for pot in state.pots] + [tally.year for tally in state.tallies]
    return min(years, default=None)


def _year_of(point: LedgerPoint) -> FiscalYear:
    genesis = point.genesis
    return fiscal_year(genesis.parameters, genesis.time_ms, point.state.time_ms)


def _sum_of(state: LedgerState, year: FiscalYear) -> bytes:
    return next((tally.ciphertext_sum for tally in state.tallies if tally.year == year), EMPTY_SUM)
