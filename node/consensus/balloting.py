"""When ballots are verified, and what they are good for besides a seal (BFT-12 section 17).

A proof takes milliseconds, so the core has the host verify what something depends on, in one batch:
the ballots of a seal, REJECT ballots about the block that was sealed, and two ballots that would
convict their bank. A ballot that nothing depends on is never verified.
"""

from __future__ import annotations

from collections.abc import Iterable

from node.consensus import certificates
from node.consensus.ballots import HeightBallots, count_tags, select_ballots
from node.consensus.certificates import CertificateInvalid, Seal
from node.consensus.effects import AlarmKind, KeepBallots, VerifyBallots
from node.consensus.events import BallotsVerified
from node.consensus.signing import Decision
from node.consensus.state import State
from node.consensus.statements import Commit, Vote
from node.ledger.ballots import ballot_tag
from node.ledger.types import BankIndex, BlockId, Height, View

DISTRUSTED_FOR = 64
"""Heights. A correct bank never brings a ballot that does not hold; a mended one is forgiven."""


def take_from(state: State, statement: Vote | Commit) -> None:
    """Take the ballot of a REJECT vote or a commit, which counts for its signer without it."""
    raw, fits = statement.ballot, False
    place = (statement.bank, statement.view, statement.block_id)
    match statement:
        case Vote(decision=Decision.APPROVE):
            return
        case Vote():
            fits = raw is not None and state.ballots.add_rejection(*place, raw)
        case Commit():
            fits = raw is not None and state.ballots.add_approval(*place, raw)
    if not fits:
        state.refuse(statement.bank, f"a {type(statement).__name__} without a ballot of its place")


def on_verified(state: State, event: BallotsVerified) -> None:
    """Take the host's verdicts; the rules look at them next."""
    for ballots in _tables(state):
        for bank in ballots.answer(event.ticket, event.valid):
            distrust(state, bank, "a ballot that does not hold")


def distrust(state: State, bank: BankIndex, why: str) -> None:
    """Note who brought what no correct bank brings.

    For a while its ballots are verified one by one, so that it spoils nobody's batch, and no seal
    is taken from it (section 12).
    """
    if not is_distrusted(state, bank):
        state.alarm(AlarmKind.FALSE_BALLOT, f"bank {bank} brought {why}", bank=bank)
    state.presence.distrusted[bank] = Height(state.height + DISTRUSTED_FOR)
    state.refuse(bank, why)


def is_distrusted(state: State, bank: BankIndex) -> bool:
    """Whether a bank brought ballots that do not hold in the last heights."""
    return state.presence.distrusted.get(bank, Height(0)) > state.height


def ask(state: State, ballots: HeightBallots, view: View, wanted: Iterable[bytes]) -> bool:
    """Have those verified of which nothing is known yet; return whether there were any."""
    lacking = ballots.lacking(wanted)
    if not lacking:
        return False
    ticket = state.blocks.next_ticket()
    ballots.asked[ticket] = lacking
    state.emit(VerifyBallots(ticket, ballots.height, view, ballots.active_set, lacking))
    return True


# What makes a seal.


def sealing_ballots(state: State, view: View, block_id: BlockId) -> tuple[bytes, ...]:
    """Return q verified ballots with distinct tags for a block; none if there are too few."""
    ballots = state.ballots
    verified = [raw for raw in ballots.approvals_of(view, block_id) if ballots.verdicts.get(raw)]
    return select_ballots(verified, certificates.required_ballots(state.active_set))


def verify_approvals(state: State, view: View, block_id: BlockId) -> bool:
    """Have the ballots for a block verified, in one batch, once there are q tags among them.

    What comes later is looked at only if the first ones turn out to be too few.
    """
    ballots, required = state.ballots, certificates.required_ballots(state.active_set)
    possible = {
        raw: bank
        for raw, bank in ballots.approvals_of(view, block_id).items()
        if ballots.verdicts.get(raw, True)
    }
    lacking = ballots.lacking(possible)
    hoped_for = [raw for raw in possible if raw not in lacking]
    if count_tags(possible) < required or count_tags(hoped_for) >= required:
        return False
    trusted = [raw for raw in lacking if not is_distrusted(state, possible[raw])]
    acted = ask(state, ballots, view, trusted)
    for raw in lacking:
        acted = ask(state, ballots, view, (raw,)) or acted
    return acted


def hold(state: State, seal: Seal, source: BankIndex) -> None:
    """Keep a seal, everything of which was checked but the proofs of its ballots."""
    state.ballots.pending[source] = seal
    for raw in seal.ballots:
        state.ballots.note(seal.view, raw)


def next_verified(state: State) -> tuple[Seal, BankIndex] | None:
    """Return a held seal all of whose ballots hold, and who brought it.

    No seal is taken for a while from a source whose ballots do not hold: nobody relays a seal that
    he did not verify. What others brought is looked at for itself.
    """
    ballots = state.ballots
    for source, seal in list(ballots.pending.items()):
        verdicts = [ballots.verdicts.get(raw) for raw in seal.ballots]
        if all(verdicts):
            return seal, source
        if False in verdicts:
            del ballots.pending[source]
            distrust(state, source, "a seal with ballots that do not hold")
    return None


def verify_held(state: State) -> bool:
    """Have the ballots of held seals verified."""
    acted = False
    for seal in state.ballots.pending.values():
        acted = ask(state, state.ballots, seal.view, seal.ballots) or acted
    return acted


def require_hearing(state: State, source: BankIndex) -> None:
    """Raise `CertificateInvalid` if the source brought bad ballots lately."""
    if is_distrusted(state, source):
        raise CertificateInvalid("its source brought ballots that do not hold")


# What goes into the next block.


def verify_rejections(state: State) -> bool:
    """Have the REJECT ballots about the sealed block verified: the next block records them."""
    if state.seal is None or state.halted is not None or not state.ballots.rejections:
        return False
    view = state.seal.view
    return ask(
        state, state.ballots, view, state.ballots.rejections_of(view, state.seal.block_id)
    )


def for_block(state: State) -> tuple[bytes, ...]:
    """Return what a block on the tip records: the ballots of my seal of the tip, and the verified
    REJECT ballots about it of the same view, sorted by tag."""
    seal = state.tip_seal
    if seal is None:
        return ()
    by_tag = {ballot_tag(raw): raw for raw in seal.ballots}
    if state.tip_ballots is not None:
        for raw in state.tip_ballots.rejections_of(seal.view, seal.block_id):
            if state.tip_ballots.verdicts.get(raw):
                by_tag.setdefault(ballot_tag(raw), raw)
    return tuple(by_tag[tag] for tag in sorted(by_tag))


# What convicts.


def expose(state: State) -> bool:
    """Two verified ballots of one bank in one view: have them kept, and tell the operators (E8).

    Views that have not come have to wait: nobody may make this bank verify ballots of fifty.
    """
    acted = False
    for ballots in _tables(state):
        for pair in ballots.suspects.copy():
            verdicts = [ballots.verdicts.get(raw) for raw in (pair.first, pair.second)]
            if None in verdicts and False not in verdicts:
                if ballots is state.ballots and pair.view <= state.view:
                    acted = ask(state, ballots, pair.view, (pair.first, pair.second)) or acted
                continue
            ballots.suspects.remove(pair)
            if all(verdicts) and (pair.view, pair.tag) not in ballots.kept:
                ballots.kept[pair.view, pair.tag] = True
                state.emit(KeepBallots(ballots.height, pair.view, pair.first, pair.second))
                state.alarm(
                    AlarmKind.CONFLICTING_BALLOTS,
                    f"a bank cast two ballots at height {ballots.height} in view {pair.view}; "
                    "the regulator can tell which",
                )
    return acted


def _tables(state: State) -> list[HeightBallots]:
    tables = (state.tip_ballots, state.ballots, state.next_ballots)
    return [ballots for ballots in tables if ballots is not None]
