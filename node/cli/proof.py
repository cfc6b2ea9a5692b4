"""`consortium proof`: evidence that a transaction is sealed, and its verification offline."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from pathlib import Path

import click

from crypto.merkle import PROOF_HEADER_BYTES
from node.cli.access import Consortium, nobody_answers
from node.cli.activity import activity
from node.cli.explorer import read_transaction_id, seal_text, utc_time
from node.cli.failure import EXIT_FAILED, EXIT_USAGE, CommandFailed
from node.cli.options import data_option, json_option
from node.cli.table import answer_fields
from node.cli.terminal import answer, answer_json
from node.client import SealVerifier
from node.client.errors import (
    LedgerUnavailable,
    NotYet,
    ProofFileInvalid,
    VerificationError,
)
from node.client.proof_file import MAX_FILE_BYTES, ProofFile
from node.client.verification import SealedPlace
from node.ledger.ballots import BallotCertificate
from node.ledger.genesis import Genesis
from node.ledger.types import HASH_BYTES, BankIndex, TransactionId
from node.runtime.config import ConfigurationError
from node.runtime.consortium_directory import ConsortiumDirectory


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was checked of a proof that holds."""

    place: SealedPlace
    certificate: BallotCertificate
    active_banks: int
    path_hashes: int
    set_changes: int
    proof_bytes: int
    """Transaction, ballots and path: what it takes beyond the header chain."""
    header_bytes: int
    """The block's header, and every change of the set with header, ballots and new set."""
    verification_ms: float
    """Of all the checks below, once the genesis was read; by the clock on the wall."""
    cpu_ms: float
    """The same in time of the processor, whatever else the machine does."""
    genesis: Genesis
    genesis_file: Path

    def fields(self) -> list[tuple[str, str]]:
        """Return the lines to print: each a check that was made, in order."""
        header = self.place.header
        changes = (
            "the set of banks is that of the genesis"
            if not self.set_changes
            else f"{self.set_changes} changes of the set of banks, each sealed by the set before"
        )
        return [
            ("transaction", f"{self.place.transaction_id.hex()}, the hash of all its bytes"),
            (
                "inclusion",
                f"place {self.place.index} of {header.transaction_count} in block "
                f"{header.height}, by {self.path_hashes} hashes up to the transactions' root",
            ),
            ("block", f"{header.block_id.hex()}, {utc_time(header.time_ms)}"),
            ("seal", seal_text(self.certificate, self.active_banks)),
            ("banks", changes),
            (
                "cost",
                f"verified in {self.verification_ms:.1f} ms ({self.cpu_ms:.1f} ms of CPU) from "
                f"{self.proof_bytes:,} bytes beyond the header chain, of which "
                f"{self.header_bytes:,} bytes were needed",
            ),
            ("genesis", f"chain {self.genesis.chain_id.hex()}, from {self.genesis_file}"),
        ]

    def to_json_object(self) -> dict[str, object]:
        """Return the same by name."""
        header = self.place.header
        return {
            "verified": True,
            "transaction_id": self.place.transaction_id.hex(),
            "height": header.height,
            "block_id": header.block_id.hex(),
            "index": self.place.index,
            "transaction_count": header.transaction_count,
            "time_ms": header.time_ms,
            "ballots": len(self.certificate.ballots),
            "active_banks": self.active_banks,
            "view": self.certificate.view,
            "path_hashes": self.path_hashes,
            "set_changes": self.set_changes,
            "proof_bytes": self.proof_bytes,
            "header_bytes": self.header_bytes,
            "verification_ms": round(self.verification_ms, 3),
            "cpu_ms": round(self.cpu_ms, 3),
            "chain_id": self.genesis.chain_id.hex(),
        }


@click.command()
@click.argument("transaction_id", metavar="[TXID]", required=False)
@click.option("--verify", is_flag=True, help="Check the proof and say what was checked.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the proof to this file.",
)
@click.option(
    "--file",
    "proof_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Take the proof from this file and ask no bank.",
)
@click.option(
    "--genesis",
    "genesis_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Trust this genesis.  [default: that of the data directory]",
)
@data_option
@json_option
def command(
    transaction_id: str | None,
    verify: bool,
    out: Path | None,
    proof_file: Path | None,
    genesis_file: Path | None,
    directory: ConsortiumDirectory,
    as_json: bool,
) -> None:
    """Fetch the proof that the transaction TXID is sealed, or verify one.

    A proof holds the transaction, its path in the tree of its block, the block's header and the
    ballots of a quorum: ten of twelve banks approved, and nobody learns which. With --file it is
    verified offline: no bank is asked. Without --verify or --out the proof itself is printed as
    JSON.

    What is trusted is the genesis, and that fewer than eight of twelve banks ever lie together;
    no bank's word is, nor the network's, nor the regulator's.

    \b
    Examples:
      consortium proof 5f0e...9a --verify
      consortium proof 5f0e...9a --out rent.proof
      consortium proof --verify --file rent.proof --genesis genesis.json
    """
    wanted = None if transaction_id is None else read_transaction_id(transaction_id)
    if proof_file is not None:
        if not verify or out is not None:
            raise click.UsageError("--file goes with --verify and without --out")
        proof, source = _read(proof_file), str(proof_file)
    elif wanted is not None:
        proof, source = asyncio.run(_fetch(Consortium.load(directory), wanted)), "the bank"
    else:
        raise click.UsageError("give the id of a transaction, or --verify --file FILE")
    if wanted is not None and proof.transaction_id != wanted:
        raise CommandFailed(f"the proof of {source} is about {proof.transaction_id.hex()}")
    if verify:
        trusted = genesis_file or directory.genesis_file
        verdict = verdict_of(proof, load_genesis(directory, genesis_file), trusted, source)
        if as_json:
            answer_json(verdict.to_json_object())
        else:
            answer(f"the proof holds: {proof.transaction_id.hex()} is sealed")
            answer_fields(verdict.fields())
    if out is not None:
        out.write_bytes(proof.encode())
        if not (verify and as_json):
            _say_written(proof, out, as_json=as_json)
    if not verify and out is None:
        answer_json(proof.to_json_object())


def _say_written(proof: ProofFile, out: Path, *, as_json: bool) -> None:
    if as_json:
        answer_json({"transaction_id": proof.transaction_id.hex(), "file": str(out)})
    else:
        answer(f"the proof of {proof.transaction_id.hex()} is in {out}")


async def _fetch(consortium: Consortium, wanted: TransactionId) -> ProofFile:
    with activity() as tell:
        tell("asking for the proof")
        async with consortium.ledger(BankIndex(0)) as ledger:
            try:
                proof = await ledger.inclusion_proof(wanted)
                record = await ledger.transaction(wanted, include_transaction=True)
            except NotYet as error:
                raise CommandFailed(
                    f"transaction {wanted.hex()} is not sealed yet",
                    f"see `consortium tx {wanted.hex()}`, and ask again in a moment",
                ) from error
            except LedgerUnavailable as error:
                raise nobody_answers(consortium) from error
    return ProofFile(record.transaction or b"", proof)


def _read(path: Path) -> ProofFile:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ProofFileInvalid("it is larger than any proof")
        return ProofFile.decode(path.read_bytes())
    except OSError as error:
        raise CommandFailed(f"{path}: {error.strerror}", "check the path", EXIT_USAGE) from error
    except ProofFileInvalid as error:
        raise CommandFailed(
            f"{path} is not a proof: {error}",
            "`consortium proof TXID --out FILE` writes one",
            EXIT_USAGE,
        ) from error


def load_genesis(directory: ConsortiumDirectory, path: Path | None) -> Genesis:
    """Load the trusted genesis; raises `ConfigurationError`."""
    if path is None:
        return directory.genesis()
    try:
        return Genesis.from_json_object(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"{path} is not a genesis: {error}") from error


def verdict_of(proof: ProofFile, genesis: Genesis, genesis_file: Path, source: str) -> Verdict:
    """Verify a proof from the genesis alone; raises `CommandFailed` if it does not hold."""
    verifier, begun_s, cpu_s = SealVerifier(genesis), time.perf_counter(), time.process_time()
    try:
        place = verifier.verify_inclusion(proof.transaction, proof.proof)
    except VerificationError as error:
        raise CommandFailed(
            f"the proof of {source} does NOT hold: {error}",
            f"check that {genesis_file} is the right genesis; if it is, the transaction is not "
            "proven to be sealed",
            EXIT_FAILED,
        ) from error
    verification_ms = (time.perf_counter() - begun_s) * 1000
    cpu_ms = (time.process_time() - cpu_s) * 1000
    changes = proof.proof.set_changes
    return Verdict(
        place=place,
        certificate=BallotCertificate.decode(proof.proof.certificate),
        active_banks=verifier.active_set_at(place.header.height, changes).size,
        path_hashes=(len(proof.proof.proof) - PROOF_HEADER_BYTES) // HASH_BYTES,
        set_changes=len(changes),
        proof_bytes=proof.proof_bytes,
        header_bytes=proof.header_bytes,
        verification_ms=verification_ms,
        cpu_ms=cpu_ms,
        genesis=genesis,
        genesis_file=genesis_file,
    )
