"""Which proven offences may be punished, and what a punishment costs (BFT-12 9, 10, 18).

That an item proves its offence is settled before (`VerifiedEvidence`). Here are the rules that
read the state: the accused was active, the offence lies inside the evidence window, and its key was
not punished before. Punished keys older than the window are forgotten, which is safe because
evidence about their heights is refused for its age ever after.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from node.ledger.active_set import MINIMUM_BANKS
from node.ledger.blocks import EVIDENCE_BUDGET_BYTES, MAX_EVIDENCE, MAX_EVIDENCE_BYTES
from node.ledger.effects import Punishment
from node.ledger.genesis import Genesis
from node.ledger.offences import VerifiedEvidence
from node.ledger.rejection import Reason, Rejection
from node.ledger.state import BankState, LedgerState, PunishedOffence
from node.ledger.types import Amount, BankIndex

SLASH_PERCENT = (5, 10, 20)
"""Share of the current stake that the first, the second and every later offence cost."""

LENGTH_PREFIX_BYTES = 4


def slash_percent(ordinal: int) -> int:
    """Return what a bank's `ordinal`-th punished offence costs, in percent of its stake."""
    return SLASH_PERCENT[min(ordinal, len(SLASH_PERCENT)) - 1]


def check_offence(genesis: Genesis, state: LedgerState, evidence: VerifiedEvidence) -> None:
    """Refuse an offence that the block after `state` may not punish; raises `Rejection`.

    EVIDENCE_WINDOW unless block height - evidence window <= offence's height <= block height,
    EVIDENCE_INACTIVE unless the accused was in that height's active set, under whose hash the
    evidence was checked, EVIDENCE_PUNISHED if its key was punished before.
    """
    next_height, oldest = state.height + 1, state.oldest_punishable(genesis)
    if not oldest <= evidence.height <= next_height:
        raise Rejection(
            Reason.EVIDENCE_WINDOW,
            f"an offence at height {evidence.height} cannot be punished at height {next_height}, "
            f"only those from {oldest} on",
        )
    record = state.set_record_at(evidence.height)
    assert record is not None, "set records cover the evidence window"
    if evidence.bank not in record.banks:
        raise Rejection(
            Reason.EVIDENCE_INACTIVE,
            f"bank {evidence.bank} was not in the active set of height {evidence.height}",
        )
    if evidence.set_hash != record.set_hash:
        raise Rejection(
            Reason.EVIDENCE_INACTIVE,
            f"the evidence was checked under another active set than that of height "
            f"{evidence.height}",
        )
    if is_punished(state, evidence.key):
        raise Rejection(
            Reason.EVIDENCE_PUNISHED,
            f"bank {evidence.bank} was punished for its {evidence.offence} "
            f"at height {evidence.height}",
        )


def is_punished(state: LedgerState, key: PunishedOffence) -> bool:
    """Whether the key was punished inside the evidence window."""
    place = bisect_left(state.punished, key)
    return place < len(state.punished) and state.punished[place] == key


def check_evidence(
    genesis: Genesis, state: LedgerState, evidence: Sequence[VerifiedEvidence]
) -> None:
    """Check a block's whole list: each item, and strictly increasing keys; raises `Rejection`."""
    previous: PunishedOffence | None = None
    for item in evidence:
        if previous is not None and not previous < item.key:
            raise Rejection(Reason.EVIDENCE, "the items are not in increasing order of their keys")
        previous = item.key
        check_offence(genesis, state, item)


def select_evidence(
    genesis: Genesis, state: LedgerState, evidence: Iterable[VerifiedEvidence]
) -> tuple[VerifiedEvidence, ...]:
    """Return what the block after `state` may carry of these, in order: one item per key.

    Of several items with one key the shortest is taken. Older offences come first, as they leave
    the window first; what exceeds the limits of a block waits for the next.
    """
    by_key: dict[PunishedOffence, VerifiedEvidence] = {}
    for item in sorted(evidence, key=lambda item: (item.key, len(item.raw), item.raw)):
        try:
            check_offence(genesis, state, item)
        except Rejection:
            continue
        by_key.setdefault(item.key, item)
    selected: list[VerifiedEvidence] = []
    budget_bytes = EVIDENCE_BUDGET_BYTES
    for item in by_key.values():
        size = LENGTH_PREFIX_BYTES + len(item.raw)
        fits = len(item.raw) <= MAX_EVIDENCE_BYTES and size <= budget_bytes
        if fits and len(selected) < MAX_EVIDENCE:
            selected.append(item)
            budget_bytes -= size
    return tuple(selected)


def punish(bank: BankState, evidence: VerifiedEvidence) -> Punishment:
    """Return what the offence costs the bank as it stands: a share of its stake, rounded down."""
    assert bank.index == evidence.bank, "the accused is punished"
    ordinal = bank.offences + 1
    amount = Amount(bank.stake * slash_percent(ordinal) // 100)
    return Punishment(
        evidence_id=evidence.evidence_id,
        offence=evidence.offence,
        bank=bank.index,
        height=evidence.height,
        stake_before=bank.stake,
        amount=amount,
        stake_after=Amount(bank.stake - amount),
        ordinal=ordinal,
    )


@dataclass(frozen=True, slots=True)
class Deactivation:
    """Who leaves the active set, and who would if it could still shrink (BFT-12 10)."""

    banks: tuple[BankState, ...]
    """All banks, the removed ones inactive."""
    removed: tuple[BankIndex, ...]
    kept_below_floor: tuple[BankIndex, ...]


def deactivate_below_floor(genesis: Genesis, banks: Sequence[BankState]) -> Deactivation:
    """Remove active banks below the slash floor, in increasing index, down to `MINIMUM_BANKS`.

    A stake of exactly the floor's share of the initial stake stays.
    """
    active_count = sum(bank.active for bank in banks)
    after: list[BankState] = []
    removed: list[BankIndex] = []
    kept: list[BankIndex] = []
    for bank in banks:
        if not bank.active or not is_below_floor(genesis, bank):
            after.append(bank)
        elif active_count > MINIMUM_BANKS:
            active_count -= 1
            removed.append(bank.index)
            after.append(replace(bank, active=False))
        else:
            kept.append(bank.index)
            after.append(bank)
    return Deactivation(tuple(after), tuple(removed), tuple(kept))


def is_below_floor(genesis: Genesis, bank: BankState) -> bool:
    """Whether the stake is below SLASH_FLOOR of the initial stake; exactly the floor is not."""
    return bank.stake * 100 < bank.initial_stake * genesis.parameters.slash_floor_percent
