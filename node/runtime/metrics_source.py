"""Serving a bank's metrics for as long as the bank runs: what is read, and where from."""

from __future__ import annotations

import asyncio

from node.runtime.admission import WAITING_LIMIT, Admission
from node.runtime.chain import Chain
from node.runtime.cpu_account import CpuAccount
from node.runtime.metrics_collector import HistogramReading, MetricsSnapshot, OwnUse
from node.runtime.metrics_endpoint import MetricsEndpoint
from node.runtime.observation import Observation
from node.runtime.operator_backend import OperatorBackend

SIZE_INTERVAL_S = 60.0
"""How often the database is asked for its size where no operator asks; a scrape never does."""


class MetricsSource:
    """Takes a bank's numbers from memory; all in the event loop's thread."""

    def __init__(
        self,
        operator: OperatorBackend,
        chain: Chain,
        admission: Admission,
        observation: Observation,
    ) -> None:
        self._operator = operator
        self._chain = chain
        self._admission = admission
        self._observation = observation

    def take(self, own_use: OwnUse) -> MetricsSnapshot:
        """Copy everything that metrics are made of; takes about a millisecond."""
        report = self._operator.report_from_memory()
        state = self._chain.state
        return MetricsSnapshot(
            report=report,
            asset_code=self._chain.genesis.base_asset.code,
            verification_waiting=self._admission.waiting,
            verification_capacity=WAITING_LIMIT,
            member=state.banks[report.bank],
            pot=state.pots[-1] if state.pots else None,
            histograms={
                name: HistogramReading(item.bounds, tuple(item.counts), item.sum)
                for name, item in self._observation.histograms.items()
            },
            own_use=own_use,
            refusals=dict(self._observation.refusals),
        )

    async def serve(self, listen: str, cpu: CpuAccount) -> None:
        """Serve at `host:port` until cancelled; raises `AddressUnusable`."""
        endpoint = MetricsEndpoint(listen, self.take, cpu)
        endpoint.start()
        try:
            while True:
                await self._operator.report()
                await asyncio.sleep(SIZE_INTERVAL_S)
        finally:
            endpoint.close()
