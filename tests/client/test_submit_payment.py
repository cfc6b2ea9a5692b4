"""The example script, as a user runs it."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

from node.client.ledger_client import LedgerClient
from node.client.wallet import Wallet
from node.client.wallet_file import KeyFile
from tests.client.conftest import ServedBank
from tests.client.funding import fund
from tests.client.small_bank import SealedLedger

ROOT = Path(__file__).parent.parent.parent
SCRIPT = ROOT / "scripts" / "submit_payment.py"


def test_the_script_has_twenty_lines_at_most() -> None:
    assert len(SCRIPT.read_text(encoding="utf-8").splitlines()) <= 20


async def test_the_script_submits_a_payment(
    ledger: SealedLedger,
    home: ServedBank,
    client: LedgerClient,
    tls_directory: Path,
    tmp_path: Path,
) -> None:
    home.bank.seals_at_once = True
    key_file = KeyFile.create(tmp_path / "alice.key")
    async with await Wallet.create(tmp_path, "alice", key_file, client) as alice:
        address = alice.address
    fund(ledger, address, [5_000])
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "scripts.submit_payment",
        str(home.endpoint),
        str(tls_directory / "alice"),
        str(tmp_path / "alice.wallet"),
        address,
        "12.50",
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert re.fullmatch(r"[0-9a-f]{64} is sealed at height 3\n", output.decode())
