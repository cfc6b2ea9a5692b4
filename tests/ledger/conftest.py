"""A ledger with money on it, made once with real proofs; every test goes on from its own copy."""

from __future__ import annotations

import pytest

from node.ledger.governance import GovernanceKind
from node.ledger.offences import Offence
from node.ledger.types import BankIndex
from tests.ledger.chain import GOLD, Chain, make_genesis


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


@pytest.fixture
def funded(chain: Chain) -> Chain:
    """Bank 1 has 900 in its public account: 867 redeemed, and 33 as creator of that block."""
    chain.seal(chain.transfer(chain.mature()[:1], redeem=867))
    return chain


@pytest.fixture(scope="session")
def removed_once() -> Chain:
    """Six banks, of which bank 5 was slashed seven times and removed; do not change, fork.

    Its account holds 40000, which is enough to bring its stake of 12611 back to 45005.
    """
    chain = Chain(make_genesis(banks=6))
    chain.seal_matured(chain.mint([41_000, 1_000]))
    everything = [chain.evidence(5, 1), chain.evidence(5, 1, Offence.DOUBLE_PROPOSAL)]
    everything += [chain.evidence(5, 1, offence) for offence in (*Offence,)[2:5]]
    everything += [chain.evidence(5, 1, Offence.APPROVED_INVALID), chain.evidence(5, 2)]
    built = chain.seal(evidence=everything)
    assert built.transition.removed == (5,)
    account = chain.genesis.account_of(BankIndex(5))
    chain.seal(chain.transfer(chain.mature()[:1], redeem=40_000, account=account))
    return chain


@pytest.fixture
def removed(removed_once: Chain) -> Chain:
    return removed_once.fork()


@pytest.fixture
def restored(removed: Chain) -> Chain:
    """Bank 5 has topped its stake up to the initial amount."""
    bank = removed.state.banks[5]
    missing = bank.initial_stake - bank.stake
    removed.seal(removed.move_stake(GovernanceKind.STAKE_TOP_UP, missing, bank=5))
    return removed
