"""What a wallet does when a bank refuses its payment.

Rebuilding is always safe: a rebuilt payment spends the same notes, so the ledger seals at most
one of its transactions.
"""

from __future__ import annotations

from enum import Enum

from node.ledger.rejection import Reason


class Reaction(Enum):
    """The next step after a refusal."""

    REBUILD = "rebuild"
    """These bytes can never be sealed, others for the same payment can."""
    RESEND = "resend"
    """The bank has not come as far as we have: the same bytes again, a moment later."""
    LOOK = "look"
    """The ledger may already hold the payment, or it is being decided: look before acting."""
    GIVE_UP = "give up"
    """The payment itself is impossible, or the bank does not follow the rules."""


_REACTIONS = {
    Reason.EXPIRED: Reaction.REBUILD,
    # Somebody saw the pending transaction and published its one-time key first (IDX1 12.4).
    Reason.NOTE: Reaction.REBUILD,
    Reason.BIN_UNKNOWN: Reaction.RESEND,
    Reason.BIN_OPEN: Reaction.RESEND,
    Reason.EXPIRY_TOO_FAR: Reaction.RESEND,
    Reason.MEMPOOL_FULL: Reaction.RESEND,
    Reason.NULLIFIER: Reaction.LOOK,
    Reason.DUPLICATE_TRANSACTION: Reaction.LOOK,
}


def reaction_to(reason: Reason) -> Reaction:
    """Return the next step after a refusal with this reason."""
    return _REACTIONS.get(reason, Reaction.GIVE_UP)
