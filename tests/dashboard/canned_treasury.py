"""Canned books of two fiscal years, one of them settled, in which everything adds up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.dashboard.canned_consortium import CannedConsortium

INITIAL_STAKE = 4_500_000_00
PENALTY = 450_000_00
FEE = 12_34
YEAR = 2026


def treasury_answer(page: CannedConsortium) -> dict[str, Any]:
    """Answer /api/treasury."""
    stakes = [_stake(page, bank) for bank in range(page.bank_count)]
    penalties = sum(row["initial_stake"] - row["stake"] for row in stakes)
    shares = [
        {"bank": bank, "name": name, "count": 800 + bank * 13 % 70, "reward": 41_66 + bank}
        for bank, name in enumerate(page.names)
    ]
    rewards = sum(share["reward"] for share in shares)
    fees = 200 * FEE
    pot = fees + penalties
    held = sum(row["stake"] for row in stakes)
    terms = [
        ("initial stakes", page.bank_count * INITIAL_STAKE, "in"),
        ("topped up", 0, "in"),
        ("fees", rewards + fees, "in"),
        ("stakes", held, "where"),
        ("pots", pot, "where"),
        ("rewards", rewards, "where"),
    ]
    return {
        "years": [_settled_year(shares, rewards), _open_year(fees, penalties)],
        "stakes": stakes,
        "pots": {f"FY{YEAR}": pot},
        "invariant": {
            "holds": True,
            "words": "what ever came in is what is there",
            "terms": [{"name": name, "amount": value, "side": side} for name, value, side in terms],
        },
        "movements": _movements(page),
    }


def _stake(page: CannedConsortium, bank: int) -> dict[str, Any]:
    offences = {1: 2, page.bank_count - 1: 8}.get(bank, 0) if page.scenario == "trouble" else 0
    stake = INITIAL_STAKE - PENALTY * offences
    return {
        "bank": bank,
        "name": page.names[bank],
        "stake": stake,
        "initial_stake": INITIAL_STAKE,
        "floor": INITIAL_STAKE * 30 // 100,
        "active": stake * 100 >= INITIAL_STAKE * 30,
        "offences": offences,
    }


def _settled_year(shares: list[dict[str, Any]], rewards: int) -> dict[str, Any]:
    return {
        "year": YEAR - 1,
        "label": f"FY{YEAR - 1}",
        "state": "settled",
        "fees": rewards,
        "penalties": 0,
        "carried_in": 0,
        "rewards": rewards,
        "carried_out": 0,
        "pot": 0,
        "settled_height": 402,
        "shares": shares,
    }


def _open_year(fees: int, penalties: int) -> dict[str, Any]:
    return {
        "year": YEAR,
        "label": f"FY{YEAR}",
        "state": "open",
        "fees": fees,
        "penalties": penalties,
        "carried_in": 0,
        "rewards": 0,
        "carried_out": 0,
        "pot": fees + penalties,
        "settled_height": None,
        "shares": [],
    }


def _movements(page: CannedConsortium) -> list[dict[str, Any]]:
    found = []
    for sequence in range(200, 0, -1):
        height = page.height() - (200 - sequence)
        found.append(_fee(sequence, height))
        if page.scenario == "trouble" and sequence % 40 == 0:
            found.append(_penalty(page, sequence, height))
    return found[:200]


def _fee(sequence: int, height: int) -> dict[str, Any]:
    return {
        "sequence": sequence,
        "height": height,
        "bank": None,
        "name": None,
        "fiscal_year": YEAR,
        "amount": FEE,
        "kind": "fee",
        "reason": f"approvers' part of the fees of block {height}",
    }


def _penalty(page: CannedConsortium, sequence: int, height: int) -> dict[str, Any]:
    return {
        **_fee(sequence, height),
        "bank": 1,
        "name": page.names[1],
        "amount": PENALTY,
        "kind": "penalty",
        "reason": f"E1 at height {height - 3}: 10 % of {INITIAL_STAKE}",
    }
