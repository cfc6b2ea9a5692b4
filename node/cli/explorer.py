"""What `tx`, `block` and `proof` share: reading ids, times and seals in words."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from node.cli.failure import EXIT_USAGE, CommandFailed
from node.ledger.ballots import BallotCertificate
from node.ledger.types import TransactionId

_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)


def read_transaction_id(text: str) -> TransactionId:
    """Read 64 hexadecimal digits; raises `CommandFailed`.

    A bank is asked for one transaction and knows no prefixes, so neither does this.
    """
    digits = text.strip().lower()
    if not _ID.fullmatch(digits):
        raise CommandFailed(
            f"{text!r} is not the id of a transaction: 64 hexadecimal digits",
            "copy the id whole",
            EXIT_USAGE,
        )
    return TransactionId(bytes.fromhex(digits))


def read_id(text: str) -> bytes | None:
    """Return the 32 bytes of an id, None if the text is no id."""
    digits = text.strip().lower()
    return bytes.fromhex(digits) if _ID.fullmatch(digits) else None


def utc_time(time_ms: int) -> str:
    """Return a header's time for people, in UTC to the millisecond."""
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{time_ms % 1000:03d} UTC"


def seal_text(certificate: BallotCertificate, active_banks: int) -> str:
    """Return what a verified ballot certificate shows, in a sentence."""
    view = f" in view {certificate.view}" if certificate.view else ""
    return (
        f"{len(certificate.ballots)} approving ballots{view}, by as many of the {active_banks} "
        "active banks; which of them, the ballots do not show"
    )
