"""Find a Chromium for the tests of the operator's page, and install one if asked to.

    scripts/bootstrap -P scripts/chromium.py             print the path of one that is there
    scripts/bootstrap -P scripts/chromium.py --install   install one first if there is none

Looks at CONSORTIUM_CHROMIUM, the PATH, the usual places of macOS, and what `playwright install` has
downloaded. Installs with apt-get as root on Debian, which brings fonts and security updates along;
else, or if that fails, with `playwright install`, which downloads from a network of its own. Both
have a time limit. Exits with 1 and says what to do where none can be had.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SYSTEM_APPLICATIONS = Path("/Applications")
APPLICATIONS = (
    "Google Chrome.app/Contents/MacOS/Google Chrome",
    "Chromium.app/Contents/MacOS/Chromium",
)
DOWNLOADED = (
    "chromium_headless_shell-*/*/chrome-headless-shell",
    "chromium_headless_shell-*/*/headless_shell",
    "chromium-*/*/chrome",
    "chromium-*/*/*.app/Contents/MacOS/*",
)
"""Below the directory of Playwright's browsers, for all its releases."""

VERSION = re.compile(r"(Chrom|HeadlessChrome).*?\d+\.\d+")
STACK = re.compile(r"\s*(at .*)?$")
"""What only Playwright's own authors want to read."""
ANSWERS_WITHIN_S = 20
INSTALLED_WITHIN_S = 300
CONNECTED_WITHIN_MS = 5_000
"""Playwright tries several addresses, one after the other."""

ADVICE = """\
there is no Chromium, and the tests of the operator's page need one
  Debian:   apt-get install chromium
  Fedora:   dnf install chromium
  macOS:    install Google Chrome
  anywhere: ./.venv/bin/python -m playwright install chromium
  another place: CONSORTIUM_CHROMIUM=/path/to/chromium"""


class ChromiumMissing(Exception):
    """There is no Chromium; the message says how to get one."""


def find_chromium(environment: Mapping[str, str] = os.environ) -> Path:
    """Return a Chromium that runs. Raises ChromiumMissing."""
    named = environment.get("CONSORTIUM_CHROMIUM")
    if named:
        if not _runs(Path(named)):
            raise ChromiumMissing(f"CONSORTIUM_CHROMIUM={named} is no Chromium that runs")
        return Path(named)
    for candidate in _candidates(environment):
        if _runs(candidate):
            return candidate
    raise ChromiumMissing(ADVICE)


def _candidates(environment: Mapping[str, str]) -> Iterator[Path]:
    for program in PROGRAMS:
        found = shutil.which(program, path=environment.get("PATH", ""))
        if found is not None:
            yield Path(found)
    home = Path(environment.get("HOME", os.sep))
    for applications in (SYSTEM_APPLICATIONS, home / "Applications"):
        yield from (applications / application for application in APPLICATIONS)
    caches = [home / ".cache" / "ms-playwright", home / "Library" / "Caches" / "ms-playwright"]
    if environment.get("PLAYWRIGHT_BROWSERS_PATH"):
        caches.insert(0, Path(environment["PLAYWRIGHT_BROWSERS_PATH"]))
    for cache in caches:
        for pattern in DOWNLOADED:
            yield from sorted(cache.glob(pattern), reverse=True)


def _runs(program: Path) -> bool:
    """Whether this starts: Ubuntu's package is a stub, and a download may lack libraries."""
    if not program.is_file():
        return False
    try:
        said = subprocess.run(
            [str(program), "--version"],
            capture_output=True,
            text=True,
            timeout=ANSWERS_WITHIN_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return said.returncode == 0 and VERSION.search(said.stdout) is not None


def install_chromium() -> Path:
    """Install a Chromium and return where it is. Raises ChromiumMissing."""
    if _is_debian() and os.geteuid() == 0 and shutil.which("apt-get"):
        apt_get = ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=60")
        packages = ("--no-install-recommends", "chromium", "fonts-liberation")
        if _run(*apt_get, "update") and _run(*apt_get, "install", "-y", *packages):
            return find_chromium()
    with_libraries = ("--with-deps",) if os.geteuid() == 0 and shutil.which("apt-get") else ()
    playwright = (sys.executable, "-P", "-m", "playwright", "install", "--only-shell")
    _run(*playwright, *with_libraries, "chromium")
    return find_chromium()


def _is_debian() -> bool:
    """Ubuntu is none here: its package only points to a snap, which containers cannot run."""
    try:
        return "ID=debian" in Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False


def _run(*arguments: str) -> bool:
    """Run a step of the installation; its output is shown if it fails."""
    shown = " ".join(["playwright", *arguments[4:]] if "playwright" in arguments else arguments)
    _say(f"installing Chromium: {shown} (up to {INSTALLED_WITHIN_S} s)")
    quiet = {
        **os.environ,
        "DEBIAN_FRONTEND": "noninteractive",
        "PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT": str(CONNECTED_WITHIN_MS),
    }
    try:
        done = subprocess.run(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=quiet,
            timeout=INSTALLED_WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        _say(f"{shown} took too long")
        return False
    if done.returncode != 0:
        _say(f"{shown} failed:")
        told = [line for line in done.stdout.splitlines() if not STACK.match(line)]
        for line in told[-5:]:
            _say(f"  {line}")
    return done.returncode == 0


def _say(text: str) -> None:
    print(f"chromium: {text}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> int:
    """Print the path; return the exit code."""
    if list(arguments) not in ([], ["--install"]):
        _say("usage: scripts/bootstrap -P scripts/chromium.py [--install]")
        return 2
    try:
        try:
            print(find_chromium())
        except ChromiumMissing:
            if not arguments or os.environ.get("CONSORTIUM_CHROMIUM"):
                raise
            print(install_chromium())
    except ChromiumMissing as error:
        _say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
