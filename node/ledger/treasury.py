"""The banks' money in one block under construction: stakes, public accounts, pots (BFT-12 18).

Every movement is written down as an account or treasury entry, so that the entries of all blocks
add up to the state's balances, stakes and pots.
"""

from __future__ import annotations

from dataclasses import replace

from node.ledger.effects import (
    AccountEntry,
    AccountEntryKind,
    BlockFees,
    Punishment,
    TreasuryEntry,
    TreasuryKind,
)
from node.ledger.fiscal_year import fiscal_year, label
from node.ledger.genesis import Genesis
from node.ledger.governance import GovernanceKind, StakeMovement
from node.ledger.offences import VerifiedEvidence
from node.ledger.settlement import (
    PotCarry,
    Settlement,
    SettlementOutcome,
    SettlementRow,
    share_pot,
)
from node.ledger.slashing import deactivate_below_floor, punish, slash_percent
from node.ledger.state import BankState, LedgerState, Pot
from node.ledger.types import (
    Amount,
    BankIndex,
    FiscalYear,
    Height,
    TimeMs,
    TransactionId,
)

CREATOR_SHARE = 3
"""One part in three of a block's fees is the creator's (BFT-12 18)."""


class Treasury:
    """Starts from a state and never changes it; methods assume that the rules were checked."""

    def __init__(
        self, genesis: Genesis, state: LedgerState, height: Height, time_ms: TimeMs
    ) -> None:
        self._genesis = genesis
        self._height = height
        self._year = fiscal_year(genesis.parameters, genesis.time_ms, time_ms)
        self._banks = list(state.banks)
        self._pots = {pot.year: pot for pot in state.pots}
        self._account_entries: list[AccountEntry] = []
        self._entries: list[TreasuryEntry] = []
        self._punishments: list[Punishment] = []
        self._readmitted: list[BankIndex] = []
        self._settlement: SettlementOutcome | None = None
        self._settled_through = state.settled_through
        self._draw_commitment = state.draw_commitment
        self.removed: tuple[BankIndex, ...] = ()
        self.kept_below_floor: tuple[BankIndex, ...] = ()

    @property
    def banks(self) -> tuple[BankState, ...]:
        """All banks as they stand, in increasing index."""
        return tuple(self._banks)

    @property
    def pots(self) -> tuple[Pot, ...]:
        """All pots as they stand, in increasing year."""
        return tuple([self._pots[year] for year in sorted(self._pots)])

    @property
    def account_entries(self) -> tuple[AccountEntry, ...]:
        """In the order of the movements."""
        return tuple(self._account_entries)

    @property
    def entries(self) -> tuple[TreasuryEntry, ...]:
        """In the order of the movements."""
        return tuple(self._entries)

    @property
    def punishments(self) -> tuple[Punishment, ...]:
        """In the order of the evidence."""
        return tuple(self._punishments)

    @property
    def readmitted(self) -> tuple[BankIndex, ...]:
        """In transaction order."""
        return tuple(self._readmitted)

    @property
    def settlement(self) -> SettlementOutcome | None:
        """How the block ends a fiscal year, None if it does not."""
        return self._settlement

    @property
    def settled_through(self) -> FiscalYear:
        """The last year that a settlement ended."""
        return self._settled_through

    @property
    def draw_commitment(self) -> bytes:
        """What the next revealed draw seed hashes to, 32 bytes."""
        return self._draw_commitment

    def bank(self, index: BankIndex) -> BankState:
        """Return one bank as it stands."""
        return self._banks[index]

    def punish(self, evidence: VerifiedEvidence) -> None:
        """Move a share of the accused bank's stake into the year's pot."""
        bank = self._banks[evidence.bank]
        punishment = punish(bank, evidence)
        self._punishments.append(punishment)
        self._banks[bank.index] = replace(
            bank,
            stake=punishment.stake_after,
            offences=punishment.ordinal,
            penalties=Amount(bank.penalties + punishment.amount),
        )
        pot = self._pot()
        self._pots[self._year] = replace(
            pot,
            penalties=Amount(pot.penalties + punishment.amount),
            slashed=tuple(sorted({*pot.slashed, bank.index})),
        )
        self._record(
            bank.index,
            punishment.amount,
            TreasuryKind.PENALTY,
            f"{evidence.offence} at height {evidence.height}: "
            f"{slash_percent(punishment.ordinal)} % of {punishment.stake_before}, "
            f"evidence {punishment.evidence_id.hex()}",
        )

    def move(
        self,
        bank: BankIndex,
        kind: AccountEntryKind,
        amount: Amount,
        transaction_id: TransactionId | None,
    ) -> None:
        """Credit or debit a public account, as the kind says."""
        base_asset = self._genesis.base_asset.asset_id
        entry = AccountEntry(bank, kind, base_asset, amount, transaction_id)
        before = self._banks[bank]
        self._banks[bank] = replace(before, balance=Amount(before.balance + entry.change))
        self._account_entries.append(entry)

    def move_stake(self, movement: StakeMovement) -> None:
        """Turn a public account's money into stake, or stake into such money."""
        amount, identity = movement.amount, TransactionId(movement.transaction_id)
        before = self._banks[movement.bank]
        if movement.kind is GovernanceKind.STAKE_TOP_UP:
            change, name = int(amount), "stake top-up"
            kind = AccountEntryKind.STAKE_TOP_UP
            after = replace(before, topped_up=Amount(before.topped_up + amount))
        else:
            change, name = -amount, "stake withdrawal"
            kind = AccountEntryKind.STAKE_WITHDRAWAL
            after = replace(before, withdrawn=Amount(before.withdrawn + amount))
        self._banks[movement.bank] = replace(
            after, stake=Amount(before.stake + change), stake_nonce=before.stake_nonce + 1
        )
        self.move(movement.bank, kind, amount, identity)
        self._record(movement.bank, change, TreasuryKind.STAKE, name)

    def readmit(self, bank: BankIndex) -> None:
        """Let a bank into the active set of the next height."""
        self._banks[bank] = replace(self._banks[bank], active=True)
        self._readmitted.append(bank)

    def settle(self, settlement: Settlement) -> None:
        """Pay a year's pot out to the banks that it rewards, or carry it if there are none."""
        pot = self._take_pot(settlement.year)
        counts = {item.bank: item.count for item in settlement.claim.counts}
        rows = share_pot(pot.total, counts, pot.slashed)
        identity = TransactionId(settlement.transaction_id)
        for row in rows:
            if row.reward:
                self._reward(row, settlement.year, identity)
        paid = sum(row.reward for row in rows)
        carried_to = self._carry(pot.year, Amount(pot.total - paid))
        self._settled_through = settlement.year
        self._draw_commitment = settlement.claim.draw_seed
        self._settlement = SettlementOutcome(
            year=settlement.year,
            pot=pot,
            rows=rows,
            carried=Amount(pot.total - paid),
            carried_to=carried_to,
            draw_seed=settlement.claim.draw_seed,
            transaction_id=identity,
        )

    def carry_pot(self, carry: PotCarry) -> None:
        """Move the pot of a year that nobody settled into the block's year, undivided."""
        pot = self._take_pot(carry.year)
        self._settlement = SettlementOutcome(
            year=carry.year,
            pot=pot,
            rows=(),
            carried=pot.total,
            carried_to=self._carry(pot.year, pot.total),
            draw_seed=None,
            transaction_id=carry.transaction_id,
        )

    def _take_pot(self, year: FiscalYear) -> Pot:
        assert year < self._year, "the pot of a year that is not over"
        return self._pots.pop(year, Pot(year, Amount(0), Amount(0)))

    def _reward(self, row: SettlementRow, year: FiscalYear, settlement: TransactionId) -> None:
        bank = self._banks[row.bank]
        self._banks[row.bank] = replace(bank, rewards=Amount(bank.rewards + row.reward))
        self.move(row.bank, AccountEntryKind.REWARD, row.reward, settlement)
        self._record(
            row.bank,
            row.reward,
            TreasuryKind.REWARD,
            f"{row.count} approvals in {label(year)}",
            year,
        )

    def _carry(self, year: FiscalYear, amount: Amount) -> FiscalYear | None:
        if not amount:
            return None
        pot = self._pot()
        self._pots[self._year] = replace(pot, carried=Amount(pot.carried + amount))
        self._record(
            None, -amount, TreasuryKind.CARRY, f"carried into {label(self._year)}", year
        )
        self._record(None, amount, TreasuryKind.CARRY, f"carried from {label(year)}")
        return self._year

    def remove_below_floor(self) -> None:
        """Take banks below the slash floor out of the active set (BFT-12 10)."""
        deactivation = deactivate_below_floor(self._genesis, self._banks)
        self._banks = list(deactivation.banks)
        self.removed = deactivation.removed
        self.kept_below_floor = deactivation.kept_below_floor

    def share_fees(self, total: Amount, proposer: BankIndex) -> BlockFees:
        """Count the block for its creator, credit its third, put the rest into the year's pot."""
        creator_fee = Amount(total // CREATOR_SHARE)
        creator = self._banks[proposer]
        self._banks[proposer] = replace(
            creator,
            blocks_created=creator.blocks_created + 1,
            creator_fees=Amount(creator.creator_fees + creator_fee),
        )
        if creator_fee:
            self.move(proposer, AccountEntryKind.CREATOR_FEE, creator_fee, None)
        approvers = Amount(total - creator_fee)
        if approvers:
            pot = self._pot()
            self._pots[self._year] = replace(
                pot, approver_fees=Amount(pot.approver_fees + approvers)
            )
            self._record(
                None,
                approvers,
                TreasuryKind.FEE,
                f"approvers' part of the fees of block {self._height}",
            )
        return BlockFees(total, creator_fee, approvers)

    def _pot(self) -> Pot:
        return self._pots.get(self._year, Pot(self._year, Amount(0), Amount(0)))

    def _record(
        self,
        bank: BankIndex | None,
        amount: int,
        kind: TreasuryKind,
        reason: str,
        year: FiscalYear | None = None,
    ) -> None:
        in_year = self._year if year is None else year
        self._entries.append(TreasuryEntry(bank, in_year, amount, kind, reason))
