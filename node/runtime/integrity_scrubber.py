"""Looks through the whole stored history for damage, slowly and for ever.

What a bank signs rests on its tip, which is compared before every signature. Old rows are read
seldom, and bits rot silently: this walk reads every one of them again and compares it with what it
must hash to (`history_check`). It takes a bounded share of one core, however long the ledger is.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from node.consensus.signatures import Ed25519Verifier
from node.ledger.encoding import MalformedEncoding
from node.ledger.genesis import Genesis
from node.ledger.state import LedgerState
from node.ledger.types import Height
from node.runtime.history_check import ChainWalk, ListWalk, check_books
from node.storage.database import Database
from node.storage.errors import IntegrityViolation, StorageError
from node.storage.history_reader import ListPage

logger = logging.getLogger(__name__)

T = TypeVar("T")

ROWS_AT_ONCE = 200
REST_S = 60.0
"""Between the end of one walk and the begin of the next."""
PROOFS_EVERY = 50
"""Heights from one at which a walk verifies the ballots' proofs to the next; the next walk takes
the heights after those."""
RETRY_S = 5.0
"""After the database did not answer; the node stops on that by itself if it is serious."""


class IntegrityScrubber:
    """Walks through one bank's database; every damaged row it finds is raised."""

    def __init__(
        self,
        genesis: Genesis,
        database: Database,
        tip: Callable[[], Height],
        share_percent: int,
        rest_s: float = REST_S,
        proofs_every: int = PROOFS_EVERY,
    ) -> None:
        """`share_percent` of one core's time is what a walk may take."""
        assert 0 < share_percent <= 100, "a share of nothing never ends"
        self._genesis = genesis
        self._database = database
        self._tip = tip
        self._idle_per_busy = (100 - share_percent) / share_percent
        self._rest_s = rest_s
        self._proofs_every = proofs_every
        self.walks = 0
        """Completed since the start."""

    async def run(self) -> None:
        """Walk until cancelled; raises `IntegrityViolation`."""
        while True:
            try:
                await self.walk()
            except IntegrityViolation:
                raise
            except StorageError as error:
                logger.warning("scrubbing was interrupted", extra={"detail": str(error)})
                await asyncio.sleep(RETRY_S)
                continue
            await asyncio.sleep(self._rest_s)

    async def walk(self) -> None:
        """Check everything once, up to the tip of the end; raises `IntegrityViolation`."""
        begun_s = time.monotonic()
        origin = Height((await self._database.first_height()) - 1)
        blocks = await self._walk_blocks(origin)
        await self._walk_list(ListWalk("nullifiers"), self._database.nullifier_page)
        await self._walk_list(ListWalk("notes"), self._database.note_page)
        await self._walk_list(ListWalk("bins"), self._database.closed_bin_page)
        books = await self._paced(self._database.books())
        check_books(books, origin)
        self.walks += 1
        logger.info(
            "history checked",
            extra={"blocks": blocks, "seconds": round(time.monotonic() - begun_s, 1)},
        )

    async def _walk_blocks(self, origin: Height) -> int:
        # A verifier of its own: walking must not push fresh signatures out of consensus's memory.
        verifier = Ed25519Verifier(cached_signatures=1)
        walk = ChainWalk(self._genesis, verifier, origin, self._has_its_turn)
        while walk.height <= self._tip():
            await self._paced(self._check_next(walk))
        # Blocks are applied meanwhile: the walk goes on to where this state stands.
        state = (await self._database.load_tip()).state
        while walk.height <= state.height:
            await self._paced(self._check_next(walk))
        walk.tallies.check(state)
        return walk.height

    def _has_its_turn(self, height: Height) -> bool:
        return height % self._proofs_every == self.walks % self._proofs_every

    async def _check_next(self, walk: ChainWalk) -> None:
        history = await self._database.block_history(walk.height, whole=walk.wants_whole)
        if history is None:
            raise IntegrityViolation("blocks", walk.height, "the row is missing")
        await asyncio.to_thread(walk.take, history)

    async def _walk_list(
        self, walk: ListWalk, page: Callable[[int, int], Coroutine[Any, Any, ListPage]]
    ) -> None:
        async def check_next() -> bool:
            found = await page(walk.count, ROWS_AT_ONCE)
            return await asyncio.to_thread(walk.take, _state_of(found), found.rows)

        while not await self._paced(check_next()):
            pass

    async def _paced(self, work: Coroutine[Any, Any, T]) -> T:
        """Do one piece of work, then rest in proportion to what it took."""
        begun_s = time.perf_counter()
        result = await work
        await asyncio.sleep((time.perf_counter() - begun_s) * self._idle_per_busy)
        return result


def _state_of(page: ListPage) -> LedgerState:
    try:
        return LedgerState.decode(page.state)
    except MalformedEncoding as error:
        raise IntegrityViolation("ledger_state", None, f"the state: {error}") from error
