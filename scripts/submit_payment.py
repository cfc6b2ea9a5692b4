"""Pay: python -m scripts.submit_payment 3@127.0.0.1:7003 CLIENT_DIRECTORY WALLET IDX1... 12.50"""

import asyncio
import sys
from pathlib import Path

from node.client import KeyFile, LedgerClient, Wallet, parse_amount


async def main(endpoint: str, credentials: str, wallet_file: str, to: str, amount: str) -> None:
    path = Path(wallet_file)
    async with LedgerClient.connect(endpoint, credentials) as ledger:
        secret = KeyFile(path.with_suffix(".key"))
        async with await Wallet.open(path.parent, path.stem, secret, ledger) as wallet:
            payment = await wallet.pay(to, parse_amount(amount, decimals=2), memo="hello")
            place = await wallet.wait_sealed(payment)
            print(f"{place.transaction_id.hex()} is sealed at height {place.header.height}")


asyncio.run(main(*sys.argv[1:]))
