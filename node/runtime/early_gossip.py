"""Which clients' transactions are told to the other banks before this bank has verified them.

Verifying first and telling then makes a payment wait for two batches of verification, one here and
one everywhere else; told at once, all banks verify it at the same time. What is told so is marked,
and nobody believes it: a bank admits what it has verified itself, as ever.

It lets a client whose proofs are bad make every bank search a batch for them. So a client earns it
with transactions that were admitted, each refusal forfeits it, only so many are under way at a
time, and a bad proof ends it for all clients of this bank for a while. The architecture's "an
admitted transaction goes once to each peer" holds for everything else, and whenever this rests.
"""

from __future__ import annotations

from collections import OrderedDict

from node.ledger.rejection import Reason, Rejection
from node.runtime.verification_lanes import BAD_PROOFS

EARNED_AFTER = 20
"""Admitted transactions of a client since the last one that was refused."""
UNDER_WAY_LIMIT = 64
"""Of all clients. More bad ones than these cannot be under way when the first is found."""
REST_S = 600.0
"""How long nothing is told early after a bad proof that was."""
CLIENTS_REMEMBERED = 10_000
ABOUT_NO_CLIENT = frozenset({Reason.MEMPOOL_FULL, Reason.DUPLICATE_TRANSACTION})
"""A transaction that was told early may be sealed before this bank has verified it."""


class EarlyGossip:
    """The standing of clients, and how many of their transactions are under way."""

    def __init__(self) -> None:
        self._admitted: OrderedDict[str, int] = OrderedDict()
        """By client, since its last refusal; the one that was heard of longest ago comes first."""
        self._under_way = 0
        """Told to the other banks, and not judged here yet."""
        self._rests_until_s = 0.0
        """Monotonic."""

    def begin(self, client: str, now_s: float) -> bool:
        """Return whether a transaction may be told now; if so, it is under way until `end`."""
        if (
            self._admitted.get(client, 0) < EARNED_AFTER
            or self._under_way >= UNDER_WAY_LIMIT
            or now_s < self._rests_until_s
        ):
            return False
        self._under_way += 1
        return True

    def end(self) -> None:
        """One that was under way is so no more, for whatever reason."""
        self._under_way -= 1

    def admitted(self, client: str) -> None:
        """A transaction of the client was admitted."""
        self._admitted[client] = self._admitted.pop(client, 0) + 1
        if len(self._admitted) > CLIENTS_REMEMBERED:
            self._admitted.popitem(last=False)

    def refused(self, client: str, rejection: Rejection, *, was_told: bool, now_s: float) -> bool:
        """A transaction of the client was refused, one that was told early or another.

        Returns whether nothing is told early any more for a while.
        """
        if rejection.reason in ABOUT_NO_CLIENT or rejection.reason.is_not_yet:
            return False
        self._admitted.pop(client, None)
        rests = was_told and rejection.reason in BAD_PROOFS
        if rests:
            self._rests_until_s = now_s + REST_S
        return rests
