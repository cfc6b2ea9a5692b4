"""Fiscal years by header time (BFT-12 18)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ledger.fiscal_year import fiscal_year, label
from node.ledger.parameters import Parameters
from node.ledger.types import FiscalYear, TimeMs

INDIA = timezone(timedelta(seconds=19_800))
GENESIS_MS = TimeMs(int(datetime(2026, 7, 1, tzinfo=UTC).timestamp() * 1000))


def at(*moment: int) -> TimeMs:
    return TimeMs(int(datetime(*moment, tzinfo=INDIA).timestamp() * 1000))


@pytest.mark.parametrize(
    ("time_ms", "year"),
    [
        (at(2025, 3, 31, 23, 59), 2024),
        (TimeMs(at(2025, 4, 1) - 1), 2024),
        (at(2025, 4, 1), 2025),
        (at(2026, 1, 1), 2025),
        (at(2024, 2, 29, 12), 2023),
        (at(2024, 3, 1), 2023),
        (TimeMs(0), 1969),
    ],
)
def test_a_year_begins_on_the_first_of_april_in_india(time_ms: TimeMs, year: int) -> None:
    assert fiscal_year(Parameters(), GENESIS_MS, time_ms) == year


@given(st.integers(0, 253_402_300_000_000), st.integers(-86_399, 86_399))
def test_any_offset_agrees_with_the_calendar(time_ms: int, offset_s: int) -> None:
    local = datetime.fromtimestamp(time_ms // 1000, UTC).replace(tzinfo=None)
    try:
        local += timedelta(seconds=offset_s)
    except OverflowError:
        return
    expected = local.year if local.month >= 4 else local.year - 1
    parameters = Parameters(fiscal_year_offset_s=offset_s)
    assert fiscal_year(parameters, GENESIS_MS, TimeMs(time_ms)) == expected


@pytest.mark.parametrize(
    "offset_s", [19_800, 0, 3_600, 50_400, 20_700, -1, -12_600, -43_200, 86_399, -86_399]
)
def test_section_18_a_year_ends_with_the_last_millisecond_of_march(offset_s: int) -> None:
    """Mar 31 23:59:59.999 and Apr 1 00:00:00.000 in the genesis zone, leap years among them."""
    parameters = Parameters(fiscal_year_offset_s=offset_s)
    for year in (1971, 2024, 2026, 2027, 2028, 2100):
        zone = timezone(timedelta(seconds=offset_s))
        april_ms = round(datetime(year, 4, 1, tzinfo=zone).timestamp()) * 1_000
        found = [
            fiscal_year(parameters, GENESIS_MS, TimeMs(april_ms + offset_ms))
            for offset_ms in (-1_000, -1, 0, 1)
        ]
        assert found == [year - 1, year - 1, year, year]


def test_every_time_a_header_can_carry_has_a_year() -> None:
    assert fiscal_year(Parameters(), GENESIS_MS, TimeMs(2**64 - 1)) == 584_556_019


def test_short_years_are_counted_from_the_genesis() -> None:
    """A simulation runs a year in seconds; the first year has the calendar's label."""
    parameters = Parameters(fiscal_year_seconds=60)
    years = [
        fiscal_year(parameters, GENESIS_MS, TimeMs(GENESIS_MS + elapsed_ms))
        for elapsed_ms in (0, 59_999, 60_000, 119_999, 120_000)
    ]
    assert years == [2026, 2026, 2027, 2027, 2028]


def test_label() -> None:
    assert label(FiscalYear(2026)) == "FY2026"
