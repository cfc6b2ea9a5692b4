"""A ledger as bytes: its genesis, the keys of its banks, and every block with its seal.

Canonical encoding, one part after another: the founding, then the blocks from height 1 on. A
workload file carries the parts (`node.client.workload_file`); nothing in them is taken on trust by
whoever installs them (`ledger_installation`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from crypto.transaction import MAX_TRANSACTION_BYTES
from node.consensus.certificates import Seal
from node.ledger.blocks import MAX_BLOCK_BYTES, MAX_TRANSACTIONS, Block
from node.ledger.effects import Transition
from node.ledger.encoding import MalformedEncoding, Reader, Writer
from node.ledger.genesis import Genesis, GenesisInvalid
from node.ledger.proofs import VerifiedTransaction
from node.runtime.founding import ConsortiumKeys

MAX_GENESIS_BYTES = 1 << 20
MAX_SEAL_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Founding:
    """What a consortium begins with."""

    genesis: Genesis
    keys: ConsortiumKeys

    def encode(self) -> bytes:
        """Return the canonical bytes; the genesis stands in them as its own JSON."""
        document = json.dumps(self.genesis.to_json_object()).encode("utf-8")
        return self.keys.write(Writer().blob(document)).finish()

    @staticmethod
    def decode(data: bytes) -> Founding:
        """Read what `encode` gave; raises `MalformedEncoding`, also if the keys are others'."""
        reader = Reader(data)
        document = reader.blob(MAX_GENESIS_BYTES)
        keys = ConsortiumKeys.read(reader)
        reader.finish()
        try:
            genesis = Genesis.from_json_object(json.loads(document))
        except (ValueError, RecursionError, GenesisInvalid) as error:
            raise MalformedEncoding(f"the genesis does not hold: {error}") from error
        ballot_keys = [bank.ballot.public for bank in keys.banks]
        if ballot_keys != [bank.ballot_key for bank in genesis.banks]:
            raise MalformedEncoding("the keys are not those of the genesis")
        return Founding(genesis, keys)


@dataclass(frozen=True, slots=True)
class ArchivedBlock:
    """A block as it travels: whole, sealed, with the bytes of its transactions."""

    block: Block
    seal: Seal
    transactions: tuple[bytes, ...]

    def encode(self) -> bytes:
        """Return the canonical bytes."""
        writer = Writer().blob(self.block.encode()).blob(self.seal.encode())
        return writer.many(self.transactions, Writer.blob).finish()

    @staticmethod
    def decode(data: bytes) -> ArchivedBlock:
        """Read what `encode` gave; raises `MalformedEncoding`."""
        reader = Reader(data)
        found = ArchivedBlock(
            Block.decode(reader.blob(MAX_BLOCK_BYTES)),
            Seal.decode(reader.blob(MAX_SEAL_BYTES)),
            reader.many(MAX_TRANSACTIONS, lambda r: r.blob(MAX_TRANSACTION_BYTES)),
        )
        reader.finish()
        return found


@dataclass(frozen=True, slots=True)
class MadeBlock:
    """A sealed block with everything that follows from it."""

    block: Block
    seal: Seal
    transition: Transition
    transactions: tuple[VerifiedTransaction, ...]

    @property
    def archived(self) -> ArchivedBlock:
        """As it travels."""
        return ArchivedBlock(self.block, self.seal, tuple([item.raw for item in self.transactions]))
