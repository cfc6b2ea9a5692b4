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

__all__ = ["STYLES", "ByzantineConsensus", "NamedStyle", "Situation", "Style", "make_byzantine"]


@dataclass(frozen=True, slots=True)
class NamedStyle:
    """One entry of the registry."""

    make: Callable[[Situation], Style]
    description: str
    """One line for the operator."""
    as_leader: bool = False
    """Whether it lies only when it leads."""


STYLES: Mapping[str, NamedStyle] = MappingProxyType(
    {
        "always-reject": NamedStyle(Rejecter, "rejects every block; no offence"),
        "approver-of-invalid-blocks": NamedStyle(
            InvalidApprover, "approves whatever is proposed (E7 if the block was invalid)"
        ),
        "ballot-copier": NamedStyle(BallotCopier, "commits with another bank's ballot"),
        "ballot-forger": NamedStyle(BallotForger, "commits with a false ballot, or with noise"),
        "ballot-replacer": NamedStyle(
            BallotReplacer, "passes seals on with a false ballot in a true one's place"
        ),
        "ballot-replayer": NamedStyle(
            BallotReplayer, "commits with its ballot of another view, block or decision"
        ),
        "ballot-withholder": NamedStyle(BallotWithholder, "commits without a ballot"),
        "catch-up-liar": NamedStyle(
            CatchUpLiar, "claims to be far ahead and serves blocks that were never sealed"
        ),
        "certificate-withholder": NamedStyle(
            CertificateWithholder,
            "as leader shows its quorum certificate to few or to nobody",
            as_leader=True,
        ),
        "double-balloter": NamedStyle(
            DoubleBalloter, "rejects a block and commits to it in one view (E8)"
        ),
        "double-committer": NamedStyle(DoubleCommitter, "commits to two blocks in one view (E3)"),
        "double-voter": NamedStyle(DoubleVoter, "approves and rejects the same block (E1)"),
        "equivocating-leader": NamedStyle(
            EquivocatingLeader,
            "as leader proposes two valid blocks to two halves (E2)",
            as_leader=True,
        ),
        "equivocating-leader-invalid-branch": NamedStyle(
            EquivocatingLeaderWithInvalidBranch,
            "as leader proposes a valid block to some and an invalid one to the rest (E2)",
            as_leader=True,
        ),
        "evidence-spammer": NamedStyle(
            EvidenceSpammer, "floods the banks with forged, empty, malformed and old evidence"
        ),
        "false-claimant": NamedStyle(
            FalseClaimant, "gives up views claiming certificates that it never shows"
        ),
        "held-back-rejects": NamedStyle(
            LateRejecter, "rejects every block, at the moment when it hurts most; no offence"
        ),
        "invalid-proposer": NamedStyle(
            InvalidProposer,
            "as leader proposes blocks with a wrong state root (E6)",
            as_leader=True,
        ),
        "lock-amnesia": NamedStyle(
            LockAmnesia, "gives up views as if it had never committed in them (E4)"
        ),
        "record-forger": NamedStyle(
            RecordForger,
            "as leader records wrong ballots about the last block (E5, E6)",
            as_leader=True,
        ),
        "seal-withholder": NamedStyle(
            SealWithholder, "as leader shows seals to few or to nobody", as_leader=True
        ),
        "silent": NamedStyle(Silent, "hears everything and says nothing"),
        "tag-repeater": NamedStyle(TagRepeater, "counts a ballot twice in the seals it sends"),
        "unjustified-leader": NamedStyle(
            UnjustifiedLeader,
            "as leader ignores what its view obliges it to propose",
            as_leader=True,
        ),
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
