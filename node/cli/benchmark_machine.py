"""What a measurement was made on: hardware, system, libraries, and the state of the code."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

import node
from node.runtime.version import SOFTWARE_VERSION

LIBRARIES = (
    "py-arkworks-bls12381",
    "gmpy2",
    "cryptography",
    "grpcio",
    "protobuf",
    "psycopg",
    "sqlalchemy",
)


def usable_cores() -> int:
    """Return how many processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe_machine() -> dict[str, Any]:
    """Return hardware and system, ready for JSON."""
    return {
        "cpu": _cpu_model(),
        "cores": usable_cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def describe_software(postgres_version: str) -> dict[str, Any]:
    """Return versions, ready for JSON; `postgres_version` as a bank reports it."""
    return {
        "consortium": SOFTWARE_VERSION,
        "commit": _commit(),
        "python": platform.python_version(),
        "postgres": _dotted(postgres_version),
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _dotted(version_number: str) -> str:
    """Return `18.4` for `180004`."""
    if not version_number.isdecimal():
        return version_number
    major, minor = divmod(int(version_number), 10_000)
    return f"{major}.{minor}"


def _commit() -> str:
    """Return the commit of the code that runs, marked if it was altered; empty if it is unknown."""
    root = Path(node.__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return ""
    try:
        described = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return described.stdout.strip()
