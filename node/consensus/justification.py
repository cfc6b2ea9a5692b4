"""Whether a proposal may be made in its view at all (BFT-12 P3, "Justification").

This is about the view, not about the block: a proposal that fails here is not even addressed to
this view, and gets no vote. A reject certificate justifies nothing.
"""

from __future__ import annotations

from node.consensus.certificates import (
    CertificateInvalid,
    verify_quorum_certificate,
    verify_timeout_certificate,
)
from node.consensus.state import State
from node.consensus.statements import Proposal
from node.ledger.types import NO_VIEW


class NotJustified(Exception):
    """The proposal does not follow from its attachments: the proposer's fault."""


def check(state: State, proposal: Proposal) -> None:
    """Raise `NotJustified` unless the proposal may be voted on in its view."""
    if proposal.view == 0:
        _check_first_view(proposal)
        return
    highest_claimed = _check_entry(state, proposal)
    certificate = proposal.quorum_certificate
    if certificate is None:
        if highest_claimed != NO_VIEW:
            raise NotJustified(f"a certificate of view {highest_claimed} must be re-proposed")
        _check_new_block(proposal)
        return
    if certificate.height != proposal.height:
        raise NotJustified("the quorum certificate is of another height")
    if not highest_claimed <= certificate.view < proposal.view:
        raise NotJustified(
            f"the quorum certificate is of view {certificate.view}, "
            f"not from {highest_claimed} to {proposal.view - 1}"
        )
    if certificate.block_id != proposal.block.block_id:
        raise NotJustified("the block is not the certified one")
    if certificate == state.highest:
        return
    try:
        verify_quorum_certificate(certificate, state.chain_id, state.active_set, state.verifier)
    except CertificateInvalid as error:
        raise NotJustified(f"quorum certificate: {error}") from error


def _check_first_view(proposal: Proposal) -> None:
    if proposal.timeout_certificate is not None or proposal.quorum_certificate is not None:
        raise NotJustified("nothing precedes view 0")
    _check_new_block(proposal)


def _check_new_block(proposal: Proposal) -> None:
    header = proposal.block.header
    if header.original_view != proposal.view or header.proposer != proposal.bank:
        raise NotJustified("a new block is created by its proposer in its view")


def _check_entry(state: State, proposal: Proposal) -> int:
    """Check the timeout certificate of the view before; return its highest claim."""
    entry = proposal.timeout_certificate
    if entry is None or entry.height != proposal.height or entry.view != proposal.view - 1:
        raise NotJustified("no timeout certificate of the view before")
    if entry != state.entry:
        try:
            verify_timeout_certificate(entry, state.chain_id, state.active_set, state.verifier)
        except CertificateInvalid as error:
            raise NotJustified(f"timeout certificate: {error}") from error
    return entry.highest_view
