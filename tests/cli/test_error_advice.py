"""From errors to sentences: who cannot be reached, what was refused, what was mistyped."""

from __future__ import annotations

import pytest

from node.cli.error_advice import failure_of
from node.cli.failure import EXIT_FAILED, EXIT_UNREACHABLE, EXIT_USAGE
from node.client import errors as client
from node.ledger.rejection import Reason
from node.runtime.config import ConfigurationError
from node.runtime.running_consortium import ConsortiumRunning
from node.storage.postgres_errors import PostgresStartFailed


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (client.LedgerUnavailable("nobody there"), EXIT_UNREACHABLE),
        (client.LedgerTimeout("too late"), EXIT_UNREACHABLE),
        (client.LedgerOverloaded("full"), EXIT_UNREACHABLE),
        (client.TransactionRefused(Reason.NULLIFIER, "spent"), EXIT_FAILED),
        (client.RecordNotFound("no such block"), EXIT_FAILED),
        (client.SealInvalid("forged"), EXIT_FAILED),
        (client.InsufficientFunds(5, 1, 0, 0), EXIT_FAILED),
        (client.WalletNotFound("no wallet"), EXIT_USAGE),
        (client.AmountInvalid("12,50"), EXIT_USAGE),
        (client.GovernanceInvalid("FY2026 comes first"), EXIT_FAILED),
        (ConfigurationError("node.toml: no bank"), EXIT_USAGE),
        (ConsortiumRunning("it runs already"), EXIT_FAILED),
        (PostgresStartFailed("no room", ""), EXIT_FAILED),
        (PermissionError(13, "Permission denied", "node.toml"), EXIT_FAILED),
        (ZeroDivisionError("division by zero"), EXIT_FAILED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_every_error_has_an_exit_code_and_keeps_its_message(
    error: Exception, exit_code: int
) -> None:
    failure = failure_of(error)
    assert failure.exit_code == exit_code
    assert str(error) in failure.message
