"""How many users there are, and when. Without a shape Locust's own -u, -r and -t decide.

All shapes take the number of users from -u and the run time from -t; without -t the last stage
goes on until somebody stops it.
"""

from __future__ import annotations

from locust import LoadTestShape

from loadtest.options import OPEN, SOAK, SPIKE, STEP
from loadtest.stages import DEFAULT_RUN_S, users_at

Tick = tuple[int, float] | None


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
