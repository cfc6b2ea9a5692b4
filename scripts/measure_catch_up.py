"""Measure how fast a bank that is far behind catches up while the others go on under load.

python -m scripts.measure_catch_up [--blocks 10000] [--banks 12] [--load 5] [--join snapshot]

Makes a consortium of its own in a temporary directory: a long ledger sealed with the keys of all
banks, in every bank's database but the last one's; processes for all banks; a steady load of
transactions. Then the last bank starts from genesis. Printed: a JSON report with blocks caught up
and produced in a second at the same time. Takes the machine for itself for several minutes.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Run the measurement, which lies with the tests because it holds every bank's keys."""
    command = [sys.executable, "-m", "tests.snapshots.catch_up_measurement", *sys.argv[1:]]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
