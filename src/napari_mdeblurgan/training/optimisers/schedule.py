"""How fast a network learns at each step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from napari_mdeblurgan.training.losses.terms import NOISE_FLOOR

FIRST_FLOOR = 1e-2
FLOOR_FALLS_OVER = 3  # times the warm-up
LAST_SHARE = 0.01  # of the learning rate, where a cosine ends


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to learn.

    Attributes
    ----------
    steps : int
        Batches in all.
    learning_rate : float
        Of Adam, at its highest.
    name : {"paper", "cosine"}
        "paper": constant, then linear to `last_rate`. "cosine": rises from zero over the warm-up
        and falls along a cosine to a hundredth.
    constant : float
        Share of the steps before the rate of "paper" falls; 150 of 200 epochs.
    last_rate : float
        Where "paper" ends.
    warm_up : int
        Steps over which the rate of "cosine" rises; also a third of those over which the loss's
        floor falls, with either name.
    """

    steps: int
    learning_rate: float = 1e-4
    name: Literal["paper", "cosine"] = "paper"
    constant: float = 0.75
    last_rate: float = 1e-7
    warm_up: int = 200

    def rate(self, step: int) -> float:
        """Learning rate of step number `step`, counted from zero."""
        if self.name == "paper":
            begin = self.constant * self.steps
            fallen = min(1.0, max(0.0, (step + 1 - begin) / max(1.0, self.steps - begin)))
            return self.learning_rate + fallen * (self.last_rate - self.learning_rate)
        rise = min(1.0, (step + 1) / max(1, self.warm_up))
        wave = 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.steps)))
        return self.learning_rate * rise * (LAST_SHARE + (1 - LAST_SHARE) * wave)

    def floor(self, step: int) -> float:
        """Mean squared error below which a patch counts as perfect: falls from 0.01 to the noise
        floor, see `log_mse`.
        """
        falls_over = FLOOR_FALLS_OVER * max(1, self.warm_up)
        return max(NOISE_FLOOR, FIRST_FLOOR * (NOISE_FLOOR / FIRST_FLOOR) ** (step / falls_over))
