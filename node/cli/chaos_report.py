"""What a chaos campaign did and what became of it, for people and for programs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from node.cli.chaos_memory import MemoryGrowth
from node.cli.chaos_plan import ActKind
from node.runtime.consortium_directory import short_name

REJOIN_WITHIN_S = 10.0
"""A killed bank votes again within this time of being started."""


@dataclass(frozen=True, slots=True)
class Done:
    """One act that was carried out."""

    kind: ActKind
    bank: int | None
    detail: str
    begun_s: float
    """Since the campaign began."""
    recovered_s: float | None
    """From the end of the fault (a killed process: from its start) until the bank, or all banks,
    had caught up, were linked and could vote; None if that did not come."""


@dataclass(frozen=True, slots=True)
class ChaosReport:
    """The outcome of a campaign."""

    seed: int
    banks: int
    acts: tuple[Done, ...]
    skipped: int
    """Acts whose bank could not be reached for them."""
    most_faulty: int
    """Banks that were faulty at one time, apart from what struck all."""
    fault_budget: int
    seconds: float
    heights: int
    """Blocks sealed during the campaign."""
    longest_stall_s: float
    """Without a new block, although the fault budget was kept and payments waited."""
    memory_growth_percent: MemoryGrowth | None
    """Of the processes that lived for long, warm to end; None if there are none."""
    acknowledged: int
    """Payments whose seal the payer verified."""
    unsettled: int
    """Payments that were neither sealed nor refused in the end."""
    lost: tuple[str, ...]
    """Acknowledged payments that a bank does not have, with the bank."""
    liars: tuple[int, ...]
    """Banks that were made to lie."""
    convicted: tuple[int, ...]
    """Banks against which the ledger recorded evidence."""
    equal_roots: bool
    doctor_clean: bool
    findings: tuple[str, ...]
    """The doctor's."""

    @property
    def falsely_convicted(self) -> tuple[int, ...]:
        return tuple(bank for bank in self.convicted if bank not in self.liars)

    @property
    def unrecovered(self) -> tuple[Done, ...]:
        return tuple(act for act in self.acts if act.recovered_s is None)

    @property
    def slowest_rejoin_s(self) -> float | None:
        """Of a killed bank; None if none was killed."""
        return max(self._recoveries(ActKind.KILL), default=None)

    @property
    def held(self) -> bool:
        """Whether everything is as it must be."""
        return not (self.lost or self.falsely_convicted or self.unrecovered) and (
            self.equal_roots and self.doctor_clean and self.most_faulty <= self.fault_budget
        )

    def to_json_object(self) -> dict[str, object]:
        """Return every field by name, with the verdict and a summary of each kind of act."""
        return {
            "held": self.held,
            **asdict(self),
            "falsely_convicted": self.falsely_convicted,
            "slowest_rejoin_s": self.slowest_rejoin_s,
            "kinds": {
                kind.name.lower(): {
                    "count": len(self._of(kind)),
                    "recovery_s_median": _median(self._recoveries(kind)),
                    "recovery_s_slowest": max(self._recoveries(kind), default=None),
                }
                for kind in ActKind
                if self._of(kind)
            },
        }

    def table(self) -> list[tuple[str, str, str, str]]:
        """Return a row for each kind of act: what, how often, median and slowest recovery."""
        return [
            (
                kind.value,
                str(len(self._of(kind))),
                _seconds(_median(self._recoveries(kind))),
                _seconds(max(self._recoveries(kind), default=None)),
            )
            for kind in ActKind
            if self._of(kind)
        ]

    def lines(self) -> list[str]:
        """Return the rest of the report as a person reads it."""
        names = ", ".join(map(short_name, self.liars)) or "none"
        convicted = ", ".join(map(short_name, self.convicted)) or "none"
        lines = [
            f"{len(self.acts)} acts in {self.seconds:.0f} s by seed {self.seed}, at most "
            f"{self.most_faulty} banks faulty at a time (budget {self.fault_budget})",
            f"{self.heights} blocks sealed, longest stall within the budget "
            f"{self.longest_stall_s:.1f} s",
            f"{self.acknowledged} payments acknowledged, present on every bank: "
            f"{'yes' if not self.lost else 'NO'}, lost: {len(self.lost)}",
            f"banks made to lie: {names}; convicted: {convicted}; "
            f"false convictions: {len(self.falsely_convicted)}",
            f"equal roots: {_yes(self.equal_roots)}; doctor clean: {_yes(self.doctor_clean)}",
        ]
        if self.slowest_rejoin_s is not None:
            late = sum(item > REJOIN_WITHIN_S for item in self._recoveries(ActKind.KILL))
            lines.insert(
                1,
                f"slowest rejoin after kill -9: {self.slowest_rejoin_s:.1f} s "
                f"({late} over {REJOIN_WITHIN_S:.0f} s)",
            )
        if self.memory_growth_percent is not None:
            grown = self.memory_growth_percent
            lines.append(
                f"resident memory of all banks grew by {grown.all_banks:.1f} %, "
                f"of the one that grew most by {grown.most:.1f} %"
            )
        if self.unsettled:
            lines.append(f"{self.unsettled} payments are still open: they were promised to nobody")
        lines += [f"not recovered: {act.kind} {act.detail}" for act in self.unrecovered]
        lines += [f"LOST: {item}" for item in self.lost]
        lines += list(self.findings)
        lines.append("everything held" if self.held else "NOT everything held")
        return lines

    def _of(self, kind: ActKind) -> list[Done]:
        return [act for act in self.acts if act.kind is kind]

    def _recoveries(self, kind: ActKind) -> list[float]:
        return [act.recovered_s for act in self._of(kind) if act.recovered_s is not None]


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


def _yes(value: bool) -> str:
    return "yes" if value else "NO"
