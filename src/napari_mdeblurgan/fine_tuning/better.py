"""Whether a fine-tuned model is better than the model that it started from, or whether that cannot
be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

_FEWEST = 6  # squares
RESAMPLES = 10_000
_CONFIDENCE = 0.95
WORTH_DB = 0.1  # less than that nobody sees
FEWEST_STEPS = 100  # with less nothing is found out about a gain that is not there yet

GainAnswer = Literal["better", "no better", "too little data", "trained too little"]


@dataclass(frozen=True, slots=True)
class GainVerdict:
    """What the held-out squares say.

    Attributes
    ----------
    answer : {"better", "no better", "too little data", "trained too little"}
        In short.
    gain_db : float
        Mean PSNR over that of the base model.
    low_db, high_db : float
        The 95 % confidence interval of it: paired bootstrap over the squares.
    squares : int
        How many there were.
    steps : int or None
        How many were taken; None where that was not noted.
    """

    answer: GainAnswer
    gain_db: float
    low_db: float
    high_db: float
    squares: int
    steps: int | None = None

    @property
    def sentence(self) -> str:
        """For the user."""
        span = (
            f"{self.gain_db:+.2f} dB on parts it never saw (95 % confidence {self.low_db:+.2f} "
            f"to {self.high_db:+.2f} dB)"
        )
        if self.answer == "better":
            return f"Better than the base model: {span}."
        if self.answer == "no better":
            return f"No better than the base model ({span}): go on using the base model."
        if self.answer == "trained too little":
            steps = f"{self.steps} step{'s' * (self.steps != 1)}"
            return (
                f"Trained too little to judge: {steps}, and at least {FEWEST_STEPS} are needed "
                f"({span}). Go on with more time, and use the base model until then."
            )
        return (
            f"Too little data to tell whether it is better ({span}, {self.squares} squares): "
            "add pairs, or larger ones."
        )


def judge_gain(
    base_db: Sequence[float], tuned_db: Sequence[float], steps: int | None = None
) -> GainVerdict:
    """Compare two models on the same squares.

    Better: the interval lies above zero, and the gain is worth 0.1 dB. No better: the interval has
    nothing in it that is worth that, or lies below zero. Else there is too little to tell, as there
    is with fewer than six squares. After fewer than a hundred steps, anything but better says only
    that too little was trained.

    Parameters
    ----------
    base_db, tuned_db : sequence of float
        PSNR of each square, in the same order.
    steps : int, optional
        That the tuned model was trained for; by default enough.
    """
    gains = np.asarray(tuned_db, float) - np.asarray(base_db, float)
    picks = np.random.default_rng(0).integers(len(gains), size=(RESAMPLES, len(gains)))
    tails = 50 * (1 - _CONFIDENCE)
    low, high = np.percentile(gains[picks].mean(axis=1), (tails, 100 - tails))
    mean = float(gains.mean())
    answer: GainAnswer = "too little data"
    if not gains.any() or high <= 0 or (len(gains) >= _FEWEST and high < WORTH_DB):
        answer = "no better"
    elif len(gains) >= _FEWEST and low > 0:
        answer = "better" if mean >= WORTH_DB else "no better"
    if answer != "better" and steps is not None and steps < FEWEST_STEPS:
        answer = "trained too little"
    return GainVerdict(answer, mean, float(low), float(high), len(gains), steps)
