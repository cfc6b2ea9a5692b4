"""A wallet against real gRPC servers, real proofs and real seals: the owner's view."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from crypto.note import SessionKeys
from crypto.transaction import Transfer, decode_transaction
from node.client.address import decode_address, encode_address
from node.client.errors import (
    AddressInvalid,
    ConsolidationNeeded,
    InsufficientFunds,
    LedgerTimeout,
    PaymentInvalid,
    VerificationError,
    WalletLocked,
    WrongConsortium,
)
from node.client.ledger_client import LedgerClient
from node.client.payment_order import decode_memo, recipient
from node.client.wallet import Wallet
from node.client.wallet_data import PaymentStatus
from node.client.wallet_file import KeyFile, WalletFile
from node.client.wallet_state import Balance, HistoryKind, NoteState
from node.ledger.types import Amount, BankIndex
from tests.client.conftest import MakeWallet, ServedBank
from tests.client.funding import fund, mint_to
from tests.client.small_bank import SealedLedger
from tests.ledger.chain import BASE, FEE, GOLD, make_genesis

STRANGER = encode_address(SessionKeys.derive(b"stranger", 0).address)


def balance(spendable: int = 0, maturing: int = 0, pending: int = 0) -> Balance:
    return Balance(Amount(spendable), Amount(maturing), Amount(pending))


def raw_of(ledger: SealedLedger, transaction_id: bytes) -> Transfer:
    place = ledger.places[transaction_id]
    raw = ledger.blocks[place.height].transactions[place.index]
    decoded = decode_transaction(raw, ledger.chain.genesis.parameters.ring_base)
    assert isinstance(decoded, Transfer)
    return decoded


async def test_a_payment_moves_money_and_leaves_change(
    ledger: SealedLedger, home: ServedBank, client: LedgerClient, make_wallet: MakeWallet
) -> None:
    home.bank.seals_at_once = True
    alice, bob = await make_wallet("alice", client), await make_wallet("bob", client)
    fund(ledger, alice.address, [5_000, 1_000])
    assert await alice.sync() == 2
    assert alice.balance() == balance(spendable=6_000)

    payment = await alice.pay(bob.address, 700, memo="rent")
    place = await alice.wait_sealed(payment)

    await bob.sync()
    assert place.transaction_id == alice.payments[0].attempts[0].transaction_id
    assert (place.header.height, place.index) == (3, 0)
    assert alice.balance() == balance(spendable=6_000 - 700 - FEE)
    assert bob.balance() == balance(spendable=700)
    # The smallest note that covers amount and fee was spent, and all of its change came back.
    assert sorted(view.note.value for view in alice.notes()) == [200, 1_000, 5_000]


async def test_both_sides_see_it_in_their_history(
    ledger: SealedLedger, home: ServedBank, client: LedgerClient, make_wallet: MakeWallet
) -> None:
    home.bank.seals_at_once = True
    alice, bob = await make_wallet("alice", client), await make_wallet("bob", client)
    fund(ledger, alice.address, [1_000])
    place = await alice.wait_sealed(await alice.pay(bob.address, 300, memo="für März"))
    await bob.sync()

    issued, sent = alice.history()
    (received,) = bob.history()
    assert (issued.kind, issued.amount, issued.fee) == (HistoryKind.ISSUED, 1_000, 0)
    assert (sent.kind, sent.amount, sent.fee, sent.height, sent.transaction_id) == (
        HistoryKind.SENT,
        300,
        FEE,
        3,
        place.transaction_id,
    )
    assert sent.recipients == (decode_address(bob.address).encode(),)
    assert (received.kind, received.amount, received.transaction_id) == (
        HistoryKind.RECEIVED,
        300,
        place.transaction_id,
    )
    assert [decode_memo(memo) for memo in (*sent.memos, *received.memos)] == ["für März"] * 2


async def test_a_note_matures_with_its_bin(
    ledger: SealedLedger, client: LedgerClient, make_wallet: MakeWallet
) -> None:
    """IDX1 4.3: a note is spendable when its bin is closed; its ring has `count` real notes."""
    alice = await make_wallet("alice", client)
    ledger.seal(mint_to(ledger, alice.address, [1_000, 500]))
    await alice.sync()
    assert alice.balance() == balance(maturing=1_500)
    assert {(view.state, view.ring_size) for view in alice.notes()} == {(NoteState.MATURING, None)}
    with pytest.raises(InsufficientFunds) as caught:
        await alice.pay(STRANGER, 100)
    assert str(caught.value) == (
        "200 minor units are needed; 0 are spendable, 1500 mature soon, 0 wait for pending payments"
    )
    ledger.seal(after_ms=2_000)
    await alice.sync()
    assert alice.balance() == balance(spendable=1_500)
    assert {(view.state, view.ring_size) for view in alice.notes()} == {(NoteState.SPENDABLE, 2)}


async def test_waiting_for_funds_follows_the_blocks(
    ledger: SealedLedger, client: LedgerClient, make_wallet: MakeWallet
) -> None:
    alice = await make_wallet("alice", client)
    waiting = asyncio.ensure_future(alice.wait_for_funds(1_000))
    ledger.seal(mint_to(ledger, alice.address, [1_000]))
    ledger.seal(after_ms=2_000)
    await waiting
    assert alice.balance() == balance(spendable=1_000)
    with pytest.raises(LedgerTimeout, match="1001 minor units were not spendable within 50 ms"):
        await alice.wait_for_funds(1_001, timeout_ms=50)


async def test_notes_of_pending_payments_are_reserved(
    ledger: SealedLedger, home: ServedBank, client: LedgerClient, make_wallet: MakeWallet
) -> None:
    alice = await make_wallet("alice", client)
    fund(ledger, alice.address, [1_000, 1_000])
    payments = await asyncio.gather(*(alice.pay(STRANGER, 500) for _ in range(2)))
    assert payments[0].inputs != payments[1].inputs
    assert alice.balance() == balance(pending=2_000)
    with pytest.raises(InsufficientFunds, match="0 are spendable, 0 mature soon, 2000 wait"):
        await alice.pay(STRANGER, 1)
    assert len(alice.payments) == 2
    home.bank.seal_waiting()
    for payment in payments:
        await alice.wait_sealed(payment)
    await alice.sync()
    assert alice.balance() == balance(spendable=800)


async def test_every_transfer_looks_the_same(
    ledger: SealedLedger,
    home: ServedBank,
    client: LedgerClient,
    make_wallet: MakeWallet,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There is always change, even of nothing, at a place among the outputs that is drawn."""
    draws = iter([1, 0])
    monkeypatch.setattr("node.client.payment_order.secrets.randbelow", lambda _: next(draws))
    home.bank.seals_at_once = True
    alice = await make_wallet("alice", client)
    fund(ledger, alice.address, [500 + FEE] * 2)
    places = []
    for _ in range(2):
        payment = await alice.pay(STRANGER, 500)
        await alice.wait_sealed(payment)
        record = alice.payments[-1].attempts[0]
        transfer = raw_of(ledger, record.transaction_id)
        keys = [output.one_time_key for output in transfer.outputs]
        assert len(keys) == 2
        places.append(keys.index(record.change_key))
    assert places == [1, 0]
    await alice.sync()
    assert alice.balance() == balance()


async def test_several_recipients_share_a_transaction(
    ledger: SealedLedger, home: ServedBank, client: LedgerClient, make_wallet: MakeWallet
) -> None:
    home.bank.seals_at_once = True
    alice, bob = await make_wallet("alice", client), await make_wallet("bob", client)
    fund(ledger, alice.address, [1_000])
    payees = [recipient(bob.address, 10, "one"), recipient(bob.address, 20, "two")]
    await alice.wait_sealed(await alice.pay_many([*payees, recipient(STRANGER, 30)]))
    await bob.sync()
    assert sorted(view.note.value for view in bob.notes()) == [10, 20]
    with pytest.raises(PaymentInvalid, match="one transaction pays 1 to 3 recipients, not 4"):
        await alice.pay_many(payees * 2)


async def test_other_assets_cost_no_fee(
    ledger: SealedLedger, home: ServedBank, client: LedgerClient, make_wallet: MakeWallet
) -> None:
    home.bank.seals_at_once = True
    alice, bob = await make_wallet("alice", client), await make_wallet("bob", client)
    fund(ledger, alice.address, [70], GOLD)
    await alice.wait_sealed(await alice.pay(bob.address, 30, asset="xau"))
    await bob.sync()
    assert (alice.balance("XAU"), bob.balance("XAU")) == (balance(40), balance(30))
    assert (alice.balance(), alice.history()[-1].fee) == (balance(), 0)


async def test_redemption_credits_a_public_account(
    ledger: SealedLedger, home: ServedBank, client: LedgerClient, make_wallet: MakeWallet
) -> None:
    home.bank.seals_at_once = True
    alice = await make_wallet("alice", client)
    fund(ledger, alice.address, [1_000])
    before = ledger.chain.state.banks[2].balance
    await alice.wait_sealed(await alice.redeem(400, BankIndex(2)))
    entry = alice.history()[-1]
    assert (entry.kind, entry.amount, entry.fee, entry.note) == (
        HistoryKind.REDEEMED,
        400,
        FEE,
        ledger.chain.genesis.account_of(BankIndex(2)).hex(),
    )
    assert alice.balance() == balance(1_000 - 400 - FEE)
    assert ledger.chain.state.banks[2].balance - before in (400, 400 + FEE // 3)
    for amount, bank in ((400, 4), (400, -1), (0, 1)):
        with pytest.raises(PaymentInvalid):
            await alice.redeem(amount, BankIndex(bank))


async def test_many_small_notes_are_merged_on_demand(
    ledger: SealedLedger, home: ServedBank, client: LedgerClient, make_wallet: MakeWallet
) -> None:
    home.bank.seals_at_once = True
    alice, bob = await make_wallet("alice", client), await make_wallet("bob", client)
    fund(ledger, alice.address, [300] * 9)
    with pytest.raises(ConsolidationNeeded, match="merge notes first with `consolidate`"):
        await alice.pay(bob.address, 1_500)
    payment = await alice.pay(bob.address, 1_500, consolidate=True)
    await alice.wait_sealed(payment)
    await bob.sync()
    assert bob.balance() == balance(1_500)
    kinds = [entry.kind for entry in alice.history() if entry.kind is not HistoryKind.ISSUED]
    assert kinds == [HistoryKind.CONSOLIDATED] * 2 + [HistoryKind.SENT]
    assert alice.balance() == balance(9 * 300 - 1_500 - 3 * FEE)


async def test_consolidation_without_a_target_leaves_four_notes_at_most(
    ledger: SealedLedger, home: ServedBank, client: LedgerClient, make_wallet: MakeWallet
) -> None:
    home.bank.seals_at_once = True
    alice = await make_wallet("alice", client)
    fund(ledger, alice.address, [300] * 6)
    assert await alice.consolidate() == 2
    assert await alice.consolidate() == 0
    values = [view.note.value for view in alice.notes() if view.state is NoteState.SPENDABLE]
    assert sorted(values) == [600 - FEE, 1_200 - FEE]


async def test_a_wallet_restored_from_its_seed_finds_everything_again(
    ledger: SealedLedger,
    home: ServedBank,
    client: LedgerClient,
    make_wallet: MakeWallet,
    tmp_path: Path,
    key_file: KeyFile,
) -> None:
    home.bank.seals_at_once = True
    alice, bob = await make_wallet("alice", client), await make_wallet("bob", client)
    fund(ledger, alice.address, [1_000, 400])
    fund(ledger, await alice.new_address(), [50])
    await alice.wait_sealed(await alice.pay(bob.address, 300))
    await bob.wait_for_funds(300)
    await bob.wait_sealed(await bob.pay(alice.address, 100))
    await alice.sync()

    async with await Wallet.restore(
        tmp_path, "again", key_file, client, alice.reveal_seed(), session_count=2
    ) as again:
        await again.sync()
        assert again.addresses == alice.addresses
        assert again.balance() == alice.balance() == balance(1_450 - 300 - FEE + 100)
        shown = [(entry.kind, entry.amount, entry.fee) for entry in again.history()]
        assert shown == [(entry.kind, entry.amount, entry.fee) for entry in alice.history()]
        assert [view.note for view in again.notes()] == [view.note for view in alice.notes()]
        assert again.payments == ()
        await again.wait_sealed(await again.pay(bob.address, 10))
    with pytest.raises(PaymentInvalid):
        await Wallet.restore(tmp_path, "wrong", key_file, client, b"short")


async def test_a_new_wallet_does_not_read_the_past(
    ledger: SealedLedger, home: ServedBank, client: LedgerClient, make_wallet: MakeWallet
) -> None:
    ledger.seal_matured(ledger.chain.mint([100] * 4))
    alice = await make_wallet("alice", client)
    fund(ledger, alice.address, [9])
    await alice.sync()
    assert alice.balance() == balance(9)
    pages = [call for call in home.bank.calls if call == "notes"]
    assert len(pages) == 1


async def test_a_reopened_wallet_knows_what_it_knew(
    ledger: SealedLedger,
    client: LedgerClient,
    make_wallet: MakeWallet,
    tmp_path: Path,
    key_file: KeyFile,
) -> None:
    alice = await make_wallet("alice", client)
    fund(ledger, alice.address, [1_000])
    await alice.sync()
    directory = tmp_path / "wallets"
    with pytest.raises(WalletLocked):
        await Wallet.open(directory, "alice", key_file, client)
    alice.close()
    async with await Wallet.open(directory, "alice", key_file, client) as again:
        assert (again.height, again.balance(), again.address) == (
            2,
            balance(1_000),
            alice.address,
        )


async def test_a_wallet_of_another_chain_is_not_opened(
    client: LedgerClient, make_wallet: MakeWallet, tmp_path: Path, key_file: KeyFile
) -> None:
    alice = await make_wallet("alice", client)
    other = make_genesis(banks=5)
    directory = tmp_path / "wallets"
    alice.close()
    file, data = WalletFile.open(directory, "alice", key_file)
    with file:
        file.save(replace(data, chain_id=other.chain_id))
    with pytest.raises(WrongConsortium, match=f"belongs to chain {other.chain_id.hex()}"):
        await Wallet.open(directory, "alice", key_file, client)
    # The lock was given back.
    WalletFile.open(directory, "alice", key_file)[0].close()
    with pytest.raises(VerificationError, match="the bank is of chain"):
        await Wallet.create(tmp_path, "bob", key_file, client, chain_id=other.chain_id)


@pytest.mark.parametrize(
    ("to", "amount", "options", "error", "message"),
    [
        ("idx1typo", 1, {}, AddressInvalid, "an address has 220 characters, not 8"),
        (STRANGER, 0, {}, PaymentInvalid, "an amount of 0 minor units cannot be paid"),
        (STRANGER, -5, {}, PaymentInvalid, "an amount of -5 minor units cannot be paid"),
        (STRANGER, 1 << 64, {}, PaymentInvalid, f"an amount of {1 << 64} minor units cannot"),
        (STRANGER, 1, {"memo": "x" * 33}, PaymentInvalid, "a memo has at most 32 bytes, this one"),
        (STRANGER, 1, {"asset": "EUR"}, PaymentInvalid, "there is no asset 'EUR'; this ledger has"),
    ],
)
async def test_orders_that_make_no_sense_are_refused_before_anything_happens(
    to: str,
    amount: int,
    options: dict[str, str],
    error: type[Exception],
    message: str,
    client: LedgerClient,
    make_wallet: MakeWallet,
) -> None:
    alice = await make_wallet("alice", client)
    with pytest.raises(error) as caught:
        await alice.pay(to, amount, **options)  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)
    assert alice.payments == ()


async def test_a_wallet_shows_no_secret(client: LedgerClient, make_wallet: MakeWallet) -> None:
    alice = await make_wallet("alice", client)
    assert repr(alice) == "Wallet('alice')"


async def test_a_sealed_payment_keeps_no_bytes(
    ledger: SealedLedger, home: ServedBank, client: LedgerClient, make_wallet: MakeWallet
) -> None:
    home.bank.seals_at_once = True
    alice = await make_wallet("alice", client)
    fund(ledger, alice.address, [1_000], BASE)
    await alice.wait_sealed(await alice.pay(STRANGER, 1))
    (record,) = alice.payments
    assert (record.status, [attempt.raw for attempt in record.attempts]) == (
        PaymentStatus.SEALED,
        [b""],
    )
