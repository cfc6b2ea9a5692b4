"""What the page is given by whoever starts it: where the banks are and how to look at them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from node.client.connection import ClientCredentials, Endpoint
from node.dashboard.fault_request import FaultActs
from node.ledger.genesis import Genesis
from node.runtime.process_condition import ProcessCondition


@dataclass(frozen=True, slots=True)
class Place:
    """A consortium as the page finds it."""

    genesis: Genesis
    credentials: ClientCredentials
    """Of an operator."""
    endpoints: Callable[[], Sequence[Endpoint]]
    """In bank order; asked again when nobody answers, for addresses may have changed."""
    processes: Callable[[], Mapping[int, ProcessCondition]]
    """How the banks' processes look from outside; empty where they run elsewhere."""
    corrupted: Callable[[], Mapping[int, Sequence[str]]]
    """What was corrupted on purpose and not repaired, by bank."""
    metrics: Sequence[str | None] = ()
    """Where the banks serve their metrics, `host:port`, in bank order; None: nowhere."""
    faults: FaultActs | None = None
    """None if the page must break nothing."""
