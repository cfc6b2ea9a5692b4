"""From a seed to a schedule: how much goes wrong, and what is promised nevertheless.

`live`: up to n-q faulty banks, crashed for good or Byzantine, and everything else that can happen
to correct ones. Promised is everything, progress after the network heals included.

`safe`: more Byzantine banks than the protocol can live with, up to the 2q-n-1 that it can stand
without a fork. Promised is safety alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from types import MappingProxyType

from node.ledger.active_set import quorum_size
from node.ledger.types import BankIndex
from node.simulation.byzantine import STYLES
from node.simulation.genesis import SHORT_FISCAL_YEARS_S
from node.simulation.schedule import (
    Blackout,
    BlackoutAtEvidence,
    ByzantineBank,
    ClockSkew,
    Crash,
    Departure,
    Disturbance,
    Flicker,
    LateJoiner,
    Partition,
    PoisonedBlock,
    RestoredBackup,
    Schedule,
    SlowValidation,
    Weather,
)

HIGH_SLASH_FLOOR_PERCENT = 96
"""One slash of 5 % removes a bank: the short way to a smaller active set."""
STALL_MS = 4_000
"""Twice T0: a height that began in a partition of this length was given up by everybody."""
LEAST_DARKNESS_MS = 2_666
"""The power goes at the earliest when the first have given up a view."""
UNMEMOISED = 16
"""In one seed of so many, every bank computes everything by itself."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A family of schedules."""

    name: str
    description: str
    make: Callable[[int, int, int | None], Schedule]
    """From seed, number of banks, and Byzantine banks if their number is given."""
    promises_liveness: bool


def schedule_of(
    profile: str, seed: int, *, bank_count: int = 12, byzantine: int | None = None
) -> Schedule:
    """Return the schedule of a seed; raises `KeyError` for an unknown profile."""
    return PROFILES[profile].make(seed, bank_count, byzantine)


def _live(seed: int, bank_count: int, byzantine: int | None) -> Schedule:
    chance = Random(f"live/{seed}/{bank_count}")
    tolerated = bank_count - quorum_size(bank_count)
    faulty = chance.sample(range(bank_count), tolerated) if byzantine is None else []
    if byzantine is None:
        count = chance.choice(range(tolerated + 1))
        faulty = faulty[:count]
        lying = chance.choice([0, 0.7, 1])
        liars = [bank for bank in faulty if chance.random() < lying]
    else:
        liars = faulty = chance.sample(range(bank_count), byzantine)
    gone = frozenset(BankIndex(bank) for bank in faulty if bank not in liars)
    styles = sorted(STYLES)
    trouble_ms = chance.randint(4_000, 9_000)
    drawn = Schedule(
        profile="live",
        seed=seed,
        bank_count=bank_count,
        slash_floor_percent=chance.choice([30, HIGH_SLASH_FLOOR_PERCENT]),
        fiscal_year_seconds=chance.choice([None, *SHORT_FISCAL_YEARS_S]),
        settlement=chance.random() < 0.8,
        readmission=chance.random() < 0.3,
        memoise=seed % UNMEMOISED != 0,
        load_period_ms=chance.choice([150, 300, 600]),
        trouble_ms=trouble_ms,
        byzantine=tuple(
            ByzantineBank(BankIndex(bank), chance.choice(styles)) for bank in sorted(liars)
        ),
        gone=gone,
        disturbances=(
            *_trouble(chance, bank_count, trouble_ms, liars, tolerated - len(faulty)),
            *_departures(chance, sorted(gone), trouble_ms),
            *_blackout_in_a_stall(
                chance,
                bank_count,
                trouble_ms,
                0.6 if len(gone) == tolerated else 0.4 if liars else 0.15,
            ),
            *_blackout_at_evidence(seed, bank_count, trouble_ms, liars),
        ),
    )
    return replace(drawn, disturbances=tuple(filter(_unmasking(drawn), drawn.disturbances)))


def _unmasking(schedule: Schedule) -> Callable[[Disturbance], bool]:
    """Return what leaves a forger of records its own lie: an invalid transaction is found before
    anybody looks at the record, and convicts it first."""
    forgers = {item.bank for item in schedule.byzantine if item.style == "record-forger"}
    return lambda item: not (isinstance(item, PoisonedBlock) and item.bank in forgers)


def _safe(seed: int, bank_count: int, byzantine: int | None) -> Schedule:
    chance = Random(f"safe/{seed}/{bank_count}")
    quorum = quorum_size(bank_count)
    most = 2 * quorum - bank_count - 1
    count = chance.randint(min(bank_count - quorum + 1, most), most)
    count = count if byzantine is None else byzantine
    liars = sorted(chance.sample(range(bank_count), count))
    united = chance.random() < 0.7
    styles = sorted(STYLES)
    trouble_ms = chance.randint(6_000, 12_000)
    return Schedule(
        profile="safe",
        seed=seed,
        bank_count=bank_count,
        slash_floor_percent=chance.choice([30, 30, HIGH_SLASH_FLOOR_PERCENT]),
        fiscal_year_seconds=chance.choice([None, *SHORT_FISCAL_YEARS_S]),
        settlement=True,
        readmission=False,
        memoise=seed % UNMEMOISED != 0,
        load_period_ms=chance.choice([200, 400, 700]),
        trouble_ms=trouble_ms,
        byzantine=tuple(
            ByzantineBank(BankIndex(bank), None if united else chance.choice(styles))
            for bank in liars
        ),
        gone=frozenset(),
        disturbances=_trouble(chance, bank_count, trouble_ms, liars, 1),
    )


def _trouble(
    chance: Random, bank_count: int, end_ms: int, liars: list[int], restorable: int
) -> tuple[Disturbance, ...]:
    """Draw what happens to the network and to correct banks."""
    correct = [BankIndex(bank) for bank in range(bank_count) if bank not in liars]
    items: list[Disturbance] = [_weather(chance, 0)]

    def span(share: float) -> tuple[int, int]:
        begin = chance.randint(0, end_ms - 1)
        return begin, min(end_ms, begin + chance.randint(200, max(201, int(end_ms * share))))

    if chance.random() < 0.3:
        items.append(_weather(chance, chance.randint(1, end_ms)))
    for _ in range(chance.choice([0, 0, 1, 1, 2])):
        inside = chance.sample(range(bank_count), chance.randint(1, bank_count - 1))
        members = frozenset(BankIndex(bank) for bank in inside)
        items.append(Partition(*span(0.5), members, chance.random() < 0.5))
    for _ in range(chance.choice([0, 0, 1, 2, 4])):
        items.append(Crash(*span(0.5), chance.choice(correct)))
    if chance.random() < 0.4:
        items.append(Flicker(*span(1), chance.choice([0.001, 0.003, 0.01])))
    if chance.random() < 0.4:
        items.append(Blackout(chance.randint(200, end_ms), chance.choice([1, 500, 3_000])))
    if chance.random() < 0.25:
        items.append(LateJoiner(0, chance.randint(500, end_ms), chance.choice(correct)))
    if restorable > 0 and chance.random() < 0.35:
        items.append(RestoredBackup(*span(0.8), chance.choice(correct)))
    if chance.random() < 0.5:
        for bank in correct:
            items.append(ClockSkew(0, bank, chance.randint(-2_000, 2_000)))
    if chance.random() < 0.15:
        items.append(ClockSkew(0, chance.choice(correct), 9_000))
    if chance.random() < 0.3:
        items.append(SlowValidation(*span(1), chance.choice([0.05, 0.3])))
    if liars and chance.random() < 0.4:
        bank = BankIndex(chance.choice(liars))
        items.append(PoisonedBlock(chance.randint(0, end_ms // 2), bank))
    return tuple(items)


def _departures(
    chance: Random, gone: list[BankIndex], end_ms: int
) -> tuple[Disturbance, ...]:
    """Some of those who stay away leave early, so that others' recovery has to do without them."""
    return tuple(
        Departure(chance.randint(0, end_ms // 2), bank) for bank in gone if chance.random() < 0.8
    )


def _blackout_in_a_stall(
    chance: Random, bank_count: int, end_ms: int, probability: float
) -> tuple[Disturbance, ...]:
    """Cut the banks in two until all of them have given up the view, and take all power then:
    afterwards a quorum may need every single statement, also those that banks told themselves,
    and nothing remembers an offence that was seen but what is on disk."""
    if chance.random() > probability:
        return ()
    # Early as often as not: a bank that offends at every height is soon removed.
    begin_ms = chance.randint(0, min(end_ms - STALL_MS, chance.choice([1_000, end_ms])))
    least = max(1, bank_count // 4)
    inside = chance.sample(range(bank_count), chance.randint(least, bank_count - least))
    members = frozenset(BankIndex(bank) for bank in inside)
    return (
        Partition(begin_ms, begin_ms + STALL_MS, members, False),
        Blackout(begin_ms + chance.randint(LEAST_DARKNESS_MS, STALL_MS), 1),
    )


def _blackout_at_evidence(
    seed: int, bank_count: int, end_ms: int, liars: list[int]
) -> tuple[Disturbance, ...]:
    """Take all power at the one moment at which evidence is nowhere but on a disk."""
    chance = Random(f"live/{seed}/{bank_count}/evidence")
    if not liars or chance.random() > 0.5:
        return ()
    # From the start as a rule: where one slash removes a bank, its first offence is its last.
    return (BlackoutAtEvidence(chance.choice([0, 0, 0, chance.randint(0, end_ms // 2)])),)


def _weather(chance: Random, at_ms: int) -> Weather:
    return Weather(
        at_ms,
        loss=chance.choice([0, 0, 0.05, 0.15, 0.3]),
        duplication=chance.choice([0, 0.2]),
        max_delay_ms=chance.choice([5, 20, 50, 50, 50, 300, 300, 1_500, 5_000]),
    )


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "live": Profile("live", "up to n-q faulty banks; everything must hold", _live, True),
        "safe": Profile("safe", "up to 2q-n-1 Byzantine banks; safety must hold", _safe, False),
    }
)
