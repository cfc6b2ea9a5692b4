"""`consortium votes`: what the record shows, and that it names no bank (BFT-12 17)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.ledger.ballots import BallotCertificate, ballot_tag
from node.ledger.blocks import Block, Header
from tests.cli.served_consortium import ServedConsortium


@pytest.fixture
def voted(consortium: ServedConsortium) -> ServedConsortium:
    """Three blocks, of which two are voted on for good."""
    for amount in (1, 2, 3):
        raw = consortium.ledger.chain.mint([amount])
        consortium.in_loop(lambda raw=raw: consortium.ledger.seal(raw))  # type: ignore[misc]
    return consortium


def test_section_17_the_record_of_a_block_is_what_its_successor_carries(
    voted: ServedConsortium,
) -> None:
    child = Block.decode(voted.ledger.blocks[2].block)
    header = Header.decode(voted.ledger.blocks[1].header)
    assert voted.ask("votes", "1") == {
        "height": 1,
        "block_id": header.block_id.hex(),
        "time_ms": header.time_ms,
        "status": "recorded",
        "approved": 4,
        "rejected": 0,
        "active_banks": 4,
        "quorum": 4,
        "verified": True,
        "votes": [
            {
                "tag": ballot_tag(raw).hex(),
                "decision": "approve",
                "bank": None,
                "ballot": raw.hex(),
            }
            for raw in child.parent_ballots
        ],
    }


def test_section_17_the_tip_is_pending(voted: ServedConsortium) -> None:
    """Its bank shows the ballots of its own certificate, on which nobody has agreed yet."""
    answer = voted.ask("votes")
    own = BallotCertificate.decode(voted.ledger.blocks[3].certificate)
    assert (answer["height"], answer["status"], answer["approved"]) == (3, "pending", 4)
    assert [vote["ballot"] for vote in answer["votes"]] == [raw.hex() for raw in own.ballots]
    assert voted.ask("votes", "tip") == answer


def test_it_is_said_in_words_with_the_boundary_of_anonymity(voted: ServedConsortium) -> None:
    answer = voted.ask("votes", "2")
    lines = voted.succeed("votes", "2").splitlines()
    assert lines[:14] == [
        f"block     2, {answer['block_id']}",
        "time      2026-03-31 18:30:02.000 UTC",
        "approved  4 of 4 banks approved",
        "rejected  none recorded",
        "recorded  by block 3: all banks agree on them",
        "verified  every ballot, in the ring of the active banks, from the genesis alone",
        "",
        "tag               decision  bank",
        *(f"{vote['tag'][:16]}  approve   not known" for vote in answer["votes"]),
        "",
        lines[13],
    ]
    text = " ".join(lines[13:])
    for boundary in ("The opener (the regulator", "who sent them what", "which ten of twelve"):
        assert boundary in text
    whole = voted.succeed("votes", "2", "--tags")
    assert all(vote["tag"] in whole for vote in answer["votes"])


def test_a_record_that_is_not_the_ledgers_is_refused(voted: ServedConsortium) -> None:
    lies = (
        lambda votes: replace(votes, votes=votes.votes[1:]),
        lambda votes: replace(votes, approved=3),
        lambda votes: replace(
            votes, votes=(replace(votes.votes[0], approve=False), *votes.votes[1:])
        ),
    )
    for lie in lies:
        for bank in voted.banks:
            bank.forge["votes"] = lie
        assert voted.refuse("votes", "1") == (
            1,
            "Error: the bank's voting record is not what the next block holds.\n"
            "Next: ask another bank; run `consortium doctor`.\n",
        )


@pytest.mark.parametrize(
    ("text", "exit_code", "message"),
    [
        ("4", 1, "Error: there are no votes on block 4.\n"),
        ("0", 1, "Error: there are no votes on block 0.\n"),
        ("last", 2, "Error: 'last' is no height: give one such as 12, or tip\n"),
    ],
)
def test_what_has_no_votes_is_said(
    voted: ServedConsortium, text: str, exit_code: int, message: str
) -> None:
    code, said = voted.refuse("votes", text)
    assert (code, message in said) == (exit_code, True)
