"""A ledger with short years whose banks vote as they are told, and its regulator, for tests."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

from crypto.ballot import BallotKey, prove_possession
from crypto.ballot_tally import prove_tally_partially
from crypto.opener_shares import OpenerShare, encode_partials
from crypto.signature import sign
from node.ledger.block_validity import BuiltBlock
from node.ledger.encoding import Writer
from node.ledger.fiscal_year import fiscal_year
from node.ledger.genesis import Genesis
from node.ledger.governance import approve_terms, assemble_approved
from node.ledger.invariants import check_conservation
from node.ledger.offences import VerifiedEvidence
from node.ledger.parameters import Parameters
from node.ledger.rejection import Reason
from node.ledger.settlement import (
    BankCount,
    PotCarryTerms,
    SettlementClaim,
)
from node.ledger.settlement_rules import tally_of
from node.ledger.state import LedgerState
from node.ledger.types import BankIndex, FiscalYear, Height, TimeMs
from tests.ledger.booth import ballot_key
from tests.ledger.chain import FAR, FEE, Chain, comparable, consensus_secret, make_genesis, seeded

OPENER = ballot_key(999)
YEAR_S = 60
FIRST = 2026
SLASH = 2_250
"""5 % of a stake of 45000 to 45005."""
DRAW_ROOT = bytes(range(32))
DRAW_LINKS = 50


def hashed(link: bytes, times: int) -> bytes:
    for _ in range(times):
        link = hashlib.sha256(link).digest()
    return link


def draw_seed(year: int) -> bytes:
    """The link that the settlement of this year reveals."""
    return hashed(DRAW_ROOT, DRAW_LINKS - (year - FIRST + 1))


@cache
def settling_genesis(banks: int = 6) -> Genesis:
    """Years of a minute, the first of them FY2026."""
    parameters = Parameters(ring_base=4, transfer_fee=FEE, fiscal_year_seconds=YEAR_S)
    genesis = replace(
        make_genesis(banks=banks, parameters=parameters),
        draw_commitment=hashed(DRAW_ROOT, DRAW_LINKS),
    )
    coins = seeded("possessions")
    return genesis.with_possessions(
        [
            prove_possession(ballot_key(bank), genesis.chain_id, bank, coins.take)
            for bank in range(banks)
        ]
    )


class SettlingChain(Chain):
    """Keeps the truth about who approved what, which only the opener could find out."""

    def __init__(self, genesis: Genesis) -> None:
        super().__init__(genesis)
        self.true_counts: dict[int, Counter[int]] = {}

    def fork(self) -> SettlingChain:
        twin = super().fork()
        assert isinstance(twin, SettlingChain)
        twin.true_counts = {year: Counter(counts) for year, counts in self.true_counts.items()}
        return twin

    @property
    def year(self) -> FiscalYear:
        """That of the tip."""
        return self.year_at(self.header.time_ms)

    def year_at(self, time_ms: TimeMs) -> FiscalYear:
        return fiscal_year(self.genesis.parameters, self.genesis.time_ms, time_ms)

    def first_ms(self, year: int) -> int:
        """The first instant of a year."""
        return self.genesis.time_ms + (year - FIRST) * YEAR_S * 1_000

    def extend(
        self,
        *raws: bytes,
        at_ms: int | None = None,
        approving: Sequence[int] | None = None,
        evidence: Sequence[VerifiedEvidence] = (),
    ) -> BuiltBlock:
        """Seal a block, judged by a second bank, in which these banks are on record for its parent.

        Every money equation is checked on what comes out.
        """
        after_ms = 1_000 if at_ms is None else at_ms - self.header.time_ms
        assert after_ms > 0, "blocks go forward"
        ballots = self.votes(approving=approving) if self.height else ()
        built = self.build(
            self.verify(*raws), after_ms=after_ms, evidence=evidence, ballots=ballots
        )
        assert built.dropped == ()
        second_bank = self.validate(built.block, built.transactions, None, built.evidence)
        assert comparable(second_bank) == comparable(built.transition)
        if self.height:
            active = self.parent_set
            voters = active.banks[: active.quorum] if approving is None else approving
            self.true_counts.setdefault(self.year, Counter()).update(voters)
        self.apply(built.block, built.transition)
        check_conservation(self.genesis, self.state)
        assert LedgerState.decode(self.state.encode()) == self.state
        return built

    def begin(self, year: int, *raws: bytes, **chosen: object) -> BuiltBlock:
        """Seal the first block of a year, in its first instant."""
        return self.extend(*raws, at_ms=self.first_ms(year), **chosen)

    # What the regulator does

    def claim(
        self,
        year: int,
        counts: Mapping[int, int] | None = None,
        *,
        seed: bytes | None = None,
        expiry: int = FAR,
        chain_id: bytes | None = None,
        order: Sequence[int] | None = None,
    ) -> SettlementClaim:
        """The true one, but for what is given."""
        stated = self.true_counts.get(year, Counter()) if counts is None else counts
        banks = range(len(self.genesis.banks)) if order is None else order
        return SettlementClaim(
            chain_id=chain_id or self.genesis.chain_id,
            year=FiscalYear(year),
            counts=tuple(BankCount(BankIndex(bank), stated.get(bank, 0)) for bank in banks),
            draw_seed=draw_seed(year) if seed is None else seed,
            expiry=Height(expiry),
        )

    def settlement(
        self,
        year: int,
        counts: Mapping[int, int] | None = None,
        *,
        opener: BallotKey = OPENER,
        **stated: object,
    ) -> bytes:
        """A settlement, proven as well as it can be, whatever it says."""
        claim = self.claim(year, counts, **stated)
        total = tally_of(self.genesis, self.state, FiscalYear(year)).ciphertext_sum
        partial = prove_tally_partially(
            total,
            claim.key_counts(self.genesis),
            OpenerShare.whole(opener),
            claim.statement,
            self.coins.take,
        )
        return claim.encode() + Writer().blob(encode_partials([partial])).finish()

    # What the banks do

    def carry_terms(self, year: int, **other: object) -> PotCarryTerms:
        terms = PotCarryTerms(
            chain_id=self.genesis.chain_id,
            subject=FiscalYear(year),
            set_hash=self.state.active_set(self.genesis).set_hash,
            nonce=self.state.governance_nonce,
            expiry=FAR,
        )
        return replace(terms, **other)

    def carry(self, year: int, approvers: Sequence[int] | None = None, **other: object) -> bytes:
        """Approved by these banks, or by as many of the active ones as it takes."""
        terms = self.carry_terms(year, **other)
        active = self.state.active_set(self.genesis)
        chosen = active.banks[: active.quorum] if approvers is None else approvers
        return assemble_approved(
            terms,
            [
                approve_terms(
                    terms,
                    BankIndex(bank),
                    lambda statement, bank=bank: sign(consensus_secret(bank), statement),
                )
                for bank in chosen
            ],
        )

    def refused(self, *raws: bytes) -> tuple[Reason, str]:
        """How the builder and a voter refuse the last of these, which admission lets in."""
        reason, message, _ = self.refusal_in_block(*raws)
        return reason, message


@cache
def voted_year() -> SettlingChain:
    """FY2026: banks 0 .. 4 approved three blocks, 1 .. 5 another; bank 3 was slashed for 2250.

    The tip is the first block of FY2027. Do not change, fork.
    """
    chain = SettlingChain(settling_genesis())
    chain.extend()
    chain.extend(evidence=[chain.evidence(3)])
    chain.extend()
    chain.extend(approving=range(1, 6))
    chain.begin(FIRST + 1)
    return chain
