"""The engine over the production ledger: hosts, disks, power and the network of simulated banks."""

from __future__ import annotations

from random import Random

import pytest

from node.consensus.core import Consensus
from node.consensus.effects import Alarm, AlarmKind, Persist
from node.consensus.events import Event, TimerFired, WorkDue
from node.consensus.messages import Commit, Message, Proposal, Timeout, Vote
from node.consensus.parameters import ConsensusParameters
from node.ledger.invariants import note_supply
from node.ledger.types import BankIndex, Height, View
from node.simulation.checker import Checker
from node.simulation.checkers.agreement import Agreement
from node.simulation.checkers.innocence import Innocence
from node.simulation.checkers.write_ahead import WriteAhead
from node.simulation.clients import Clients
from node.simulation.disk import SignaturePoint
from node.simulation.engine import Bank, Cluster, Core
from node.simulation.genesis import make_genesis
from node.simulation.network import Network
from node.simulation.production_ledger import LedgerPoint, ProductionLedger


class Events(Checker):
    """Keeps what the cores are given."""

    name = "events"

    def __init__(self) -> None:
        self.seen: list[tuple[int, BankIndex, Event]] = []

    def delivered(self, bank: Bank, event: Event) -> None:
        self.seen.append((self.cluster.now_ms, bank.index, event))


def consortium(bank_count: int = 4, *more: Checker, **options: object) -> Cluster:
    genesis = make_genesis(bank_count)
    ledger = ProductionLedger(genesis)
    cluster = Cluster(
        ledger,
        parameters=ConsensusParameters.of(genesis),
        checkers=(*more, WriteAhead(), Innocence(), Agreement()),
        **options,  # type: ignore[arg-type]
    )
    Clients(cluster, ledger, Random(1))
    return cluster


def test_a_transaction_that_only_the_leader_holds_is_fetched_by_all() -> None:
    cluster = consortium()
    cluster.start()
    identifier = cluster.submit(banks=[1])
    cluster.reach(1, limit_ms=5_000)
    assert all(bank.holds(identifier) for bank in cluster.banks)
    assert all(identifier in bank.disk.bodies for bank in cluster.banks)


def test_a_block_whose_transactions_nobody_gives_is_not_voted_on() -> None:
    """Bank 1 puts a name into its block for which no bytes can be had."""
    cluster = consortium(7)
    leader = cluster.banks[1]
    cluster.byzantine = frozenset({1})
    cluster.start()
    unknown = cluster.ledger.transaction(invalid=True)
    leader.poison.append(unknown)
    cluster.submit()
    cluster.reach(1, limit_ms=60_000)
    block = cluster.banks[0].disk.chain[0].block
    assert unknown not in block.transaction_ids
    assert block.header.original_view > 0


def test_d4_a_restored_backup_is_silent_until_a_later_height_and_then_takes_part() -> None:
    cluster = consortium(7)
    spoken: list[int] = []

    def listen(source: BankIndex, target: BankIndex, message: Message) -> Message:
        if source == 3 and isinstance(message, Proposal | Vote | Commit | Timeout):
            spoken.append(message.height)
        return message

    cluster.intercept = listen
    cluster.submit_every(150, 60_000)
    cluster.start()
    cluster.reach(2, limit_ms=10_000)
    bank = cluster.banks[3]
    backup = bank.disk.backup()
    cluster.reach(6, limit_ms=10_000)
    signed = bank.disk.guard
    assert signed is not None
    bank.disk = bank.disk.restored(backup)
    spoken.clear()
    cluster.restart(3)
    assert bank.core is not None
    assert bank.core.status().may_sign is False
    cluster.reach(signed.height + 4, limit_ms=20_000)
    assert min(spoken) > signed.height
    assert bank.core.status().may_sign is True


def test_d4_power_lost_between_database_and_guard_leaves_the_guard_behind() -> None:
    cluster = consortium()
    bank = cluster.banks[0]
    cluster.start()
    cluster.crashes_before_effect = lambda index: True
    cluster._persist(bank, Persist(b"record", Height(1), View(0), 1, ()))
    assert bank.disk.recorded == SignaturePoint(Height(1), View(0), 1)
    assert bank.disk.guard is None
    assert bank.disk.silent_through() is None
    assert not bank.up


def test_nothing_is_done_after_power_was_lost_inside_an_effect() -> None:
    cluster = consortium()
    bank = cluster.banks[0]
    cluster.start()
    asked = iter([False, True])
    cluster.crashes_before_effect = lambda index: next(asked, False)
    persist = Persist(b"record", Height(1), View(0), 1, ())
    cluster._execute(bank, [persist, Alarm(AlarmKind.SILENCED, "never told")])
    assert (bank.up, bank.alarms, bank.disk.guard) == (False, [], None)
    assert bank.disk.record == b"record"


def test_a_cancelled_or_replaced_timer_never_reaches_the_core() -> None:
    events = Events()
    cluster = consortium(4, events)
    cluster.submit_every(100, 3_000)
    cluster.start()
    cluster.run(6_000)
    kinds = {event.kind for _, _, event in events.seen if isinstance(event, TimerFired)}
    assert "view" not in kinds, "no view lasts two seconds here"
    assert "batch" in kinds


def test_section_7_a_bin_that_is_due_is_work() -> None:
    events = Events()
    cluster = consortium(4, events)
    cluster.start()
    cluster.submit()
    cluster.run(8_000)
    due = [(ms, event) for ms, _, event in events.seen if isinstance(event, WorkDue)]
    assert len(due) >= 4
    assert cluster.banks[0].height == 2
    point = cluster.banks[0].disk.point
    assert isinstance(point, LedgerPoint)
    assert len(point.closed_bins) == 1


def test_the_factory_makes_a_core_for_every_start() -> None:
    made: list[BankIndex] = []

    def factory(bank: BankIndex, consensus: Consensus) -> Core:
        made.append(bank)
        return consensus

    cluster = consortium(4, core_factory=factory)
    cluster.start()
    cluster.restart(2)
    assert made == [0, 1, 2, 3, 2]


def test_the_clocks_of_banks_differ_in_the_headers_they_make() -> None:
    cluster = consortium()
    for bank in cluster.banks:
        bank.clock_offset_ms = 100 * bank.index
    cluster.submit_every(100, 2_000)
    cluster.start()
    cluster.reach(4, limit_ms=5_000)
    genesis_ms = cluster.ledger.genesis.header.time_ms
    for item in cluster.banks[0].disk.chain:
        header = item.block.header
        assert header.time_ms - genesis_ms >= 100 * header.proposer


def test_the_network_loses_repeats_and_delays_as_it_is_told() -> None:
    random = Random(3)
    pair = (BankIndex(0), BankIndex(1))
    assert Network(loss=1.0).delays_ms(*pair, random) == []
    assert Network(cut=lambda source, target: source == 0).delays_ms(*pair, random) == []
    twice = Network(duplication=1.0, min_delay_ms=7, max_delay_ms=7)
    assert twice.delays_ms(*pair, random) == [7, 7]
    drawn = {delay for _ in range(300) for delay in Network().delays_ms(*pair, random)}
    assert drawn == {1, 2, 3, 4, 5}


def test_section_18_clients_know_what_the_notes_hold() -> None:
    genesis = make_genesis(4)
    ledger = ProductionLedger(genesis)
    cluster = Cluster(ledger, parameters=ConsensusParameters.of(genesis))
    clients = Clients(cluster, ledger, Random(2))
    clients.submit_every(150, 30_000)
    cluster.start()
    cluster.reach(30, limit_ms=30_000)
    base = clients.tip.state.assets[0]
    assert base.fees > 0
    assert base.redeemed > 0
    assert sum(note.value for note in clients.unspent.values()) == note_supply(base)


@pytest.mark.parametrize("memoise", [True, False])
def test_every_bank_computes_the_same_state(memoise: bool) -> None:
    genesis = make_genesis(4)
    ledger = ProductionLedger(genesis, memoise=memoise)
    cluster = Cluster(ledger, parameters=ConsensusParameters.of(genesis))
    Clients(cluster, ledger, Random(5)).submit_every(100, 3_000)
    cluster.start()
    cluster.reach(5, limit_ms=10_000)
    points = [bank.disk.chain[4].block.header.post_state_root for bank in cluster.banks]
    assert len(set(points)) == 1
    distinct = {id(bank.disk.point) for bank in cluster.banks if bank.height == 5}
    assert len(distinct) == (1 if memoise else sum(bank.height == 5 for bank in cluster.banks))
