"""How many users there are, and when. Without a shape Locust's own -u, -r and -t decide.

All shapes take the number of users from -u and the run time from -t; without -t the last stage
goes on until somebody stops it.
"""

from __future__ import annotations

from locust import LoadTestShape

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

Tick = tuple[int, float] | None


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


class _Shape(LoadTestShape):
    abstract = True
    use_common_options = True
    shape = OPEN

    def tick(self) -> Tick:
        assert self.runner is not None, "Locust sets it"
        options = self.runner.environment.parsed_options
        run_s = options.run_time
        elapsed_s = self.get_run_time()
        if run_s and elapsed_s > run_s:
            return None
        part = min(1.0, elapsed_s / (run_s or DEFAULT_RUN_S))
        users = users_at(self.shape, options.num_users or 1, part)
        return users, max(float(users), options.spawn_rate or 0.0)


class StepShape(_Shape):
    abstract = False
    shape = STEP


class SpikeShape(_Shape):
    abstract = False
    shape = SPIKE


class SoakShape(_Shape):
    abstract = False
    shape = SOAK


class OpenShape(_Shape):
    abstract = False
    shape = OPEN


CLASSES: dict[str, type[LoadTestShape]] = {
    kind.shape: kind for kind in (StepShape, SpikeShape, SoakShape, OpenShape)
}
