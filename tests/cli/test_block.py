"""`consortium block`: what a quorum sealed, verified before it is shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.ledger.ballots import BallotCertificate, ballot_tag
from node.ledger.blocks import Header
from tests.cli.served_consortium import ServedConsortium


@pytest.fixture
def payer(consortium: ServedConsortium) -> ServedConsortium:
    """A ledger of four blocks: an issue in the first, a payment in the third."""
    for name in ("alice", "bob"):
        consortium.succeed("wallet", "new", name)
    consortium.succeed("issue", "1", "alice", "40")
    consortium.succeed("pay", "alice", "bob", "5")
    return consortium


def test_a_block_is_shown_whole(payer: ServedConsortium) -> None:
    stored = payer.ledger.blocks[3]
    header = Header.decode(stored.header)
    answer = payer.ask("block", "3")
    (transaction,) = answer.pop("transactions")
    assert answer == {
        "height": 3,
        "block_id": header.block_id.hex(),
        "parent_id": header.parent_id.hex(),
        "time_ms": header.time_ms,
        "proposer": "dunmere",
        "original_view": 0,
        "transaction_count": 1,
        "transactions_root": header.transactions_root.hex(),
        "evidence_root": header.evidence_root.hex(),
        "ballots_root": header.ballots_root.hex(),
        "post_state_root": header.post_state_root.hex(),
        "next_set_hash": header.next_set_hash.hex(),
        "seal": {
            "view": 0,
            "ballots": 4,
            "active_banks": 4,
            "tags": [
                ballot_tag(raw).hex()
                for raw in BallotCertificate.decode(stored.certificate).ballots
            ],
        },
        "verified": True,
    }
    assert (transaction["kind"], transaction["fee_minor"]) == ("transfer", 100)


def test_the_same_block_has_three_names(payer: ServedConsortium) -> None:
    by_height = payer.ask("block", "4")
    assert payer.ask("block", "tip") == by_height
    assert payer.ask("block", by_height["block_id"].upper()) == by_height


def test_it_is_said_in_words(payer: ServedConsortium) -> None:
    answer = payer.ask("block", "1")
    (issue,) = answer["transactions"]
    assert payer.succeed("block", "1").splitlines() == [
        "block         1",
        f"id            {answer['block_id']}",
        f"parent        {answer['parent_id']}",
        "time          2026-03-31 18:30:01.000 UTC",
        "proposer      birchmoor, in view 0",
        "transactions  1",
        f"root          {answer['transactions_root']}",
        f"state root    {answer['post_state_root']}",
        f"next set      {answer['next_set_hash']}",
        "seal          4 approving ballots, by as many of the 4 active banks; which of them, "
        "the ballots do not show",
        "verified      ballots, transactions and their root, from the genesis alone",
        "",
        f"place  {'transaction':64}  kind   public            bank       in  out  bytes",
        f"    0  {issue['transaction_id']}  issue  amount 40.00 INR  birchmoor   0    4  "
        f" {issue['size_bytes']}",
    ]


def test_the_genesis_has_no_seal(consortium: ServedConsortium) -> None:
    answer = consortium.ask("block", "0")
    assert (answer["seal"], answer["transactions"]) == (None, [])
    assert "seal          none: this is the genesis" in consortium.succeed("block", "0")


@pytest.mark.parametrize(
    ("text", "exit_code", "message"),
    [
        ("99", 1, "Error: there is no block 99.\nNext: the newest one is block 4.\n"),
        (
            "last",
            2,
            "Error: 'last' is neither a height nor the id of a block.\n"
            "Next: give a height such as 12, an id of 64 hexadecimal digits, or tip.\n",
        ),
        (
            "9" * 19,
            2,
            f"Error: '{'9' * 19}' is neither a height nor the id of a block.\n"
            "Next: give a height such as 12, an id of 64 hexadecimal digits, or tip.\n",
        ),
    ],
)
def test_what_is_no_block_is_refused(
    payer: ServedConsortium, text: str, exit_code: int, message: str
) -> None:
    assert payer.refuse("block", text) == (exit_code, message)


def test_a_block_without_a_quorum_is_not_shown(payer: ServedConsortium) -> None:
    stored = payer.ledger.blocks[3]
    certificate = BallotCertificate.decode(stored.certificate)
    short = replace(certificate, ballots=certificate.ballots[:3])
    payer.ledger.blocks[3] = replace(stored, certificate=short.encode())
    assert payer.refuse("block", "3") == (
        1,
        "Error: ballots: 3 ballots, exactly 4 are required.\n"
        "Next: ask another bank; run `consortium doctor`.\n",
    )
