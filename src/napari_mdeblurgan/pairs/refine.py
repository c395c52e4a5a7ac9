"""From a place to within a few pixels to a fraction of a pixel: least squares over transform, blur
and contrast at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from scipy import fft, ndimage

from napari_mdeblurgan.pairs.affine import affine, box
from napari_mdeblurgan.pairs.solving import gram, solved
from napari_mdeblurgan.pairs.structure import HighPass, blurred, correlation
from napari_mdeblurgan.stopping import look_up

COARSE = 8.0  # low-resolution pixels: what is coarser is left to the illumination
BLURS = (0.3, 0.6, 1.0, 1.4, 1.9, 2.5, 3.2, 4.0)  # low-resolution pixels
LARGEST_BLUR = 6.0
_STRETCH = (
    0.01  # standard deviation of shear and uneven enlargement, as far as anything is known before
)
SMALLEST = 16  # low-resolution pixels of the overlap, along either edge
_POINTS = 150_000
_TOLERANCE = 1e-4  # low-resolution pixels
_SHARPEST = 0.25  # low-resolution pixels: less blur is not told from none
TOGETHER = 4  # low-resolution pixels: errors of pixels farther apart are independent
_SMOOTH = 0.5  # low-resolution pixels: against the noise


@dataclass(slots=True)
class HighMagnification:
    """The high-magnification image, ready to be looked at at any blur.

    Attributes
    ----------
    image : ndarray
        (y, x) float32, see `structure.plane`.
    ratio : float
        Its pixels for one low-resolution pixel.
    """

    image: np.ndarray
    ratio: float
    _made: dict[float, np.ndarray] = field(default_factory=dict)

    def at(self, blur: float, transform: np.ndarray, where: tuple[slice, slice]) -> np.ndarray:
        """The image blurred by `blur` low-resolution pixels, on a box of the low-magnification
        image.
        """
        key = round(blur, 2)
        if key not in self._made:
            if len(self._made) > 2:
                self._made.pop(next(iter(self._made)))
            self._made[key] = ndimage.spline_filter(
                blurred(self.image, key * self.ratio).astype(np.float32),
                order=3,
                output=np.float32,
                mode="mirror",
            )
        return warped(self._made[key], transform, where)


def warped(
    coefficients: np.ndarray, transform: np.ndarray, where: tuple[slice, slice]
) -> np.ndarray:
    """An image of cubic spline coefficients on a box of pixels of another; float32."""
    start = np.array([each.start for each in where])
    shape = tuple(each.stop - each.start for each in where)
    linear = transform[:2, :2]
    return ndimage.affine_transform(
        coefficients,
        linear,
        transform[:2, 2] + linear @ start,
        shape,
        np.float32,
        order=3,
        mode="mirror",
        prefilter=False,
    )


def seen(
    transform: np.ndarray, where: tuple[slice, slice], shape: tuple[int, ...], margin: float = 0
) -> np.ndarray:
    """Which pixels of a box lie within the other image and `margin` of its pixels from its edge;
    (y, x) bool.
    """
    y, x = (np.arange(each.start, each.stop, dtype=np.float64) for each in where)
    inside = np.ones((len(y), len(x)), bool)
    for (along_y, along_x, offset), length in zip(transform[:2], shape, strict=False):
        there = (along_y * y + offset)[:, None] + (along_x * x)[None]
        inside &= (there >= margin) & (there <= length - 1 - margin)
    return inside


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """What least squares made of a place.

    Attributes
    ----------
    transform : ndarray
        (3, 3).
    blur : float
        σ in low-resolution pixels.
    correlation : float
        Of the two structures.
    residual : float
        Estimated root mean square error at the corners of the overlap, in low-resolution pixels.
    """

    transform: np.ndarray
    blur: float
    correlation: float
    residual: float


def fit(
    low: np.ndarray,
    sharp: HighMagnification,
    transform: np.ndarray,
    blur: float,
    smooth: float,
    *,
    stretch: bool,
    rounds: int = 10,
    points: int = _POINTS,
    tolerance: float = _TOLERANCE,
) -> Fit | None:
    """Adjust a transform, and the blur with it.

    low(x) ≈ gain · (blurred high)(transform(x)) + local mean is solved for the transform (moved,
    turned, enlarged and, if `stretch`, sheared), for the gain and for the blur by robust least
    squares (after Lucas & Kanade 1981).

    Parameters
    ----------
    low : ndarray
        (y, x) float32.
    sharp : HighMagnification
        The high-magnification image.
    transform : ndarray
        Start, (3, 3).
    blur : float
        Start.
    smooth : float
        Both are blurred by so much more, in low-resolution pixels: the larger, the farther it may
        be from the start.
    stretch : bool
        Affine rather than similarity; large shear is held to be unlikely.
    rounds : int
        Evaluations at most.
    points : int
        Pixels that are compared, at most.
    tolerance : float
        Low-resolution pixels: smaller changes end it.

    Returns
    -------
    Fit or None
        None where the overlap is too small.
    """
    where = box(transform, sharp.image.shape, low.shape)
    total = math.hypot(blur, smooth)
    mask = seen(transform, where, sharp.image.shape, (1 + total) * sharp.ratio)
    if not enough(mask):
        return None
    high_pass = HighPass(mask, max(COARSE, 2.5 * total))
    target = high_pass(blurred(low, smooth)[where])
    problem = _Problem(sharp, transform, total, where, high_pass, target, stretch, points)
    if not problem.solvable:
        return None
    parameters, jacobian = solved(
        problem.residuals,
        problem.jacobian,
        problem.start,
        scale=2.0,
        tolerance=tolerance,
        rounds=rounds,
    )
    gain, half_variance = parameters[-2:]
    variance = blur**2 + 2 * half_variance / max(gain, 0.2)
    return Fit(
        problem.transform(parameters),
        float(
            np.clip(
                math.sqrt(max(variance, 0)),
                max(blur / 2, _SHARPEST),
                min(2 * blur + 0.3, LARGEST_BLUR),
            )
        ),
        correlation(problem.seen_at(parameters), target),
        problem.uncertainty(parameters, jacobian),
    )


def enough(mask: np.ndarray) -> bool:
    """Whether an overlap is large enough to be looked at."""
    return min(mask.shape) >= SMALLEST and int(mask.sum()) >= SMALLEST**2


def likeness(
    low: np.ndarray, sharp: HighMagnification, transform: np.ndarray, blur: float
) -> float:
    """Correlation of the structures of both at a place, if the low-magnification image is blurred
    so much.
    """
    look_up()
    where = box(transform, sharp.image.shape, low.shape)
    mask = seen(transform, where, sharp.image.shape, 2 * sharp.ratio)
    if not enough(mask):
        return -1.0
    high_pass = HighPass(mask, COARSE)
    target = high_pass(blurred(low, _SMOOTH)[where])
    return correlation(high_pass(sharp.at(math.hypot(blur, _SMOOTH), transform, where)), target)


class _Problem:
    """How far the low-magnification image is from the other one, if that is moved, brightened and
    blurred by small amounts.

    The parameters are: by how many low-resolution pixels the corners of the overlap move along y,
    along x, outwards, round and, for an affine transform, apart and askew; then the gain, and half
    the variance by which the blur grows.
    """

    def __init__(
        self,
        sharp: HighMagnification,
        transform: np.ndarray,
        blur: float,
        where: tuple[slice, slice],
        high_pass: HighPass,
        target: np.ndarray,
        stretch: bool,
        most_points: int,
    ) -> None:
        self._sharp, self._transform, self._blur, self._where = sharp, transform, blur, where
        self._high_pass, self._target = high_pass, target
        points = np.argwhere(high_pass.mask)
        self._every = max(1, len(points) // most_points)
        points = points[:: self._every]
        self._at = points[:, 0], points[:, 1]
        place = points + [each.start for each in where]
        self._middle = place.mean(axis=0)
        self._radius = float(np.sqrt(((place - self._middle) ** 2).sum(axis=1).max()))
        self._count = 6 if stretch else 4
        v, u = ((place - self._middle) / self._radius).T
        self._ways = _ways(v, u, self._count)
        self._weights = np.full(self._count - 4, 1 / (_STRETCH * self._radius))

        self._key = np.empty(0)
        self._seen: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
        one, other = (
            target[self._at].astype(np.float64),
            self.seen_at(self.start)[self._at].astype(np.float64),
        )
        power, other_power = float((one**2).sum()), float((other**2).sum())
        self.solvable = power > 0 and other_power > 0
        if self.solvable:
            self._gain = max(
                float((other * one).sum()) / other_power, 1e-3 * math.sqrt(power / other_power)
            )
            self._noise = 1.4826 * float(np.median(np.abs(one - self._gain * other)))
            self._noise = max(self._noise, 1e-6 * float(np.abs(one).max()))

    @property
    def start(self) -> np.ndarray:
        """No change."""
        return np.array([0.0] * self._count + [1.0, 0.0])

    def transform(self, parameters: np.ndarray) -> np.ndarray:
        """From the low-magnification image to the high-magnification one."""
        down, right, outwards, round_, *more = parameters[: self._count]
        apart, askew = more or (0.0, 0.0)
        change = (
            np.array([[outwards + apart, askew - round_], [askew + round_, outwards - apart]])
            / self._radius
        )
        return self._transform @ affine(
            np.eye(2) + change, self._middle + np.array([down, right]), self._middle
        )

    def seen_at(self, parameters: np.ndarray) -> np.ndarray:
        """The structure of the high-magnification image there, on the pixels of the other."""
        return self._looked(parameters)[1]

    def residuals(self, parameters: np.ndarray) -> np.ndarray:
        """In units of the noise; after those of the pixels, what an uneven stretch costs."""
        return np.concatenate(
            [self._error(parameters)[self._at], parameters[4 : self._count] * self._weights]
        )

    def jacobian(self, parameters: np.ndarray) -> np.ndarray:
        """Of the residuals; (parameters, residuals)."""
        image, structure, curved = self._looked(parameters)
        slopes = [self._high_pass(each)[self._at] for each in np.gradient(image)]
        ways = [slopes[0] * way_y + slopes[1] * way_x for way_y, way_x in self._ways]
        pixels = np.stack([*ways, structure[self._at], curved[self._at]]) * (
            self._gain / self._noise
        )
        costs = np.zeros((len(pixels), self._count - 4))
        costs[4 : self._count] = np.diag(self._weights)
        return np.concatenate([pixels, costs], axis=1)

    def uncertainty(self, parameters: np.ndarray, jacobian: np.ndarray) -> float:
        """Root mean square error of the overlap's corners that the data leave open.

        The errors of neighbouring pixels are not independent: how far they go together is measured.
        """
        error = self._error(parameters) * self._high_pass.mask
        related = fft.irfft2(np.abs(fft.rfft2(error, [2 * length for length in error.shape])) ** 2)
        near = np.r_[-TOGETHER : TOGETHER + 1]
        together = max(
            1.0, float(related[np.ix_(near, near)].sum() / max(float(related[0, 0]), 1e-20))
        )
        spread = float((error**2).sum() / self._high_pass.mask.sum())
        pixels = jacobian[: self._count, : len(self._at[0])]
        information = self._every * gram(pixels) + 1e-9 * np.eye(self._count)
        covariance = np.linalg.inv(information) * spread * together
        total = 0.0
        for v, u in np.array([(-0.7, -0.7), (-0.7, 0.7), (0.7, -0.7), (0.7, 0.7)]):
            for way in np.array(_ways(v, u, self._count)).T:
                total += float(way @ covariance @ way)
        return math.sqrt(total / 4)

    def _error(self, parameters: np.ndarray) -> np.ndarray:
        _, structure, curved = self._looked(parameters)
        gain, half_variance = parameters[-2:].astype(np.float32)
        return (
            self._gain * (gain * structure + half_variance * curved) - self._target
        ) / self._noise

    def _looked(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The image, its structure, and its Laplacian: how it changes with half the variance of its
        blur.
        """
        look_up()
        key = parameters[: self._count]
        if self._seen is None or not np.array_equal(self._key, key):
            image = self._sharp.at(self._blur, self.transform(parameters), self._where)
            self._seen = image, self._high_pass(image), ndimage.laplace(image, mode="nearest")
            self._key = key.copy()
        return self._seen


def _ways(v: np.ndarray, u: np.ndarray, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """How a point moves along y and x with each of the parameters: down, right, outwards, round,
    apart, askew.
    """
    one, zero = np.ones_like(v), np.zeros_like(v)
    return [(one, zero), (zero, one), (v, u), (-u, v), (v, -u), (u, v)][:count]
