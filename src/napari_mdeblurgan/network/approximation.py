"""The optimal approximation module: which of three candidates is closest to the sharp image?

The candidates are the input, the encoder-decoder's image and the deblurring module's image. What is
passed on is their per-pixel combination with weights that sum to one, so that the first task's
errors need not grow in the second.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_mdeblurgan.network.blocks import activated
from napari_mdeblurgan.network.reach import Reach

CANDIDATES = ("input", "encoder-decoder", "deblurred")
READINGS = ("affine", "ranked", "softmax", "nearest", "none")
# either way, of the reading "affine": where a flat area meets an edge, small errors must not be
# blown up
LARGEST_WEIGHT = 2.0
SHARPNESS = 4.0  # how clearly a smaller estimated distance is preferred


class Approximation(NamedTuple):
    """What the module passes on, and why.

    Attributes
    ----------
    image : Tensor
        (batch, channels, y, x): the combination of the candidates.
    weights : Tensor
        (batch, 3, y, x): what each candidate contributed; sums to one. Weights can be negative or
        above one.
    distances : Tensor
        (batch, 3, y, x): estimated absolute distance of each candidate to the sharp image, in the
        image's units.
    """

    image: Tensor
    weights: Tensor
    distances: Tensor


def _constant_at_first(layer: nn.Conv2d, value: float) -> nn.Conv2d:
    """Make an untrained layer answer `value` whatever it sees."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.constant_(layer.bias, value)
    return layer


class OptimalApproximationModule(nn.Module):
    """Three candidates in, one image out.

    Parameters
    ----------
    channels : int
        Channels of each candidate.
    reading : {"affine", "ranked", "softmax", "nearest", "none"}
        How the paper's lost formulas are read. "affine": weights which sum to one, start wholly on
        the deblurred image, and are at most 2 either way for the two others. "ranked": a soft
        choice by the estimated distances, plus free weights which sum to zero; starts on the
        deblurred image, too. "softmax": a mixture with weights between 0 and 1, started even.
        "nearest": the candidate of the smallest estimated distance, per pixel; a soft choice while
        training. "none": the deblurred image straight on.
    hidden : int
        Feature maps of the small network that makes the weights.

    Notes
    -----
    The small network sees the candidates less the local mean, over the local contrast; so the
    weights depend on what the image shows, neither on its brightness nor on its contrast. Distances
    are learned from the truth, known in training.
    """

    def __init__(self, channels: int, reading: str = "affine", hidden: int = 16) -> None:
        super().__init__()
        if reading not in READINGS:
            raise ValueError(f"unknown reading {reading!r}; choose one of {', '.join(READINGS)}")
        self.reading = reading
        if reading == "none":
            return
        self.features = nn.Sequential(
            nn.Conv2d(3 * channels, hidden, 3, padding=1, dtype=torch.float32),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, 3, padding=1, dtype=torch.float32),
            nn.ReLU(),
        )
        self.to_distances = _constant_at_first(
            nn.Conv2d(hidden, 3, 3, padding=1, dtype=torch.float32), -2.0
        )
        if reading == "ranked" and self.to_distances.bias is not None:
            with torch.no_grad():
                self.to_distances.bias[2] -= (
                    1  # the deblurred image is the closest until something else is learned
                )
        if reading != "nearest":
            weights = 2 if reading == "affine" else 3
            self.to_weights = _constant_at_first(
                nn.Conv2d(hidden, weights, 3, padding=1, dtype=torch.float32), 0.0
            )

    def forward(
        self, candidates: tuple[Tensor, Tensor, Tensor], mean: Tensor, contrast: Tensor
    ) -> Approximation:
        """Combine the candidates.

        Parameters
        ----------
        candidates : three Tensors
            (batch, channels, y, x), float32.
        mean : Tensor
            (batch, channels, y, x): local mean of the input.
        contrast : Tensor
            (batch, 1, y, x): local mean absolute deviation of the input, above zero.
        """
        if self.reading == "none":
            weights = torch.zeros_like(
                torch.cat([candidate[:, :1] for candidate in candidates], dim=1)
            )
            weights[:, 2] = 1
            return Approximation(candidates[2], weights, torch.full_like(weights, torch.nan))
        features = self._seen(candidates, mean, contrast)
        relative = self.to_distances(features if self._chooses else features.detach()).to(
            mean.dtype
        )
        weights = self._weights(features, relative if self._chooses else None, mean.dtype)
        return Approximation(
            _mixed(weights, candidates), weights, relative.clamp(-12, 4).exp() * contrast
        )

    def passed(
        self, candidates: tuple[Tensor, Tensor, Tensor], mean: Tensor, contrast: Tensor
    ) -> Tensor:
        """The image of `forward` alone, without distances that nobody asks for."""
        if self.reading == "none":
            return candidates[2]
        features = self._seen(candidates, mean, contrast)
        relative = self.to_distances(features).to(mean.dtype) if self._chooses else None
        return _mixed(self._weights(features, relative, mean.dtype), candidates)

    @property
    def _chooses(self) -> bool:
        """Whether the weights come from the distances."""
        return self.reading in ("ranked", "nearest")

    def _seen(
        self, candidates: tuple[Tensor, Tensor, Tensor], mean: Tensor, contrast: Tensor
    ) -> Tensor:
        seen = torch.cat([(candidate - mean) / contrast for candidate in candidates], dim=1)
        for layer in list(self.features)[::2]:  # the ReLUs are done with the convolutions
            seen = activated(layer, seen, 0.0)
        return seen

    def _weights(self, features: Tensor, relative: Tensor | None, dtype: torch.dtype) -> Tensor:
        """(batch, 3, y, x), in the `dtype` of images; `relative` distances only where the reading
        chooses by them.
        """
        if relative is None:
            free = self.to_weights(features).to(dtype)
            if self.reading == "softmax":
                return functional.softmax(free, dim=1)
            free = free.clamp(-LARGEST_WEIGHT, LARGEST_WEIGHT)
            return torch.cat([free, 1 - free.sum(dim=1, keepdim=True)], dim=1)
        preferred = functional.softmax(-SHARPNESS * relative, dim=1)
        if self.reading == "ranked":
            free = self.to_weights(features).to(dtype)
            return preferred + free - free.mean(dim=1, keepdim=True)
        if self.training:
            return preferred
        return functional.one_hot(preferred.argmax(dim=1), 3).movedim(-1, 1).to(dtype)

    def reach(self, reach: Reach) -> Reach:
        if self.reading == "none":
            return reach
        return reach.convolved(3).convolved(3).convolved(3)


def _mixed(weights: Tensor, candidates: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    first, second, third = (
        weights[:, n : n + 1] * candidate for n, candidate in enumerate(candidates)
    )
    return first + second + third
