"""The simplest honest training loop: batches in, one record per step out."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.network import Generator
from napari_mdeblurgan.training.dataset import Patches
from napari_mdeblurgan.training.losses import NOISE_FLOOR, distance_loss, pixel_loss

FIRST_FLOOR = 1e-2
FLOOR_FALLS_OVER = 3  # times the warm-up


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to learn.

    Attributes
    ----------
    steps : int
        Batches in all.
    learning_rate : float
        Adam's rate after the warm-up; it then falls along a cosine to a hundredth.
    warm_up : int
        Steps over which the rate rises from zero.
    averaging : float
        Decay of the exponential moving average of the weights.
    bfloat16 : bool
        Run the convolutions in bfloat16; images and losses stay in float32.
    """

    steps: int
    learning_rate: float = 1e-3
    warm_up: int = 200
    averaging: float = 0.998
    bfloat16: bool = False

    def rate(self, step: int) -> float:
        rise = min(1.0, (step + 1) / self.warm_up)
        fall = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.steps)))
        return self.learning_rate * rise * fall

    def floor(self, step: int) -> float:
        """Mean squared error below which a patch counts as perfect: falls from 0.01 to the noise floor, see `log_mse`."""
        return max(NOISE_FLOOR, FIRST_FLOOR * (NOISE_FLOOR / FIRST_FLOOR) ** (step / (FLOOR_FALLS_OVER * self.warm_up)))


class Training:
    """A network while it learns. Iterate `run` for one record per step.

    Parameters
    ----------
    network : Generator
        Trained in place.
    schedule : Schedule
        Length and rate.

    Attributes
    ----------
    averaged : Generator
        Moving average of the weights: the network to keep.
    """

    def __init__(self, network: Generator, schedule: Schedule) -> None:
        nn.utils.convert_conv2d_weight_memory_format(network, torch.channels_last)
        self.network = network
        self.averaged = copy.deepcopy(network).eval().requires_grad_(False)
        self.schedule = schedule
        self.optimizer = torch.optim.Adam(network.parameters(), lr=schedule.learning_rate, betas=(0.9, 0.99))
        self.step = 0

    def run(self, batches: Iterable[Patches]) -> Iterator[dict[str, float]]:
        """Train until the schedule ends; yields the loss terms of every step."""
        self.network.train()
        for patches in batches:
            if self.step >= self.schedule.steps:
                return
            for group in self.optimizer.param_groups:
                group["lr"] = self.schedule.rate(self.step)
            with torch.autocast("cpu", torch.bfloat16, enabled=self.schedule.bfloat16):
                restored = self.network.explain(patches.blurred.contiguous(memory_format=torch.channels_last))
            terms = pixel_loss(restored, patches.sharp_low, patches.sharp, floor=self.schedule.floor(self.step))
            if self.network.approximation.reading != "none":
                terms["distances"] = 0.1 * distance_loss(restored, patches.blurred, patches.sharp_low)
            loss = torch.stack(list(terms.values())).sum()
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
            self.optimizer.step()
            self._average()
            self.step += 1
            yield {name: float(term.detach()) for name, term in terms.items()}

    def _average(self) -> None:
        decay = min(self.schedule.averaging, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, value in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(value, 1 - decay)

    def save(self, path: Path) -> None:
        """Write a checkpoint that `resume` can go on from: a safetensors file, either whole or not there."""
        tensors = {"step": torch.tensor(self.step)}
        for part, network in (("network", self.network), ("averaged", self.averaged)):
            tensors |= {f"{part}.{name}": value.contiguous() for name, value in network.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value.contiguous() for name, value in state.items()}
        with replacing(path) as file:
            file.write(safetensors.torch.save(tensors))

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint of the same network."""
        tensors = safetensors.torch.load_file(path)
        self.step = int(tensors.pop("step"))
        parts: dict[str, dict[str, torch.Tensor]] = {"network": {}, "averaged": {}, "optimizer": {}}
        for name, value in tensors.items():
            part, key = name.split(".", 1)
            parts[part][key] = value
        self.network.load_state_dict(parts["network"])
        self.averaged.load_state_dict(parts["averaged"])
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in parts["optimizer"].items():
            index, name = key.split(".")
            state.setdefault(int(index), {})[name] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
