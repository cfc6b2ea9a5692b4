"""The voting record: q ballots by q different banks under every block (BFT-12 section 17)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from crypto.ballot_proof import CONTEXT_BYTES, HEAD_BYTES
from node.consensus.messages import Commit, Message, Seal, Vote
from node.consensus.signing import Decision
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import ballot_height, ballot_message, ballot_tag, ballot_view
from node.ledger.blocks import Block, Header
from node.ledger.fiscal_year import fiscal_year
from node.ledger.types import BankIndex, FiscalYear, Height, View
from node.simulation.checker import Checker
from node.simulation.engine import Bank, Cluster
from node.simulation.ledger import Valid
from node.simulation.production_ledger import LedgerPoint

APPROVE = b"A"
REJECT = b"R"


class VotingRecord(Checker):
    """Asks the oracle who cast each ballot, which no bank can, and keeps the count."""

    name = "voting record"

    def begin(self, cluster: Cluster) -> None:
        """Nobody has voted."""
        super().begin(cluster)
        genesis = cluster.ledger.genesis
        assert isinstance(genesis, LedgerPoint), "records are kept on the production ledger alone"
        self._points: dict[Height, LedgerPoint] = {Height(0): genesis}
        self._seals: dict[Height, Seal] = {}
        """The seal of each height that was looked at last."""
        self.counts: dict[FiscalYear, Counter[BankIndex]] = {}
        """Recorded approvals of each bank, by the year of the block that they approve."""
        self.blocks: Counter[FiscalYear] = Counter()
        """Blocks with a record, by their year."""
        self.rejections = 0

    def applied(self, bank: Bank, block: Block, seal: Seal, outcome: Valid) -> None:
        """The seal's ballots are q banks' approvals, and so is the record of the parent."""
        if bank.index in self.cluster.byzantine:
            return
        height, after = block.height, outcome.after
        assert isinstance(after, LedgerPoint), "records are kept on the production ledger alone"
        active_set = self._points[Height(height - 1)].active_set
        if self._seals.get(height) is not seal:
            self._seals[height] = seal
            voters = self._voters(seal.ballots, block.header, active_set, APPROVE)
            if any(ballot_view(raw) != seal.view for raw in seal.ballots):
                raise self.violation(f"the seal of height {height} holds ballots of other views")
            self._require_quorum(f"the seal of height {height}", voters, active_set)
        if height not in self._points:
            self._points[height] = after
            self._record(block, after)

    def _record(self, block: Block, after: LedgerPoint) -> None:
        ballots, votes = block.parent_ballots, after.transition.votes
        what = f"the record in block {block.height}"
        if [(vote.tag, vote.ballot) for vote in votes] != [(ballot_tag(b), b) for b in ballots]:
            raise self.violation(f"{what} is not what the ledger says was recorded")
        if block.height == 1:
            if ballots:
                raise self.violation("ballots about the genesis, which has no seal")
            return
        parent = self._points[Height(block.height - 1)]
        active_set = self._points[Height(block.height - 2)].active_set
        approvals = [vote.ballot for vote in votes if vote.approve]
        rejections = [vote.ballot for vote in votes if not vote.approve]
        for_it = self._voters(approvals, parent.header, active_set, APPROVE)
        against = self._voters(rejections, parent.header, active_set, REJECT)
        self._require_quorum(what, for_it, active_set)
        if len({*for_it, *against}) != len(ballots):
            raise self.violation(f"{what} counts a bank twice")
        tags = [ballot_tag(raw) for raw in ballots]
        if tags != sorted(tags):
            raise self.violation(f"{what} is not in the order of its tags")
        if len({ballot_view(raw) for raw in ballots}) != 1:
            raise self.violation(f"{what} holds ballots of several views")
        self.rejections += len(against)
        genesis = parent.genesis
        year = fiscal_year(genesis.parameters, genesis.time_ms, parent.header.time_ms)
        self.counts.setdefault(year, Counter()).update(for_it)
        self.blocks[year] += 1
        self._compare_tallies(block, after)

    def _voters(
        self, ballots: Sequence[bytes], header: Header, active_set: ActiveSet, decision: bytes
    ) -> list[BankIndex]:
        """Return who cast these ballots about this block; raises if one says anything else."""
        voters = []
        for raw in ballots:
            voter = self.cluster.ledger.ballot_oracle.voter(raw, active_set)
            if voter is None:
                raise self.violation(f"a ballot about height {header.height} is forged")
            about = (ballot_height(raw), ballot_message(raw))
            if about != (header.height, header.block_id + decision):
                raise self.violation(f"a ballot about height {header.height} says something else")
            voters.append(voter)
        return voters

    def _require_quorum(self, what: str, voters: list[BankIndex], active_set: ActiveSet) -> None:
        if len(voters) != active_set.quorum or len(set(voters)) != len(voters):
            raise self.violation(
                f"{what} holds approvals of banks {sorted(voters)}, not of "
                f"{active_set.quorum} different ones"
            )

    def _compare_tallies(self, block: Block, after: LedgerPoint) -> None:
        """What is not settled yet is tallied; each year's sums hold as many ballots as it has."""
        for tally in after.state.tallies:
            expected = (self.counts[tally.year].total(), self.blocks[tally.year])
            if (tally.ballots, tally.blocks) != expected:
                raise self.violation(
                    f"height {block.height}: the tally of FY{tally.year} holds {tally.ballots} "
                    f"ballots of {tally.blocks} blocks, recorded are {expected}"
                )


class OneBallot(Checker):
    """Every commit and every rejection of a correct bank carries its own one ballot of that view,
    over crashes and restored disks (BFT-12 section 17)."""

    name = "one ballot"

    def begin(self, cluster: Cluster) -> None:
        """Nobody has cast a ballot."""
        super().begin(cluster)
        self._cast: dict[tuple[BankIndex, Height, View], bytes] = {}

    def sent(self, bank: Bank, message: Message, targets: Sequence[BankIndex]) -> None:
        """A bank never casts two ballots that differ, for they would have one tag."""
        if bank.index in self.cluster.byzantine:
            return
        match message:
            case Commit():
                decision = APPROVE
            case Vote(decision=Decision.REJECT):
                decision = REJECT
            case _:
                return
        ballot = message.ballot
        expected = message.block_id + decision
        if ballot is None or ballot[CONTEXT_BYTES:HEAD_BYTES] != expected:
            raise self.violation(
                f"bank {bank.index} sent a commit or a rejection without the ballot that it needs"
            )
        place = (bank.index, message.height, message.view)
        if self._cast.setdefault(place, ballot) != ballot:
            raise self.violation(
                f"bank {bank.index} cast two ballots in view {message.view} of height "
                f"{message.height}"
            )
