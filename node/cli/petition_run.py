"""What `readmit` and `pot-carry` share: a petition is made, approved, and handed in.

On one machine `now` does it all; elsewhere the file goes round, from `request` through `approve` at
each bank to `submit`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from node.cli.access import Consortium, bank_names
from node.cli.activity import activity
from node.cli.governance_run import Sealed, hand_in, reach
from node.cli.options import find_bank
from node.cli.petition import Petition, read_petition, require_this_ledger
from node.cli.terminal import answer, answer_json
from node.client import LedgerClient
from node.ledger.governance import ApprovedTerms, assemble_approved
from node.ledger.types import BankIndex

T = TypeVar("T", bound=ApprovedTerms[Any])


@dataclass(frozen=True, slots=True)
class Cause(Generic[T]):
    """What banks are asked to approve, in the words of one command."""

    command: str
    """What follows `consortium` on the command line."""
    request_form: str
    """What follows `request` on it."""
    purpose: str
    decode: Callable[[bytes], T]
    about: Callable[[T], Mapping[str, object]]
    """What the subject is called in JSON, and its name."""
    home: Callable[[T], BankIndex]
    """The bank to hand it in at first."""
    show: Callable[[Sealed, Petition[T], str, bool], None]
    """Say that it is done: what was sealed, by whom it was approved in words, whether as JSON."""

    def read(self, file: Path) -> Petition[T]:
        """Read a file; raises `CommandFailed` if it is for another purpose."""
        advice = f"make one with `consortium {self.command} request {self.request_form} FILE`"
        return read_petition(file, self.decode, self.purpose, advice)

    def write(self, petition: Petition[T], file: Path) -> None:
        """Write the file that goes from bank to bank."""
        terms = petition.terms
        petition.write(file, {**self.about(terms), "expiry_height": terms.expiry})


def petition_for(
    consortium: Consortium, home: BankIndex, terms_of: Callable[[LedgerClient], Awaitable[T]]
) -> Petition[T]:
    """Return a petition without approvals, for terms that follow from the sealed state."""

    async def read() -> Petition[T]:
        with activity() as tell:
            tell("reading the sealed state")
            async with consortium.ledger(home) as ledger:
                await reach(consortium, ledger)
                return Petition(await terms_of(ledger))

    return asyncio.run(read())


def begin_round(cause: Cause[T], petition: Petition[T], file: Path) -> None:
    """Write the file that the banks approve."""
    cause.write(petition, file)
    answer(f"{file}: have it approved with `consortium {cause.command} approve {file} --as BANK`")


def approve_file(
    cause: Cause[T], consortium: Consortium, file: Path, approver: str, *, as_json: bool
) -> None:
    """Add one bank's approval to the file."""
    petition = cause.read(file)
    require_this_ledger(consortium, petition, file)
    petition = petition.approved(consortium, find_bank(consortium.genesis, approver))
    cause.write(petition, file)
    if as_json:
        answer_json({**cause.about(petition.terms), "approved_by": petition.approvers})
    else:
        answer(f"{file}: approved by {', '.join(petition.approvers)}")


def submit(
    cause: Cause[T],
    consortium: Consortium,
    petition: Petition[T],
    timeout_s: int,
    *,
    as_json: bool,
) -> None:
    """Hand a petition in, wait until it is sealed, and say so."""
    raw = assemble_approved(petition.terms, petition.approvals)

    async def run() -> Sealed:
        with activity() as tell:
            async with consortium.ledger(cause.home(petition.terms)) as ledger:
                await reach(consortium, ledger)
                return await hand_in(consortium, ledger, raw, timeout_s, tell)

    sealed = asyncio.run(run())
    approvers = bank_names(sorted(item.bank for item in petition.approvals))
    cause.show(sealed, petition, approvers, as_json)
