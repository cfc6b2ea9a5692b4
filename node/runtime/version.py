"""The software's version, as the installed distribution states it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def _installed_version() -> str:
    try:
        return version("consortium")
    except PackageNotFoundError:
        # A checkout that was not installed, for example under a test runner.
        return "0+checkout"


SOFTWARE_VERSION = _installed_version()
