"""What each section of a vectors file claims, as checks of the production code (IDX1 13).

A section becomes a sequence of `Check`s, one for each vector, that raise `Mismatch` where the code
computes something else than the file says. Only the schema is known here: no names, no counts.
"""

from collections.abc import Callable, Iterator, Mapping

from node.cli.vector_checks.ballots import ballot_checks
from node.cli.vector_checks.document import Check, Mismatch, VectorFile, VectorFileError
from node.cli.vector_checks.notes import bin_checks, scan_checks, wallet_checks
from node.cli.vector_checks.primitives import (
    expand_checks,
    generator_checks,
    hash_checks,
    merkle_checks,
)
from node.cli.vector_checks.transactions import block_checks, transaction_checks

__all__ = ["SECTIONS", "Check", "Mismatch", "VectorFile", "VectorFileError"]

SECTIONS: Mapping[str, Callable[[VectorFile], Iterator[Check]]] = {
    "hash": hash_checks,
    "expand": expand_checks,
    "generators": generator_checks,
    "wallets": wallet_checks,
    "bins": bin_checks,
    "scan": scan_checks,
    "transactions": transaction_checks,
    "ballots": ballot_checks,
    "blocks": block_checks,
    "merkle": merkle_checks,
}
"""The sections of the schema that hold vectors, with the checks each one asks for."""
