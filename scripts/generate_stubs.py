"""Make the gRPC stubs in node/wire from proto/.

python scripts/generate_stubs.py          write them
python scripts/generate_stubs.py --check  compare the committed stubs with a fresh generation
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = Path("proto")
STUBS = Path("node/wire")
PATTERNS = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py")


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the gRPC stubs in node/wire from proto/.")
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit 1 if the stubs are out of date"
    )
    check = parser.parse_args().check
    if not sources():
        print(f"no {PROTO / STUBS}/*.proto: nothing to generate")
        return 0
    if check:
        return _check()
    with tempfile.TemporaryDirectory() as directory:
        # A protocol file that does not compile must not cost the stubs that there are.
        generate(Path(directory))
        fresh = stubs(Path(directory))
    for stale in stubs(ROOT).keys() - fresh.keys():
        (ROOT / STUBS / stale).unlink()
    (ROOT / STUBS).mkdir(parents=True, exist_ok=True)
    for name, content in fresh.items():
        (ROOT / STUBS / name).write_bytes(content)
    print(f"wrote {len(fresh)} stubs to {STUBS}")
    return 0


def _check() -> int:
    with tempfile.TemporaryDirectory() as directory:
        generate(Path(directory))
        fresh, committed = stubs(Path(directory)), stubs(ROOT)
    differing = sorted(
        name for name in fresh.keys() | committed.keys() if fresh.get(name) != committed.get(name)
    )
    if differing:
        print(f"out of date in {STUBS}: {', '.join(differing)}", file=sys.stderr)
        print("run: ./.venv/bin/python scripts/generate_stubs.py", file=sys.stderr)
        return 1
    print(f"{len(committed)} stubs in {STUBS} are up to date")
    return 0


def sources() -> list[str]:
    """The protocol files, relative to the root of the repository."""
    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / PROTO / STUBS).glob("*.proto"))


def generate(destination: Path) -> None:
    """Generate all stubs below `destination`, at node/wire.

    Raises `SystemExit` with protoc's own message if a protocol file is wrong.
    """
    (destination / STUBS).mkdir(parents=True, exist_ok=True)
    outputs = [f"--{kind}_out={destination}" for kind in ("python", "pyi", "grpc_python")]
    made = subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", *outputs, *sources()],
        cwd=ROOT,
        check=False,
    )
    if made.returncode != 0:
        raise SystemExit("protoc failed")


def stubs(root: Path) -> dict[str, bytes]:
    """Name and content of every stub below `root`."""
    return {
        path.name: path.read_bytes()
        for pattern in PATTERNS
        for path in (root / STUBS).glob(pattern)
    }


if __name__ == "__main__":
    sys.exit(main())
