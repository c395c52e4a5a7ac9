"""The generator: deblurring module → optimal approximation module → super-resolution module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from napari_mdeblurgan.network.approximation import OptimalApproximationModule
from napari_mdeblurgan.network.blocks import LocalMean
from napari_mdeblurgan.network.deblurring import DeblurringModule
from napari_mdeblurgan.network.network import Network, Restoration
from napari_mdeblurgan.network.reach import Reach
from napari_mdeblurgan.network.stages import Stage, Stages
from napari_mdeblurgan.network.super_resolution import SuperResolutionModule

_CONTRAST_FLOOR = 1e-3


class Generator(Network):
    """M-Deblurgan's generator. Fully convolutional, with a finite and known receptive field.

    Parameters
    ----------
    channels : {1, 3}
        Channels of the image.
    scale : {2, 4}
        How many times the pixel density grows along y and x.
    width : int
        Feature maps at full size.
    approximation : str
        Reading of the optimal approximation module, see `OptimalApproximationModule`.
    slope : float
        Of the activations below zero; 0 makes them plain ReLUs, behind which layers without bias
        can fall silent for good.

    Notes
    -----
    Every module corrects an image, and every correction is made from the image less its local mean
    by layers without bias. Hence a flat area stays exactly as it is, adding a constant to the image
    adds it to the output, and an untrained network is bicubic enlargement.
    """

    name, family = "m-deblurgan", "m-deblurgan"

    def __init__(
        self,
        channels: int = 1,
        scale: int = 2,
        width: int = 16,
        approximation: str = "affine",
        slope: float = 0.1,
    ) -> None:
        super().__init__()
        if channels not in (1, 3):
            raise ValueError(f"channels must be 1 or 3, not {channels}")
        if width < 1:
            raise ValueError(f"width must be at least 1, not {width}")
        if not 0 <= slope <= 1:
            raise ValueError(f"slope must lie between 0 and 1, not {slope}")
        self.channels, self.scale, self.width, self.slope = channels, scale, width, slope
        self.local_mean = LocalMean()
        self.deblurring = DeblurringModule(channels, width, slope)
        self.downsampling = self.deblurring.downsampling
        self.approximation = OptimalApproximationModule(channels, approximation)
        self.super_resolution = SuperResolutionModule(channels, width, scale, slope)

    @property
    def architecture(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "channels": self.channels,
            "scale": self.scale,
            "width": self.width,
            "approximation": self.approximation.reading,
            "slope": self.slope,
        }

    @property
    def described(self) -> str:
        reading = self.approximation.reading
        passed = (
            f"optimal approximation “{reading}”"
            if self.explains
            else "without optimal approximation"
        )
        return f"M-Deblurgan of width {self.width}, {passed}"

    @property
    def parts(self) -> dict[str, tuple[nn.Module, ...]]:
        return {
            "super-resolution": (self.super_resolution,),
            "deblurring": (self.deblurring, self.approximation),
        }

    @property
    def stages(self) -> Stages:
        return self._staged(self._pass_on, self._pass_on_reach, {"passed": 1})

    @property
    def explains(self) -> bool:
        return self.approximation.reading != "none"

    @property
    def explained_stages(self) -> Stages:
        return self._staged(self._explain, self._explain_reach, {"passed": 1, "explanation": 1})

    def _staged(self, choose: Callable, choose_reach: Callable, chosen: dict[str, float]) -> Stages:
        corrections, step = ("first correction", "second correction"), 1 / self.scale
        return Stages(
            (
                Stage(
                    self._look,
                    self._look_reach,
                    ("image",),
                    {"mean": 1, "detail": 1, "contrast": 1},
                ),
                *self.deblurring.stages("detail"),
                Stage(
                    choose,
                    choose_reach,
                    ("image", "mean", "contrast", *corrections),
                    chosen,
                ),
                Stage(
                    self._enlarge,
                    self._enlarge_reach,
                    ("passed", "mean"),
                    {"output": step},
                    cost=9,
                ),
            )
        )

    def explain(self, image: Tensor) -> Restoration:
        self.check(image)
        mean, detail, contrast = self._look(image)
        candidates = _candidates(image, *self.deblurring(detail))
        _, encoder_decoder, deblurred = candidates
        passed = self.approximation(candidates, mean, contrast)
        output = self.super_resolution(passed.image, passed.image - mean)
        return Restoration(
            output, encoder_decoder, deblurred, passed.image, passed.weights, passed.distances
        )

    def _look(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The local mean, what differs from it, and how much that is on average."""
        mean = self.local_mean(image)
        detail = image - mean
        return (
            mean,
            detail,
            self.local_mean(detail.abs().mean(dim=1, keepdim=True)) + _CONTRAST_FLOOR,
        )

    def _look_reach(self, image: Reach) -> tuple[Reach, Reach, Reach]:
        mean = self.local_mean.reach(image)
        return mean, mean, self.local_mean.reach(mean)

    def _pass_on(
        self, image: Tensor, mean: Tensor, contrast: Tensor, first: Tensor, second: Tensor
    ) -> tuple[Tensor]:
        return (self.approximation.passed(_candidates(image, first, second), mean, contrast),)

    def _pass_on_reach(self, *maps: Reach) -> tuple[Reach]:
        image, mean, contrast, first, second = maps
        return (self.approximation.reach(image.joined(mean, contrast, first, second)),)

    def _explain(
        self, image: Tensor, mean: Tensor, contrast: Tensor, first: Tensor, second: Tensor
    ) -> tuple[Tensor, Tensor]:
        passed = self.approximation(_candidates(image, first, second), mean, contrast)
        return passed.image, torch.cat([passed.weights, passed.distances], dim=1)

    def _explain_reach(self, *maps: Reach) -> tuple[Reach, Reach]:
        (passed,) = self._pass_on_reach(*maps)
        return passed, passed

    def _enlarge(self, passed: Tensor, mean: Tensor) -> tuple[Tensor]:
        return (self.super_resolution.folded(passed, passed - mean),)

    def _enlarge_reach(self, passed: Reach, mean: Reach) -> tuple[Reach]:
        return (self.super_resolution.reach(passed.joined(mean)),)


def _candidates(image: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The image, and both that are sharpened by the corrections."""
    encoder_decoder = image + first.to(image.dtype)
    return image, encoder_decoder, encoder_decoder + second.to(image.dtype)
