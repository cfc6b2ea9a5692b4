"""`consortium vectors FILE`: check a file of vectors with the production code (IDX1 13).

A check that breaks in an unexpected way counts as failed; a file that is no vectors file is a
`VectorFileError`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from node.cli.vector_checks import SECTIONS, Check, Mismatch, VectorFile, VectorFileError

__all__ = ["VectorFileError", "VectorReport", "check_vectors", "load_vectors", "main_vectors"]

MAX_FILE_BYTES = 256 * 1024 * 1024
EXIT_PASSED = 0
EXIT_FAILED = 1
EXIT_NO_VECTORS = 2

Progress = Callable[[int, int], None]
"""Takes how many checks are done and how many there are."""


@dataclass(frozen=True, slots=True)
class VectorReport:
    """What came of a file."""

    passed: int
    failed: int
    failures: list[str]
    """One line for every failed check: its name and what went wrong."""
    absent_sections: list[str]
    """Sections of the schema that the file does not have."""


def load_vectors(path: Path) -> dict[str, object]:
    """The JSON object in a file; raises VectorFileError for anything else."""
    try:
        size_bytes = path.stat().st_size
        if size_bytes > MAX_FILE_BYTES:
            raise VectorFileError(f"{path}: {size_bytes} bytes, more than {MAX_FILE_BYTES}")
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise VectorFileError(f"{path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise VectorFileError(f"{path}: not JSON: {error}") from error
    if not isinstance(document, dict):
        raise VectorFileError(f"{path}: not a JSON object")
    return document


def check_vectors(document: dict[str, object], progress: Progress | None = None) -> VectorReport:
    """Run every check the document's sections ask for; raises VectorFileError if it has none."""
    file = VectorFile(document)
    checks = [check for section in SECTIONS.values() for check in section(file)]
    if not checks:
        raise VectorFileError("the document holds no vectors")
    failures = []
    for done, check in enumerate(checks):
        if progress is not None:
            progress(done, len(checks))
        failure = _failure_of(check)
        if failure is not None:
            failures.append(f"{check.name}: {failure}")
    if progress is not None:
        progress(len(checks), len(checks))
    absent = [name for name in SECTIONS if name not in document]
    return VectorReport(len(checks) - len(failures), len(failures), failures, absent)


def _failure_of(check: Check) -> str | None:
    try:
        check.run()
    except Mismatch as mismatch:
        return str(mismatch)
    except Exception as error:  # edge: whatever a vector provokes, the others are still checked
        return f"{type(error).__name__}: {error}"
    return None


def main_vectors(path: Path | str, as_json: bool = False) -> int:
    """Check a file and print the outcome; the last line is `N passed, M failed`.

    With `as_json` standard output is one JSON object and the line goes to standard error. Returns
    the exit code: 0 if everything passed, 1 if a check failed, 2 if the file holds no vectors.
    """
    try:
        report = check_vectors(load_vectors(Path(path)), _show_progress)
    except VectorFileError as error:
        print(f"not a file of IDX1 vectors: {error}", file=sys.stderr)
        return EXIT_NO_VECTORS
    summary = f"{report.passed} passed, {report.failed} failed"
    if as_json:
        print(json.dumps(asdict(report)))
    else:
        for failure in report.failures:
            print(f"FAILED {failure}")
    if report.absent_sections:
        print(f"sections not in the file: {', '.join(report.absent_sections)}", file=sys.stderr)
    print(summary, file=sys.stderr if as_json else sys.stdout)
    return EXIT_PASSED if report.failed == 0 else EXIT_FAILED


def _show_progress(done: int, total: int) -> None:
    if not sys.stderr.isatty():
        return
    end = "\r" if done < total else "\r\033[K"
    print(f"{done} of {total} checks", end=end, file=sys.stderr, flush=True)
