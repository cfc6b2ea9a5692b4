"""Verifying stored transactions over certified rings."""

from __future__ import annotations

import pytest

from node.cli.proof_check import SealedView, bins_read, verify_stored
from tests.ledger.chain import BASE, GOLD, Chain, issuer_secret


@pytest.fixture(scope="module")
def chain() -> Chain:
    """A chain with eight mature notes."""
    chain = Chain()
    chain.seal(chain.mint([500] * 4), chain.mint([500] * 4))
    chain.seal_matured()
    return chain


@pytest.fixture(scope="module")
def transactions(chain: Chain) -> list[bytes]:
    notes = chain.mature()
    return [chain.transfer([note]) for note in notes[:3]] + [chain.mint([7])]


@pytest.fixture
def view(chain: Chain) -> SealedView:
    return SealedView(chain.genesis, chain.height + 1, chain.history.closed_bins)


def test_sealed_transactions_verify(view: SealedView, transactions: list[bytes]) -> None:
    assert verify_stored(transactions, view) == {}
    assert verify_stored([], view) == {}


def test_the_bad_one_is_named_and_the_others_are_not(
    view: SealedView, transactions: list[bytes]
) -> None:
    """A response of the spend proof is another scalar: the equation fails, and only there."""
    altered = bytearray(transactions[1])
    altered[-20] ^= 1
    failures = verify_stored([transactions[0], bytes(altered), transactions[3]], view)
    assert list(failures.values()) == ["spend"]


def test_a_ring_that_is_not_there(chain: Chain, transactions: list[bytes]) -> None:
    bare = SealedView(chain.genesis, chain.height + 1, {})
    failures = verify_stored(transactions, bare)
    assert [reason.partition(":")[0] for reason in failures.values()] == ["bin-unknown"] * 3


def test_the_bins_that_transactions_read(chain: Chain, transactions: list[bytes]) -> None:
    wanted = {note.bin_id for note in chain.unspent}
    assert bins_read(transactions, chain.genesis) == wanted
    assert bins_read([b"nonsense", transactions[3]], chain.genesis) == set()


def test_only_registered_issuers_mint(chain: Chain, view: SealedView) -> None:
    keys = [bank.issuer_key for bank in chain.genesis.banks]
    assert [view.is_issuer(GOLD, key) for key in keys] == [True, True, True, False]
    assert [view.is_issuer(BASE, key) for key in keys] == [True] * 4
    assert not view.is_issuer(BASE, issuer_secret(0))
