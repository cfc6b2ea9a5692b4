"""Which Chromium the tests of the operator's page take, and what is said where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import chromium
from scripts.chromium import ADVICE, ChromiumMissing, find_chromium

SCRIPT = Path(__file__).parent.parent / "scripts" / "chromium.py"
STUB = "echo 'Command needs the snap to be installed' >&2; exit 1"


@pytest.fixture(autouse=True)
def no_applications(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of ours may have Chrome where macOS keeps it."""
    monkeypatch.setattr(chromium, "SYSTEM_APPLICATIONS", tmp_path / "none")


def program(path: Path, text: str = "echo Chromium 150.0.1.2 built on a machine") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_the_one_that_is_named_is_taken_before_all_others(tmp_path: Path) -> None:
    named = program(tmp_path / "a place" / "mine")
    program(tmp_path / "bin" / "chromium")
    found = find_chromium({"CONSORTIUM_CHROMIUM": str(named), "PATH": str(tmp_path / "bin")})
    assert found == named


@pytest.mark.parametrize("text", [STUB, "echo not a browser", "exit 0"])
def test_one_that_is_named_and_does_not_run_is_refused(tmp_path: Path, text: str) -> None:
    broken = program(tmp_path / "broken", text)
    program(tmp_path / "bin" / "chromium")
    environment = {"CONSORTIUM_CHROMIUM": str(broken), "PATH": str(tmp_path / "bin")}
    with pytest.raises(ChromiumMissing) as refused:
        find_chromium(environment)
    assert str(refused.value) == f"CONSORTIUM_CHROMIUM={broken} is no Chromium that runs"


def test_a_stub_on_the_path_is_passed_over(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "chromium-browser", STUB)
    chrome = program(tmp_path / "bin" / "google-chrome", "echo Google Chrome 150.0.1.2")
    assert find_chromium({"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path)}) == chrome


@pytest.mark.parametrize(
    "place",
    [
        ".cache/ms-playwright/chromium-1255/chrome-linux64/chrome",
        ".cache/ms-playwright/chromium-1180/chrome-linux/chrome",
        ".cache/ms-playwright/chromium_headless_shell-1255/chrome-headless-shell-linux64/"
        "chrome-headless-shell",
        "Library/Caches/ms-playwright/chromium-1255/chrome-mac-arm64/"
        "Google Chrome for Testing.app/Contents/MacOS/Google Chrome for Testing",
        "Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    ],
)
def test_downloads_and_applications_of_the_user_are_found(tmp_path: Path, place: str) -> None:
    downloaded = program(tmp_path / place)
    assert find_chromium({"PATH": "", "HOME": str(tmp_path)}) == downloaded


def test_the_newest_download_in_a_place_of_its_own_is_taken(tmp_path: Path) -> None:
    for revision in (1180, 1255):
        program(tmp_path / "browsers" / f"chromium-{revision}" / "chrome-linux64" / "chrome")
    environment = {
        "PATH": "",
        "HOME": str(tmp_path),
        "PLAYWRIGHT_BROWSERS_PATH": str(tmp_path / "browsers"),
    }
    found = find_chromium(environment)
    assert found == tmp_path / "browsers" / "chromium-1255" / "chrome-linux64" / "chrome"


def test_a_machine_without_one_is_told_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ChromiumMissing) as missing:
        find_chromium({"PATH": str(tmp_path), "HOME": str(tmp_path)})
    assert str(missing.value) == ADVICE


def run(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", str(SCRIPT), *arguments],
        env={**os.environ, **changes},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("arguments", [(), ("--install",)])
def test_the_script_prints_the_path_alone(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    named = program(tmp_path / "chromium")
    done = run(*arguments, CONSORTIUM_CHROMIUM=str(named))
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{named}\n", "")


@pytest.mark.parametrize("arguments", [(), ("--install",)])
def test_the_script_installs_nothing_in_place_of_one_that_is_named(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = run(*arguments, CONSORTIUM_CHROMIUM=str(tmp_path / "gone"))
    said = f"chromium: CONSORTIUM_CHROMIUM={tmp_path / 'gone'} is no Chromium that runs\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)
