"""The banks' operators: a removed bank tops its stake up, and the others vote it back in; and
together they carry the pot of a year that the regulator has not settled in time.

BFT-12 sections 10 and 18. Their transactions travel like those of clients.
"""

from __future__ import annotations

from functools import partial

from crypto.signature import sign
from node.ledger.governance import (
    GovernanceKind,
    ReadmissionTerms,
    approve_terms,
    assemble_approved,
    sign_stake_movement,
)
from node.ledger.settlement import PotCarryTerms
from node.ledger.settlement_rules import year_to_settle
from node.ledger.state import BankState
from node.ledger.types import Amount, FiscalYear, Height, TransactionId
from node.simulation.engine import Bank, Cluster
from node.simulation.genesis import issuer_secret
from node.simulation.oracle import secret_key
from node.simulation.production_ledger import LedgerPoint, ProductionLedger

GOVERNANCE_EXPIRY_HEIGHTS = 50


class Operators:
    """Look at a bank's ledger now and then and do what is due."""

    def __init__(self, cluster: Cluster, ledger: ProductionLedger) -> None:
        self._cluster = cluster
        self._ledger = ledger
        self.readmit = True
        """Whether removed banks are let in again."""
        self.carry_pots = False
        """Whether pots are carried on once that is allowed."""

    def act_every(self, period_ms: int, until_ms: int) -> None:
        """Look once in every period."""

        def tick() -> None:
            self.act()
            if self._cluster.now_ms + period_ms <= until_ms:
                self._cluster.at(self._cluster.now_ms + period_ms, tick)

        self._cluster.at(self._cluster.now_ms + period_ms, tick)

    def act(self) -> None:
        """Act for the first removed bank and the oldest pot, by the ledger that is furthest."""
        open_banks = [bank for bank in self._cluster.banks if bank.up]
        if not open_banks:
            return
        guide = max(open_banks, key=lambda bank: bank.height)
        point = guide.disk.point
        assert isinstance(point, LedgerPoint), "operators work on the production ledger"
        due = year_to_settle(point.genesis, point.state)
        if self.carry_pots and due is not None:
            self._carry(guide, point, due)
        removed = [bank for bank in point.state.banks if not bank.active]
        if removed and self.readmit:
            self._help(guide, point, removed[0])

    def _help(self, guide: Bank, point: LedgerPoint, removed: BankState) -> None:
        lacking = removed.initial_stake - removed.stake
        expiry = Height(point.header.height + GOVERNANCE_EXPIRY_HEIGHTS)
        if lacking > 0 and removed.balance >= lacking:
            raw = sign_stake_movement(
                kind=GovernanceKind.STAKE_TOP_UP,
                chain_id=point.genesis.chain_id,
                bank=removed.index,
                amount=Amount(lacking),
                nonce=removed.stake_nonce,
                expiry=expiry,
                issuer_secret=issuer_secret(removed.index),
            )
            self._hand_in(guide, raw)
        elif lacking <= 0:
            self._hand_in(guide, self._readmission(point, removed, expiry))

    def _carry(self, guide: Bank, point: LedgerPoint, year: FiscalYear) -> None:
        """Approve in the name of q banks; it is refused until the year after is over too."""
        active = point.active_set
        terms = PotCarryTerms(
            chain_id=point.genesis.chain_id,
            subject=year,
            set_hash=active.set_hash,
            nonce=point.state.governance_nonce,
            expiry=Height(point.header.height + GOVERNANCE_EXPIRY_HEIGHTS),
        )
        approvals = [
            approve_terms(terms, bank, partial(sign, secret_key(bank)))
            for bank in active.banks[: active.quorum]
        ]
        self._hand_in(guide, assemble_approved(terms, approvals))

    def _readmission(self, point: LedgerPoint, removed: BankState, expiry: Height) -> bytes:
        active = point.active_set
        terms = ReadmissionTerms(
            chain_id=point.genesis.chain_id,
            subject=removed.index,
            set_hash=active.set_hash,
            nonce=point.state.governance_nonce,
            expiry=expiry,
        )
        approvals = [
            approve_terms(terms, bank, partial(sign, secret_key(bank)))
            for bank in active.banks[: active.quorum]
        ]
        return assemble_approved(terms, approvals)

    def _hand_in(self, guide: Bank, raw: bytes) -> TransactionId:
        identifier = self._ledger.oracle.register(raw, owned=True)
        self._cluster.receive_transaction(guide, identifier)
        self._cluster.gossip(guide.index, identifier)
        return identifier
