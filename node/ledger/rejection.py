"""Why something was refused: one reason enum for transactions, blocks and admission.

The first part repeats the codes of IDX1 8 with the same values, the rest is the ledger's own.
A reason is the machine-readable half of a `Rejection`; its message is for people.
"""

from __future__ import annotations

from enum import StrEnum

from crypto.errors import Rejected


class Reason(StrEnum):
    """Reason codes. Within one judgement the first rule that fails names the reason."""

    LENGTH = "length"
    """The bytes end before the end of what their own header announces (IDX1 8.1)."""
    VERSION = "version"
    """The version byte is not 0x01 (IDX1 8.1)."""
    KIND = "kind"
    """The kind byte names no transaction (IDX1 8.1)."""
    COUNT = "count"
    """The number of inputs or outputs is outside its range (IDX1 8.1)."""
    RESERVED = "reserved"
    """A length field reserved for a later version is not zero (IDX1 8.1)."""
    TRAILING = "trailing"
    """Bytes follow the end of the layout (IDX1 8.1)."""
    FIELD = "field"
    """The amount is zero, or account and redeem do not agree (IDX1 8.1)."""
    CHAIN = "chain"
    """The transaction or header belongs to another ledger (IDX1 8.2, BFT-12 8)."""
    EXPIRED = "expired"
    """The block's height lies above the expiry height (IDX1 8.2)."""
    ISSUER = "issuer"
    """The issuer key is not registered for the asset (IDX1 8.2)."""
    BIN_UNKNOWN = "bin-unknown"
    """An input names a bin that does not exist in the parent state (IDX1 8.2)."""
    BIN_OPEN = "bin-open"
    """An input names a bin that is not closed in the parent state (IDX1 8.2)."""
    BIN_ASSET = "bin-asset"
    """An input names a bin of another asset (IDX1 8.2)."""
    IDENTITY = "identity"
    """A point is encoded as 96 zero bytes (IDX1 8.3)."""
    POINT = "point"
    """A point is not canonical or not on the curve (IDX1 8.3)."""
    SUBGROUP = "subgroup"
    """A point that must lie in the subgroup of prime order does not (IDX1 8.3)."""
    SCALAR = "scalar"
    """A scalar is not below the group order (IDX1 8.4)."""
    NULLIFIER = "nullifier"
    """A note is spent already, or twice in one block or transaction (IDX1 8.5)."""
    NOTE = "note"
    """A one-time key is on the ledger already, or occurs twice (IDX1 8.5)."""
    SIGNATURE = "signature"
    """The issuer's signature does not verify (IDX1 8.6)."""
    RANGE = "range"
    """The range proof does not verify (IDX1 8.7)."""
    SPEND = "spend"
    """A spend proof does not verify (IDX1 8.7)."""
    ISSUE = "issue"
    """The issue proof does not verify (IDX1 8.7)."""
    CONTEXT = "context"
    """A ballot is for another height or round (IDX1 9.6)."""
    MESSAGE = "message"
    """A ballot's decision byte is neither A nor R (IDX1 9.6)."""
    BALLOT = "ballot"
    """A ballot's proof does not verify (IDX1 9.6)."""
    DUPLICATE = "duplicate"
    """A ballot's tag was seen with the same message before (IDX1 9.6)."""
    EQUIVOCATION = "equivocation"
    """A ballot's tag was seen before, with another message (IDX1 9.6)."""

    EXPIRY_TOO_FAR = "expiry-too-far"
    """The expiry lies more than `max_expiry_heights` above the block's height."""
    ASSET = "asset"
    """The asset is not in the genesis."""
    FEE = "fee"
    """The fee is not exactly the flat fee of its kind and asset (BFT-12 18)."""
    REDEEM_ASSET = "redeem-asset"
    """Only the base asset can be redeemed into a public account (BFT-12 18)."""
    PAYOUT_ASSET = "payout-asset"
    """Only the base asset can be paid out of a public account (BFT-12 18)."""
    ACCOUNT = "account"
    """The account to redeem into is no bank's public account."""
    ISSUANCE_LIMIT = "issuance-limit"
    """The bank's issued total would exceed its issuance limit for the asset."""
    INSUFFICIENT_ACCOUNT = "insufficient-account"
    """The bank's public account does not cover the payout."""
    DUPLICATE_TRANSACTION = "duplicate-transaction"
    """The transaction is sealed already, or occurs twice in the block (BFT-12 8)."""

    BANK = "bank"
    """A governance transaction names a bank that is not in the genesis."""
    NONCE = "nonce"
    """A governance transaction does not carry the next nonce: it was done, or is too early."""
    STAKE_EXCESS = "stake-excess"
    """Only what exceeds the initial stake can be withdrawn (BFT-12 18)."""
    STAKE_LIMIT = "stake-limit"
    """The stake would leave the range of amounts."""
    STAKE_BELOW_INITIAL = "stake-below-initial"
    """A bank returns with its initial stake at least (BFT-12 18)."""
    BANK_ACTIVE = "bank-active"
    """The bank to be readmitted is in the active set already (BFT-12 10)."""
    APPROVED_SET = "approved-set"
    """The approvals were given under another active set (BFT-12 18)."""
    APPROVAL_ORDER = "approval-order"
    """The approvals are not in strictly increasing bank index, so one may count twice."""
    APPROVAL_COUNT = "approval-count"
    """Fewer banks approve than the quorum of the active set (BFT-12 18)."""
    APPROVER_INACTIVE = "approver-inactive"
    """An approval comes from a bank outside the active set (BFT-12 18)."""

    YEAR_OPEN = "year-open"
    """No block of a later fiscal year is applied yet (BFT-12 18)."""
    YEAR_ORDER = "year-order"
    """An earlier year comes first, or the block settles another one already (BFT-12 18)."""
    SETTLED = "settled"
    """The fiscal year is settled already (BFT-12 18)."""
    NOTHING_TO_SETTLE = "nothing-to-settle"
    """The fiscal year has neither pot nor ballots, or its pot was carried (BFT-12 18)."""
    COUNTS = "counts"
    """A settlement's counts are not one per bank, or not possible with the ballots (BFT-12 18)."""
    TALLY_PROOF = "tally-proof"
    """The year's ciphertext sum is not proven to hold the counts (BFT-12 18)."""
    DRAW_SEED = "draw-seed"
    """The revealed seed does not lead to the committed one (BFT-12 18)."""
    CARRY_EARLY = "carry-early"
    """A pot is carried by governance only when the year after it is over too (BFT-12 18)."""

    HEIGHT = "height"
    """The header's height is not its parent's plus one (BFT-12 8)."""
    PARENT = "parent"
    """The header names another parent (BFT-12 8)."""
    TIME = "time"
    """The header's time is not after its parent's (BFT-12 8)."""
    PROPOSER = "proposer"
    """The header's creator was not the leader of its height and original view (BFT-12 3, 8)."""
    TRANSACTION_COUNT = "transaction-count"
    """The header's count is not the list's, or exceeds the batch limit (BFT-12 8)."""
    SIZE = "size"
    """The block or transaction is longer than its limit (BFT-12 12)."""
    BALLOTS = "ballots"
    """The ballots are no voting record of the parent, or not those of the root (BFT-12 17)."""
    EVIDENCE = "evidence"
    """An evidence item proves nothing, or the list is out of order or not the root's (BFT-12 9)."""
    EVIDENCE_WINDOW = "evidence-window"
    """The offence lies in the future, or too far back to be punished (BFT-12 9)."""
    EVIDENCE_PUNISHED = "evidence-punished"
    """The accused was punished for this offence already (BFT-12 9)."""
    EVIDENCE_INACTIVE = "evidence-inactive"
    """The accused was not in the active set of the offence's height (BFT-12 9)."""
    TRANSACTIONS_ROOT = "transactions-root"
    """The header's root is not that of the transactions' bytes (IDX1 11)."""
    STATE_ROOT = "state-root"
    """The header's state root is not the result of my own execution (BFT-12 8)."""
    NEXT_SET = "next-set"
    """The header's set hash is not that of the next height's active set (BFT-12 10)."""
    CLOCK = "clock"
    """The header's time is too far ahead of my clock. Subjective: nobody is punished for it."""

    MEMPOOL_FULL = "mempool-full"
    """The bank that was asked has no room now; no verdict on the transaction."""

    @property
    def is_deterministic(self) -> bool:
        """Class D of BFT-12 8: every correct bank with the same parent state agrees."""
        return self not in _SUBJECTIVE

    @property
    def is_not_yet(self) -> bool:
        """The verdict may change with the next block: retry after it, never cache it (BFT-12 8)."""
        return self in _NOT_YET


_SUBJECTIVE = frozenset({Reason.CLOCK, Reason.MEMPOOL_FULL})
_NOT_YET = frozenset({Reason.BIN_UNKNOWN, Reason.BIN_OPEN})


class Rejection(Exception):
    """Input was refused. In a block, `transaction_index` is the position of the offender."""

    def __init__(self, reason: Reason, message: str, transaction_index: int | None = None) -> None:
        at = "" if transaction_index is None else f"transaction {transaction_index}: "
        super().__init__(f"{at}{reason.value}: {message}")
        self.reason = reason
        self.message = message
        self.transaction_index = transaction_index

    @staticmethod
    def of(rejected: Rejected) -> Rejection:
        """Carry a verdict of the cryptography over, with the same code."""
        reason = Reason(rejected.reason.value)
        return Rejection(reason, rejected.detail or reason.value)

    def at(self, transaction_index: int) -> Rejection:
        """Return the same rejection, placed at a position of a block."""
        return Rejection(self.reason, self.message, transaction_index)
