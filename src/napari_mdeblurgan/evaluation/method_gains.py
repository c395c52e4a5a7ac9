"""What the records of one kind of image say: means, gains, the worst results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_mdeblurgan.degradation import Condition
from napari_mdeblurgan.evaluation.background import Background
from napari_mdeblurgan.evaluation.images import SharpPart
from napari_mdeblurgan.evaluation.methods import OURS, Method
from napari_mdeblurgan.evaluation.protocol import Score

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Methods of one scale on images of one kind, all on the same inputs.

    Attributes
    ----------
    kind : {"colour", "grey"}
        Of the images.
    scale : int
        Pixels of the truth for one of the input, along y and x.
    images : tuple of SharpPart
        What they were judged on.
    methods : tuple of Method
        Bicubic enlargement first.
    scores : tuple of Score
        One for every image, condition and method.
    backgrounds : tuple of Background
        Flat fields; empty where only the Gaussian protocol was asked for.
    """

    kind: str
    scale: int
    images: tuple[SharpPart, ...]
    methods: tuple[Method, ...]
    scores: tuple[Score, ...] = ()
    backgrounds: tuple[Background, ...] = ()

    @property
    def slug(self) -> str:
        """For names of files."""
        return f"{self.kind}-x{self.scale}"

    @property
    def title(self) -> str:
        images = f"{len(self.images)} image{'s' if len(self.images) != 1 else ''}"
        return f"{self.kind.capitalize()}, ×{self.scale}: {images}"

    def values(self, method: Method, measure: str, conditions: Sequence[Condition]) -> np.ndarray:
        """(images, conditions): one measure of one method; NaN where it was not taken."""
        names = {
            (image.name, condition.label): NAN for image in self.images for condition in conditions
        }
        wanted = {(condition.protocol, condition.label) for condition in conditions}
        for score in self.scores:
            if score.method_id == method.identity and (score.protocol, score.condition) in wanted:
                value = getattr(score, measure)
                names[score.image, score.condition] = NAN if value is None else value
        return np.array(list(names.values())).reshape(len(self.images), len(conditions))

    def gains(
        self, method: Method, over: Method, measure: str, conditions: Sequence[Condition]
    ) -> np.ndarray:
        """(images, conditions): how much more of a measure than another method."""
        own, other = (self.values(each, measure, conditions) for each in (method, over))
        with np.errstate(invalid="ignore"):
            return np.where(
                own == other, 0.0, own - other
            )  # two perfect results have the same, infinite, PSNR

    def family(self, name: str) -> list[Method]:
        """Methods of one family."""
        return [method for method in self.methods if method.family == name]

    @property
    def networks(self) -> list[Method]:
        """The methods that were learned, ours last."""
        return sorted(
            (each for each in self.methods if each.parameters), key=lambda each: each.family == OURS
        )


def typical(comparison: Comparison, conditions: Sequence[Condition]) -> int:
    """Which image to show: the one whose gain over bicubic is the median, so that none is picked
    for its looks.

    The gain is that of the first M-Deblurgan, or of the last method where there is none.
    """
    return int(
        np.argsort(_gain_per_image(comparison, conditions), kind="stable")[
            (len(comparison.images) - 1) // 2
        ]
    )


def worst_example(comparison: Comparison, conditions: Sequence[Condition]) -> tuple[int, int]:
    """Image and condition with the smallest gain over bicubic, of the same method."""
    gains = comparison.gains(
        example_method(comparison), comparison.methods[0], "psnr_db", conditions
    )
    image, condition = np.unravel_index(int(np.nanargmin(gains)), gains.shape)
    return int(image), int(condition)


def example_method(comparison: Comparison) -> Method:
    """The method that examples are chosen by: the first M-Deblurgan, or the last method where there
    is none.
    """
    return (comparison.family(OURS) or [comparison.methods[-1]])[0]


def _gain_per_image(comparison: Comparison, conditions: Sequence[Condition]) -> np.ndarray:
    return comparison.gains(
        example_method(comparison), comparison.methods[0], "psnr_db", conditions
    ).mean(axis=1)
