"""What each Byzantine style does, in one line: to be read without loading what does it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

DESCRIPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "always-reject": "rejects every block; no offence",
        "approver-of-invalid-blocks": (
            "approves whatever is proposed (E7 if the block was invalid)"
        ),
        "ballot-copier": "commits with another bank's ballot",
        "ballot-forger": "commits with a false ballot, or with noise",
        "ballot-replacer": "passes seals on with a false ballot in a true one's place",
        "ballot-replayer": "commits with its ballot of another view, block or decision",
        "ballot-withholder": "commits without a ballot",
        "catch-up-liar": "claims to be far ahead and serves blocks that were never sealed",
        "certificate-withholder": "as leader shows its quorum certificate to few or to nobody",
        "double-balloter": "rejects a block and commits to it in one view (E8)",
        "double-committer": "commits to two blocks in one view (E3)",
        "double-voter": "approves and rejects the same block (E1)",
        "equivocating-leader": "as leader proposes two valid blocks to two halves (E2)",
        "equivocating-leader-invalid-branch": (
            "as leader proposes a valid block to some and an invalid one to the rest (E2)"
        ),
        "evidence-spammer": "floods the banks with forged, empty, malformed and old evidence",
        "false-claimant": "gives up views claiming certificates that it never shows",
        "held-back-rejects": "rejects every block, at the moment when it hurts most; no offence",
        "invalid-proposer": "as leader proposes blocks with a wrong state root (E6)",
        "lock-amnesia": "gives up views as if it had never committed in them (E4)",
        "record-forger": "as leader records wrong ballots about the last block (E5, E6)",
        "seal-withholder": "as leader shows seals to few or to nobody",
        "silent": "hears everything and says nothing",
        "tag-repeater": "counts a ballot twice in the seals it sends",
        "unjustified-leader": "as leader ignores what its view obliges it to propose",
    }
)
"""By name, in alphabetical order."""
