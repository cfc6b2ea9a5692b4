"""What the regulator's own service answers with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from node.ledger.genesis import Genesis
from node.ledger.types import BankIndex, Height, TimeMs
from node.rpc.backend import NotFound, NotReady, Overloaded
from node.runtime.regulator.execution import Executor
from node.runtime.regulator.follower import Follower
from node.runtime.regulator.reverification import NobodyAnswers, Reverifier
from node.runtime.regulator.settling import Settling
from node.runtime.version import SOFTWARE_VERSION
from node.storage.regulator.database import RegulatorDatabase
from node.storage.regulator.records import Reverification
from node.wire.regulator_codec import MAX_LISTED
from node.wire.regulator_records import (
    AuditRecord,
    ChallengeCounts,
    ChallengeOutcome,
    RegulatorAlarm,
    RegulatorStatus,
    ReverificationRecord,
    SettlementStatus,
)

CHALLENGES_PER_HOUR = 20
"""Of one bank: a challenge costs a full verification."""
HOUR_MS = 3_600_000
RETRY_MS = 600_000
OPENING_ACTIONS = ("opening", "opening-refused")


class RegulatorBackend:
    """Implements `node.rpc.regulator_service.RegulatorBackend`."""

    def __init__(
        self,
        genesis: Genesis,
        database: RegulatorDatabase,
        follower: Follower,
        executor: Executor,
        reverifier: Reverifier,
        settling: Settling,
        now_ms: Callable[[], TimeMs],
        *,
        opener_is_split: bool,
    ) -> None:
        self._genesis = genesis
        self._database = database
        self._follower = follower
        self._executor = executor
        self._reverifier = reverifier
        self._settling = settling
        self._now_ms = now_ms
        self._opener_is_split = opener_is_split

    def forget_opener(self) -> None:
        """Tell from now on that officers hold the opener's key."""
        self._opener_is_split = True

    async def status(self) -> RegulatorStatus:
        tip = self._follower.tip
        drawn, reverified = await self._database.counts()
        accusations, waiting = await self._database.accusation_counts()
        return RegulatorStatus(
            chain_id=self._genesis.chain_id,
            software_version=SOFTWARE_VERSION,
            height=tip.height,
            time_ms=tip.time_ms,
            drawn_blocks=drawn,
            reverified_blocks=reverified,
            alarms=await self._database.alarm_count(),
            openings=await self._database.audit_count("opening"),
            challenges=await self._database.audit_count("challenge"),
            opener_is_split=self._opener_is_split,
            settlements=tuple(
                [
                    SettlementStatus(
                        item.year, item.transaction_id, item.attempts, item.sealed_height
                    )
                    for item in (await self._database.settlements())[-MAX_LISTED:]
                ]
            ),
            waiting_for=self._settling.waiting_for,
            executed_height=self._executor.height,
            accusations=accusations,
            waiting_accusations=waiting,
            challenge_counts=tuple(
                [
                    ChallengeCounts(item.bank, item.honest, item.malicious, item.open)
                    for item in await self._database.challenge_counts()
                ]
            ),
        )

    async def alarms(self, limit: int) -> Sequence[RegulatorAlarm]:
        return [
            RegulatorAlarm(
                item.kind, item.text, item.bank, item.height, item.proof or b"", item.time_ms
            )
            for item in await self._database.alarms(limit)
        ]

    async def reverifications(self, limit: int) -> Sequence[ReverificationRecord]:
        return [_record(item) for item in await self._database.reverifications(limit)]

    async def challenge(self, height: Height, reason: str, bank: BankIndex) -> ChallengeOutcome:
        if height > self._follower.tip.height:
            raise NotFound(
                f"block {height} was not followed yet; the regulator is at "
                f"{self._follower.tip.height}"
            )
        since_ms = self._now_ms() - HOUR_MS
        if await self._database.challenges_since(bank, since_ms) >= CHALLENGES_PER_HOUR:
            raise Overloaded(
                "challenges",
                f"bank {bank} has made {CHALLENGES_PER_HOUR} challenges within an hour",
                RETRY_MS,
            )
        challenge = await self._database.add_challenge(height, bank, reason)
        try:
            outcome = await self._reverifier.verify_again(height, challenge)
        except NobodyAnswers as error:
            raise NotReady(f"challenge {challenge.challenge} is kept: {error}") from error
        return ChallengeOutcome(challenge.challenge, _record(outcome))

    async def openings(self, from_sequence: int) -> Sequence[AuditRecord]:
        rows = await self._database.audit_rows(OPENING_ACTIONS, from_sequence, MAX_LISTED)
        return [
            AuditRecord(row.sequence, row.time_ms, row.action, row.actor, row.event_data, row.hash)
            for row in rows
        ]


def _record(item: Reverification) -> ReverificationRecord:
    return ReverificationRecord(
        height=item.height,
        block_id=item.block_id,
        fiscal_year=item.fiscal_year,
        challenge=item.challenge,
        bank=item.bank,
        result=item.result.value,
        detail=item.detail,
        transactions=item.transactions,
        time_ms=item.time_ms,
    )
