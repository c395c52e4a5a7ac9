"""How far the time will go: a short timing of real steps."""

from __future__ import annotations

import itertools
import math
import statistics
from dataclasses import dataclass

from napari_mdeblurgan.fine_tuning.better import FEWEST_STEPS
from napari_mdeblurgan.fine_tuning.tuning import FineTuning
from napari_mdeblurgan.restoration.device import device_label
from napari_mdeblurgan.short_numbers import short

UNTIMED, TIMED = 2, 4
FEW_PASSES = 3.0


@dataclass(frozen=True, slots=True)
class TimeEstimate:
    """What the rest of a fine-tuning will take.

    Attributes
    ----------
    seconds_per_step : float
        Measured.
    steps : int
        That are still to come.
    minutes : float
        That they will take.
    passes : float
        How many times the patches of all steps to come cover what is learned from.
    device : str
        Where it runs, in words.
    taken : int
        Steps that are behind.
    """

    seconds_per_step: float
    steps: int
    minutes: float
    passes: float
    device: str
    taken: int = 0

    @property
    def sentence(self) -> str:
        """For the user."""
        minutes, step = self.minutes, short(self.seconds_per_step)
        lasting = f"{short(minutes, 3)} min" if minutes >= 1 else f"{60 * minutes:.0f} s"
        text = (
            f"{self.device}: {step} s a step, so about {self.steps:,} steps "
            f"in {lasting}, which cover the pairs {short(self.passes)} times"
        )
        if self.taken + self.steps < FEWEST_STEPS:
            return f"{text}; fewer than {FEWEST_STEPS} steps in all are too little to judge."
        return f"{text}; more time would pay." if self.passes < FEW_PASSES else f"{text}."


def estimate(tuning: FineTuning) -> TimeEstimate:
    """Time some steps on a copy of the network; nothing of the fine-tuning changes."""
    trial = tuning.trial()
    seconds = [record.seconds for record in itertools.islice(trial, UNTIMED + TIMED)]
    trial.close()
    each = statistics.median(seconds[UNTIMED:])
    asked, taken = tuning.settings, tuning.training.step
    left_s = max(0.0, 60 * asked.minutes - tuning.clock.seconds)
    steps = math.floor(left_s / each)
    if asked.steps:
        steps = min(steps, max(0, asked.steps - taken))
    area = sum((box.y1 - box.y0) * (box.x1 - box.x0) for box in tuning.split.training)
    drawn = steps * tuning.sampler.batch * tuning.sampler.patch**2
    return TimeEstimate(
        each, steps, steps * each / 60, drawn / area, device_label(tuning.device), taken
    )
