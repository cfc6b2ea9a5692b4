"""`python -m tests.reference FILE [SECTION ..]`: check a vectors file with the reference alone."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from tests.reference.vectors import SECTIONS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reference", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("sections", nargs="*", choices=[[], *SECTIONS], metavar="SECTION")
    arguments = parser.parse_args()
    document = json.loads(arguments.file.read_text())
    passed, failed = 0, 0
    for section in arguments.sections or SECTIONS:
        started = time.process_time()
        outcomes = list(SECTIONS[section](document))
        seconds = time.process_time() - started
        for name, success in outcomes:
            if not success:
                print(f"FAILED {name}")
        good = sum(success for _, success in outcomes)
        print(f"{section}: {good} of {len(outcomes)} in {seconds:.1f} s", flush=True)
        passed, failed = passed + good, failed + len(outcomes) - good
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    raise SystemExit(main())
