"""The consensus core of one bank: an event in, an ordered list of effects out.

After every event all rules are asked, in a fixed order, until none of them acts. A rule states
its own conditions in full, so nothing depends on which event made it possible: an answer that
comes late finds the conditions of now, not those under which the question was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from node.consensus import (
    balloting,
    catch_up,
    certifying,
    intake,
    pacemaker,
    proposing,
    prosecution,
    restart,
    sealing,
    view_change,
    voting,
    waiting,
)
from node.consensus.effects import Effect
from node.consensus.events import (
    ApplyFailed,
    BallotsVerified,
    BlockApplied,
    BlockBuilt,
    BlocksLoaded,
    Event,
    EvidenceExamined,
    MessageReceived,
    TimerFired,
    TimerKind,
    TransactionsAvailable,
    Validated,
    WorkDue,
)
from node.consensus.evidence import Conflict
from node.consensus.messages import Seal
from node.consensus.parameters import LATE_HEIGHTS, ConsensusParameters
from node.consensus.signatures import BallotSigner, Signer, Verifier
from node.consensus.state import PastHeight, State
from node.consensus.statements import SignedStatement
from node.consensus.status import ConsensusStatus, status_of
from node.ledger.active_set import ActiveSet
from node.ledger.blocks import Block, Header
from node.ledger.types import BankIndex, Height

Rule = Callable[[State], bool]
"""Acts if its conditions hold and returns whether it did; acting makes its conditions false."""


def rules() -> tuple[Rule, ...]:
    """Return the rules in the order in which they are asked (BFT-12 sections 5, 6, 7, 11)."""
    return *following_rules(), *deciding_rules(), *fetching_rules()


def following_rules() -> tuple[Rule, ...]:
    """Return what every bank does with what others have decided."""
    return (
        certifying.follow_seal,
        catch_up.take_next,
        certifying.form_seal,
        sealing.apply,
        catch_up.verify_ahead,
        balloting.verify_rejections,
        balloting.expose,
        view_change.form_timeout_certificate,
    )


def deciding_rules() -> tuple[Rule, ...]:
    """Return what only a bank does that still has something to decide at this height."""
    return (
        certifying.form_quorum_certificate,
        view_change.form_reject_certificate,
        view_change.amplify,
        view_change.follow_rejections,
        proposing.propose,
        voting.request_validation,
        voting.vote,
        voting.commit,
        pacemaker.arm,
    )


def fetching_rules() -> tuple[Rule, ...]:
    """Return what is asked last, when it is known which block is missing."""
    return (sealing.fetch,)


class Consensus:
    """BFT-12 for one bank. Pure: no clock, no chance, no IO; `restart` must be called first."""

    def __init__(
        self,
        bank: BankIndex,
        banks: tuple[BankIndex, ...],
        chain_id: bytes,
        parameters: ConsensusParameters,
        signer: Signer,
        verifier: Verifier,
        ballot_signer: BallotSigner,
    ) -> None:
        """`banks` are all banks of the genesis, active or not, in increasing index."""
        self._state = State(bank, banks, chain_id, parameters, signer, verifier, ballot_signer)
        self._following = following_rules()
        self._deciding = deciding_rules()
        self._fetching = fetching_rules()

    def restart(
        self,
        record: bytes | None,
        *,
        tip: Header,
        tip_seal: Seal | None,
        active_set: ActiveSet,
        blocks: Sequence[Block] = (),
        transactions_available: int = 0,
        silent_through: Height | None = None,
        evidence: Sequence[bytes] = (),
    ) -> list[Effect]:
        """Start, or start again, from what is on disk (BFT-12 D3).

        `record` and `blocks` are what `Persist` stored last and since the tip was applied, `tip`
        and `tip_seal` (None at genesis) the last applied block, `active_set` that of the next
        height. `silent_through` is the guard file's height if the file is ahead of the database
        (D4). `evidence` are the stored items that are not punished yet. Raises `RecordInvalid` if
        the record cannot belong here, or a stored item is damaged.
        """
        state = self._state
        state.silent_through = silent_through
        state.begin_height(tip, tip_seal, active_set)
        state.work.transactions = transactions_available
        restart.take_up_evidence(state, evidence)
        restart.resume(state, record, blocks)
        return self._settle()

    def handle(self, event: Event) -> list[Effect]:
        """Take one event and return the effects, to be executed in order."""
        state = self._state
        match event:
            case MessageReceived():
                intake.receive(state, event.sender, event.message)
            case TimerFired():
                if state.timers.fired(event.kind, event.generation):
                    self._on_timer(event.kind)
            case Validated():
                voting.on_validated(state, event)
            case BlockApplied():
                self._on_applied(event)
            case ApplyFailed():
                sealing.on_apply_failed(state, event)
            case BlockBuilt():
                proposing.on_block_built(state, event)
            case TransactionsAvailable():
                pacemaker.on_transactions(state, event)
            case WorkDue():
                pacemaker.on_work_due(state, event)
            case EvidenceExamined():
                prosecution.on_examined(state, event)
            case BallotsVerified():
                balloting.on_verified(state, event)
            case BlocksLoaded():
                catch_up.on_blocks_loaded(state, event)
        return self._settle()

    def status(self) -> ConsensusStatus:
        """Return what an operator needs to see."""
        return status_of(self._state)

    def conflicts(self) -> tuple[Conflict, ...]:
        """Return the pairs of statements that convict somebody (BFT-12 E1-E4)."""
        return self._state.log.conflicts()

    def statements(self) -> tuple[SignedStatement, ...]:
        """Return the signed statements of the last heights, of all banks (BFT-12 section 9)."""
        return self._state.log.statements()

    def _settle(self) -> list[Effect]:
        """Ask every rule until none acts; count own statements as they are signed."""
        state = self._state
        acted = True
        while acted:
            acted = False
            while state.inbox:
                intake.receive_own(state, state.inbox.popleft())
            for rule in self._following:
                acted = rule(state) or acted
            # Each rule asks for this itself; asking once spares most events most rules.
            if state.deciding:
                for rule in self._deciding:
                    acted = rule(state) or acted
            for rule in self._fetching:
                acted = rule(state) or acted
        effects = state.effects.copy()
        state.effects.clear()
        return effects

    def _on_timer(self, kind: TimerKind) -> None:
        state = self._state
        match kind:
            case TimerKind.VIEW:
                view_change.on_view_timer(state)
            case TimerKind.RETRY:
                waiting.on_retry(state)
                view_change.on_retry(state)
                if state.timed_out:
                    view_change.repeat_timeout(state)
                else:
                    pacemaker.retransmit(state)
            case TimerKind.BATCH:
                proposing.on_batch_elapsed(state)
            case TimerKind.HEARTBEAT:
                pacemaker.on_heartbeat(state)
            case TimerKind.STATUS:
                pacemaker.on_status_timer(state)
            case TimerKind.SYNC:
                catch_up.on_sync_timer(state)
            case TimerKind.SERVE:
                catch_up.on_serve_timer(state)
            case TimerKind.FETCH:
                sealing.on_fetch_timer(state)

    def _on_applied(self, event: BlockApplied) -> None:
        """Begin the next height (P1, P7)."""
        state = self._state
        assert event.height == state.height, "heights are applied one by one"
        assert state.seal is not None, "only sealed blocks are applied"
        assert event.header.block_id == state.seal.block_id, "the sealed block is applied"
        state.past[state.height] = PastHeight(
            state.active_set, state.view, event.header.block_id
        )
        state.tip_ballots = state.ballots
        state.begin_height(event.header, state.seal, event.active_set)
        oldest = Height(state.height - LATE_HEIGHTS)
        state.past = {height: past for height, past in state.past.items() if height >= oldest}
        state.log.forget_below(oldest)
        state.prosecution.forget_below(oldest)
        state.work.transactions = event.transactions_available
        prosecution.on_height_begun(state, event.punished)
        for sender, message in catch_up.on_height_begun(state):
            intake.receive(state, sender, message)
