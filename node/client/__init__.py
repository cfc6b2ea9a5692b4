"""The public client: access to any bank's ledger, offline verification, and wallets.

Trust: none in the bank that answers. From the genesis alone (`chain_id`) a client verifies the
seal of a quorum (`verification`), under it the ledger state, under that the lists of notes,
nullifiers and closed bins (`ledger_replay`), and single transactions by inclusion proof. A bank
can withhold, and be asked again elsewhere; it cannot make a client believe what is not sealed.

What a bank does learn: that a client fetches certain bins, when it submits, and from which
address of the network. A wallet therefore reads the ledger's lists whole instead of asking for
what is its own, and fetches rings only to spend from them, which the transaction will show anyway.

`LedgerClient` is the API, `Wallet` the library on top of it, `issue` and `payout` the issuing
bank's side.
"""

from node.client.address import decode_address, encode_address
from node.client.amount import format_amount, parse_amount
from node.client.connection import ClientCredentials, Endpoint
from node.client.issuing import issue, payout
from node.client.ledger_client import LedgerClient
from node.client.payment_order import decode_memo, recipient
from node.client.sealing import confirm_sealed, wait_sealed
from node.client.verification import SealVerifier, verify_inclusion
from node.client.wallet import Wallet
from node.client.wallet_file import KeyFile, Passphrase, WalletFile, list_wallets

__all__ = [
    "ClientCredentials",
    "Endpoint",
    "KeyFile",
    "LedgerClient",
    "Passphrase",
    "SealVerifier",
    "Wallet",
    "WalletFile",
    "confirm_sealed",
    "decode_address",
    "decode_memo",
    "encode_address",
    "format_amount",
    "issue",
    "list_wallets",
    "parse_amount",
    "payout",
    "recipient",
    "verify_inclusion",
    "wait_sealed",
]
