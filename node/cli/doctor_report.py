"""What the doctor found, in a form for people and one for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from node.runtime.consortium_directory import short_name


class FindingKind(StrEnum):
    """What is wrong, by the check that found it."""

    DOWN = "down"
    """The bank does not answer, so nothing of it was checked."""
    CHAIN = "chain"
    """The bank runs another chain."""
    HALTED = "halted"
    """The bank has halted."""
    FAULT = "fault"
    """The bank fails inside when it is asked: what it stores may be corrupt."""
    DATABASE = "database"
    """The bank has lost its database."""
    BEHIND = "behind"
    """The bank did not reach the height of the others in time."""
    DIVERGENCE = "divergence"
    """The bank has another block than most at a height."""
    HEADER = "header"
    """A stored block does not follow from the one before it."""
    SEAL = "seal"
    """The ballots of a stored seal do not certify its block."""
    TRANSACTIONS = "transactions"
    """The bank has another number of transactions than the others."""
    TRANSACTIONS_ROOT = "transactions-root"
    """Stored transactions do not have the Merkle root of their header."""
    PROOF = "proof"
    """A stored transaction does not verify."""
    STATE_ROOT = "state-root"
    """The bank's state is not the one that the sealed header commits to, or not the others'."""
    NULLIFIERS = "nullifiers"
    """The bank's nullifiers are not those of the others, or one is there twice."""
    NOTES = "notes"
    """The bank's notes or bins are not those of the others, or not the certified ones."""
    VOTING_RECORDS = "voting-records"
    """The bank's voting records are not those of the others, or not what its blocks hold."""
    TALLY = "tally"
    """A year's tally in the sealed state is not the sum of the recorded ballots."""
    SETTLEMENT = "settlement"
    """A settlement's proof or its rewards do not follow from what is recorded."""
    TREASURY = "treasury"
    """The bank's treasury is not that of the others, or does not add up with the state."""
    CONSERVATION = "conservation"
    """Money was made or lost."""


_STATE_KINDS = frozenset(
    {
        FindingKind.DOWN,
        FindingKind.CHAIN,
        FindingKind.BEHIND,
        FindingKind.DIVERGENCE,
        FindingKind.STATE_ROOT,
    }
)
"""Findings after which nobody may say that all state roots are identical."""


_COMPARED_KINDS = frozenset(
    {
        FindingKind.DIVERGENCE,
        FindingKind.STATE_ROOT,
        FindingKind.TRANSACTIONS,
        FindingKind.NULLIFIERS,
        FindingKind.NOTES,
        FindingKind.VOTING_RECORDS,
        FindingKind.TREASURY,
    }
)
"""Findings that a comparison between banks makes."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that is wrong."""

    height: int
    """First height it was seen at; 0 if it has none."""
    bank: int
    """-1 for all of them together."""
    kind: FindingKind
    message: str

    def __str__(self) -> str:
        who = "all banks" if self.bank < 0 else short_name(self.bank)
        where = f" at height {self.height}" if self.height else ""
        return f"{who}{where}: {self.message} [{self.kind}]"


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """The outcome of an examination."""

    height: int
    """Up to which the banks were compared."""
    banks: int
    banks_answered: int
    full: bool
    blocks: int
    """Blocks compared at every bank."""
    seals_verified: int
    """By their ballots, at every bank."""
    ballots_verified: int
    """Of the agreed voting record, which all banks share."""
    settlements_verified: int
    roots_recomputed: int
    proofs_verified: int
    """Transactions verified here, from bytes that banks store."""
    proofs_audited: int
    """Transactions that banks verified again themselves, from their own bytes, in all."""
    state_root: str
    """At `height`, as most banks have it."""
    transactions: int
    notes: int
    nullifiers: int
    seconds: float
    findings: tuple[Finding, ...]
    joined: tuple[int, ...] = ()
    """Banks that joined by a snapshot: their history begins there, and is not compared before."""

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    @property
    def state_roots_identical(self) -> bool:
        """Whether every bank was seen to have the same state."""
        return not any(finding.kind in _STATE_KINDS for finding in self.findings)

    @property
    def first_divergence(self) -> Finding | None:
        """What differs between banks at the lowest height, None if nothing does."""
        diverging = [item for item in self.findings if item.kind in _COMPARED_KINDS]
        return min(diverging, default=None)

    def to_json_object(self) -> dict[str, object]:
        """Return every field by name, with the verdict."""
        return {
            "clean": self.clean,
            "state_roots_identical": self.state_roots_identical,
            **asdict(self),
        }

    def lines(self) -> Sequence[str]:
        """Return the report as a person reads it."""
        extent = "everything" if self.full else "a sample"
        lines = [
            f"{self.banks_answered} of {self.banks} banks examined up to height {self.height}: "
            f"{self.transactions} transactions, {self.notes} notes, {self.nullifiers} nullifiers",
            f"{self.seals_verified} seals and {self.ballots_verified} recorded ballots verified, "
            f"settlements computed again: {self.settlements_verified}",
            f"{self.roots_recomputed} Merkle roots recomputed, {self.proofs_verified} "
            f"transactions verified here and {self.proofs_audited} by the banks themselves "
            f"({extent}), {self.seconds:.1f} s",
        ]
        lines += self._joined_lines()
        lines += [str(finding) for finding in sorted(self.findings)]
        if self.clean:
            lines.append(f"clean: {self.banks} identical ledgers, state root {self.state_root}")
        else:
            first = self.first_divergence
            if first is not None:
                lines.append(
                    f"first divergence: {short_name(first.bank)} at height {first.height} "
                    f"({first.kind})"
                )
            noun = "finding" if len(self.findings) == 1 else "findings"
            lines.append(f"NOT clean: {len(self.findings)} {noun}")
        return lines

    def _joined_lines(self) -> list[str]:
        if len(self.joined) == self.banks:
            return [
                "every bank began with a snapshot: nobody here holds the blocks before it; the "
                "banks themselves walk through their lists of notes and nullifiers"
            ]
        return [
            f"{short_name(bank)} joined by a snapshot: other banks hold the blocks before it"
            for bank in self.joined
        ]
