"""From a place to within a few pixels to a fraction of a pixel: least squares over transform, blur and contrast at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage, optimize

from napari_mdeblurgan.training.pairs.geometry import box, moved
from napari_mdeblurgan.training.pairs.structure import HighPass, blurred, correlation

COARSE = 8.0  # low-resolution pixels: what is coarser is left to the illumination
BLURS = (0.3, 0.6, 1.0, 1.4, 1.9, 2.5, 3.2, 4.0)  # low-resolution pixels
LARGEST_BLUR = 6.0
STRETCH = 0.01  # standard deviation of shear and uneven enlargement, as far as anything is known before
SMALLEST = 16  # low-resolution pixels of the overlap, along either edge
POINTS = 150_000
SMOOTH = 0.5  # low-resolution pixels: against the noise


@dataclass(slots=True)
class Sharp:
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
        """The image blurred by `blur` low-resolution pixels, on a box of the low-magnification image."""
        key = round(blur, 2)
        if key not in self._made:
            if len(self._made) > 2:
                self._made.pop(next(iter(self._made)))
            self._made[key] = ndimage.spline_filter(
                blurred(self.image, key * self.ratio).astype(np.float32), order=3, output=np.float32, mode="mirror"
            )
        return warped(self._made[key], transform, where)


def warped(coefficients: np.ndarray, transform: np.ndarray, where: tuple[slice, slice]) -> np.ndarray:
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


def seen(transform: np.ndarray, where: tuple[slice, slice], shape: tuple[int, ...], margin: float = 0) -> np.ndarray:
    """Which pixels of a box lie within the other image and `margin` of its pixels from its edge; (y, x) bool."""
    grid = np.stack(np.meshgrid(*(np.arange(each.start, each.stop) for each in where), indexing="ij"), axis=-1)
    there = moved(transform, grid.astype(np.float64))
    return np.all((there >= margin) & (there <= np.array(shape) - 1 - margin), axis=-1)


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
    sharp: Sharp,
    transform: np.ndarray,
    blur: float,
    smooth: float,
    *,
    stretch: bool,
    rounds: int = 10,
) -> Fit | None:
    """Adjust a transform, and the blur with it.

    low(x) ≈ gain · (blurred high)(transform(x)) + local mean is solved for the transform (moved, turned, enlarged and, if
    `stretch`, sheared), for the gain and for the blur by robust least squares (after Lucas & Kanade 1981; trust region and
    loss by SciPy).

    Parameters
    ----------
    low : ndarray
        (y, x) float32.
    sharp : Sharp
        The high-magnification image.
    transform : ndarray
        Start, (3, 3).
    blur : float
        Start.
    smooth : float
        Both are blurred by so much more, in low-resolution pixels: the larger, the farther it may be from the start.
    stretch : bool
        Affine rather than similarity; large shear is held to be unlikely.
    rounds : int
        Evaluations at most.

    Returns
    -------
    Fit or None
        None where the overlap is too small.
    """
    where = box(transform, sharp.image.shape, low.shape)
    if min(each.stop - each.start for each in where) < SMALLEST:
        return None
    total = math.hypot(blur, smooth)
    mask = seen(transform, where, sharp.image.shape, (1.0 + 1.0 * total) * sharp.ratio)
    if mask.sum() < SMALLEST**2:
        return None
    high_pass = HighPass(mask, max(COARSE, 2.5 * total))
    target = high_pass(blurred(low, smooth)[where])
    points = np.argwhere(mask)
    points = points[:: max(1, len(points) // POINTS)]
    rows, columns = points.T
    seen_low = target[rows, columns].astype(np.float64)

    place = points + [each.start for each in where]
    middle = place.mean(axis=0)
    radius = float(np.sqrt(((place - middle) ** 2).sum(axis=1).max()))
    v, u = ((place - middle) / radius).T
    zero, one = np.zeros(len(v)), np.ones(len(v))
    ways_y = [one, zero, v, -u, v, u][: 6 if stretch else 4]  # move, move, enlarge, turn, stretch, shear
    ways_x = [zero, one, u, v, -u, v][: 6 if stretch else 4]
    count = len(ways_y)

    def moving(parameters: np.ndarray) -> np.ndarray:
        (a, b, enlarge, turn), (pull, shear) = parameters[:4], parameters[4:6] if stretch else (0.0, 0.0)
        matrix = np.eye(3)
        matrix[:2, :2] += np.array([[enlarge + pull, shear - turn], [shear + turn, enlarge - pull]]) / radius
        matrix[:2, 2] = np.array([a, b]) + middle - matrix[:2, :2] @ middle
        return transform @ matrix

    made: dict[str, np.ndarray] = {}

    def look(parameters: np.ndarray) -> np.ndarray:
        if "at" not in made or not np.array_equal(made["at"], parameters):
            image = sharp.at(total, moving(parameters), where)
            made["at"], made["image"] = parameters.copy(), high_pass(image)
            made["raw"] = image
        return made["image"]

    seen_high = look(np.zeros(count + 2))[rows, columns].astype(np.float64)
    power = float(seen_high @ seen_high)
    if power <= 0 or not seen_low.any():
        return None
    gain = max(float(seen_high @ seen_low) / power, 1e-3 * math.sqrt(float(seen_low @ seen_low) / power))
    noise = max(float(np.median(np.abs(seen_low - gain * seen_high))) * 1.4826, 1e-6 * float(np.abs(seen_low).max()))

    def residuals(parameters: np.ndarray) -> np.ndarray:
        image = look(parameters)[rows, columns]
        curved = _curvature(made["raw"])[rows, columns]
        error = (gain * (parameters[count] * image + parameters[count + 1] * curved) - seen_low) / noise
        return np.concatenate([error, parameters[4:count] / (STRETCH * radius)])

    def jacobian(parameters: np.ndarray) -> np.ndarray:
        image = look(parameters)
        slope_y, slope_x = (high_pass(each)[rows, columns] * gain / noise for each in np.gradient(made["raw"]))
        matrix = np.empty((len(rows) + count - 4, count + 2))
        for number, (way_y, way_x) in enumerate(zip(ways_y, ways_x, strict=True)):
            matrix[: len(rows), number] = slope_y * way_y + slope_x * way_x
        matrix[: len(rows), count] = image[rows, columns] * gain / noise
        matrix[: len(rows), count + 1] = _curvature(made["raw"])[rows, columns] * gain / noise
        matrix[len(rows) :] = 0
        for number in range(4, count):
            matrix[len(rows) + number - 4, number] = 1 / (STRETCH * radius)
        return matrix

    start = np.zeros(count + 2)
    start[count] = 1
    solved = optimize.least_squares(
        residuals, start, jacobian, loss="soft_l1", f_scale=2.0, x_scale=1.0, xtol=1e-4, ftol=1e-5, max_nfev=rounds
    )
    final = moving(solved.x)
    sharper = blur**2 + 2 * solved.x[count + 1] / max(solved.x[count], 0.2)
    image = look(solved.x)
    error = np.zeros(mask.shape)
    error[rows, columns] = solved.fun[: len(rows)]
    return Fit(
        final,
        float(np.clip(math.sqrt(max(sharper, 0.0)), max(blur / 2, 0.25), min(2 * blur + 0.3, LARGEST_BLUR))),
        correlation(image, target),
        _residual(solved.jac[: len(rows), :count], error, ways_y, ways_x),
    )


def likeness(low: np.ndarray, sharp: Sharp, transform: np.ndarray, blur: float) -> float:
    """Correlation of the structures of both at a place, if the low-magnification image is blurred so much."""
    where = box(transform, sharp.image.shape, low.shape)
    high_pass = HighPass(seen(transform, where, sharp.image.shape, 2 * sharp.ratio), COARSE)
    target = high_pass(blurred(low, SMOOTH)[where])
    return correlation(high_pass(sharp.at(math.hypot(blur, SMOOTH), transform, where)), target)


def _curvature(image: np.ndarray) -> np.ndarray:
    """The Laplacian: how an image changes with half the square of its blur."""
    return ndimage.laplace(image, mode="nearest")


def _residual(jacobian: np.ndarray, error: np.ndarray, ways_y: list[np.ndarray], ways_x: list[np.ndarray]) -> float:
    """Root mean square error of the corners, from what the data leave open; errors of neighbouring pixels are not independent."""
    spectrum = np.abs(np.fft.rfft2(error, [2 * length for length in error.shape])) ** 2
    related = np.fft.irfft2(spectrum)
    reach = 4
    near = np.r_[-reach : reach + 1]
    together = max(1.0, float(related[np.ix_(near, near)].sum() / max(related[0, 0], 1e-20)))
    curvature = jacobian.T @ jacobian + 1e-9 * np.eye(jacobian.shape[1])
    spread = float((error**2).sum() / max((error != 0).sum(), 1))
    covariance = np.linalg.inv(curvature) * spread * together
    total = 0.0
    for corner in ((-0.7, -0.7), (-0.7, 0.7), (0.7, -0.7), (0.7, 0.7)):
        v, u = corner
        y = np.array([1, 0, v, -u, v, u])[: len(ways_y)]
        x = np.array([0, 1, u, v, -u, v])[: len(ways_x)]
        total += float(y @ covariance @ y + x @ covariance @ x)
    return math.sqrt(total / 4)
