"""From an error of the inside to what a person reads: what happened, and what to do next."""

from __future__ import annotations

from node.cli.failure import EXIT_FAILED, EXIT_UNREACHABLE, EXIT_USAGE, CommandFailed
from node.client import errors as client
from node.ledger.genesis import GenesisInvalid
from node.runtime.config import ConfigurationError
from node.runtime.fault_processes import FaultRefused
from node.runtime.health_check import StartFailed
from node.runtime.initialise import InitialisationRefused
from node.runtime.running_consortium import ConsortiumRunning
from node.storage.errors import StorageError
from node.storage.postgres_errors import PostgresError

_ADVICE: tuple[tuple[type[Exception], int, str], ...] = (
    (client.LedgerUnavailable, EXIT_UNREACHABLE, "see `consortium status`, or start it with `up`"),
    (client.LedgerTimeout, EXIT_UNREACHABLE, "see `consortium status`, then try again"),
    (client.LedgerOverloaded, EXIT_UNREACHABLE, "try again in a moment"),
    (client.SubmissionUnsettled, EXIT_UNREACHABLE, "see `consortium tx` before ordering again"),
    (client.RecordNotFound, EXIT_FAILED, "check the id or height; it may not be sealed yet"),
    (client.NotYet, EXIT_FAILED, "try again in a few seconds"),
    (client.AccessDenied, EXIT_FAILED, "check that --data names the consortium that is running"),
    (client.TransactionRefused, EXIT_FAILED, ""),
    (client.InsufficientFunds, EXIT_FAILED, "see `consortium wallet balance`"),
    (client.AmountInvalid, EXIT_USAGE, "write an amount such as 12 or 12.50"),
    (client.AddressInvalid, EXIT_USAGE, "copy the address whole, or name a wallet"),
    (client.WalletNotFound, EXIT_USAGE, "`consortium wallet list` shows what there is"),
    (client.WalletExists, EXIT_USAGE, "choose another name"),
    (client.WalletNameInvalid, EXIT_USAGE, "choose another name"),
    (client.VerificationError, EXIT_FAILED, "ask another bank; run `consortium doctor`"),
    (client.GovernanceInvalid, EXIT_FAILED, "see `consortium treasury` for stakes and years"),
    (client.ClientError, EXIT_FAILED, ""),
    (InitialisationRefused, EXIT_USAGE, ""),
    (ConfigurationError, EXIT_USAGE, ""),
    (GenesisInvalid, EXIT_USAGE, "restore genesis.json: it must be the one all banks have"),
    (FaultRefused, EXIT_FAILED, ""),
    (ConsortiumRunning, EXIT_FAILED, ""),
    (StartFailed, EXIT_FAILED, ""),
    (PostgresError, EXIT_FAILED, ""),
    (StorageError, EXIT_FAILED, ""),
    (OSError, EXIT_FAILED, "check the path and its permissions"),
)
"""The first class that fits decides; an empty advice is for messages that already carry one."""


def failure_of(error: Exception) -> CommandFailed:
    """Return what the command ends with because of this error."""
    for kind, exit_code, advice in _ADVICE:
        if isinstance(error, kind):
            return CommandFailed(str(error), advice, exit_code)
    return CommandFailed(
        f"this should not have happened: {type(error).__name__}: {error}",
        "run the command again with `consortium --debug` and report what it shows",
    )
