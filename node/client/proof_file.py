"""An inclusion proof in a file: everything that an auditor needs besides the genesis.

JSON, every byte string in lower-case hexadecimal:

    format          "consortium/inclusion-proof/2"
    transaction     canonical bytes of the transaction (IDX1 5)
    header          canonical bytes (BFT-12 2 and 3)
    certificate     canonical ballot certificate: ballots of a quorum, without names (BFT-12 17)
    leaf_hash       IDX1 11.1
    proof           IDX1 11.2
    set_changes     list of header, certificate, active_set: the sealed headers after which another
                    set of banks decides (BFT-12 10)
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from crypto.transaction import MAX_TRANSACTION_BYTES, transaction_id
from node.client.errors import ProofFileInvalid
from node.ledger.types import TransactionId
from node.wire.records import InclusionProof, PublishedSetChange

FORMAT = "consortium/inclusion-proof/2"
MAX_FILE_BYTES = 16 << 20
MAX_FIELD_BYTES = 64 << 10
"""More than any header, certificate or active set has; a transaction has a limit of its own."""

_FIELDS = ("header", "certificate", "leaf_hash", "proof")
_CHANGE_FIELDS = ("header", "certificate", "active_set")


@dataclass(frozen=True, slots=True)
class ProofFile:
    """A transaction and what proves that it is sealed; nothing here is verified yet."""

    transaction: bytes
    proof: InclusionProof

    @property
    def transaction_id(self) -> TransactionId:
        """The id that the bytes have, which is the one that is proven."""
        return TransactionId(transaction_id(self.transaction))

    @property
    def proof_bytes(self) -> int:
        """Canonical bytes beyond the header chain: transaction, ballots, path and leaf."""
        proof = self.proof
        parts = (self.transaction, proof.certificate, proof.proof, proof.leaf_hash)
        return sum(map(len, parts))

    @property
    def header_bytes(self) -> int:
        """Canonical bytes of the header chain that are needed: the header and the set changes."""
        changes = sum(
            len(item.header) + len(item.certificate) + len(item.active_set)
            for item in self.proof.set_changes
        )
        return len(self.proof.header) + changes

    def to_json_object(self) -> dict[str, object]:
        """Return the fields of the file."""
        proof = self.proof
        return {
            "format": FORMAT,
            "transaction": self.transaction.hex(),
            **{name: getattr(proof, name).hex() for name in _FIELDS},
            "set_changes": [
                {name: getattr(change, name).hex() for name in _CHANGE_FIELDS}
                for change in proof.set_changes
            ],
        }

    def encode(self) -> bytes:
        """Return the bytes of the file."""
        return (json.dumps(self.to_json_object(), indent=1) + "\n").encode("ascii")

    @staticmethod
    def decode(data: bytes) -> ProofFile:
        """Read a file; raises `ProofFileInvalid` saying what is wrong with it."""
        if len(data) > MAX_FILE_BYTES:
            raise ProofFileInvalid(f"{len(data)} bytes are more than any proof has")
        try:
            document = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ProofFileInvalid(f"it is not JSON: {error}") from error
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise ProofFileInvalid(f"it is not of the format {FORMAT}")
        changes = document.get("set_changes")
        if not isinstance(changes, list) or not all(isinstance(item, dict) for item in changes):
            raise ProofFileInvalid("`set_changes` is not a list of objects")
        return ProofFile(
            _hexadecimal(document, "transaction", MAX_TRANSACTION_BYTES),
            InclusionProof(
                **{name: _hexadecimal(document, name) for name in _FIELDS},
                set_changes=tuple([_set_change(item) for item in changes]),
            ),
        )


def _set_change(fields: dict[str, object]) -> PublishedSetChange:
    return PublishedSetChange(**{name: _hexadecimal(fields, name) for name in _CHANGE_FIELDS})


def _hexadecimal(fields: dict[str, object], name: str, limit: int = MAX_FIELD_BYTES) -> bytes:
    text = fields.get(name)
    if not isinstance(text, str) or len(text) > 2 * limit:
        raise ProofFileInvalid(f"`{name}` is missing, no text, or too long")
    try:
        value = bytes.fromhex(text)
    except ValueError as error:
        raise ProofFileInvalid(f"`{name}` is not hexadecimal") from error
    if value.hex() != text:
        raise ProofFileInvalid(f"`{name}` is not lower-case hexadecimal")
    return value
