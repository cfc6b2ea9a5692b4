"""Routes of the faults page: what is broken, what could be, and breaking it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import Response

from node.dashboard.encoding import json_response, read_body
from node.dashboard.errors import PageError
from node.dashboard.fault_request import (
    FaultActs,
    FaultFailed,
    FaultRequest,
    kind_objects,
    read_fault_request,
)
from node.dashboard.watch import Watch

_log = logging.getLogger(__name__)


class FaultRoutes:
    """Only for operators: whoever calls these has checked it."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._acting = asyncio.Lock()

    async def listed(self, request: Request) -> Response:
        """Return what is broken and what could be."""
        acts, watch = self._watch.place.faults, self._watch
        await watch.fresh()
        return json_response(
            {
                "allowed": acts is not None and acts.allowed(watch.reports),
                "operator": True,
                "kinds": [] if acts is None else kind_objects(),
                "styles": []
                if acts is None
                else [
                    {"name": name, "description": words} for name, words in acts.styles().items()
                ],
                "faults": self._faults(acts),
            }
        )

    def _faults(self, acts: FaultActs | None) -> list[dict[str, object]]:
        if acts is None:
            return []
        return [asdict(fault) for fault in acts.listed(self._watch.reports)]

    async def inject(self, request: Request, operator: str) -> Response:
        """Break or mend something for an operator with this name, and say what was done."""
        acts, watch = self._watch.place.faults, self._watch
        if acts is None:
            raise PageError(
                403,
                "faults-off",
                "this server breaks nothing",
                "it was started with --no-faults; `consortium fault` does the same",
            )
        wanted = read_fault_request(await read_body(request), len(watch.genesis.banks))
        _log.info(
            "fault asked for on the page",
            extra={"operator": operator, "kind": wanted.kind, "fault_bank": wanted.bank},
        )
        async with self._acting:
            text = await self._perform(acts, wanted)
        await watch.look_once()
        return json_response({"faults": self._faults(acts), "text": text})

    async def _perform(self, acts: FaultActs, wanted: FaultRequest) -> str:
        # Whoever closes the window must not leave an act half done.
        try:
            return await asyncio.shield(asyncio.ensure_future(acts.perform(wanted)))
        except FaultFailed as error:
            raise PageError(409, "fault-refused", error.message, error.advice) from error
