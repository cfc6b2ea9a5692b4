"""A served consortium with years of a minute, and what its regulator and operators do."""

from __future__ import annotations

from collections.abc import Sequence

from node.ledger.settlement_rules import tally_of
from node.ledger.types import FiscalYear, Height
from tests.cli.served_consortium import BANKS, ServedConsortium, named
from tests.client.small_bank import SealedLedger
from tests.ledger.chain import consensus_secret
from tests.ledger.settling import SettlingChain, settling_genesis


def settling_chain() -> SettlingChain:
    return SettlingChain(named(settling_genesis(BANKS)))


def chain_of(ledger: SealedLedger) -> SettlingChain:
    chain = ledger.chain
    assert isinstance(chain, SettlingChain)
    return chain


def begin(ledger: SealedLedger, year: int, *raws: bytes) -> None:
    """Seal the first block of a year."""
    chain = chain_of(ledger)
    ledger.seal(*raws, after_ms=chain.first_ms(year) - chain.header.time_ms)


def settlement(ledger: SealedLedger, year: int) -> bytes:
    """The regulator's, with the true counts: all four banks approve every block."""
    chain = chain_of(ledger)
    blocks = tally_of(chain.genesis, chain.state, FiscalYear(year)).blocks
    return chain.settlement(year, dict.fromkeys(range(BANKS), blocks))


def pay(ledger: SealedLedger) -> Height:
    """Seal a payment within the wallet of the chain, its fee 1.00; return its height."""
    chain = chain_of(ledger)
    if not chain.mature():
        ledger.seal_matured(chain.mint([1_000] * 4))
    ledger.seal(chain.transfer(chain.mature()[:1]))
    return Height(ledger.height)


def hold_keys(consortium: ServedConsortium, banks: Sequence[int]) -> None:
    """Put consensus keys of these banks into the directory."""
    for bank in banks:
        key = consortium.directory.bank(bank).keys / "consensus.key"
        key.write_text(consensus_secret(bank).hex())
        key.chmod(0o600)
