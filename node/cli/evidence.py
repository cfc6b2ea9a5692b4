"""`consortium evidence`: who is accused of what, verified here, and what became of it."""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass

import click

from node.cli.access import Consortium, nobody_answers
from node.cli.activity import activity
from node.cli.explorer import read_id
from node.cli.failure import EXIT_FAILED, EXIT_USAGE, CommandFailed
from node.cli.options import data_option, find_bank, json_option
from node.cli.table import answer_fields, answer_table
from node.cli.terminal import answer, answer_json
from node.client import LedgerClient, SealVerifier
from node.client.errors import LedgerUnavailable
from node.client.money import Money
from node.consensus.evidence_items import (
    ApprovedInvalid,
    DoubleBallot,
    DoubleCommit,
    DoubleProposal,
    DoubleVote,
    LockViolation,
    RejectedProposal,
    SealedInvalid,
    SignedAnswer,
    decode_item,
)
from node.consensus.evidence_verification import verify_evidence
from node.consensus.signatures import Ed25519Verifier
from node.consensus.signing import Decision
from node.ledger.ballots import Decision as BallotDecision
from node.ledger.ballots import ballot_message, ballot_tag
from node.ledger.encoding import MalformedEncoding
from node.ledger.genesis import Genesis
from node.ledger.invalidity import disprove
from node.ledger.offences import Offence
from node.ledger.rejection import Reason, Rejection
from node.ledger.state import LedgerState
from node.ledger.types import BankIndex
from node.runtime.consortium_directory import ConsortiumDirectory, short_name
from node.wire.records import EvidenceItem, EvidenceStatus

MEANINGS = {
    Offence.DOUBLE_VOTE: "two votes in one view",
    Offence.DOUBLE_PROPOSAL: "two proposals in one view",
    Offence.DOUBLE_COMMIT: "two commits in one view",
    Offence.LOCK_VIOLATION: "gave up a view without the lock that it had committed to",
    Offence.INVALID_PROPOSAL: "proposed a block that is invalid by its own bytes",
    Offence.REJECTED_PROPOSAL: "proposed a block that a quorum rejected",
    Offence.APPROVED_INVALID: "approved an invalid block",
    Offence.DOUBLE_BALLOT: "two ballots under one tag",
}
STATUSES = {
    EvidenceStatus.PENDING: "waits for a block",
    EvidenceStatus.RECORDED: "punished",
    EvidenceStatus.SUPERSEDED: "another item of the same offence was punished",
    EvidenceStatus.EXPIRED: "too old to be punished",
}


@dataclass(frozen=True, slots=True)
class Examined:
    """An item of a bank's list, with what was verified here."""

    item: EvidenceItem
    offence: Offence
    proven: bool
    """Whether signatures and proofs were verified here."""
    detail: str
    """Why they were not; empty if they were."""


@click.command()
@click.argument("evidence_id", metavar="[ID]", required=False)
@click.option("--bank", help="Ask this bank first, by name or index.")
@data_option
@json_option
def command(
    evidence_id: str | None, bank: str | None, directory: ConsortiumDirectory, as_json: bool
) -> None:
    """List the evidence that a bank holds, or show one item ID whole.

    Every item is verified here: the signatures of the accused, and for an invalid block what
    disproves it. Items older than the evidence window can no longer be verified from the state
    alone; they stand in a sealed block.

    \b
    Examples:
      consortium evidence
      consortium evidence 5f0e...9a --json
    """
    consortium = Consortium.load(directory)
    first = BankIndex(0) if bank is None else find_bank(consortium.genesis, bank)
    wanted = _read_wanted(evidence_id)
    examined = asyncio.run(_fetch(consortium, first))
    money = Money.none_of(consortium.genesis.base_asset)
    if wanted is not None:
        _show_one(_find(examined, wanted), money, as_json=as_json)
    elif as_json:
        answer_json({"evidence": [_json_object(found) for found in examined]})
    else:
        _show_all(examined, money)
    false = [found for found in examined if not found.proven and _is_recent(found)]
    if false:
        raise CommandFailed(
            f"{len(false)} items do not prove what they say: {false[0].detail}",
            "ask another bank with --bank; a bank that accepts such items is faulty",
            EXIT_FAILED,
        )


def _read_wanted(text: str | None) -> bytes | None:
    if text is None:
        return None
    wanted = read_id(text)
    if wanted is None:
        raise CommandFailed(
            f"{text!r} is not the id of an evidence item: 64 hexadecimal digits",
            "see `consortium evidence` for the ids",
            EXIT_USAGE,
        )
    return wanted


async def _fetch(consortium: Consortium, first: BankIndex) -> list[Examined]:
    with activity() as tell:
        tell("reading the evidence")
        async with consortium.ledger(first) as ledger:
            try:
                items = await _items(ledger)
                sealed = await ledger.sealed_state()
            except LedgerUnavailable as error:
                raise nobody_answers(consortium) from error
        tell(f"verifying {len(items)} items")
        _, state = SealVerifier(consortium.genesis).verify_state(sealed)
        return [
            await asyncio.to_thread(_examine, consortium.genesis, state, item) for item in items
        ]


async def _items(ledger: LedgerClient) -> list[EvidenceItem]:
    return [item async for page in ledger.evidence() for item in page]


def _examine(genesis: Genesis, state: LedgerState, item: EvidenceItem) -> Examined:
    try:
        offence = decode_item(item.item).offence
    except MalformedEncoding as error:
        return Examined(item, Offence.DOUBLE_VOTE, False, str(error))
    try:
        verified = verify_evidence(
            item.item,
            chain_id=genesis.chain_id,
            active_set_at=functools.partial(state.active_set_at, genesis),
            verifier=Ed25519Verifier(),
            disprove=functools.partial(disprove, genesis),
        )
    except Rejection as rejection:
        if rejection.reason is Reason.EVIDENCE_WINDOW:
            return Examined(item, offence, False, "older than the evidence window")
        return Examined(item, offence, False, str(rejection))
    told = (item.evidence_id, item.offence, item.bank, item.offence_height)
    if told != (verified.evidence_id, verified.offence, verified.bank, verified.height):
        return Examined(item, offence, False, "the bank describes another item than it shows")
    return Examined(item, offence, True, "")


def _is_recent(found: Examined) -> bool:
    return found.detail != "older than the evidence window"


def _find(examined: list[Examined], wanted: bytes) -> Examined:
    for found in examined:
        if found.item.evidence_id == wanted:
            return found
    raise CommandFailed(
        f"this bank holds no evidence {wanted.hex()}",
        "see `consortium evidence` for the ids, or ask another bank with --bank",
    )


def _show_all(examined: list[Examined], money: Money) -> None:
    if not examined:
        answer("no evidence: no bank is accused of anything")
        return
    answer_table(
        ("evidence", "accused", "offence", "height", "status", "block", "penalty", "verified"),
        [_cells(found, money) for found in examined],
        right=(3, 5, 6),
    )


def _cells(found: Examined, money: Money) -> tuple[str, ...]:
    item = found.item
    return (
        item.evidence_id.hex(),
        short_name(item.bank),
        f"{found.offence} {MEANINGS[found.offence]}",
        str(item.offence_height),
        STATUSES[item.status],
        "-" if item.recorded_height is None else str(item.recorded_height),
        "-" if item.penalty is None else money.of(item.penalty).text,
        "yes" if found.proven else found.detail,
    )


def _show_one(found: Examined, money: Money, *, as_json: bool) -> None:
    if as_json:
        answer_json({**_json_object(found), "statements": _statements(found)})
        return
    item = found.item
    answer_fields(
        [
            ("evidence", item.evidence_id.hex()),
            ("accused", short_name(item.bank)),
            (
                "offence",
                f"{found.offence}: {MEANINGS[found.offence]}, at height {item.offence_height}",
            ),
            ("status", STATUSES[item.status]),
            *([] if item.recorded_height is None else [("block", str(item.recorded_height))]),
            *([] if item.penalty is None else [("penalty", str(money.of(item.penalty)))]),
            ("verified", "signatures and proof, here" if found.proven else found.detail),
            ("size", f"{len(item.item)} bytes"),
            *[("says", text) for text in _statements(found)],
        ]
    )


def _statements(found: Examined) -> list[str]:
    """Return what the item shows, statement by statement."""
    try:
        item = decode_item(found.item.item)
    except MalformedEncoding as error:
        return [f"does not decode: {error}"]
    match item:
        case DoubleVote():
            return [f"view {item.view}: {_answer(half)}" for half in (item.first, item.second)]
        case DoubleProposal():
            blocks = [half.header.block_id.hex() for half in (item.first, item.second)]
            return [f"view {item.view}: proposed {block}" for block in blocks]
        case DoubleCommit():
            blocks = [half.block_id.hex() for half in (item.first, item.second)]
            return [f"view {item.view}: committed to {block}" for block in blocks]
        case LockViolation():
            return [
                f"view {item.commit_view}: committed to {item.commit.block_id.hex()}",
                f"view {item.timeout_view}: gave up, claiming no certificate above view "
                f"{item.highest_view}",
            ]
        case ApprovedInvalid():
            return [f"view {item.view}: approved {item.invalid.block_id.hex()}"]
        case RejectedProposal():
            reasons = sorted({entry.reason for entry in item.rejections})
            return [
                f"proposed {item.block_id.hex()}",
                f"{len(item.rejections)} banks rejected it: {', '.join(reasons)}",
            ]
        case SealedInvalid():
            return [
                f"proposed {item.block_id.hex()}, with {len(item.proof)} bytes of disproof",
                f"view {item.view}: {len(item.ballots)} banks sealed it, as their ballots show",
            ]
        case DoubleBallot():
            return [f"view {item.view}: {_ballot(raw)}" for raw in (item.first, item.second)]
        case _:
            return [f"proposed {item.block_id.hex()}, with {len(item.proof)} bytes of disproof"]


def _ballot(raw: bytes) -> str:
    try:
        tag, message = ballot_tag(raw), ballot_message(raw)
    except Rejection as rejection:
        return f"no ballot: {rejection}"
    verb = "approved" if message.endswith(BallotDecision.APPROVE.value) else "rejected"
    return f"{verb} {message[:-1].hex()} in a ballot with tag {tag.hex()[:16]}"


def _answer(half: SignedAnswer) -> str:
    if half.decision is Decision.APPROVE:
        return f"approved {half.block_id.hex()}"
    return f"rejected {half.block_id.hex()}: {half.reason}"


def _json_object(found: Examined) -> dict[str, object]:
    item = found.item
    return {
        "evidence_id": item.evidence_id.hex(),
        "offence": item.offence,
        "meaning": MEANINGS[found.offence],
        "accused": short_name(item.bank),
        "offence_height": item.offence_height,
        "status": item.status.name.lower(),
        "recorded_height": item.recorded_height,
        "penalty_minor": item.penalty,
        "size_bytes": len(item.item),
        "verified": found.proven,
        "detail": found.detail,
    }
