"""What a chaos campaign does, drawn by a seed: kinds, victims, how long.

The seed fixes the sequence of acts and for each an order of preference among the banks; which
bank it then is depends on who is free at that moment, because the time that a bank takes to come
back is not the seed's to decide.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from node.ledger.types import BankIndex
from node.wire.operator_records import ByzantineFault, LinkDirection, LinkFault


class ActKind(StrEnum):
    """What can be done to a running consortium."""

    KILL = "kill -9 of a bank"
    PAUSE = "pause of a bank"
    SESSIONS = "end of a bank's database sessions"
    DISCONNECT = "disconnected bank"
    SLOW = "slow and lossy links"
    BYZANTINE = "lying bank"
    DATABASE = "kill -9 of PostgreSQL"
    BLACKOUT = "kill -9 of everything at once"

    @property
    def strikes_all(self) -> bool:
        """Whether it exceeds any fault budget: nothing may be lost, everything may stop."""
        return self in (ActKind.DATABASE, ActKind.BLACKOUT)


class Profile(StrEnum):
    """Which kinds of acts a campaign draws from."""

    CRASH = "crash"
    NETWORK = "network"
    ALL = "all"


_CRASHES = {
    ActKind.KILL: 8,
    ActKind.PAUSE: 3,
    ActKind.SESSIONS: 2,
    ActKind.DATABASE: 1,
    ActKind.BLACKOUT: 1,
}
_NETWORK = {ActKind.DISCONNECT: 4, ActKind.SLOW: 4}
_WEIGHTS = {
    Profile.CRASH: _CRASHES,
    Profile.NETWORK: _NETWORK,
    Profile.ALL: {**_CRASHES, **_NETWORK, ActKind.BYZANTINE: 3},
}

SHORTEST_S, LONGEST_S = 0.5, 6.0
"""How long a fault lasts before it is healed."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How often each act is to happen, for campaigns by number rather than by time."""

    kills: int = 0
    database_kills: int = 0
    blackouts: int = 0

    @property
    def total(self) -> int:
        return self.kills + self.database_kills + self.blackouts


@dataclass(frozen=True, slots=True)
class Act:
    """One thing to do; `bank` is None for what strikes all."""

    kind: ActKind
    bank: BankIndex | None
    lasts_s: float
    fault: LinkFault | ByzantineFault | None = None


class ChaosPlan:
    """Draws acts until the counts are used up, or for ever."""

    def __init__(
        self,
        seed: int,
        banks: Sequence[BankIndex],
        profile: Profile,
        styles: Sequence[str],
        *,
        counts: Counts | None = None,
        liars: int = 1,
    ) -> None:
        """`styles` are the names to lie in; at most `liars` banks ever lie in one campaign."""
        self._random = random.Random(seed)
        self._banks = tuple(banks)
        self._styles = tuple(styles)
        self._weights = _WEIGHTS[profile]
        self._queue: list[ActKind] | None = None
        if counts is not None:
            self._queue = (
                [ActKind.KILL] * counts.kills
                + [ActKind.DATABASE] * counts.database_kills
                + [ActKind.BLACKOUT] * counts.blackouts
            )
            self._random.shuffle(self._queue)
        self.liars = frozenset(self._random.sample(self._banks, min(liars, len(self._banks))))
        """The only banks that this campaign makes lie."""

    def draw(self, free: Collection[BankIndex]) -> Act | None:
        """Return the next act, on a bank that is free; None when everything was done."""
        if self._queue is not None:
            if not self._queue:
                return None
            kind = self._queue.pop()
        else:
            kinds = list(self._weights)
            kind = self._random.choices(kinds, [self._weights[item] for item in kinds])[0]
        preference = self._random.sample(self._banks, len(self._banks))
        lasts_s = self._random.uniform(SHORTEST_S, LONGEST_S)
        fault = self._fault(kind)
        if kind.strikes_all:
            return Act(kind, None, lasts_s)
        if kind is ActKind.BYZANTINE:
            willing = [bank for bank in preference if bank in self.liars and bank in free]
            if not willing:
                kind, fault = ActKind.PAUSE, None
            else:
                return Act(kind, willing[0], lasts_s, fault)
        bank = next((bank for bank in preference if bank in free), preference[0])
        return Act(kind, bank, lasts_s, fault)

    def _fault(self, kind: ActKind) -> LinkFault | ByzantineFault | None:
        chance = self._random
        direction = chance.choice(list(LinkDirection))
        delay_ms, jitter_ms = chance.randint(20, 500), chance.randint(0, 200)
        loss_per_mille = chance.randint(0, 300)
        style, seed = chance.choice(self._styles), chance.getrandbits(32)
        match kind:
            case ActKind.DISCONNECT:
                return LinkFault((), direction, cut=True)
            case ActKind.SLOW:
                return LinkFault((), direction, False, delay_ms, jitter_ms, loss_per_mille)
            case ActKind.BYZANTINE:
                return ByzantineFault(style, seed)
            case _:
                return None
