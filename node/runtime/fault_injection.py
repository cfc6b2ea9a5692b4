"""What an operator has broken at this node on purpose: its links, or its honesty.

Link faults act where the network would: outgoing in `node.rpc.peer_link`, incoming in
`fault_links`. The consensus core never knows. A Byzantine style is put around the running core by
the driver; the core inside stays what it was, so that healing is taking the style away.

A node does this only if its own configuration allows it. Faults are forgotten by a restart.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass

from node.consensus.core import Consensus
from node.ledger.types import BankIndex
from node.rpc.backend import NotAllowed
from node.rpc.link_conditions import UNDISTURBED, LinkConditions
from node.runtime.bank_signers import BankSigners
from node.runtime.chain import Chain
from node.runtime.clock import Clock
from node.runtime.driver import ConsensusDriver
from node.runtime.fault_links import DisturbedPeerBackend
from node.runtime.peer_network import PeerNetwork
from node.simulation.byzantine import STYLES, make_byzantine
from node.wire.fields import MalformedMessage
from node.wire.operator_records import (
    FAULTS_OFF,
    ByzantineFault,
    FaultReport,
    LinkDirection,
    LinkFault,
)

"""Reason code of a refused fault."""

_WAYS = {
    LinkDirection.OUT: (LinkDirection.OUT,),
    LinkDirection.IN: (LinkDirection.IN,),
    LinkDirection.BOTH: (LinkDirection.OUT, LinkDirection.IN),
}


@dataclass(eq=False, slots=True)
class _Injected:
    conditions: LinkConditions | None
    """None for a style of lying."""
    style: str
    since_s: float


class FaultInjection:
    """The faults of one node."""

    def __init__(
        self,
        banks: Collection[BankIndex],
        network: PeerNetwork,
        incoming: DisturbedPeerBackend | None,
        lie: Callable[[ByzantineFault | None], None],
        clock: Clock,
    ) -> None:
        """`banks` are the peers. `incoming` is None if this node does not allow faults.

        `lie` puts a style around the core, or takes it away; it raises `MalformedMessage` for a
        style that it does not know.
        """
        self._banks = tuple(sorted(banks))
        self._network = network
        self._incoming = incoming
        self._lie = lie
        self._clock = clock
        self._links: dict[tuple[BankIndex, LinkDirection], _Injected] = {}
        self._lying: _Injected | None = None

    @property
    def allowed(self) -> bool:
        return self._incoming is not None

    def inject(self, fault: LinkFault | ByzantineFault) -> None:
        """Break something; raises `NotAllowed`, `MalformedMessage`.

        A fault of a link replaces what was injected into the same direction of it before.
        """
        incoming = self._require_allowed()
        now_s = self._clock.monotonic_s()
        if isinstance(fault, ByzantineFault):
            self._lie(fault)
            self._lying = _Injected(None, fault.style, now_s)
            return
        unknown = [peer for peer in fault.peers if peer not in self._banks]
        if unknown:
            raise MalformedMessage("peers", f"bank {unknown[0]} is no other bank of the genesis")
        conditions = LinkConditions(
            fault.cut, fault.delay_ms, fault.jitter_ms, fault.loss_per_mille
        )
        injected = _Injected(conditions, "", now_s)
        for peer in fault.peers or self._banks:
            for way in _WAYS[fault.direction]:
                self._disturb(incoming, peer, way, conditions)
                self._links[peer, way] = injected
                if conditions.undisturbed:
                    del self._links[peer, way]

    def heal(self) -> None:
        """End every fault; raises `NotAllowed`."""
        incoming = self._require_allowed()
        for peer, way in self._links:
            self._disturb(incoming, peer, way, UNDISTURBED)
        self._links.clear()
        if self._lying is not None:
            self._lie(None)
            self._lying = None

    def close(self) -> None:
        """Let go of what is held back."""
        if self._incoming is not None:
            self._incoming.close()

    def reports(self) -> tuple[FaultReport, ...]:
        """Return the faults that are there now, oldest first."""
        found = list(dict.fromkeys(self._links.values()))
        if self._lying is not None:
            found.append(self._lying)
        return tuple(self._report(item) for item in sorted(found, key=lambda item: item.since_s))

    def _report(self, injected: _Injected) -> FaultReport:
        age_ms = int((self._clock.monotonic_s() - injected.since_s) * 1_000)
        conditions = injected.conditions
        if conditions is None:
            return FaultReport("byzantine", f"byzantine: {injected.style}", (), age_ms)
        ways = [key for key, value in self._links.items() if value is injected]
        peers = tuple(sorted({peer for peer, _ in ways}))
        kind = "disconnect" if conditions.cut else "slow"
        directions = {way for _, way in ways}
        direction = LinkDirection.BOTH if len(directions) > 1 else directions.pop()
        shown = LinkFault(
            () if peers == self._banks else peers,
            direction,
            conditions.cut,
            conditions.delay_ms,
            conditions.jitter_ms,
            conditions.loss_per_mille,
        )
        return FaultReport(kind, describe_link(shown), peers, age_ms)

    def _disturb(
        self,
        incoming: DisturbedPeerBackend,
        peer: BankIndex,
        way: LinkDirection,
        conditions: LinkConditions,
    ) -> None:
        if way is LinkDirection.OUT:
            self._network.disturb(peer, conditions)
        else:
            incoming.disturb(peer, conditions)

    def _require_allowed(self) -> DisturbedPeerBackend:
        if self._incoming is None:
            raise NotAllowed(
                FAULTS_OFF,
                "this bank does not let its operators break it; start it with "
                "`consortium node run --allow-faults`, or set `allow_faults = true` under [bank]",
            )
        return self._incoming


def set_byzantine(
    fault: ByzantineFault | None,
    core: Consensus,
    signers: BankSigners,
    driver: ConsensusDriver,
    chain: Chain,
) -> None:
    """Have a node lie in a style, or (None) no more; raises `MalformedMessage`."""
    if fault is None:
        driver.replace_core(core)
        return
    if fault.style not in STYLES:
        raise MalformedMessage("style", f"must be one of {', '.join(STYLES)}")
    chance = random.Random(fault.seed)
    liar = make_byzantine(fault.style, core, signers.statements, signers.ballots, chance)
    liar.take_over(chain.header, chain.active_set)
    driver.replace_core(liar)


def describe_link(fault: LinkFault) -> str:
    """Say in words what was done to links; no peers stand for all."""
    way = {
        LinkDirection.OUT: "sending to",
        LinkDirection.IN: "receiving from",
        LinkDirection.BOTH: "links with",
    }[fault.direction]
    whom = ", ".join(f"bank {peer}" for peer in fault.peers) if fault.peers else "all banks"
    if fault.cut:
        return f"{way} {whom} cut"
    parts = [f"{fault.delay_ms} ms late"] if fault.delay_ms else []
    parts += [f"jitter {fault.jitter_ms} ms"] if fault.jitter_ms else []
    parts += [f"{fault.loss_per_mille / 10:g} % lost"] if fault.loss_per_mille else []
    return f"{way} {whom}: {', '.join(parts)}"
