"""Conviction: no correct bank ever, every provable offence in the end (BFT-12 section 9)."""

from __future__ import annotations

from dataclasses import dataclass, field

from node.consensus.certificates import Seal
from node.consensus.effects import Effect, KeepBallots, Validate
from node.consensus.events import Event, MessageReceived, Rejected, Validated
from node.consensus.evidence import StatementLog
from node.consensus.messages import Commit, Proposal, Timeout, Vote
from node.consensus.parameters import LATE_HEIGHTS
from node.consensus.signatures import SignatureInvalid
from node.consensus.signing import Decision, SigningContext
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import ballot_height, ballot_message, ballot_view
from node.ledger.blocks import Block, Header
from node.ledger.offences import OffenceClass
from node.ledger.state_records import PunishedOffence
from node.ledger.types import BankIndex, BlockId, Height, View
from node.simulation.checker import Checker
from node.simulation.engine import Bank, Cluster
from node.simulation.ledger import Valid
from node.simulation.production_ledger import LedgerPoint

Statement = Proposal | Vote | Commit | Timeout


class NoFalseConviction(Checker):
    """Looks at every slash in every sealed block."""

    name = "no correct bank convicted"

    def begin(self, cluster: Cluster) -> None:
        """Nobody is punished."""
        super().begin(cluster)
        self.punished: dict[PunishedOffence, Height] = {}
        self.removed = 0
        self.readmitted = 0
        self._top = Height(0)

    def applied(self, bank: Bank, block: Block, seal: Seal, outcome: Valid) -> None:
        """A slash hits a Byzantine bank, and one key only once."""
        after = outcome.after
        assert isinstance(after, LedgerPoint), "slashes exist on the production ledger alone"
        if bank.index in self.cluster.byzantine or block.height <= self._top:
            return
        self._top = block.height
        self.removed += len(after.transition.removed)
        self.readmitted += len(after.transition.readmitted)
        for punishment in after.transition.punishments:
            if punishment.bank not in self.cluster.byzantine:
                raise self.violation(
                    f"correct bank {punishment.bank} is punished for {punishment.offence} of "
                    f"height {punishment.height} in block {block.height}"
                )
            first = self.punished.setdefault(punishment.key, block.height)
            if first != block.height:
                raise self.violation(
                    f"bank {punishment.bank} is punished for one offence at heights {first} "
                    f"and {block.height}"
                )


@dataclass(slots=True)
class _Memory:
    """What a correct bank was shown in one life of Byzantine banks, and what it found out."""

    since: Height
    log: StatementLog = field(default_factory=StatementLog)
    judging: dict[int, tuple[Header, View]] = field(default_factory=dict)
    """Headers under validation by ticket, with the bank's view when it asked."""
    proposed: set[BlockId] = field(default_factory=set)
    """Blocks whose creators' own signed proposals it has."""
    disproved: dict[BlockId, Header] = field(default_factory=dict)
    """Blocks that it can show to be invalid."""
    approved: dict[BlockId, set[BankIndex]] = field(default_factory=dict)
    ballots: dict[tuple[Height, View, BankIndex, bytes], bytes] = field(default_factory=dict)
    """The first ballot of each place, signer and decision."""
    cast: dict[tuple[Height, View, BankIndex], set[bytes]] = field(default_factory=dict)
    """What each bank's ballots of a place say, by the oracle's word for whose they are."""


class EveryOffence(Checker):
    """Collects what correct banks are shown, and what evidence they accepted, and waits for it.

    Only what reaches one correct bank within one of its lives, while it still looks at that
    height, can be put together by it (BFT-12 section 9: three heights are kept in memory). E1 to
    E4, E5, E7 and E8 are put together here; E6 counts as soon as a correct bank has stored it. For
    E8 a bank that restarts must have kept the two ballots: the regulator asks for those.
    """

    name = "every provable offence convicted"

    def begin(self, cluster: Cluster) -> None:
        """Nothing was seen."""
        super().begin(cluster)
        self._memories: dict[BankIndex, _Memory] = {}
        self._sets: dict[Height, ActiveSet] = {Height(1): cluster.ledger.genesis.active_set}
        self._proven: dict[tuple[bytes, bytes], PunishedOffence] = {}
        self.provable: dict[PunishedOffence, set[BankIndex]] = {}
        """Offences, and the correct banks that were shown a whole proof in their present life."""

    def restarted(self, bank: Bank) -> None:
        """A new life remembers nothing of earlier heights but what is on disk."""
        on_disk = {*bank.disk.evidence, *self.double_ballots(bank)}
        for offence, banks in self.provable.items():
            if offence not in on_disk:
                banks.discard(bank.index)
        self._memories[bank.index] = _Memory(Height(bank.height + 1))

    def applied(self, bank: Bank, block: Block, seal: Seal, outcome: Valid) -> None:
        """Learn who is active at the next height."""
        self._sets.setdefault(Height(block.height + 1), outcome.after.active_set)

    def performed(self, bank: Bank, effect: Effect) -> None:
        """Note which block a bank has judged."""
        if isinstance(effect, Validate) and self._looks(bank):
            assert bank.core is not None, "it has just asked"
            view = bank.core.status().view
            self._memories[bank.index].judging[effect.ticket] = (effect.block.header, view)

    def delivered(self, bank: Bank, event: Event) -> None:
        """Note what a Byzantine bank says of a height that the receiver looks at."""
        if not self._looks(bank):
            return
        if isinstance(event, Validated):
            self._judged(bank, event)
        elif isinstance(event, MessageReceived):
            message = event.message
            if not isinstance(message, Proposal | Vote | Commit | Timeout):
                return
            if message.bank in self.cluster.byzantine and message.bank == event.sender:
                self._note(bank, message)

    def _looks(self, bank: Bank) -> bool:
        byzantine = self.cluster.byzantine
        return bool(byzantine) and bank.index not in byzantine

    def _judged(self, bank: Bank, event: Validated) -> None:
        """A verdict that everybody can be shown, given while the bank still asks for it."""
        memory = self._memories[bank.index]
        known = memory.judging.pop(event.ticket, None)
        verdict = event.verdict
        if known is None or not isinstance(verdict, Rejected) or verdict.proof is None:
            return
        header, view = known
        assert bank.core is not None, "it is being told"
        status = bank.core.status()
        if (status.height, status.view) == (header.height, view) and status.halted is None:
            memory.disproved[header.block_id] = header
            self._accuse(bank, header.block_id)

    def _accuse(self, bank: Bank, block_id: BlockId) -> None:
        """With an invalid block its creator answers (E5), and with him who approved it (E7)."""
        memory = self._memories[bank.index]
        header = memory.disproved.get(block_id)
        if header is None or block_id not in memory.proposed:
            return
        accused = [(header.proposer, OffenceClass.INVALID_PROPOSAL)]
        accused += [(who, OffenceClass.APPROVAL) for who in memory.approved.get(block_id, ())]
        for who, offence_class in accused:
            offence = PunishedOffence(header.height, who, offence_class)
            self.provable.setdefault(offence, set()).add(bank.index)

    def _note(self, bank: Bank, statement: Statement) -> None:
        height, now = statement.height, Height(bank.height + 1)
        memory = self._memories[bank.index]
        oldest = max(memory.since, now - LATE_HEIGHTS)
        active_set = self._sets.get(height)
        if not oldest <= height <= now or active_set is None or statement.bank not in active_set:
            return
        if isinstance(statement, Proposal) and (
            statement.block.height != height
            or active_set.leader(height, statement.view) != statement.bank
        ):
            return
        chain_id = self.cluster.ledger.genesis.header.chain_id
        context = SigningContext.of(chain_id, active_set, height)
        try:
            key = active_set.keys[statement.bank]
            self.cluster.verifier.verify(key, statement.signed_bytes(context), statement.signature)
        except SignatureInvalid:
            return
        self._note_about_block(bank, statement)
        self._note_ballot(bank, statement, active_set)
        for conflict in memory.log.observe(statement):
            if bank.core is None or bank.core.status().halted is not None:
                continue
            offence = PunishedOffence(
                conflict.height, conflict.bank, conflict.offence.offence_class
            )
            self.provable.setdefault(offence, set()).add(bank.index)

    def _note_about_block(self, bank: Bank, statement: Statement) -> None:
        memory = self._memories[bank.index]
        if isinstance(statement, Proposal):
            header = statement.block.header
            if (header.proposer, header.original_view) == (statement.bank, statement.view):
                memory.proposed.add(header.block_id)
                self._accuse(bank, header.block_id)
        elif isinstance(statement, Vote) and statement.decision is Decision.APPROVE:
            memory.approved.setdefault(statement.block_id, set()).add(statement.bank)
            self._accuse(bank, statement.block_id)

    def _note_ballot(self, bank: Bank, statement: Statement, active_set: ActiveSet) -> None:
        """Two ballots of one bank in a view that says different things: whoever takes both keeps
        them, and the regulator tells whose they are (E8)."""
        if not isinstance(statement, Vote | Commit) or statement.ballot is None:
            return
        assert bank.core is not None, "it is being told"
        status, raw = bank.core.status(), statement.ballot
        rejects = isinstance(statement, Vote)
        if isinstance(statement, Vote) and statement.decision is Decision.APPROVE:
            return
        height, view = statement.height, statement.view
        if status.height != height or view > status.view or status.halted is not None:
            return
        voter = self.cluster.ledger.ballot_oracle.voter(raw, active_set)
        message = statement.block_id + (b"R" if rejects else b"A")
        if voter is None or (ballot_height(raw), ballot_view(raw)) != (height, view):
            return
        if ballot_message(raw) != message:
            return
        memory = self._memories[bank.index]
        if memory.ballots.setdefault((height, view, statement.bank, message[-1:]), raw) != raw:
            return
        said = memory.cast.setdefault((height, view, voter), set())
        said.add(message)
        if len(said) > 1:
            offence = PunishedOffence(height, voter, OffenceClass.VOTE)
            self.provable.setdefault(offence, set()).add(bank.index)

    def outstanding(self) -> list[PunishedOffence]:
        """Return what should still be punished, as the correct bank that is furthest sees it."""
        correct = [
            bank
            for bank in self.cluster.banks
            if bank.up and bank.index not in self.cluster.byzantine
        ]
        furthest = max(correct, key=lambda bank: bank.height)
        point = furthest.disk.point
        assert isinstance(point, LedgerPoint), "slashes exist on the production ledger alone"
        oldest = point.state.oldest_punishable(point.genesis)
        up = {bank.index for bank in correct}
        known = {offence: None for offence, banks in self.provable.items() if banks & up}
        for bank in correct:
            known |= dict.fromkeys(bank.disk.evidence)
            known |= dict.fromkeys(self.double_ballots(bank))
        return [
            offence
            for offence in known
            if offence.height >= oldest and offence not in point.state.punished
        ]

    def double_ballots(self, bank: Bank) -> list[PunishedOffence]:
        """Return what pairs of ballots on a disk prove once the regulator opened one (E8)."""
        return [self._opened(pair) for pair in bank.disk.ballot_conflicts.values()]

    def _opened(self, pair: KeepBallots) -> PunishedOffence:
        """Return what an opened pair proves; asked after every step, so it is opened once."""
        offence = self._proven.get((pair.first, pair.second))
        if offence is None:
            voter = self.cluster.ledger.ballot_oracle.voter(pair.first, self._sets[pair.height])
            assert voter is not None, "only verified ballots are kept"
            offence = PunishedOffence(pair.height, voter, OffenceClass.VOTE)
            self._proven[pair.first, pair.second] = offence
        return offence

    def holders(self, offence: PunishedOffence) -> set[BankIndex]:
        """Return the banks that can prove an offence."""
        stored = {
            bank.index
            for bank in self.cluster.banks
            if offence in bank.disk.evidence or offence in self.double_ballots(bank)
        }
        return stored | self.provable.get(offence, set())
