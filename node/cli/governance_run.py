"""What `stake`, `readmit` and `pot-carry` share: handing a governance transaction in, and its seal.

Its nonce makes it valid once, so the same bytes are handed in again until a bank answers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

from crypto.transaction import transaction_id
from node.cli.access import Consortium, nobody_answers
from node.cli.activity import Tell
from node.cli.failure import EXIT_UNREACHABLE, CommandFailed
from node.cli.terminal import answer, answer_json
from node.client import LedgerClient, SealVerifier, wait_sealed
from node.client.errors import (
    LedgerOverloaded,
    LedgerTimeout,
    LedgerUnavailable,
)
from node.client.verification import SealedPlace
from node.ledger.state import LedgerState
from node.ledger.types import BankIndex, TransactionId
from node.runtime.consortium_directory import short_name

REPEAT_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Sealed:
    """Where a governance transaction is sealed, and the state of the tip after it."""

    place: SealedPlace
    state: LedgerState

    def show(self, bank: BankIndex, text: str, *, as_json: bool) -> None:
        """Print it with the bank that it is about; `text` says in words what was done."""
        member = self.state.banks[bank]
        about = {
            "bank": short_name(bank),
            "active": member.active,
            "stake_minor": member.stake,
            "initial_stake_minor": member.initial_stake,
            "account_minor": member.balance,
        }
        self.show_about(about, text, as_json=as_json)

    def show_about(self, about: Mapping[str, object], text: str, *, as_json: bool) -> None:
        """Print it; `about` says by name, and `text` in words, what was done."""
        if as_json:
            answer_json(
                {
                    "status": "sealed",
                    "transaction_id": self.place.transaction_id.hex(),
                    "height": self.place.header.height,
                    **about,
                }
            )
            return
        answer(text)
        answer(
            f"sealed in block {self.place.header.height}: "
            f"transaction {self.place.transaction_id.hex()}"
        )


async def hand_in(
    consortium: Consortium,
    ledger: LedgerClient,
    raw: bytes,
    timeout_s: int,
    tell: Tell,
) -> Sealed:
    """Submit the bytes, wait for the seal, and return the state of the tip after it.

    Raises `TransactionRefused`, and `CommandFailed` if the fate stays open.
    """
    identity = TransactionId(transaction_id(raw))
    verifier = SealVerifier(consortium.genesis)
    deadline_s = time.monotonic() + timeout_s
    place: SealedPlace | None = None
    while place is None:
        try:
            tell("handing it in")
            await ledger.submit(raw)
            tell("waiting for the seal")
            left_ms = max(1, int((deadline_s - time.monotonic()) * 1_000))
            place = await wait_sealed(ledger, verifier, identity, timeout_ms=left_ms)
        except (LedgerUnavailable, LedgerTimeout, LedgerOverloaded) as error:
            if time.monotonic() + REPEAT_EVERY_S > deadline_s:
                raise CommandFailed(
                    f"{timeout_s} s were too short for transaction {identity.hex()}, which may "
                    "still be sealed",
                    f"see `consortium tx {identity.hex()}` and `consortium status`",
                    EXIT_UNREACHABLE,
                ) from error
            await asyncio.sleep(REPEAT_EVERY_S)
    _, state = verifier.verify_state(await ledger.sealed_state())
    return Sealed(place, state)


async def reach(consortium: Consortium, ledger: LedgerClient) -> None:
    """Raise `CommandFailed` if no bank of this genesis answers."""
    try:
        await ledger.genesis(consortium.genesis.chain_id)
    except LedgerUnavailable as error:
        raise nobody_answers(consortium) from error
