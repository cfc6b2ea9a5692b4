"""Consortia whose banks all share a defect for a block, and seal what they should have refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from crypto.merkle import leaf_hash
from node.ledger import proofs
from node.ledger.facts import BlockFacts
from node.ledger.governance import LedgerTransaction
from node.ledger.proofs import VerifiedTransaction
from node.ledger.state import LedgerState
from node.ledger.transition import Execution
from tests.client.small_bank import SealedLedger
from tests.ledger.chain import Chain

Defect = Callable[[SealedLedger], None]
"""Seals the next block with a fault in it."""


@contextmanager
def wrong_states() -> Iterator[None]:
    """Every bank's execution leads to a state that no rule leads to."""
    right = Execution._next_state

    def wrong(self: Execution) -> LedgerState:
        return replace(right(self), governance_nonce=7)

    with patch.object(Execution, "_next_state", wrong):
        yield


@contextmanager
def without_limits() -> Iterator[None]:
    """Every bank lets every other one issue as much as it likes."""
    right = Execution._issuer

    def generous(self: Execution, transaction: object) -> object:
        asset, bank = right(self, transaction)  # type: ignore[arg-type]
        issuance = [replace(item, limit=10**12) for item in asset.issuance]
        return replace(asset, issuance=tuple(issuance)), bank

    with patch.object(Execution, "_issuer", generous):
        yield


@contextmanager
def without_history() -> Iterator[None]:
    """No bank looks whether a note was spent before."""
    right = Chain.facts

    def blind(self: Chain, items: Iterable[Any]) -> BlockFacts:
        return replace(right(self, items), spent=frozenset(), known_notes=frozenset())

    with patch.object(Chain, "facts", blind):
        yield


def seal_two_spends(ledger: SealedLedger) -> None:
    """Blocks 1 and 2 make notes, block 3 spends one, block 4 nothing, and block 5 the same."""
    chain = ledger.chain
    ledger.seal_matured(chain.mint([5_000] * 4))
    first, other = chain.mature()[:2]
    spend, again = chain.transfer([first]), chain.transfer([first])
    innocent = chain.transfer([other])
    ledger.seal(spend)
    ledger.seal()
    with without_history():
        ledger.seal(innocent, again)
    ledger.seal()


def seal_wrong_state(ledger: SealedLedger) -> None:
    with wrong_states():
        ledger.seal()


def seal_above_the_limit(ledger: SealedLedger) -> None:
    with without_limits():
        ledger.seal(ledger.chain.mint([2_000_000]))


def seal_false_proof(ledger: SealedLedger) -> None:
    """The banks believe every proof."""
    chain = ledger.chain
    raw = chain.mint([5_000])
    forged = raw[:-1] + bytes((raw[-1] ^ 1,))
    with patch.object(type(chain), "verify", believe):
        ledger.seal(forged)


def believe(chain: Chain, *raws: bytes) -> tuple[VerifiedTransaction, ...]:
    return tuple(
        [
            VerifiedTransaction(item, leaf_hash(raw), _bins_of(chain, item), proofs._VERIFIED)
            for raw, item in [(raw, chain.decode(raw)) for raw in raws]
        ]
    )


def seal_false_spend(ledger: SealedLedger) -> None:
    """Blocks 1 and 2 make notes, and block 3 spends one by a proof that is false over its ring."""
    chain = ledger.chain
    ledger.seal_matured(chain.mint([5_000] * 4))
    raw = chain.transfer([chain.mature()[0]])
    with patch.object(type(chain), "verify", believe):
        ledger.seal(raw[:-1] + bytes((raw[-1] ^ 1,)))
    ledger.seal()


def seal_spend_of_open_bin(ledger: SealedLedger) -> None:
    """Block 3 spends from a bin that only block 4 closes."""
    chain = ledger.chain
    ledger.seal(chain.mint([5_000] * 4))
    twin = chain.fork()
    twin.seal(after_ms=chain.genesis.parameters.bin_age_ms)
    raw = twin.transfer([twin.mature()[0]])
    ledger.seal()
    with patch.object(type(chain), "verify", believe), without_bins():
        ledger.seal(raw)
    ledger.seal(after_ms=chain.genesis.parameters.bin_age_ms)


@contextmanager
def without_bins() -> Iterator[None]:
    """No bank looks at the bins that are spent from."""
    with patch.object(Execution, "_check_notes", lambda self, transaction, verified: None):
        yield


def _bins_of(chain: Chain, item: LedgerTransaction) -> tuple[tuple[int, bytes], ...]:
    closed = chain.facts([item]).closed_bins
    return tuple(
        [
            (spend.bin_id, closed[spend.bin_id].digest)
            for spend in item.inputs
            if spend.bin_id in closed
        ]
    )


DEFECTS: dict[str, Defect] = {
    "a wrong state": seal_wrong_state,
    "above the limit": seal_above_the_limit,
    "a false proof": seal_false_proof,
}
