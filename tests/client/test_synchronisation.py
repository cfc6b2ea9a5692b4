"""Banks that lie to a wallet, lag behind, or hide something."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from crypto.note import SessionKeys
from node.client.address import encode_address
from node.client.errors import LedgerBehind, RecordsInvalid, SealInvalid, StateInvalid
from node.client.ledger_client import LedgerClient
from node.client.wallet import Wallet
from node.wire.records import BinRecord, PublishedState
from tests.client.conftest import MakeWallet, ServedBank
from tests.client.funding import fund
from tests.client.small_bank import SealedLedger

STRANGER = encode_address(SessionKeys.derive(b"stranger", 0).address)


@pytest_asyncio.fixture
async def alice(ledger: SealedLedger, client: LedgerClient, make_wallet: MakeWallet) -> Wallet:
    """A wallet that has not read its two payments of 1000 yet."""
    wallet = await make_wallet("alice", client)
    fund(ledger, wallet.address, [1_000, 1_000])
    ledger.seal_matured(ledger.chain.mint([400] * 4))
    ledger.seal_matured(ledger.chain.transfer(ledger.chain.mature()[:2]))
    return wallet


def first_removed(records: Sequence[Any]) -> Sequence[Any]:
    return records[1:]


def first_falsified(field: str, value: Any) -> Callable[[Sequence[Any]], Sequence[Any]]:
    def forge(records: Sequence[Any]) -> Sequence[Any]:
        return [
            replace(record, **{field: value}) if record.sequence == 0 else record
            for record in records
        ]

    return forge


def other_certificate(state: PublishedState) -> PublishedState:
    data = state.certificate
    return replace(state, certificate=data[:-1] + bytes([data[-1] ^ 1]))


def other_state(state: PublishedState) -> PublishedState:
    return replace(state, state=state.state + b"\x00")


ZEROS = bytes(96)

LIES: dict[str, tuple[str, Callable[[Any], Any], type[Exception]]] = {
    "a note left out": ("notes", first_removed, RecordsInvalid),
    "a note falsified": ("notes", first_falsified("bin_id", 99), RecordsInvalid),
    "a nullifier left out": ("nullifiers", first_removed, RecordsInvalid),
    "a nullifier falsified": (
        "nullifiers",
        first_falsified("nullifier", ZEROS),
        RecordsInvalid,
    ),
    "a bin left out": ("closed_bins", first_removed, RecordsInvalid),
    "a bin falsified": ("closed_bins", first_falsified("digest", bytes(32)), RecordsInvalid),
    "a ballot falsified": ("sealed_state", other_certificate, SealInvalid),
    "a state falsified": ("sealed_state", other_state, StateInvalid),
}


@pytest.mark.parametrize("name", LIES)
async def test_a_lie_is_refused_and_changes_nothing(
    name: str, home: ServedBank, alice: Wallet
) -> None:
    method, forge, error = LIES[name]
    home.bank.forge[method] = forge
    with pytest.raises(error):
        await alice.sync()
    assert (alice.height, alice.notes()) == (0, ())
    home.bank.forge.clear()
    await alice.sync()
    assert (alice.height, alice.balance().spendable) == (6, 2_000)


@pytest.mark.parametrize("name", LIES)
async def test_a_liar_is_passed_over(
    name: str,
    ledger: SealedLedger,
    home: ServedBank,
    client_of_two: LedgerClient,
    make_wallet: MakeWallet,
) -> None:
    alice = await make_wallet("alice", client_of_two)
    fund(ledger, alice.address, [1_000, 1_000])
    ledger.seal_matured(ledger.chain.mint([400] * 2))
    ledger.seal_matured(ledger.chain.transfer(ledger.chain.mature()[:2]))
    method, forge, _ = LIES[name]
    home.bank.forge[method] = forge
    await alice.sync()
    assert alice.balance().spendable == 2_000
    assert client_of_two.preferred_endpoint.bank == 1


async def test_a_bank_that_lags_is_passed_over(
    ledger: SealedLedger, home: ServedBank, client_of_two: LedgerClient, make_wallet: MakeWallet
) -> None:
    alice = await make_wallet("alice", client_of_two)
    fund(ledger, alice.address, [1_000])
    await alice.sync()
    home.bank.lag = 1
    await alice.sync()
    assert (alice.height, client_of_two.preferred_endpoint.bank) == (2, 1)


async def test_a_wallet_never_goes_back(
    ledger: SealedLedger, home: ServedBank, alice: Wallet
) -> None:
    await alice.sync()
    home.bank.lag = 3
    with pytest.raises(LedgerBehind) as caught:
        await alice.sync()
    assert str(caught.value) == "the bank is at height 3, this wallet has verified 6"
    assert (alice.height, alice.balance().spendable) == (6, 2_000)


def foreign_ring(records: Sequence[BinRecord]) -> Sequence[BinRecord]:
    """A ring whose first two notes changed places: enough to name a spender by elimination."""
    return [
        replace(record, notes=record.notes[192:384] + record.notes[:192] + record.notes[384:])
        for record in records
    ]


def short_ring(records: Sequence[BinRecord]) -> Sequence[BinRecord]:
    return [replace(record, notes=record.notes[:-1]) for record in records]


@pytest.mark.parametrize("forge", [foreign_ring, short_ring])
async def test_no_proof_is_made_over_a_false_ring(
    forge: Callable[[Any], Any], home: ServedBank, alice: Wallet
) -> None:
    """IDX1 4.4."""
    home.bank.forge["bins"] = forge
    with pytest.raises(RecordsInvalid):
        await alice.pay(STRANGER, 100)
    assert (home.bank.submissions, alice.payments) == ([], ())
    assert alice.balance().spendable == 2_000


async def test_a_false_ring_is_replaced_by_the_next_banks(
    ledger: SealedLedger,
    home: ServedBank,
    other: ServedBank,
    client_of_two: LedgerClient,
    make_wallet: MakeWallet,
) -> None:
    alice = await make_wallet("alice", client_of_two)
    fund(ledger, alice.address, [1_000, 1_000])
    home.bank.forge["bins"] = foreign_ring
    other.bank.seals_at_once = True
    await alice.wait_sealed(await alice.pay(STRANGER, 100))
    assert (len(home.bank.submissions), len(other.bank.submissions)) == (0, 1)


async def test_a_bank_cannot_hide_a_payment_from_its_owner(
    ledger: SealedLedger, home: ServedBank, client_of_two: LedgerClient, make_wallet: MakeWallet
) -> None:
    def hide(records: Sequence[Any]) -> Sequence[Any]:
        return [replace(record, output=record.output[:-1] + b"\x00") for record in records]

    alice = await make_wallet("alice", client_of_two)
    fund(ledger, alice.address, [1_000])
    home.bank.forge["notes"] = hide
    # The ciphertext is certified like the points: the liar is passed over for the next bank.
    await alice.sync()
    assert (alice.balance().spendable, alice.height) == (1_000, 2)


async def test_reading_anew_keeps_the_payments(
    ledger: SealedLedger, home: ServedBank, alice: Wallet
) -> None:
    home.bank.seals_at_once = True
    await alice.wait_sealed(await alice.pay(STRANGER, 100, memo="kept"))
    before = (alice.payments, alice.notes(), alice.history())
    await alice.rescan()
    assert (alice.payments, alice.notes(), alice.history()) == before
