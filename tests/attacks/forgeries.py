"""What a dishonest wallet or issuing bank makes with the real provers: lies that are well bound.

Altered bytes break a hash before they break a proof. These transactions are consistent in every
hash and signature, and false in exactly one statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crypto.curve import encode_point
from crypto.encoding import u64
from crypto.issue import prove_issue
from crypto.note import SealedOutput, seal_output
from crypto.pedersen import encode_commitment
from crypto.range_proof import prove_range
from crypto.ring import ClosedBin, close_bin
from crypto.scalar import ORDER
from crypto.signature import public_key_of
from crypto.spend import SpendWitness, nullifier_point, prove_spend
from crypto.transaction import (
    NO_ACCOUNT,
    NO_BLOBS,
    Kind,
    core_digest,
    mint_head,
    proof_digest,
    transfer_head,
)
from tests.ledger.chain import BASE, FAR, FEE, Chain, OwnedNote


def sealed_outputs(chain: Chain, values: Sequence[int], asset: bytes = BASE) -> list[SealedOutput]:
    """Outputs to the attacker itself, committing to any integers modulo the group order."""
    return [_sealed(chain, value, index, asset) for index, value in enumerate(values)]


def _sealed(chain: Chain, value: int, index: int, asset: bytes) -> SealedOutput:
    possible = 0 <= value < 1 << 64
    sealed = seal_output(
        address=chain.keys.address,
        value=value if possible else 0,
        memo=bytes(32),
        index=index,
        asset=asset,
        chain_id=chain.genesis.chain_id,
        random_bytes=chain.coins.take,
    )
    if possible:
        return sealed
    commitment = encode_commitment(asset, value % ORDER, sealed.blinding)
    return replace(sealed, output=replace(sealed.output, commitment=commitment))


def range_proof(
    chain: Chain,
    core: bytes,
    outputs: Sequence[SealedOutput],
    values: Sequence[int],
    asset: bytes = BASE,
) -> bytes:
    return prove_range(
        core=core,
        asset=asset,
        values=values,
        blindings=[item.blinding for item in outputs],
        commitments=[item.output.commitment for item in outputs],
        random_bytes=chain.coins.take,
    )


def forge_mint(
    chain: Chain,
    outputs: Sequence[SealedOutput],
    values: Sequence[int],
    *,
    amount: int,
    issuer_secret: bytes,
    claimed_values: Sequence[int] | None = None,
    claimed_issuer: bytes | None = None,
    kind: Kind = Kind.ISSUE,
    expiry: int = FAR,
) -> bytes:
    """A signed mint whose public amount, proven values and named issuer may all be lies."""
    head = mint_head(
        kind=kind,
        chain_id=chain.genesis.chain_id,
        asset=BASE,
        output_count=len(outputs),
        amount=amount,
        issuer=claimed_issuer or public_key_of(issuer_secret),
        expiry=expiry,
    )
    encoded = [item.output.encode() for item in outputs]
    core = core_digest(head, [], encoded)
    proof = range_proof(chain, core, outputs, claimed_values or values)
    issue_proof = prove_issue(
        digest=proof_digest(core, proof),
        blindings=[item.blinding for item in outputs],
        issuer_secret=issuer_secret,
        random_bytes=chain.coins.take,
    )
    return b"".join((head, *encoded, NO_BLOBS, proof, issue_proof))


def forge_transfer(
    chain: Chain,
    note: OwnedNote,
    values: Sequence[int],
    *,
    fee: int = FEE,
    claimed_values: Sequence[int] | None = None,
    spend_key: int | None = None,
    ring: ClosedBin | None = None,
    position: int | None = None,
) -> bytes:
    """A transfer of one note that may pay any sum, prove other values, or spend with a lie.

    `spend_key` is what the prover pretends to know; the nullifier is made of it.
    """
    used = ring or chain.history.closed_bins[note.bin_id]
    key = spend_key or note.spend_key
    outputs = sealed_outputs(chain, values)
    encoded = [item.output.encode() for item in outputs]
    head = transfer_head(
        chain_id=chain.genesis.chain_id,
        asset=BASE,
        input_count=1,
        output_count=len(outputs),
        fee=fee,
        redeem=0,
        account=NO_ACCOUNT,
        expiry=FAR,
    )
    nullifier = nullifier_point(key)
    tag = encode_point(nullifier)
    core = core_digest(head, [u64(used.bin_id) + used.digest + tag], encoded)
    proof = range_proof(chain, core, outputs, claimed_values or values)
    total_blinding = sum(item.blinding for item in outputs)
    spend_proof = prove_spend(
        digest=proof_digest(core, proof),
        index=0,
        witness=SpendWitness(
            used,
            note.position if position is None else position,
            key,
            (note.blinding - total_blinding) % ORDER,
        ),
        nullifier=nullifier,
        commitment=b"",
        random_bytes=chain.coins.take,
    )
    return b"".join((head, u64(used.bin_id), tag, *encoded, NO_BLOBS, proof, spend_proof))


def ring_of_the_thief(chain: Chain, note: OwnedNote, bin_id: int) -> ClosedBin:
    """Another bin with the thief's own note put in its first place: a ring that nobody sealed."""
    victim = chain.history.closed_bins[bin_id]
    own = chain.history.closed_bins[note.bin_id].notes[note.position]
    return close_bin(bin_id, victim.asset, [own, *victim.notes[1:]], victim.ring_base)
