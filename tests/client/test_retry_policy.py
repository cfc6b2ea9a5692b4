"""The reaction to every reason of the ledger."""

from __future__ import annotations

from node.client.retry_policy import Reaction, reaction_to
from node.ledger.rejection import Reason

EXCEPTIONS = {
    Reason.EXPIRED: Reaction.REBUILD,
    Reason.NOTE: Reaction.REBUILD,
    Reason.BIN_UNKNOWN: Reaction.RESEND,
    Reason.BIN_OPEN: Reaction.RESEND,
    Reason.EXPIRY_TOO_FAR: Reaction.RESEND,
    Reason.MEMPOOL_FULL: Reaction.RESEND,
    Reason.NULLIFIER: Reaction.LOOK,
    Reason.DUPLICATE_TRANSACTION: Reaction.LOOK,
}


def test_every_other_refusal_is_final() -> None:
    assert {reason: reaction_to(reason) for reason in Reason} == {
        reason: EXCEPTIONS.get(reason, Reaction.GIVE_UP) for reason in Reason
    }


def test_what_is_not_yet_is_sent_again() -> None:
    """BFT-12 8: an unknown or open bin is "not yet"."""
    assert [reaction_to(reason) for reason in Reason if reason.is_not_yet] == [
        Reaction.RESEND,
        Reaction.RESEND,
    ]
