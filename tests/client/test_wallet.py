"""A wallet against real gRPC servers, real proofs and real seals."""

from __future__ import annotations

from node.client.ledger_client import LedgerClient
from node.client.wallet_state import Balance
from node.ledger.types import Amount
from tests.client.conftest import MakeWallet, ServedBank
from tests.client.funding import fund
from tests.client.small_bank import SealedLedger
from tests.ledger.chain import FEE


def balance(spendable: int = 0, maturing: int = 0, pending: int = 0) -> Balance:
    return Balance(Amount(spendable), Amount(maturing), Amount(pending))


async def test_a_payment_moves_money_and_leaves_change(
    ledger: SealedLedger, home: ServedBank, client: LedgerClient, make_wallet: MakeWallet
) -> None:
    home.bank.seals_at_once = True
    alice, bob = await make_wallet("alice", client), await make_wallet("bob", client)
    fund(ledger, alice.address, [5_000, 1_000])
    await alice.sync()
    assert alice.balance() == balance(spendable=6_000)

    payment = await alice.pay(bob.address, 700, memo="rent")
    place = await alice.wait_sealed(payment)

    await bob.sync()
    assert place.header.height == 3
    assert alice.balance() == balance(spendable=6_000 - 700 - FEE)
    assert bob.balance() == balance(spendable=700)
