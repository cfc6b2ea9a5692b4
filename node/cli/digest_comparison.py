"""Comparing what banks store by digests, and finding the first height at which two differ."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence

from node.cli.doctor_report import FindingKind
from node.ledger.types import BankIndex, Height
from node.storage.reading import field_bytes
from node.wire.operator_records import LedgerDigests

DigestsOf = Callable[[BankIndex, Height], Awaitable[LedgerDigests]]
"""Asks a bank for its digests up to a height."""

ASPECTS: Mapping[FindingKind, Callable[[LedgerDigests], object]] = {
    FindingKind.STATE_ROOT: lambda item: item.state_root,
    FindingKind.NULLIFIERS: lambda item: (item.nullifier_count, item.nullifier_digest),
    FindingKind.NOTES: lambda item: (item.note_count, item.note_digest),
    FindingKind.VOTING_RECORDS: lambda item: (
        item.voting_record_count,
        item.voting_record_digest,
    ),
    FindingKind.TREASURY: lambda item: (item.treasury_count, item.treasury_digest),
    FindingKind.TRANSACTIONS: lambda item: item.transaction_count,
}
"""What is compared between banks, by the finding that a difference is."""


def odd_ones(digests: Mapping[BankIndex, LedgerDigests]) -> list[tuple[FindingKind, BankIndex]]:
    """Return each aspect in which a bank differs from most, with the bank."""
    odd: list[tuple[FindingKind, BankIndex]] = []
    for kind, aspect in ASPECTS.items():
        values = {bank: aspect(item) for bank, item in digests.items()}
        common, _ = Counter(values.values()).most_common(1)[0]
        odd += [(kind, bank) for bank, value in values.items() if value != common]
    return odd


async def first_difference(
    kind: FindingKind,
    bank: BankIndex,
    sound: BankIndex,
    height: Height,
    ask: DigestsOf,
    below: int = 0,
) -> Height:
    """Return the first height at which an aspect of two banks differs, by bisection.

    They differ at `height`; at `below` and under it nothing is asked. Digests cover everything up
    to a height, so that a difference stays.
    """
    aspect = ASPECTS[kind]
    above = int(height)
    while above - below > 1:
        middle = Height((below + above) // 2)
        if aspect(await ask(bank, middle)) == aspect(await ask(sound, middle)):
            below = middle
        else:
            above = middle
    return Height(above)


def voting_record_digest(ballots_roots: Sequence[bytes]) -> tuple[int, bytes]:
    """Return count and digest of the voting records that headers commit to.

    `ballots_roots` are those of the headers from height 0 on; that of a height is the root of the
    votes on the block before it, and nobody votes on genesis.
    """
    hasher = hashlib.sha256()
    for height, root in enumerate(ballots_roots[2:], 1):
        hasher.update(field_bytes(height) + field_bytes(root))
    return max(0, len(ballots_roots) - 2), hasher.digest()
