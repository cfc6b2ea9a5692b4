"""Routes to what is stored: blocks, transactions, banks, the treasury; and the search."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from node.client.errors import ClientError, LedgerError, RecordNotFound
from node.client.treasury_report import TreasuryReport
from node.dashboard.bank_answer import bank_object
from node.dashboard.block_answer import (
    ShownBlock,
    evidence_objects,
    round_objects,
    shown_block,
    votes_object,
)
from node.dashboard.encoding import json_response
from node.dashboard.errors import PageError, not_found
from node.dashboard.ledger_reading import LedgerReading
from node.dashboard.question import read_bank, read_height, read_id, read_number
from node.dashboard.search import search_object
from node.dashboard.transaction_answer import transaction_object
from node.dashboard.treasury_answer import TreasuryFollower, treasury_object
from node.dashboard.watch import Watch
from node.ledger.encoding import MalformedEncoding
from node.ledger.types import BankIndex, Height, TransactionId
from node.wire.operator_records import RoundReport, TransactionTrace
from node.wire.records import EvidenceItem

MAX_BLOCKS = 100
DEFAULT_BLOCKS = 50

Answer = Callable[[Request], Awaitable[Response]]


class ExplorerRoutes:
    """Answers about the ledger, verified here where they can be."""

    def __init__(self, watch: Watch, is_operator: Callable[[Request], bool]) -> None:
        self._watch = watch
        self._is_operator = is_operator
        self._reading = LedgerReading(watch)
        self._treasury = TreasuryFollower(self._reading)

    def routes(self, guarded: Callable[[Answer], Answer]) -> list[Route]:
        """Return the routes, each answer passed through `guarded`."""
        answers: Mapping[str, Answer] = {
            "/api/blocks": self.blocks,
            "/api/blocks/{height}": self.block,
            "/api/transactions/{id}": self.transaction,
            "/api/banks/{index}": self.bank,
            "/api/treasury": self.treasury,
            "/api/search": self.search,
        }
        return [Route(path, guarded(answer), methods=["GET"]) for path, answer in answers.items()]

    async def blocks(self, request: Request) -> Response:
        """Return blocks below a height, the newest first."""
        tip = await self._reading.tip()
        query = request.query_params
        before = read_number(query["before"], "before") if "before" in query else tip + 1
        limit = DEFAULT_BLOCKS
        if "limit" in query:
            limit = read_number(query["limit"], "limit", lowest=1, highest=MAX_BLOCKS)
        last = min(before - 1, tip)
        rows = await self._reading.block_rows(max(0, last - limit + 1), last)
        return json_response({"blocks": [row.to_json_object() for row in rows], "tip": tip})

    async def block(self, request: Request) -> Response:
        """Return one block with everything about it."""
        height = read_height(request.path_params["height"])
        operator = self._is_operator(request)
        return json_response(
            await self._reading.recent.get(
                ("block", height, operator), lambda: self._block(height, operator)
            )
        )

    async def _block(self, height: Height, operator: bool) -> dict[str, object]:
        reading = self._reading
        try:
            shown = await shown_block(reading, height)
        except RecordNotFound:
            raise not_found(
                f"there is no block {height}", f"the newest one is block {await reading.tip()}"
            ) from None
        except MalformedEncoding as error:
            raise PageError(502, "not-certified", f"a bank shows no block: {error}") from error
        tip = max(await reading.tip(), height)
        return {
            **shown.to_json_object(reading.genesis),
            "votes": await votes_object(reading, shown),
            "evidence": evidence_objects(shown.block, await self._evidence(shown)),
            "rounds": await self._rounds(height) if operator and height else [],
            "previous": height - 1 if height else None,
            "next": height + 1 if height < tip else None,
        }

    async def _evidence(self, shown: ShownBlock) -> Mapping[bytes, EvidenceItem]:
        if shown.block is None or not shown.block.evidence:
            return {}
        return await self._reading.evidence()

    async def _rounds(self, height: Height) -> list[dict[str, object]]:
        answers: dict[BankIndex, RoundReport | LedgerError] = await self._reading.connections.ask(
            lambda bank: bank.round(height), self._watch.answering()
        )
        return round_objects(answers, len(self._reading.genesis.banks))

    async def transaction(self, request: Request) -> Response:
        """Return one transaction with everything about it."""
        identity = TransactionId(read_id(request.path_params["id"]))
        operator = self._is_operator(request)
        return json_response(
            await self._reading.recent.get(
                ("transaction", identity, operator),
                lambda: self._transaction(identity, operator),
            )
        )

    async def _transaction(self, identity: TransactionId, operator: bool) -> dict[str, object]:
        traces: dict[BankIndex, TransactionTrace | LedgerError] | None = None
        if operator:
            traces = await self._reading.connections.ask(
                lambda bank: bank.transaction_trace(identity), self._watch.answering()
            )
        return await transaction_object(self._reading, identity, traces)

    async def bank(self, request: Request) -> Response:
        """Return one bank; its own report for operators alone."""
        watch = self._watch
        bank = read_bank(request.path_params["index"], len(watch.genesis.banks))
        operator = self._is_operator(request)
        await watch.fresh()
        treasury, evidence = await self._account()
        row = watch.row(bank, operator=operator)
        return json_response(
            bank_object(
                row,
                watch.reports.get(bank) if operator else None,
                treasury=treasury,
                movements=self._treasury.of_bank(bank),
                evidence=evidence,
            )
        )

    async def _account(self) -> tuple[TreasuryReport | None, list[EvidenceItem]]:
        """Return what the ledger says of banks; nothing if none of them answers."""
        try:
            report = await self._treasury.report()
            return report, list((await self._reading.evidence()).values())
        except ClientError:
            return None, []

    async def treasury(self, request: Request) -> Response:
        """Return the treasury."""
        report = await self._treasury.report()
        return json_response(treasury_object(report, self._treasury.newest()))

    async def search(self, request: Request) -> Response:
        """Return where a word leads."""
        return json_response(await search_object(self._reading, request.query_params.get("q", "")))
