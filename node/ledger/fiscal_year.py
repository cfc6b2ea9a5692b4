"""Fiscal years by header time (BFT-12 18): April 1 00:00 to March 31 24:00 at a fixed UTC offset.

Pure integer arithmetic, so that any time a header can carry has a year.
"""

from __future__ import annotations

from node.ledger.parameters import DAY_S, Parameters
from node.ledger.types import FiscalYear, TimeMs

_MARCH_1_OF_YEAR_0_DAYS = 719_468
"""Days from 0000-03-01 to 1970-01-01 in the proleptic Gregorian calendar."""
_DAYS_PER_ERA = 146_097
"""Days in 400 years, after which the calendar repeats."""
_MARCH_DAYS = 31


def fiscal_year(parameters: Parameters, genesis_time_ms: TimeMs, time_ms: TimeMs) -> FiscalYear:
    """Return the year whose April begins the fiscal year of `time_ms`: 2026 stands for FY2026.

    With `fiscal_year_seconds` set, years of that length are counted from the genesis, and the
    first is labelled as the calendar year of the genesis would be.
    """
    if parameters.fiscal_year_seconds is None:
        return FiscalYear(_calendar_year(parameters, time_ms))
    first = _calendar_year(parameters, genesis_time_ms)
    elapsed_ms = time_ms - genesis_time_ms
    return FiscalYear(first + elapsed_ms // (parameters.fiscal_year_seconds * 1000))


def label(year: FiscalYear) -> str:
    """Return the year as people write it, for example `FY2026`."""
    return f"FY{year}"


def _calendar_year(parameters: Parameters, time_ms: TimeMs) -> int:
    days = (time_ms // 1000 + parameters.fiscal_year_offset_s) // DAY_S
    # Years are counted from March 1, so that the leap day is the last day of a year; what is left
    # to decide is whether March, the last month of a fiscal year, is over.
    era, day_of_era = divmod(days + _MARCH_1_OF_YEAR_0_DAYS, _DAYS_PER_ERA)
    year_of_era = (
        day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // (_DAYS_PER_ERA - 1)
    ) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    march_year = era * 400 + year_of_era
    return march_year if day_of_year >= _MARCH_DAYS else march_year - 1
