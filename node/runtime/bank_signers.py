"""What a running bank signs with: its consensus key and its ballot key, checked against genesis."""

from __future__ import annotations

from dataclasses import dataclass

from crypto.ballot import BallotKey
from node.consensus.signatures import Ed25519Signer, RingBallotSigner
from node.ledger.genesis import Genesis
from node.runtime.config import ConfigurationError, NodeConfig
from node.runtime.secrets_directory import load_bank_secrets


@dataclass(frozen=True, slots=True)
class BankSigners:
    """One bank's two signers; neither shows its key."""

    statements: Ed25519Signer
    """Signs what is identified (BFT-12 2)."""
    ballots: RingBallotSigner
    """Signs what is published (BFT-12 17)."""


def load_signers(config: NodeConfig, genesis: Genesis) -> BankSigners:
    """Load the bank's keys and compare them with the genesis; raises `ConfigurationError`."""
    bank = genesis.banks[config.bank]
    secrets = load_bank_secrets(config.key_directory)
    statements = Ed25519Signer(secrets.consensus)
    if statements.public_key != bank.consensus_key:
        raise _other_key(config, "consensus.key")
    try:
        ballot_key = BallotKey.from_bytes(secrets.ballot)
    except ValueError:
        raise _other_key(config, "ballot.key") from None
    if ballot_key.public != bank.ballot_key:
        raise _other_key(config, "ballot.key")
    return BankSigners(statements, RingBallotSigner(ballot_key, genesis.chain_id))


def _other_key(config: NodeConfig, name: str) -> ConfigurationError:
    return ConfigurationError(
        f"{config.key_directory}/{name} is not the key of bank {config.bank} in genesis"
    )
