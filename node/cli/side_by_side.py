"""What every bank says of the same thing, each in a row of its own: `round` and `trace`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from node.cli.access import Consortium, nobody_answers
from node.cli.explorer import utc_time
from node.cli.failure import CommandFailed
from node.cli.table import printable
from node.cli.terminal import answer
from node.client.errors import LedgerError, RecordNotFound
from node.client.operator_client import OperatorClient
from node.ledger.types import BankIndex
from node.runtime.consortium_directory import short_name

A = TypeVar("A")

CLOCKS = "milliseconds since the first event of any bank, each bank by its own clock"


@dataclass(frozen=True, slots=True)
class Answers(Generic[A]):
    """The answers of some banks, and why the others gave none."""

    found: Mapping[BankIndex, A]
    errors: Mapping[BankIndex, LedgerError]

    def errors_json(self) -> dict[str, str]:
        """Return why banks gave no answer, by name."""
        return {short_name(bank): str(error) for bank, error in self.errors.items()}

    def show_errors(self) -> None:
        """Print a line for each bank that gave no answer."""
        if self.errors:
            answer("")
        for bank, error in self.errors.items():
            answer(f"{short_name(bank)}: {printable(str(error))}")


async def ask_all(
    consortium: Consortium, question: Callable[[OperatorClient], Awaitable[A]], unknown: str
) -> Answers[A]:
    """Ask every bank at the same time; raises `CommandFailed` if none has an answer.

    `unknown` is the advice if banks answer and none of them knows.
    """
    answers = await consortium.ask_every_bank(question)
    found = {bank: item for bank, item in answers.items() if not isinstance(item, LedgerError)}
    errors = {bank: item for bank, item in answers.items() if isinstance(item, LedgerError)}
    if not found:
        for error in errors.values():
            if isinstance(error, RecordNotFound):
                raise CommandFailed(str(error), unknown) from error
        raise nobody_answers(consortium)
    return Answers(found, errors)


def offset_text(at_us: int, first_us: int) -> str:
    """Return a moment as milliseconds after the first."""
    return f"+{(at_us - first_us) / 1_000:.1f}"


def milliseconds(duration_us: int) -> str:
    """Return a duration in milliseconds, to a tenth or finer."""
    digits = 1 if duration_us >= 1_000 or duration_us == 0 else 3
    return f"{duration_us / 1_000:.{digits}f}"


def moment_text(at_us: int) -> str:
    """Return a moment for people, in UTC to the millisecond."""
    return utc_time(at_us // 1_000)
