"""How a request fails: an HTTP status, a code, one sentence on what happened, one on what to do."""

from __future__ import annotations

from node.client.errors import (
    AccessDenied,
    ClientError,
    LedgerOverloaded,
    LedgerTimeout,
    LedgerUnavailable,
    NotYet,
    RecordNotFound,
    VerificationError,
)


class PageError(Exception):
    """Becomes `{"error": {"code", "message", "next"}}` with its status."""

    def __init__(self, status: int, code: str, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.advice = advice

    def to_json_object(self) -> dict[str, object]:
        """Return what the browser gets."""
        return {"error": {"code": self.code, "message": self.message, "next": self.advice}}


def not_found(message: str, advice: str = "") -> PageError:
    """Return the failure of a request for what is not there."""
    return PageError(404, "not-found", message, advice)


def invalid(message: str, advice: str = "") -> PageError:
    """Return the failure of a request that makes no sense."""
    return PageError(400, "invalid", message, advice)


def of_client_error(error: ClientError) -> PageError:
    """Return what a failed call to the banks means to the browser; no endpoint, no traceback."""
    message = getattr(error, "message", str(error))
    match error:
        case RecordNotFound():
            return not_found(message)
        case NotYet():
            return PageError(409, "not-yet", message, "ask again in a second")
        case LedgerUnavailable() | LedgerTimeout():
            return PageError(503, "no-bank-answers", "no bank answers", "see `consortium status`")
        case LedgerOverloaded():
            return PageError(503, "overloaded", message, "ask again in a second")
        case AccessDenied():
            return PageError(502, "access-denied", message, "see the server's credentials")
        case VerificationError():
            return PageError(
                502, "not-certified", message, "a bank shows what no quorum sealed: see its logs"
            )
        case _:
            return PageError(502, "bank-failed", message, "see the bank's log")
