"""Byzantine banks: each style of misbehaving by its name, for the simulator and for real nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType

from node.consensus.core import Consensus
from node.consensus.signatures import BallotSigner, Signer
from node.simulation.byzantine.ballot_forger import (
    BallotCopier,
    BallotForger,
    BallotReplayer,
    BallotWithholder,
)
from node.simulation.byzantine.double_balloter import DoubleBalloter
from node.simulation.byzantine.double_voter import DoubleCommitter, DoubleVoter
from node.simulation.byzantine.equivocating_leader import (
    EquivocatingLeader,
    EquivocatingLeaderWithInvalidBranch,
)
from node.simulation.byzantine.evidence_spammer import EvidenceSpammer
from node.simulation.byzantine.false_claimant import CatchUpLiar, FalseClaimant
from node.simulation.byzantine.invalid_approver import InvalidApprover
from node.simulation.byzantine.invalid_proposer import InvalidProposer
from node.simulation.byzantine.lock_amnesia import LockAmnesia
from node.simulation.byzantine.record_forger import RecordForger
from node.simulation.byzantine.rejecter import LateRejecter, Rejecter
from node.simulation.byzantine.seal_forger import BallotReplacer, TagRepeater
from node.simulation.byzantine.silent import Silent
from node.simulation.byzantine.style import ByzantineConsensus, Situation, Style
from node.simulation.byzantine.unjustified_leader import UnjustifiedLeader
from node.simulation.byzantine.withholder import CertificateWithholder, SealWithholder
from node.simulation.style_descriptions import DESCRIPTIONS

__all__ = ["STYLES", "ByzantineConsensus", "NamedStyle", "Situation", "Style", "make_byzantine"]


@dataclass(frozen=True, slots=True)
class NamedStyle:
    """One entry of the registry."""

    make: Callable[[Situation], Style]
    description: str
    """One line for the operator."""
    as_leader: bool = False
    """Whether it lies only when it leads."""


_MAKERS: Mapping[str, Callable[[Situation], Style]] = {
    "always-reject": Rejecter,
    "approver-of-invalid-blocks": InvalidApprover,
    "ballot-copier": BallotCopier,
    "ballot-forger": BallotForger,
    "ballot-replacer": BallotReplacer,
    "ballot-replayer": BallotReplayer,
    "ballot-withholder": BallotWithholder,
    "catch-up-liar": CatchUpLiar,
    "certificate-withholder": CertificateWithholder,
    "double-balloter": DoubleBalloter,
    "double-committer": DoubleCommitter,
    "double-voter": DoubleVoter,
    "equivocating-leader": EquivocatingLeader,
    "equivocating-leader-invalid-branch": EquivocatingLeaderWithInvalidBranch,
    "evidence-spammer": EvidenceSpammer,
    "false-claimant": FalseClaimant,
    "held-back-rejects": LateRejecter,
    "invalid-proposer": InvalidProposer,
    "lock-amnesia": LockAmnesia,
    "record-forger": RecordForger,
    "seal-withholder": SealWithholder,
    "silent": Silent,
    "tag-repeater": TagRepeater,
    "unjustified-leader": UnjustifiedLeader,
}
_AS_LEADER = frozenset(
    {
        "certificate-withholder",
        "equivocating-leader",
        "equivocating-leader-invalid-branch",
        "invalid-proposer",
        "record-forger",
        "seal-withholder",
        "unjustified-leader",
    }
)

STYLES: Mapping[str, NamedStyle] = MappingProxyType(
    {
        name: NamedStyle(_MAKERS[name], description, as_leader=name in _AS_LEADER)
        for name, description in DESCRIPTIONS.items()
    }
)
"""By name, in alphabetical order."""


def make_byzantine(
    style_name: str,
    consensus: Consensus,
    signer: Signer,
    ballot_signer: BallotSigner,
    random: Random,
) -> ByzantineConsensus:
    """Return the core of a bank that misbehaves in this style; raises `KeyError` if unknown.

    Call `restart` on the result in place of the core's, or `take_over` if the core runs already.
    """
    return ByzantineConsensus(STYLES[style_name].make, consensus, signer, ballot_signer, random)
