"""Options of a load test besides Locust's own."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONSTANT, STEP, SPIKE, SOAK, OPEN = "constant", "step", "spike", "soak", "open"
SHAPES = (CONSTANT, STEP, SPIKE, SOAK, OPEN)

DEFAULT_DIRECTORY = ".consortium"
DEFAULT_SETTLE_S = 60.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add our options; the environment variables serve workers and the web interface."""
    parser.add_argument(
        "--data",
        env_var="CONSORTIUM_DATA",
        default=DEFAULT_DIRECTORY,
        metavar="DIRECTORY",
        help="directory of the consortium: addresses of the banks, credentials of clients",
        include_in_web_ui=False,
    )
    parser.add_argument(
        "--workload-file",
        env_var="CONSORTIUM_WORKLOAD",
        default="",
        metavar="FILE",
        help="proven transactions, made by `consortium load prepare`; needed to pay",
        include_in_web_ui=False,
    )
    parser.add_argument(
        "--shape",
        env_var="CONSORTIUM_SHAPE",
        choices=SHAPES,
        default=CONSTANT,
        help="constant: -u users; step: in five steps; spike: a fifth, twice all; soak: slowly to "
        "all; open: --rate payments a second, whatever the banks answer",
        include_in_web_ui=False,
    )
    parser.add_argument(
        "--rate",
        env_var="CONSORTIUM_RATE",
        type=float,
        default=10.0,
        metavar="PER_SECOND",
        help="with --shape open: payments a second, all users together",
    )
    parser.add_argument(
        "--think-s",
        env_var="CONSORTIUM_THINK_S",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="pause of a user between two requests",
    )
    parser.add_argument(
        "--settle-s",
        env_var="CONSORTIUM_SETTLE_S",
        type=float,
        default=DEFAULT_SETTLE_S,
        metavar="SECONDS",
        help="how long to wait at the end until every acknowledged payment is decided",
    )
    parser.add_argument(
        "--summary",
        env_var="CONSORTIUM_SUMMARY",
        default="",
        metavar="FILE",
        help="write the account of all payments and the response times to this file as JSON",
        include_in_web_ui=False,
    )


@dataclass(frozen=True)
class Options:
    """Our options, read where the process starts: paths are those of its own machine."""

    directory: Path
    workload_file: Path | None
    summary_file: Path | None

    @staticmethod
    def of(parsed: Any) -> Options:
        return Options(
            Path(parsed.data),
            Path(parsed.workload_file) if parsed.workload_file else None,
            Path(parsed.summary) if parsed.summary else None,
        )


def requested_shape(arguments: list[str]) -> str:
    """Return the shape that the command line or the environment asks for.

    Locust decides whether there is a shape before it reads the options of a locustfile.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--shape", default=os.environ.get("CONSORTIUM_SHAPE", CONSTANT))
    shape: str = parser.parse_known_args(arguments)[0].shape
    return shape
