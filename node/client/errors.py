"""Errors of the client: the type says who is at fault and what to do next.

`LedgerError` is what a bank answered or failed to answer, `VerificationError` is a bank (or what
stands between) showing something no quorum certified, `WalletError` is the owner's own file,
passphrase or funds.
"""

from __future__ import annotations

from collections.abc import Sequence

from node.ledger.rejection import Reason


class ClientError(Exception):
    """Base of every error this package raises on purpose."""


class LedgerError(ClientError):
    """A call to the ledger did not succeed."""

    def __init__(
        self,
        message: str,
        *,
        status: str = "UNKNOWN",
        reason_code: str = "",
        endpoint: str = "",
        retry_delay_ms: int | None = None,
    ) -> None:
        coded = f"{reason_code}: {message}" if reason_code else message
        super().__init__(f"{endpoint}: {coded}" if endpoint else coded)
        self.message = message
        self.status = status
        """Name of the gRPC status, for example `UNAVAILABLE`."""
        self.reason_code = reason_code
        """The bank's reason, for example `bin-open`; empty if it gave none."""
        self.endpoint = endpoint
        self.retry_delay_ms = retry_delay_ms
        """What the bank asked us to wait before trying the same again; None if that is no use."""


class TransactionRefused(LedgerError):
    """The bank refuses the transaction under the ledger's rules; `reason` says which."""

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        status: str = "UNKNOWN",
        endpoint: str = "",
        retry_delay_ms: int | None = None,
    ) -> None:
        super().__init__(
            message,
            status=status,
            reason_code=reason.value,
            endpoint=endpoint,
            retry_delay_ms=retry_delay_ms,
        )
        self.reason = reason


class NotYet(LedgerError):
    """What was asked for is on its way: a bin that still fills, a transaction not sealed yet."""


class LedgerOverloaded(LedgerError):
    """The bank has no room now (RESOURCE_EXHAUSTED); the same bytes may be sent again later."""


class SubmissionUnsettled(LedgerError):
    """Nobody answered whether a transaction was taken: hand in the same bytes again, no others."""

    def __init__(self, cause: LedgerError, transaction_id: bytes, raw: bytes) -> None:
        super().__init__(
            f"the fate of transaction {transaction_id.hex()} is open: {cause}",
            status=cause.status,
            endpoint=cause.endpoint,
            retry_delay_ms=cause.retry_delay_ms,
        )
        self.transaction_id = transaction_id
        self.raw = raw


class LedgerUnavailable(LedgerError):
    """No configured bank could be reached, or none was ready."""


class BeforeSnapshot(LedgerUnavailable):
    """The bank joined by a snapshot and does not hold what is older: other banks do."""

    first_height = 1
    """The lowest height above genesis at which it holds whole blocks: its own claim."""


class LedgerTimeout(LedgerError):
    """The deadline passed; for a submission that leaves its fate open until it is looked up."""


class RecordNotFound(LedgerError):
    """The bank knows no such transaction, block or bin."""


class AccessDenied(LedgerError):
    """The client's certificate is missing, foreign, expired or of the wrong role."""


class RequestInvalid(LedgerError):
    """The bank could not make sense of the request itself."""


class LedgerFault(LedgerError):
    """The bank failed inside; its message carries an id that its operator can look up."""


class CredentialsInvalid(ClientError):
    """The certificate or key files are missing or unreadable; the message names the file."""


class AddressInvalid(ClientError):
    """The text is not an address: wrong prefix, length or character, or a typing error."""


class AmountInvalid(ClientError):
    """The text is not an amount of the asset."""


class ProofFileInvalid(ClientError):
    """The file is not an inclusion proof: nothing of it was verified."""


class VerificationError(ClientError):
    """What a bank showed us is not certified by a quorum. Never the owner's fault."""


class HeaderInvalid(VerificationError):
    """The header is malformed or of another chain or height."""


class SealInvalid(VerificationError):
    """The seal is malformed or does not certify the header."""


class ActiveSetInvalid(VerificationError):
    """The chain of active-set changes from genesis does not hold."""


class InclusionInvalid(VerificationError):
    """The Merkle path does not lead from the transaction to the certified root."""


class StateInvalid(VerificationError):
    """The ledger state is not the one the sealed header commits to."""


class RecordsInvalid(VerificationError):
    """Notes, nullifiers or bins do not add up to the certified accumulators."""


class LedgerBehind(VerificationError):
    """The bank shows less of the ledger than is known to be sealed: it lags, or it hides."""


class WalletError(ClientError):
    """Something about the wallet itself."""


class WalletExists(WalletError):
    """A wallet of that name is already there; nothing was overwritten."""


class WalletNotFound(WalletError):
    """There is no wallet of that name."""


class WalletNameInvalid(WalletError):
    """The name cannot be a file name of a wallet."""


class WrongPassphrase(WalletError):
    """The passphrase or key file does not open the wallet, or the file was altered.

    Authenticated encryption cannot tell the two apart.
    """


class WalletCorrupt(WalletError):
    """The file is not a wallet, is cut short, or is of an unknown version."""


class WalletLocked(WalletError):
    """Another process holds this wallet open."""


class WrongConsortium(WalletError):
    """The wallet belongs to another chain than the ledger it was connected to."""


class GovernanceInvalid(ClientError):
    """A stake movement or readmission that the ledger would refuse as it stands."""


class PaymentInvalid(WalletError):
    """The order itself cannot be carried out: amount, memo, address or asset."""


class InsufficientFunds(WalletError):
    """The spendable notes do not cover amount and fee."""

    def __init__(self, needed: int, spendable: int, maturing: int, pending: int) -> None:
        super().__init__(
            f"{needed} minor units are needed; {spendable} are spendable, "
            f"{maturing} mature soon, {pending} wait for pending payments"
        )
        self.needed = needed
        self.spendable = spendable
        self.maturing = maturing
        self.pending = pending


class ConsolidationNeeded(WalletError):
    """The funds suffice, but are spread over more notes than one transaction may spend."""

    def __init__(self, needed: int, largest: Sequence[int]) -> None:
        super().__init__(
            f"{needed} minor units are needed, but the {len(largest)} largest notes hold "
            f"{sum(largest)} together; merge notes first with `consolidate`"
        )
        self.needed = needed
        self.largest = tuple(largest)


class PaymentFailed(WalletError):
    """The payment cannot be sealed any more; its notes are free again or were spent elsewhere."""
