"""A run as a value: what goes wrong, and when. Derived from a seed, and cut down after a violation.

A schedule is data: dropping one disturbance from it leaves all others what they are, because
nothing is drawn from a shared generator when it is played. Times are milliseconds of virtual time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from node.ledger.types import BankIndex


@dataclass(frozen=True, slots=True)
class Weather:
    """The network of all links, from now on."""

    at_ms: int
    loss: float
    duplication: float
    max_delay_ms: int

    def __str__(self) -> str:
        return (
            f"network: {self.loss:.0%} lost, {self.duplication:.0%} twice, "
            f"up to {self.max_delay_ms} ms late"
        )


@dataclass(frozen=True, slots=True)
class Partition:
    """Messages from `inside` to the others are lost until `until_ms`; both ways or one."""

    at_ms: int
    until_ms: int
    inside: frozenset[BankIndex]
    one_way: bool

    def __str__(self) -> str:
        banks = ", ".join(map(str, sorted(self.inside)))
        way = "is not heard outside" if self.one_way else "is cut off"
        return f"partition until {self.until_ms}: {{{banks}}} {way}"


@dataclass(frozen=True, slots=True)
class Crash:
    """One bank loses power, and comes back from disk at `until_ms`."""

    at_ms: int
    until_ms: int
    bank: BankIndex

    def __str__(self) -> str:
        return f"bank {self.bank} loses power until {self.until_ms}"


@dataclass(frozen=True, slots=True)
class Flicker:
    """Until `until_ms`, every bank may lose power between any two effects."""

    at_ms: int
    until_ms: int
    chance: float

    def __str__(self) -> str:
        return f"until {self.until_ms} every effect may be a bank's last: {self.chance:.2%}"


@dataclass(frozen=True, slots=True)
class Blackout:
    """All banks lose power at once and come back from disk, each at its own moment."""

    at_ms: int
    max_absence_ms: int

    def __str__(self) -> str:
        return f"blackout: every bank is back within {self.max_absence_ms} ms"


@dataclass(frozen=True, slots=True)
class BlackoutAtEvidence:
    """From now on all banks lose power at once as soon as one of them holds evidence that is in a
    block on few disks at most. Whoever has that block stays down until everything heals."""

    at_ms: int

    def __str__(self) -> str:
        return "blackout as soon as evidence is stored"


@dataclass(frozen=True, slots=True)
class Departure:
    """A bank that stays down when everything heals is down from now on."""

    at_ms: int
    bank: BankIndex

    def __str__(self) -> str:
        return f"bank {self.bank} loses power for good"


@dataclass(frozen=True, slots=True)
class LateJoiner:
    """One bank is not there before `until_ms`."""

    at_ms: int
    until_ms: int
    bank: BankIndex

    def __str__(self) -> str:
        return f"bank {self.bank} first starts at {self.until_ms}"


@dataclass(frozen=True, slots=True)
class RestoredBackup:
    """A bank's database is put back to how it stood at `at_ms`, at `until_ms` (BFT-12 D4)."""

    at_ms: int
    until_ms: int
    bank: BankIndex

    def __str__(self) -> str:
        return f"bank {self.bank} is backed up, and at {self.until_ms} restored from it"


@dataclass(frozen=True, slots=True)
class ClockSkew:
    """One bank's clock is off by so much, from now on."""

    at_ms: int
    bank: BankIndex
    offset_ms: int

    def __str__(self) -> str:
        return f"the clock of bank {self.bank} is off by {self.offset_ms} ms"


@dataclass(frozen=True, slots=True)
class SlowValidation:
    """Until `until_ms` a validation takes seconds, by this chance."""

    at_ms: int
    until_ms: int
    chance: float

    def __str__(self) -> str:
        return f"until {self.until_ms} validation is slow in {self.chance:.0%} of cases"


@dataclass(frozen=True, slots=True)
class PoisonedBlock:
    """A Byzantine bank puts an invalid transaction into its next block (E5 or E6)."""

    at_ms: int
    bank: BankIndex

    def __str__(self) -> str:
        return f"bank {self.bank} puts an invalid transaction into its next block"


Disturbance = (
    Weather
    | Partition
    | Crash
    | Flicker
    | Blackout
    | BlackoutAtEvidence
    | Departure
    | LateJoiner
    | RestoredBackup
    | ClockSkew
    | SlowValidation
    | PoisonedBlock
)


@dataclass(frozen=True, slots=True)
class ByzantineBank:
    """One bank and how it misbehaves; `style` None is a member of the coalition."""

    bank: BankIndex
    style: str | None

    def __str__(self) -> str:
        return f"bank {self.bank} is Byzantine: {self.style or 'member of the coalition'}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """Everything that one run depends on."""

    profile: str
    seed: int
    bank_count: int
    slash_floor_percent: int
    fiscal_year_seconds: int | None
    settlement: bool
    """Whether the regulator settles fiscal years; if not, the banks carry their pots on."""
    readmission: bool
    """Whether operators let removed banks in again."""
    memoise: bool
    """Whether banks share the results of pure functions."""
    load_period_ms: int
    trouble_ms: int
    """When everything heals."""
    byzantine: tuple[ByzantineBank, ...]
    gone: frozenset[BankIndex]
    """Banks that stay down when everything else heals."""
    disturbances: tuple[Disturbance, ...] = field(default=())

    @property
    def parts(self) -> tuple[Disturbance | ByzantineBank, ...]:
        """What can be left out, to see whether it matters."""
        return (*self.byzantine, *self.disturbances)

    def script(self) -> list[str]:
        """Return the schedule as lines to read."""
        lines = [
            f"{self.bank_count} banks, a transaction every {self.load_period_ms} ms, "
            f"slash floor {self.slash_floor_percent} %{self._years()}"
        ]
        lines += [f"       {bank}" for bank in self.byzantine]
        in_order = sorted(self.disturbances, key=lambda item: item.at_ms)
        lines += [f"{item.at_ms:>6} {item}" for item in in_order]
        gone = f", but {sorted(self.gone)} stay down" if self.gone else ""
        lines.append(f"{self.trouble_ms:>6} everything heals{gone}")
        return lines

    def _years(self) -> str:
        if self.fiscal_year_seconds is None:
            return ""
        who = "" if self.settlement else ", which nobody settles"
        return f", fiscal years of {self.fiscal_year_seconds} s{who}"
