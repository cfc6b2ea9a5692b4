"""A transaction with steps 8.1-8.6 behind it: only its group equations are left, and the subgroup
checks if they were left to the batch (IDX1 10.4, 10.6)."""

from dataclasses import dataclass

from crypto.accumulator import Accumulator, value_row
from crypto.curve import Point
from crypto.errors import Reason
from crypto.issue import IssueEquation
from crypto.range_proof import RangeEquation
from crypto.spend import SpendEquations
from crypto.transaction import Mint, Transfer


@dataclass(frozen=True, slots=True)
class CollectedTransaction:
    """Decoded points and scalars, all challenges drawn; deterministic, weights come with the batch.
    """

    transaction: Transfer | Mint
    core: bytes
    digest: bytes
    state_read: tuple[bytes, ...]
    """The digests of the bins it spends from, in input order."""
    unchecked_points: tuple[Point, ...]
    """Points of step 8.3 whose subgroup check is left to the batch."""
    output_commitments: tuple[Point, ...]
    """C_out,j."""
    input_commitments: tuple[Point, ...]
    """C'_i of every input but the last."""
    range_equation: RangeEquation
    spend_equations: tuple[SpendEquations, ...]
    issue_equation: IssueEquation | None

    @property
    def transaction_id(self) -> bytes:
        """The hash of all bytes of the transaction."""
        return self.transaction.transaction_id

    @property
    def equation_kinds(self) -> tuple[Reason, ...]:
        """The reasons its equations can fail with, in the order of IDX1 8.7."""
        if self.issue_equation is None:
            return (Reason.RANGE, Reason.SPEND)
        return (Reason.RANGE, Reason.ISSUE)

    def accumulate(self, accumulator: Accumulator, only: Reason | None = None) -> None:
        """Add every equation, or those of one kind alone, each under its own fresh weight.

        C_out,j gets one coefficient for all equations it stands in, and the derived C' of the last
        input costs no point of its own (IDX1 10.6).
        """
        asset = self.transaction.asset
        coefficients = [0] * len(self.output_commitments)
        if only in (None, Reason.RANGE):
            weight = accumulator.draw_weight()
            coefficients = self.range_equation.accumulate(accumulator, asset, weight)
        shared = 0
        if self.spend_equations and only in (None, Reason.SPEND):
            shared = self._accumulate_spends(accumulator)
        if self.issue_equation is not None and only in (None, Reason.ISSUE):
            weight = accumulator.draw_weight()
            shared = self.issue_equation.accumulate(accumulator, asset, weight)
        accumulator.add_left(self.output_commitments, [value + shared for value in coefficients])

    def _accumulate_spends(self, accumulator: Accumulator) -> int:
        # C'_last = sum C_out + (fee + redeem) H - sum C'_i (IDX1 7.1)
        transaction = self.transaction
        assert isinstance(transaction, Transfer)
        *published, derived = [spend.accumulate(accumulator) for spend in self.spend_equations]
        accumulator.add_left(self.input_commitments, [value - derived for value in published])
        public_amount = transaction.fee + transaction.redeem
        accumulator.add_right(value_row(transaction.asset), -derived * public_amount)
        return derived
