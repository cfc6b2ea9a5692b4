"""Ballots: group signatures of the active banks, at most one counted per bank and context (IDX1 9).

A ballot shows that some key of the ring signed a decision on a block, and nothing about which. Its
tag T depends on the key and the context (chain, height, round) alone, so a second ballot of the
same bank in that context is seen. The opener, and nobody else, can name the signer, with a proof.

`ballot_keys`     secret and public vote keys, proofs of possession, the ring          9.1, 9.2
`ballot_proof`    context, signing, collecting, the equations as a batch item          9.3-9.5
`ballot_box`      duplicates, equivocation and the count by distinct tags              9.6
`opener_shares`   the opener's key split among officers, decryptions by t of them
`ballot_opening`  naming the signer, and judging that                                  9.7
`ballot_tally`    sums of ballots, counted and proven without opening one        BFT-12 18

Two choices that IDX1 leaves open. Coins are not drawn but derived (BFT-12 17), so signing is a
function: a bank that restarts repeats the bytes it may have sent. And the judge of an opening
checks its form before it verifies the ballot, which is dearer; both must hold, so no verdict
depends on the order.

What ballots do not do: hide which bank sent one on a network link, protect anonymity from the
opener, or keep the anonymity set above the number of active banks.
"""

from crypto.ballot_box import BallotBox, Equivocation
from crypto.ballot_keys import (
    BallotKey,
    BallotRing,
    prove_possession,
    verify_possession,
)
from crypto.ballot_opening import (
    BallotOpening,
    join_opening,
    open_ballot,
    open_partially,
    verify_ballot_opening,
)
from crypto.ballot_proof import (
    MAX_BALLOT_BYTES,
    BallotContext,
    CollectedBallot,
    Decision,
    ballot_bytes,
    collect_ballot,
    sign_ballot,
    verify_ballot,
)

__all__ = [
    "MAX_BALLOT_BYTES",
    "BallotBox",
    "BallotContext",
    "BallotKey",
    "BallotOpening",
    "BallotRing",
    "CollectedBallot",
    "Decision",
    "Equivocation",
    "ballot_bytes",
    "collect_ballot",
    "join_opening",
    "open_ballot",
    "open_partially",
    "prove_possession",
    "sign_ballot",
    "verify_ballot",
    "verify_ballot_opening",
    "verify_possession",
]
