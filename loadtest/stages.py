"""How many users a shape wants at which time."""

from __future__ import annotations

from loadtest.options import OPEN, SOAK, SPIKE, STEP

STEPS = 5
SOAK_RAMP = 0.05
"""Part of the run in which the users of a soak come."""
SPIKES = ((0.3, 0.4), (0.6, 0.7))
"""Parts of the run in which all users are there; in the others a fifth is."""
SPIKE_REST = 5
OPEN_USERS = 12
"""Sources of independent arrivals; together they make the rate."""
DEFAULT_RUN_S = 300.0


def users_at(shape: str, users: int, part: float) -> int:
    """Return how many users a shape wants when this part of the run (0 to 1) is over."""
    if shape == STEP:
        return max(1, users * min(STEPS, 1 + int(part * STEPS)) // STEPS)
    if shape == SPIKE:
        inside = any(begin <= part < end for begin, end in SPIKES)
        return users if inside else max(1, users // SPIKE_REST)
    if shape == SOAK:
        return max(1, min(users, round(users * part / SOAK_RAMP)))
    assert shape == OPEN, "every other shape is Locust's own"
    return OPEN_USERS
