"""Every checker objects to what it is there for: a checker that cannot is worth nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from node.consensus.effects import Persist
from node.consensus.events import MessageReceived
from node.consensus.messages import Commit, Seal, Vote
from node.consensus.parameters import ConsensusParameters
from node.consensus.signing import Decision, SigningContext
from node.ledger.blocks import Block
from node.ledger.effects import Punishment, TreasuryEntry, TreasuryKind
from node.ledger.offences import Offence
from node.ledger.types import Amount, BankIndex, FiscalYear, Height, TimeMs, View
from node.simulation.checker import Checker, Violation
from node.simulation.checkers.agreement import Agreement
from node.simulation.checkers.conviction import EveryOffence, NoFalseConviction
from node.simulation.checkers.durability import Durability
from node.simulation.checkers.innocence import Innocence
from node.simulation.checkers.money import Conservation, TreasurySums
from node.simulation.checkers.rollback import RollbackGuard
from node.simulation.checkers.state_roots import StateRoots
from node.simulation.checkers.validity import Validity
from node.simulation.checkers.write_ahead import WriteAhead
from node.simulation.clients import Clients
from node.simulation.engine import Bank, Cluster
from node.simulation.genesis import make_genesis
from node.simulation.ledger import Valid
from node.simulation.oracle import OracleSigner, public_key
from node.simulation.production_ledger import LedgerPoint, ProductionLedger


class Stage:
    """An undisturbed consortium of four banks that has sealed some heights."""

    def __init__(self, make: Callable[[ProductionLedger], Checker], heights: int = 3) -> None:
        genesis = make_genesis(4)
        self.ledger = ProductionLedger(genesis)
        self.checker = make(self.ledger)
        self.cluster = Cluster(
            self.ledger, parameters=ConsensusParameters.of(genesis), checkers=(self.checker,)
        )
        self.clients = Clients(self.cluster, self.ledger, self.cluster.random)
        self.clients.submit_every(200, 60_000)
        self.cluster.start()
        self.cluster.reach(heights, limit_ms=20_000)

    @property
    def bank(self) -> Bank:
        return self.cluster.banks[0]

    def last(self) -> tuple[Bank, Valid]:
        """Bank 0 and the outcome of its last block."""
        return self.bank, Valid(self.bank.disk.point)

    def apply_again(self, outcome: Valid | None = None, seal: Seal | None = None) -> None:
        item = self.bank.disk.chain[-1]
        known = Valid(self.bank.disk.point)
        self.checker.applied(self.bank, item.block, seal or item.seal, outcome or known)

    def point(self) -> LedgerPoint:
        point = self.bank.disk.point
        assert isinstance(point, LedgerPoint)
        return point


def unlike(block: Block) -> Block:
    """The same block with another id, so that no checker has seen it."""
    return replace(block, header=replace(block.header, time_ms=TimeMs(block.header.time_ms + 1)))


def commit_of(bank: Bank, height: int, block: Block) -> Commit:
    return Commit(bank.index, Height(height), View(0), block.block_id, block.block_id * 2)


def refuses(call: Callable[[], object], name: str, words: str) -> None:
    with pytest.raises(Violation, match=words) as caught:
        call()
    assert caught.value.checker == name


def test_agreement_two_seals_at_one_height() -> None:
    stage = Stage(lambda ledger: Agreement())
    seal = stage.bank.disk.chain[0].seal
    other = replace(seal, block_id=stage.bank.disk.chain[1].block.block_id)
    refuses(lambda: stage.checker.sent(stage.bank, other, ()), "agreement", "two blocks are sealed")


def test_agreement_a_seal_with_a_bad_signature() -> None:
    stage = Stage(lambda ledger: Agreement())
    seal = stage.bank.disk.chain[-1].seal
    entry = replace(seal.signatures[0], signature=bytes(64))
    bad = replace(seal, signatures=(entry, *seal.signatures[1:]))
    refuses(lambda: stage.apply_again(seal=bad), "agreement", "under a bad seal")


def test_write_ahead_a_statement_that_is_not_on_disk() -> None:
    stage = Stage(lambda ledger: WriteAhead())
    block_id = stage.bank.disk.chain[0].block.block_id
    commit = Commit(
        BankIndex(0), Height(9), stage.bank.disk.chain[0].seal.view, block_id, bytes(64)
    )
    refuses(lambda: stage.checker.sent(stage.bank, commit, ()), "write-ahead", "without any record")


def test_write_ahead_a_point_that_does_not_grow() -> None:
    stage = Stage(lambda ledger: WriteAhead())
    guard = stage.bank.disk.guard
    assert guard is not None
    again = Persist(b"", guard.height, guard.view, guard.step, ())
    refuses(lambda: stage.checker.persisted(stage.bank, again), "write-ahead", "persisted .* after")


def test_write_ahead_a_vouched_block_whose_transactions_are_not_on_disk() -> None:
    stage = Stage(lambda ledger: WriteAhead())
    stage.clients.submit()
    sent: list[Vote] = []
    objects = stage.checker.sent

    def empty_disk_first(bank: Bank, message: object, targets: object) -> None:
        if isinstance(message, Vote):
            sent.append(message)
            bank.disk.bodies.clear()
        objects(bank, message, targets)  # type: ignore[arg-type]

    stage.cluster.watch.sent = empty_disk_first
    refuses(lambda: stage.cluster.run(5_000), "write-ahead", "vouches for a block")
    assert len(sent) == 1


def test_innocence_two_commits_in_one_view() -> None:
    stage = Stage(lambda ledger: Innocence())
    first, second = [commit_of(stage.bank, 50, item.block) for item in stage.bank.disk.chain[:2]]
    stage.checker.sent(stage.bank, first, ())
    refuses(lambda: stage.checker.sent(stage.bank, second, ()), "innocence", "could be convicted")


def test_validity_a_forged_transaction_and_a_wrong_root() -> None:
    stage = Stage(Validity)
    item = stage.bank.disk.chain[-1]
    forged = stage.ledger.transaction(invalid=True)
    block = replace(unlike(item.block), transaction_ids=(forged,))
    refuses(
        lambda: stage.checker.applied(stage.bank, block, item.seal, Valid(stage.point())),
        "validity",
        "sealed the invalid transaction",
    )
    other = replace(item.block, header=replace(item.block.header, post_state_root=bytes(32)))
    refuses(
        lambda: stage.checker.applied(stage.bank, other, item.seal, Valid(stage.point())),
        "validity",
        "state root",
    )


def test_durability_a_lost_transaction() -> None:
    stage = Stage(lambda ledger: Durability())
    stage.checker.finish()
    lost = stage.bank.disk.chain[0]
    empty = replace(lost, block=replace(lost.block, transaction_ids=()))
    stage.bank.disk.chain[0] = empty
    refuses(stage.checker.finish, "durability", "has lost transaction")


def test_durability_a_damaged_chain_at_restart() -> None:
    stage = Stage(lambda ledger: Durability())
    del stage.bank.disk.chain[0]
    refuses(lambda: stage.cluster.restart(0), "durability", "damaged chain")


def test_rollback_guard_a_signature_below_the_forgotten_height() -> None:
    stage = Stage(lambda ledger: RollbackGuard())
    backup = stage.bank.disk.backup()
    stage.cluster.reach(stage.bank.height + 3, limit_ms=20_000)
    stage.bank.disk = stage.bank.disk.restored(backup)
    assert isinstance(stage.checker, RollbackGuard)
    stage.checker.restored(stage.bank)
    silent = stage.bank.disk.silent_through()
    assert silent is not None
    stage.checker.persisted(stage.bank, Persist(b"", Height(silent + 1), View(0), 1, ()))
    refuses(
        lambda: stage.checker.persisted(stage.bank, Persist(b"", silent, View(0), 9, ())),
        "rollback guard",
        "was restored from a backup and signed",
    )


def test_state_roots_another_state() -> None:
    stage = Stage(lambda ledger: StateRoots())
    point = stage.point()
    state = replace(point.state, transaction_count=99)
    other = replace(point, transition=replace(point.transition, state=state))
    refuses(lambda: stage.apply_again(Valid(other)), "state roots", "another state")


def test_conservation_a_state_with_money_from_nowhere() -> None:
    stage = Stage(lambda ledger: Conservation())
    point = stage.point()
    banks = (replace(point.state.banks[0], balance=Amount(7)), *point.state.banks[1:])
    other = replace(
        point, transition=replace(point.transition, state=replace(point.state, banks=banks))
    )
    assert isinstance(stage.checker, Conservation)
    item = stage.bank.disk.chain[-1]
    block = replace(
        item.block, header=replace(item.block.header, time_ms=item.block.header.time_ms + 1)
    )
    refuses(
        lambda: stage.checker.applied(stage.bank, block, item.seal, Valid(other)),
        "conservation of value",
        "public accounts",
    )
    stage.checker.clients = stage.clients
    stage.checker.finish()
    note = next(iter(stage.clients.unspent.values()))
    note.value = Amount(note.value + 1)
    refuses(stage.checker.finish, "conservation of value", "wallets hold")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (TreasuryKind.PENALTY, "reward rows add up to 0, the state says 5"),
        (TreasuryKind.FEE, "reward rows add up to 0, the state says 5"),
        (TreasuryKind.REWARD, "reward rows add up to 5, the state says 0"),
        (TreasuryKind.CARRY, "carry rows add up to 5, the state says 0"),
        (TreasuryKind.STAKE, "penalty rows add up to 0, the state says 5"),
    ],
)
def test_treasury_sums_a_row_too_many(kind: TreasuryKind, words: str) -> None:
    stage = Stage(lambda ledger: TreasurySums())
    point = stage.point()
    row = TreasuryEntry(BankIndex(0), FiscalYear(2026), 5, kind, "invented")
    other = replace(point, transition=replace(point.transition, treasury_entries=(row,)))
    item = stage.bank.disk.chain[-1]
    block = replace(
        item.block, header=replace(item.block.header, time_ms=item.block.header.time_ms + 1)
    )
    refuses(
        lambda: stage.checker.applied(stage.bank, block, item.seal, Valid(other)),
        "treasury sums",
        words,
    )


def test_no_false_conviction_a_slash_of_a_correct_bank() -> None:
    stage = Stage(lambda ledger: NoFalseConviction())
    point = stage.point()
    slash = Punishment(
        bytes(32), Offence.DOUBLE_VOTE, BankIndex(2), Height(1), Amount(9), Amount(1), Amount(8), 1
    )
    other = replace(point, transition=replace(point.transition, punishments=(slash,)))
    item = stage.bank.disk.chain[-1]
    header = replace(item.block.header, height=Height(90))
    block = replace(item.block, header=header)
    refuses(
        lambda: stage.checker.applied(stage.bank, block, item.seal, Valid(other)),
        "no correct bank convicted",
        "correct bank 2 is punished for E1",
    )


def test_every_offence_a_double_vote_that_nobody_punishes() -> None:
    """The votes are shown to the checker alone, so the bank cannot know of them."""
    stage = Stage(lambda ledger: EveryOffence())
    cluster, bank = stage.cluster, stage.bank
    cluster.byzantine = frozenset({2})
    checker = stage.checker
    assert isinstance(checker, EveryOffence)
    assert checker.outstanding() == []
    height = Height(bank.height + 1)
    context = SigningContext.of(
        stage.ledger.definition.chain_id, bank.disk.point.active_set, height
    )
    signer = OracleSigner(public_key(2))
    for item in bank.disk.chain[:2]:
        block_id = item.block.block_id
        statement = context.approval(View(0), BankIndex(2), block_id)
        vote = Vote(
            BankIndex(2),
            height,
            View(0),
            block_id,
            Decision.APPROVE,
            "",
            None,
            signer.sign(statement),
        )
        checker.delivered(bank, MessageReceived(BankIndex(2), vote))
    (offence,) = checker.outstanding()
    assert (offence.bank, offence.height) == (2, height)
    cluster.restart(0)
    assert checker.outstanding() == [], "a new life has forgotten what was not on disk"
