"""What a pair is: two files, two images, how one lies on the other, and what a
network learns from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_mdeblurgan.errors import MdeblurganError
from napari_mdeblurgan.restoration.intensity import Window
from napari_mdeblurgan.storage import Micrograph

MULTIPLE = 8  # low-resolution pixels: the downsampling of the network


class PairError(MdeblurganError):
    """Two images that make no pair, or files that cannot be told to belong together."""


class SwappedError(PairError):
    """Two images that make a pair once low and high are exchanged."""


@dataclass(frozen=True, slots=True)
class PairFiles:
    """Two files that are said to show the same place.

    Attributes
    ----------
    name : str
        What to call the pair; no two of a list have the same.
    low, high : Path
        The image of the weaker and that of the stronger objective.
    low_image, high_image : str or None
        Which image of a file, where it holds several.
    """

    name: str
    low: Path
    high: Path
    low_image: str | None = None
    high_image: str | None = None


@dataclass(frozen=True, slots=True)
class Matched:
    """What belongs together, and what does not.

    Attributes
    ----------
    pairs : tuple of PairFiles
        In the order of their names, or of the table.
    left_out : tuple of str
        A sentence for each file or row that is in no pair.
    """

    pairs: tuple[PairFiles, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class ImagePair:
    """Two images that are said to show the same place.

    Attributes
    ----------
    name : str
        What to call the pair.
    low, high : Micrograph
        The image of the weaker and that of the stronger objective: both "YX", both "YXS" (a fourth
        sample is left out) or both "CYX" of as many channels; in memory, of any real type.
    """

    name: str
    low: Micrograph
    high: Micrograph


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """How the high-magnification image lies on the low-magnification one, and how sure that is.

    Attributes
    ----------
    transform : ndarray
        float64, (3, 3), last row (0, 0, 1): takes the (y, x, 1) of a pixel's centre in the
        low-magnification image to the one in the high-magnification image; the first pixel's centre
        is (0, 0).
    kind : {"similarity", "affine"}
        What the transform may do: turn and enlarge evenly, or also shear and stretch.
    accepted : bool
        Whether the pair can be trained on: there is no doubt that the two show the same place, and
        where.
    score : float
        0 to 1. Correlation of the two images' structures where they overlap, once they are equally
        blurred.
    agreement : float
        0 to 1. Share of the parts of the overlap which on their own, too, are found where the whole
        was.
    uniqueness : float
        How much higher the best place correlates than any other, in standard deviations of the
        others.
    residual_px : float
        Estimate of the error in low-resolution pixels: root mean square at the corners of the
        overlap.
    blur_px : float
        How much more the low-magnification image is blurred: σ of a Gaussian, in low-resolution
        pixels.
    gain, offset : tuple of float
        For each channel: low ≈ gain · high + offset, in the units of the images' pixels.
    overlap : float
        Share of the high-magnification image that lies within the low-magnification image.
    reasons : tuple of str
        Why it is not accepted, a sentence each; empty if it is.
    warnings : tuple of str
        What else the user should know, a sentence each.
    swapped : bool
        It is not accepted because low and high are swapped: exchanged they fit.
    """

    transform: np.ndarray
    kind: str
    accepted: bool
    score: float
    agreement: float
    uniqueness: float
    residual_px: float
    blur_px: float
    gain: tuple[float, ...]
    offset: tuple[float, ...]
    overlap: float
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    swapped: bool = False

    @property
    def problems(self) -> tuple[str, ...]:
        """All that there is to say: why it is not accepted, then the warnings."""
        return self.reasons + self.warnings

    @property
    def ratio(self) -> float:
        """High-resolution pixels for one low-resolution pixel, along an edge."""
        return math.sqrt(abs(float(np.linalg.det(self.transform[:2, :2]))))

    @property
    def rotation_degrees(self) -> float:
        """By how much the high-magnification image is turned against the low-magnification one."""
        (yy, yx), (xy, xx) = self.transform[:2, :2]
        return math.degrees(math.atan2(xy - yx, yy + xx))


@dataclass(frozen=True, slots=True, eq=False)
class RegisteredPair:
    """What a network learns from: the part that both images show, on grids that belong together.

    A pixel of `low` with index i has the pixels scale · i … scale · i + scale − 1 of `high` on its
    area, as a network's output lies on its input.

    Attributes
    ----------
    name : str
        What to call the pair.
    low : ndarray
        float32, (channels, y, x): a part of the low-magnification image, its pixels untouched but
        for the intensity windows. y and x are multiples of 8.
    high : ndarray
        float32, (channels, scale · y, scale · x): the high-magnification image resampled, its
        intensities matched to `low`'s. What it does not show is 0.
    valid : ndarray
        bool, (scale · y, scale · x): where `high` is the high-magnification image and not beyond
        its edge.
    scale : int
        2 or 4; 1 for images whose pixels are of the same size.
    rgb : bool
        The channels are red, green and blue; else each channel is a grey image of its own.
    windows : tuple of Window
        For each channel what is 0 and 1, in units of the low-magnification image: the windows of
        the *whole* image, as a restoration of it would take. Colours share one.
    low_crop : tuple of slice
        Along y and x: where `low` was cut from the low-magnification image.
    high_crop : tuple of slice
        Along y and x: the part of the high-magnification image that `high` shows, the smallest box
        around it.
    low_shape, high_shape : (int, int)
        y and x of the whole images.
    registration : Registration
        How it was found. Not trained on unless it is accepted or the user insists.
    stack : str
        Name of the focus stack that `low` is a plane of and `high` was made from; empty for images
        by two objectives.
    truth : str
        A digest of the whole high-magnification image, by which it is known in other pairs; empty
        for planes of a stack.
    source : str
        The same of the low-magnification image.
    """

    name: str
    low: np.ndarray
    high: np.ndarray
    valid: np.ndarray
    scale: int
    rgb: bool
    windows: tuple[Window, ...]
    low_crop: tuple[slice, slice]
    high_crop: tuple[slice, slice]
    low_shape: tuple[int, int]
    high_shape: tuple[int, int]
    registration: Registration
    stack: str = ""
    truth: str = ""
    source: str = ""

    @property
    def channels(self) -> int:
        """How many channels there are."""
        return self.low.shape[0]

    @property
    def colourless(self) -> bool:
        """Whether red, green and blue are the same in both images."""
        return self.rgb and all(bool((each == each[:1]).all()) for each in (self.low, self.high))

    @property
    def accepted(self) -> bool:
        """Whether it can be trained on without asking."""
        return self.registration.accepted

    def __post_init__(self) -> None:
        channels, y, x = self.low.shape
        if y % MULTIPLE or x % MULTIPLE or not y or not x:
            raise ValueError(
                f"y and x of low must be multiples of {MULTIPLE}, got {self.low.shape}"
            )
        expected = (channels, y * self.scale, x * self.scale)
        if (
            self.high.shape != expected
            or self.valid.shape != expected[1:]
            or len(self.windows) != channels
        ):
            raise ValueError(
                f"high, valid and windows do not belong to low: {self.high.shape}, "
                f"{self.valid.shape}"
            )


def exchanged(pair: PairFiles | ImagePair) -> PairFiles | ImagePair:
    """The same pair with low and high the other way round; two images are called by their names
    again.
    """
    if isinstance(pair, ImagePair):
        name = (
            f"{pair.high.name} + {pair.low.name}" if pair.low.name and pair.high.name else pair.name
        )
        return ImagePair(name, pair.high, pair.low)
    return PairFiles(pair.name, pair.high, pair.low, pair.high_image, pair.low_image)


def mixed(pairs: Sequence[RegisteredPair]) -> str:
    """Why pairs cannot be learned from together, in one sentence: some have the same pixels; empty
    if they can.
    """
    same = next((pair for pair in pairs if pair.scale == 1), None)
    other = next((pair for pair in pairs if pair.scale != 1), None)
    if same is None or other is None:
        return ""
    kind = "a plane of a focus stack" if other.stack else "a pair by two objectives"
    return (
        f"Both images of {same.name} have pixels of the same size, but {other.name} is {kind}, "
        f"from which ×{other.scale} is learned: one model cannot learn both, so make two, each "
        "from images of one kind."
    )
