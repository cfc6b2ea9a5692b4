"""A ledger with money on it, made once with real proofs; every test goes on from its own copy."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.ledger.chain import GOLD, Chain

# A verdict must not depend on how busy the machine is.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def funded_chain() -> Chain:
    """Six base notes of 5000, two gold notes of 700, all spendable; do not change, fork."""
    chain = Chain()
    chain.seal_matured(chain.mint([5_000] * 4), chain.mint([5_000] * 2, bank=2))
    chain.seal_matured(chain.mint([700, 700], asset=GOLD))
    return chain


@pytest.fixture
def chain(funded_chain: Chain) -> Chain:
    """The funded ledger, for this test alone."""
    return funded_chain.fork()
