"""How a command fails: one sentence on what happened, one on what to do next, and an exit code."""

from __future__ import annotations

import sys
from typing import IO, Any

import click

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_UNREACHABLE = 3


class CommandFailed(click.ClickException):
    """Ends the command with a message and an exit code; never shown as a traceback."""

    def __init__(self, message: str, advice: str = "", exit_code: int = EXIT_FAILED) -> None:
        super().__init__(message)
        self.advice = advice
        # click declares it for the class, and reads it from the instance.
        self.exit_code = exit_code  # type: ignore[misc]

    def show(self, file: IO[Any] | None = None) -> None:
        """Print both sentences to standard error."""
        click.echo(f"Error: {_sentence(self.message)}", file=file or sys.stderr)
        if self.advice:
            click.echo(f"Next: {_sentence(self.advice)}", file=file or sys.stderr)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
