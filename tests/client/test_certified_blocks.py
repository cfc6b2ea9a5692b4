"""Whole blocks, verified from the genesis alone (BFT-12 3, 10; IDX1 11.1)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.client.certified_blocks import certified_block, verify_stored_block
from node.client.errors import HeaderInvalid, RecordsInvalid, SealInvalid
from node.client.ledger_client import LedgerClient
from node.client.verification import SealVerifier
from node.ledger.ballots import BallotCertificate
from node.ledger.blocks import Block, Header
from node.ledger.types import BlockId, Height, TransactionId
from node.wire.records import PublishedBlock
from tests.client.conftest import ServedBank
from tests.client.funding import mint_to
from tests.client.small_bank import SealedLedger
from tests.client.test_issuing import STRANGER


@pytest.fixture
def sealed(ledger: SealedLedger) -> PublishedBlock:
    """A block of two transactions at height 1."""
    ledger.seal(mint_to(ledger, STRANGER, [1, 2]), mint_to(ledger, STRANGER, [3]))
    return ledger.blocks[1]


def test_a_sealed_block_holds(ledger: SealedLedger, sealed: PublishedBlock) -> None:
    block = verify_stored_block(SealVerifier(ledger.chain.genesis), sealed, ())
    assert block.header == Header.decode(sealed.header)
    assert block.certificate == BallotCertificate.decode(sealed.certificate)
    assert block.block == Block.decode(sealed.block)
    assert block.active_set.size == 4
    assert block.transactions == sealed.transactions


def test_the_genesis_needs_no_certificate(ledger: SealedLedger) -> None:
    block = verify_stored_block(SealVerifier(ledger.chain.genesis), ledger.blocks[0], ())
    assert (block.header.height, block.certificate, block.transactions) == (0, None, ())


def test_transactions_must_be_those_of_the_header(
    ledger: SealedLedger, sealed: PublishedBlock
) -> None:
    verifier = SealVerifier(ledger.chain.genesis)
    first, second = sealed.transactions
    for others in ((second, first), (first,), (first, second, second), ()):
        with pytest.raises(RecordsInvalid) as caught:
            verify_stored_block(verifier, replace(sealed, transactions=others), ())
        assert str(caught.value) == "the transactions are not those that the header commits to"


def test_the_block_must_be_that_of_the_header(ledger: SealedLedger, sealed: PublishedBlock) -> None:
    verifier = SealVerifier(ledger.chain.genesis)
    block = Block.decode(sealed.block)
    renamed = replace(block, transaction_ids=(TransactionId(bytes(32)), block.transaction_ids[1]))
    other = replace(block, header=replace(block.header, transaction_count=3))
    for forged, message in (
        (renamed.encode(), "the block names other transactions than it has"),
        (other.encode(), "the block has another header than the sealed one"),
        (b"", "the block does not decode: 4 bytes wanted at offset 0 of 0"),
    ):
        with pytest.raises(RecordsInvalid) as caught:
            verify_stored_block(verifier, replace(sealed, block=forged), ())
        assert str(caught.value) == message
    with pytest.raises(SealInvalid):
        verify_stored_block(verifier, replace(sealed, certificate=ledger.blocks[0].certificate), ())


async def test_a_bank_cannot_show_another_block(
    ledger: SealedLedger, home: ServedBank, client: LedgerClient, sealed: PublishedBlock
) -> None:
    verifier = SealVerifier(ledger.chain.genesis)
    block_id = Header.decode(sealed.header).block_id
    assert (await certified_block(client, verifier, Height(1))).header.block_id == block_id
    assert (await certified_block(client, verifier, block_id)).header.height == 1
    ledger.seal(mint_to(ledger, STRANGER, [4]))
    ledger.blocks[1] = ledger.blocks[2]
    with pytest.raises(HeaderInvalid) as caught:
        await certified_block(client, verifier, Height(1))
    assert str(caught.value) == "the bank showed another block than the one that was asked for"


def test_a_header_that_does_not_decode_is_refused(
    ledger: SealedLedger, sealed: PublishedBlock
) -> None:
    verifier = SealVerifier(ledger.chain.genesis)
    with pytest.raises(HeaderInvalid):
        verify_stored_block(verifier, replace(sealed, header=BlockId(bytes(32))), ())
