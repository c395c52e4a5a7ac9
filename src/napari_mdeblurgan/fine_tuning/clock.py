"""Learning rates that follow the working time: a budget of minutes is kept on any machine, and over
any interruption.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from napari_mdeblurgan.training.losses.terms import NOISE_FLOOR
from napari_mdeblurgan.training.optimisers.schedule import LAST_SHARE, Schedule
from napari_mdeblurgan.training.sitting import WorkingClock

WARM_UP = 20  # steps, until the optimizer's averages mean something
UNLIMITED = 2**62
HOLD = 0.3  # share of the way before the rate falls


@dataclass(frozen=True, slots=True)
class TimedSchedule(Schedule):
    """Rates that follow the working time, or the steps where those come to their end before it.

    A short rise, then the full rate for the first part of the way, then a cosine to a hundredth of
    it at the end.

    Attributes
    ----------
    budget_s : float
        Seconds of work.
    clock : WorkingClock
        Tells how many are over.
    """

    budget_s: float = math.inf
    clock: WorkingClock = field(default_factory=WorkingClock)

    def way(self, step: int) -> float:
        """How much of the way is behind, 0 to 1."""
        by_time = self.clock.seconds / self.budget_s if self.budget_s else 1.0
        return min(1.0, max(by_time, step / self.steps if self.steps else 1.0))

    def rate(self, step: int) -> float:
        """Learning rate of the next step; `step` were taken."""
        rise = min(1.0, (step + 1) / WARM_UP)
        fallen = max(0.0, (self.way(step) - HOLD) / (1 - HOLD))
        wave = 0.5 * (1 + math.cos(math.pi * fallen))
        return self.learning_rate * rise * (LAST_SHARE + (1 - LAST_SHARE) * wave)

    def floor(self, step: int) -> float:  # noqa: ARG002
        """Mean squared error below which a patch counts as perfect: a trained network starts at the
        noise floor.
        """
        return NOISE_FLOOR
