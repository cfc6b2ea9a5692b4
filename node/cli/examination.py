"""The examination of a consortium: every bank against the genesis, and against the others.

1. Each bank answers, runs this chain, and reaches the height of the others.
2. Each bank's blocks link up, every ballot certificate holds, and the votes that a block records
   are those of its parent's banks (`chain_check`, `record_check`); block ids are compared at every
   height. Valid certificates of one block may differ from bank to bank, its voting record not.
3. Digests of nullifiers, notes, voting records and treasury are compared, those of voting records
   also with the ballots that the headers commit to.
4. Each bank's state is the one its sealed header commits to, and money is conserved in it. The rows
   of its treasury add up with it, its tallies are the sums of the recorded ballots, and every
   settlement's proof and rewards are computed again (`treasury_books`, `settlement_check`).
5. Merkle roots are recomputed and proofs verified from stored bytes: here for a sample of blocks,
   each shown by another bank, and by each bank for a sample drawn by a common seed.
6. The lists of notes, nullifiers and closed bins are replayed against the certified accumulators.

With `full`, steps 5 and 6 cover everything at every bank, and so does the adding up of rows in 4,
which are otherwise compared by digest.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import TypeVar

from node.cli.access import Consortium
from node.cli.chain_check import ChainCheck, diverging_banks
from node.cli.digest_comparison import first_difference, odd_ones, voting_record_digest
from node.cli.doctor_report import DoctorReport, Finding, FindingKind
from node.cli.list_replay import (
    CertifiedBin,
    replay_bin_list,
    replay_note_lists,
    replay_nullifier_list,
)
from node.cli.proof_check import (
    SealedView,
    bins_read,
    fetch_bins,
    verify_stored,
)
from node.cli.settlement_check import SettlementCheck
from node.client.connection import ClientCredentials
from node.client.errors import (
    AccessDenied,
    BeforeSnapshot,
    ClientError,
    LedgerError,
    LedgerFault,
    VerificationError,
)
from node.client.ledger_client import LedgerClient
from node.client.record_check import RecordCheck
from node.client.treasury_books import TreasuryBooks
from node.client.verification import SealVerifier
from node.ledger.invariants import InvariantBroken, check_conservation
from node.ledger.state import LedgerState
from node.ledger.types import BankIndex, BlockId, Height
from node.wire.operator_records import AuditExtent, AuditFailure, LedgerDigests, NodeReport
from node.wire.records import PublishedState, SettledYear

T = TypeVar("T")

Meter = Callable[[str, int, int], None]
"""Is told what is being done, how much of it is done, and of how much."""

CATCH_UP_S = 15.0
POLL_S = 0.25
BLOCKS_AT_ONCE = 500
"""Read over one stream: streams have a deadline, ledgers have no end."""
SAMPLE_BLOCKS = 12
SAMPLE_TRANSACTIONS = 25
"""That each bank verifies again by itself."""
SEED_BYTES = 16


class Examination:
    """One run of the doctor."""

    def __init__(self, consortium: Consortium, *, full: bool, meter: Meter) -> None:
        self._consortium = consortium
        self._genesis = consortium.genesis
        self._full = full
        self._meter = meter
        self._findings: list[Finding] = []
        self._verifier = SealVerifier(consortium.genesis)
        credentials = ClientCredentials.load(consortium.directory.operator)
        self._ledgers = {
            endpoint.bank: LedgerClient([endpoint], credentials)
            for endpoint in consortium.endpoints
        }
        self._checks: dict[BankIndex, ChainCheck] = {}
        self._digests: dict[BankIndex, LedgerDigests] = {}
        """Of banks that joined by a snapshot, which named their blocks with them."""
        self._records = RecordCheck(consortium.genesis, self._verifier)
        self._seals_verified = 0
        self._settlements_verified = 0
        self._roots_recomputed = 0
        self._proofs_verified = 0
        self._proofs_audited = 0
        self._certified_bins: Mapping[int, CertifiedBin] | None = None
        self._seed = secrets.token_bytes(SEED_BYTES)

    async def run(self) -> DoctorReport:
        """Examine everything that can be examined; never raises for what a bank does."""
        begun_s = time.monotonic()
        try:
            reports = await self._reach()
            height = max((report.height for report in reports.values()), default=Height(0))
            present = await self._level(list(reports), height)
            await self._each(present, "blocks", self._check_chain(height))
            self._seals_verified = sum(check.seals_verified for check in self._checks.values())
            self._findings += diverging_banks(
                {bank: check.block_ids for bank, check in self._checks.items()}, height
            )
            level = [bank for bank in present if len(self._checks[bank].block_ids) > height]
            digests = await self._each(
                level, "digests", lambda bank: self._digests_of(bank, height)
            )
            common = await self._compare(digests, height)
            self._check_records(digests, height)
            await self._each(level, "states", self._check_state)
            await self._check_treasuries(level, height)
            await self._replay_lists(level)
            await self._check_bodies(level, height)
            await self._each(level, "audits", self._audit)
        finally:
            for ledger in self._ledgers.values():
                await ledger.close()
        return DoctorReport(
            height=height,
            banks=len(self._genesis.banks),
            banks_answered=len(reports),
            full=self._full,
            blocks=height + 1,
            seals_verified=self._seals_verified,
            ballots_verified=self._records.ballots_verified,
            settlements_verified=self._settlements_verified,
            roots_recomputed=self._roots_recomputed,
            proofs_verified=self._proofs_verified,
            proofs_audited=self._proofs_audited,
            state_root="" if common is None else common.state_root.hex(),
            transactions=0 if common is None else common.transaction_count,
            notes=0 if common is None else common.note_count,
            nullifiers=0 if common is None else common.nullifier_count,
            seconds=round(time.monotonic() - begun_s, 2),
            joined=tuple(sorted(bank for bank in self._checks if self._joined(bank))),
            findings=self._all_findings(),
        )

    def _all_findings(self) -> tuple[Finding, ...]:
        found = [*self._findings]
        for check in self._checks.values():
            found += check.findings
        return tuple(sorted(found))

    def _find(self, bank: int, kind: FindingKind, message: str, height: int = 0) -> None:
        self._findings.append(Finding(height, bank, kind, message))

    def _find_silence(
        self, bank: BankIndex, what: str, error: ClientError, height: int = 0
    ) -> None:
        """Report a bank that did not answer, or that failed inside when it was asked."""
        if isinstance(error, LedgerFault):
            text = f"fails when it is asked for {what}: {error.message}"
            self._find(bank, FindingKind.FAULT, text, height)
        else:
            self._find(bank, FindingKind.DOWN, f"did not answer when asked for {what}", height)

    async def _each(
        self,
        banks: Sequence[BankIndex],
        what: str,
        work: Callable[[BankIndex], Awaitable[T]],
    ) -> dict[BankIndex, T]:
        """Do the work for every bank at the same time; a bank that fails to answer is a finding."""
        done = 0
        self._meter(what, 0, len(banks))

        async def one(bank: BankIndex) -> T | None:
            nonlocal done
            try:
                return await work(bank)
            except ClientError as error:
                self._find_silence(bank, f"its {what}", error)
                return None
            finally:
                done += 1
                self._meter(what, done, len(banks))

        answers = await asyncio.gather(*map(one, banks))
        return {
            bank: answer for bank, answer in zip(banks, answers, strict=True) if answer is not None
        }

    # 1. Reaching

    async def _reach(self) -> dict[BankIndex, NodeReport]:
        answers = await self._consortium.ask_every_bank(lambda bank: bank.report())
        reports: dict[BankIndex, NodeReport] = {}
        for bank, report in answers.items():
            if isinstance(report, AccessDenied):
                self._find(bank, FindingKind.DOWN, f"was not checked: {report.message}")
            elif not isinstance(report, NodeReport):
                address = self._consortium.endpoints[bank].address
                self._find(bank, FindingKind.DOWN, f"does not answer at {address}")
            elif report.chain_id != self._genesis.chain_id:
                self._find(bank, FindingKind.CHAIN, f"runs chain {report.chain_id.hex()[:16]}")
            else:
                reports[bank] = report
                if report.halted:
                    self._find(bank, FindingKind.HALTED, report.halted, report.height)
                if not report.database.connected:
                    self._find(bank, FindingKind.DATABASE, "has lost its database")
        return reports

    async def _level(self, banks: Sequence[BankIndex], height: Height) -> list[BankIndex]:
        """Wait until the banks have come as far as the first; those that do not are a finding."""
        deadline_s = time.monotonic() + CATCH_UP_S
        reached: dict[BankIndex, Height] = {}

        async def follow(bank: BankIndex) -> bool:
            while True:
                reached[bank] = (await self._ledgers[bank].node_status()).height
                if reached[bank] >= height or time.monotonic() > deadline_s:
                    return True
                await asyncio.sleep(POLL_S)

        present = await self._each(banks, "heights", follow)
        for bank in present:
            if reached[bank] < height:
                text = f"is at height {reached[bank]}, others are at {height}"
                self._find(bank, FindingKind.BEHIND, text, reached[bank])
        return list(present)

    # 2. Blocks

    def _check_chain(self, height: Height) -> Callable[[BankIndex], Awaitable[bool]]:
        async def check(bank: BankIndex) -> bool:
            ledger = self._ledgers[bank]
            sealed = await ledger.sealed_state()
            self._checks[bank] = check = ChainCheck(
                bank, self._genesis, self._verifier, sealed.set_changes, self._records
            )
            while (begin := Height(len(check.block_ids))) <= height:
                last = min(height, begin + BLOCKS_AT_ONCE)
                try:
                    await self._take_blocks(check, ledger, begin, last)
                except BeforeSnapshot as error:
                    await self._skip_to(check, error.first_height, height)
                if len(check.block_ids) == begin:
                    break
            return True

        return check

    async def _skip_to(self, check: ChainCheck, first_height: int, height: Height) -> None:
        """Pass over the blocks that a bank never had; it still must name them as the others do."""
        begin = len(check.block_ids)
        first = min(first_height, height + 1)
        block_ids: list[BlockId] = []
        async with self._consortium.operator(check.bank) as client:
            while begin + len(block_ids) < first:
                named = await client.digests(Height(begin + len(block_ids)), height)
                if not named.block_ids:
                    break
                block_ids += named.block_ids
                # Whoever names blocks digests the whole ledger: once is enough.
                self._digests[check.bank] = named
        check.skip_to(first, block_ids[: first - begin])

    def _joined(self, bank: BankIndex) -> bool:
        """Whether a bank joined by a snapshot, so that its lists begin with it."""
        return self._checks[bank].first_height > 1

    async def _take_blocks(
        self, check: ChainCheck, ledger: LedgerClient, begin: Height, last: int
    ) -> None:
        stream = ledger.stream_blocks(begin, include_transactions=self._full)
        async with aclosing(stream):
            async for stored in stream:
                at = len(check.block_ids)
                check.take(stored)
                if self._full and at > 0:
                    self._roots_recomputed += check.take_bodies(at, stored)
                if at >= last:
                    return
                # Ballots are checked on the event loop; the other banks' streams go on.
                await asyncio.sleep(0)

    # 3. Digests

    async def _digests_of(self, bank: BankIndex, height: Height) -> LedgerDigests:
        known = self._digests.get(bank)
        if known is not None and known.at_height == height:
            return known
        async with self._consortium.operator(bank) as client:
            return await client.digests(height, height)

    async def _compare(
        self, digests: Mapping[BankIndex, LedgerDigests], height: Height
    ) -> LedgerDigests | None:
        """Report what differs from most banks; return the digests of a bank that does not."""
        level = {bank: item for bank, item in digests.items() if item.at_height == height}
        if not level:
            return next(iter(digests.values()), None)
        odd = odd_ones(level)
        whole = sorted(level, key=self._joined)
        sound = next((bank for bank in whole if bank not in {bank for _, bank in odd}), None)
        for kind, bank in odd:
            first = height
            if sound is not None:
                below = max(self._checks[item].first_height for item in (bank, sound)) - 1
                first = await first_difference(
                    kind, bank, sound, height, self._digests_of, below
                )
            text = f"differs from most banks in its {kind} from here on"
            self._find(bank, kind, text, first)
        return level[next(iter(level)) if sound is None else sound]

    def _check_records(self, digests: Mapping[BankIndex, LedgerDigests], height: Height) -> None:
        """Hold every bank's stored voting records to the ballots that its blocks hold."""
        for bank, item in digests.items():
            roots = self._checks[bank].ballots_roots
            if item.at_height != height or self._joined(bank):
                continue
            expected = voting_record_digest(roots[: height + 1])
            if (item.voting_record_count, item.voting_record_digest) != expected:
                text = "its voting records are not the ballots that its blocks hold"
                self._find(bank, FindingKind.VOTING_RECORDS, text, height)

    # 4. States

    async def _check_state(self, bank: BankIndex) -> bool:
        sealed = await self._ledgers[bank].sealed_state()
        state = self._verified_state(bank, sealed)
        if state is None:
            return False
        try:
            check_conservation(self._genesis, state)
        except InvariantBroken as error:
            self._find(bank, FindingKind.CONSERVATION, str(error), state.height)
        return True

    def _verified_state(self, bank: BankIndex, sealed: PublishedState) -> LedgerState | None:
        try:
            _, state = self._verifier.verify_state(sealed)
        except VerificationError as error:
            self._find(bank, FindingKind.STATE_ROOT, str(error))
            return None
        return state

    async def _check_treasuries(self, banks: Sequence[BankIndex], height: Height) -> None:
        """Add up every bank's rows, or else those of one that is sound; verify the settlements.

        The settlements of the others must be the same.
        """
        whole = [bank for bank in banks if not self._joined(bank)]
        sound: BankIndex | None = None
        for bank in random.sample(whole, len(whole)):
            if (await self._each([bank], "treasury", self._check_settlements)).get(bank):
                sound = bank
                break
        others = [bank for bank in banks if bank != sound]
        if self._full:
            await self._each(others, "treasuries", self._check_rows)
        elif not whole:
            # Settlements before a snapshot are unknown, the rows are all there.
            await self._each(banks[:1], "treasury", self._check_rows)
        if sound is not None:
            expected = await self._settlements(sound, height)
            await self._each(others, "settlements", self._compare_settlements(expected, height))

    async def _settlements(self, bank: BankIndex, height: Height) -> list[SettledYear]:
        """Return the settlements that a bank lists, up to a height."""
        pages = self._ledgers[bank].settlements()
        return [item async for page in pages for item in page if item.height <= height]

    def _compare_settlements(
        self, expected: Sequence[SettledYear], height: Height
    ) -> Callable[[BankIndex], Awaitable[bool]]:
        async def compare(bank: BankIndex) -> bool:
            first = self._checks[bank].first_height
            held = [item for item in expected if item.height >= first]
            if await self._settlements(bank, height) == held:
                return True
            text = "lists other settlements than the bank whose settlements were verified"
            self._find(bank, FindingKind.SETTLEMENT, text, height)
            return False

        return compare

    async def _check_rows(self, bank: BankIndex) -> tuple[LedgerState, TreasuryBooks] | None:
        """Add up a bank's treasury rows with its own sealed state; None if they do not."""
        ledger = self._ledgers[bank]
        sealed = await ledger.sealed_state()
        state = self._verified_state(bank, sealed)
        if state is None:
            return None
        self._checks[bank].set_changes = sealed.set_changes
        books = TreasuryBooks()
        async for page in ledger.treasury():
            for row in page:
                if row.height <= state.height:
                    books.add(row)
        faults = books.faults(state)
        for fault in faults:
            self._find(bank, FindingKind.TREASURY, fault, state.height)
        return None if faults else (state, books)

    async def _check_settlements(self, bank: BankIndex) -> bool:
        """Compute again what a bank's rows, settlements and tallies say."""
        added_up = await self._check_rows(bank)
        if added_up is None:
            return False
        state, books = added_up
        ledger, check = self._ledgers[bank], self._checks[bank]
        # Blocks may have been sealed since they were compared, and the state counts their votes.
        while len(check.block_ids) <= state.height:
            begin = Height(len(check.block_ids))
            await self._take_blocks(check, ledger, begin, state.height)
        settled = await self._settlements(bank, state.height)
        settlements = SettlementCheck(self._verifier, check.set_changes, self._records, books)
        try:
            faults = await settlements.run(ledger, state, settled)
        except VerificationError as error:
            faults = [str(error)]
        self._settlements_verified = settlements.verified
        for fault in faults:
            self._find(bank, FindingKind.SETTLEMENT, fault, state.height)
        tally_faults = self._records.faults(state, settlements.ended)
        for fault in tally_faults:
            self._find(bank, FindingKind.TALLY, fault, state.height)
        return not faults and not tally_faults

    # 6. Lists

    async def _replay_lists(self, banks: Sequence[BankIndex]) -> None:
        """Replay every bank's lists, or else one that is sound; bad ones found on the way count.

        A bank that joined by a snapshot replayed them when it did, and does not know in which
        transactions they were; its digests were compared with those of the others. If all of them
        did, closed bins are what they can show, and proofs need.
        """
        whole = [bank for bank in banks if not self._joined(bank)]
        if not whole:
            await self._each(banks if self._full else banks[:1], "bins", self._replay_bins)
        if self._full:
            await self._each(whole, "lists", self._replay)
            return
        for bank in random.sample(whole, len(whole)):
            if (await self._each([bank], "lists", self._replay)).get(bank):
                return

    async def _replay_bins(self, bank: BankIndex) -> bool:
        """Replay a bank's closed bins against the accumulator of its own sealed state."""
        ledger = self._ledgers[bank]
        state = self._verified_state(bank, await ledger.sealed_state())
        if state is None:
            return False
        try:
            self._certified_bins = await replay_bin_list(ledger, state)
        except VerificationError as error:
            self._find(bank, FindingKind.NOTES, str(error), state.height)
            return False
        return True

    async def _replay(self, bank: BankIndex) -> bool:
        """Replay a bank's lists against the accumulators of its own sealed state."""
        ledger = self._ledgers[bank]
        state = self._verified_state(bank, await ledger.sealed_state())
        if state is None:
            return False
        sound = True
        try:
            self._certified_bins = await replay_note_lists(ledger, state, self._genesis.chain_id)
        except VerificationError as error:
            self._find(bank, FindingKind.NOTES, str(error), state.height)
            sound = False
        try:
            repeated = await replay_nullifier_list(ledger, state)
        except VerificationError as error:
            self._find(bank, FindingKind.NULLIFIERS, str(error), state.height)
            return False
        if repeated:
            text = f"{repeated} nullifiers are there twice: notes were spent twice"
            self._find(bank, FindingKind.NULLIFIERS, text, state.height)
        return sound

    # 5. Bodies

    async def _check_bodies(self, banks: Sequence[BankIndex], height: Height) -> None:
        """Recompute Merkle roots at every bank, verify the proofs of each block once."""
        if not banks:
            return
        named = self._checks[min(banks, key=self._joined)].transaction_ids
        filled = [item for item in range(1, height + 1) if item < len(named) and named[item]]
        chosen = filled if self._full else _sample(filled, SAMPLE_BLOCKS)
        for done, at in enumerate(chosen):
            self._meter("proofs", done, len(chosen))
            holding = [bank for bank in banks if self._checks[bank].first_height <= at]
            if not holding:
                continue
            shown_by = holding[done % len(holding)]
            # Everywhere, the block is the same: its proofs need to be verified only once.
            for bank in [shown_by] if self._full else holding:
                try:
                    await self._check_block_bodies(bank, Height(at), prove=bank == shown_by)
                except LedgerError as error:
                    self._find_silence(bank, "the bodies and rings of a block", error, at)
        self._meter("proofs", len(chosen), len(chosen))

    async def _check_block_bodies(self, bank: BankIndex, height: Height, *, prove: bool) -> None:
        ledger = self._ledgers[bank]
        stored = await ledger.block(height, include_transactions=True)
        if not self._full:
            self._roots_recomputed += self._checks[bank].take_bodies(height, stored)
        if not prove or self._certified_bins is None:
            return
        ring_base = self._genesis.parameters.ring_base
        wanted = sorted(bins_read(stored.transactions, self._consortium.genesis))
        try:
            bins = await fetch_bins(ledger, wanted, self._certified_bins, ring_base)
        except VerificationError as error:
            self._find(bank, FindingKind.NOTES, str(error), height)
            return
        view = SealedView(self._genesis, height, bins)
        failures = await asyncio.to_thread(verify_stored, stored.transactions, view)
        for identity, reason in failures.items():
            text = f"transaction {identity} does not verify: {reason}"
            self._find(bank, FindingKind.PROOF, text, height)
        self._proofs_verified += len(stored.transactions) - len(failures)

    async def _audit(self, bank: BankIndex) -> bool:
        extent = AuditExtent(self._seed, None if self._full else SAMPLE_TRANSACTIONS)
        async with self._consortium.operator(bank) as client:
            async for report in client.audit(extent):
                if report.done:
                    self._proofs_audited += report.checked
                    for failure in report.failures:
                        self._find_failure(bank, failure)
        return True

    def _find_failure(self, bank: BankIndex, failure: AuditFailure) -> None:
        if failure.transaction_id is None:
            text = f"finds that its seal does not verify: {failure.message}"
            self._find(bank, FindingKind.SEAL, text, failure.height)
            return
        text = f"finds that its transaction {failure.transaction_id.hex()} does not verify: "
        text += f"{failure.reason}: {failure.message}"
        self._find(bank, FindingKind.PROOF, text, failure.height)


def _sample(heights: Sequence[int], size: int) -> list[int]:
    return sorted(random.sample(list(heights), min(size, len(heights))))
