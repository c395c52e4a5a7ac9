"""The point-spread function that leads from a restored image back to its blurred one, estimated
from the two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from napari_mdeblurgan.degradation.optics import blur_in_blocks, blurs_in_turn
from napari_mdeblurgan.stopping import look_up

RADIUS_PX = 9  # of the input: the light of a blur of σ up to 3 pixels
LARGEST_RADIUS_PX = 18
RING_PX = 0.5
SMOOTHNESS = 1e-4
_ROUNDS = 4
SPECTRA = 4  # kept, of some megabytes each
_AT_ONCE = 512  # pixels
HUBER = 2.0  # robust standard deviations from which on a pixel counts less


@dataclass(frozen=True, slots=True, eq=False)
class PointSpread:
    """A round point-spread function on the restored image's grid, followed by averaging over the
    input's pixels.

    Attributes
    ----------
    kernel : ndarray
        (2 · radius + 1, 2 · radius + 1) float64, sum 1; a value can be slightly negative.
    factor : int
        Pixels of the restored image along one of the input, along y and x.
    """

    kernel: np.ndarray
    factor: int
    _spectra: dict[tuple[int, ...], np.ndarray] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __reduce__(self) -> tuple[type, tuple[np.ndarray, int]]:
        return PointSpread, (self.kernel, self.factor)

    @property
    def radius(self) -> int:
        """In pixels of the restored image."""
        return self.kernel.shape[0] // 2

    @property
    def sigma_px(self) -> float:
        """Standard deviation of the Gaussian that blurs as much, in pixels of the input; their own
        size included.
        """
        line = np.convolve(self.kernel.sum(axis=0), np.full(self.factor, 1 / self.factor))
        return gaussian_equivalent(line[None], self.factor)

    def applied(self, restored: np.ndarray) -> np.ndarray:
        """Blur and reduce (y, x, colours), y and x multiples of the factor, to (y / factor, x /
        factor, colours) float32.

        What lies within the radius of an edge is made of mirrored pixels, so read that much more.
        """
        if len(self._spectra) > SPECTRA:  # tiles at edges are of other sizes
            self._spectra.clear()
        planes = np.moveaxis(restored, -1, 0)
        return np.moveaxis(blur_in_blocks(planes, self.kernel, self.factor, self._spectra), 0, -1)

    def seen(self, known: np.ndarray) -> np.ndarray:
        """Share of the light of each pixel of the input that comes from where something is known.

        Parameters
        ----------
        known : ndarray
            (y, x) bool on the restored image's grid, y and x multiples of the factor. Beyond an
            edge whose pixels are known, all is.

        Returns
        -------
        ndarray
            (y / factor, x / factor) float32.

        Notes
        -----
        Of a rectangle, as at the edges of an image, it is looked up in sums of the kernel; else the
        kernel is applied.
        """
        rows, columns = (np.asarray(known.any(axis=axis)) for axis in (1, 0))
        if np.array_equal(known, rows[:, None] & columns[None, :]):
            return self.seen_of_lines(rows, columns)
        return self.applied(known[..., None].astype(np.float32))[..., 0]

    def seen_of_lines(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """The same where all is known at which a known row, of (y,) bool, and a known column, of
        (x,) bool, meet.
        """
        y, x = self._reached(rows), self._reached(columns)
        if y is None or x is None:
            known = rows[:, None] & columns[None, :]
            return self.applied(known[..., None].astype(np.float32))[..., 0]
        sums = self.kernel
        for axis in (0, 1):  # of the kernel averaged over a pixel of the input, up to each place
            sums = np.apply_along_axis(
                np.convolve, axis, sums, np.full(self.factor, 1 / self.factor)
            ).cumsum(axis)
        sums = np.pad(sums, ((1, 0), (1, 0)))
        # few kinds of lines: most see all
        of_rows, down = np.unique(np.stack(y), axis=1, return_inverse=True)
        of_columns, right = np.unique(np.stack(x), axis=1, return_inverse=True)
        light = sums[of_rows[1]] - sums[of_rows[0]]
        light = (light[:, of_columns[1]] - light[:, of_columns[0]]).astype(np.float32)
        return light[down.ravel()][:, right.ravel()]

    def _reached(self, line: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """From where to where the kernel of each pixel sees what is known; None if that has gaps,
        or is nothing.
        """
        places = np.flatnonzero(line)
        if not places.size or places[-1] - places[0] + 1 != places.size:
            return None
        most = 2 * self.radius + self.factor
        starts = np.arange(0, line.size, self.factor) - self.radius
        first = np.zeros_like(starts) if line[0] else np.clip(places[0] - starts, 0, most)
        end = np.full_like(starts, most) if line[-1] else np.clip(places[-1] + 1 - starts, 0, most)
        return first, end


def gaussian_equivalent(kernel: np.ndarray, factor: int) -> float:
    """Standard deviation, in pixels `factor` times as large as the kernel's, of the Gaussian that
    blurs as much.

    It is the one whose transfer falls to exp(-1/2) at the same frequency. The far rim of a kernel,
    which noise makes uncertain and which counts most in a second moment, hardly matters.
    """
    line = kernel.sum(axis=0) / kernel.sum()
    offsets = np.arange(len(line)) - (len(line) - 1) / 2
    frequencies = np.linspace(0, 0.5, 501)  # cycles per pixel of the kernel
    transfer = np.cos(2 * np.pi * frequencies[:, None] * offsets[None, :]) @ line
    fallen = np.flatnonzero(transfer <= math.exp(-0.5))
    end = int(fallen[0]) if len(fallen) else len(frequencies) - 1
    at = np.interp(-math.exp(-0.5), -transfer[end - 1 : end + 1], frequencies[end - 1 : end + 1])
    return 1 / (2 * math.pi * float(at) * factor)


def estimate_psf(
    restored: Sequence[np.ndarray],
    blurred: Sequence[np.ndarray],
    sigma: Sequence[np.ndarray],
    factor: int,
    blur_sigma_px: float | None = None,
) -> PointSpread:
    """The round kernel that explains blurred images by restored ones best.

    Parameters
    ----------
    restored : sequence of ndarray
        (factor · y, factor · x) float32, the places of `blurred` and no margin.
    blurred : sequence of ndarray
        (y, x) float32 in the same units, all places of one size; NaN where nothing is known.
    sigma : sequence of ndarray
        (y, x): standard deviation of the noise in `blurred`.
    factor : int
        Pixels of the restored image along one of the blurred, along y and x.
    blur_sigma_px : float, optional
        Standard deviation of the Gaussian that blurs as much, in pixels of the blurred images: of
        3 pixels and more, the kernel is wide enough for its light.

    Notes
    -----
    Least squares for the heights of concentric rings, half an input pixel wide but no narrower than
    a pixel of the restored image, whose sum is 1. Pixels that no kernel explains, such as those of
    something that was added to the restored image, count less (Huber 1964), so that they do not
    shape it.
    """
    edge = min(min(part.shape) for part in blurred)
    wide = min(LARGEST_RADIUS_PX, max(RADIUS_PX, math.ceil(3 * (blur_sigma_px or 0.0))))
    radius = min(wide, max(1, (edge - 1) // 3)) * factor
    rings = _rings(radius, factor)
    margin = min(radius // factor, edge // 4)
    inner = slice(margin, -margin or None)
    columns, known = [], [np.isfinite(part[inner, inner]) for part in blurred]
    planes = np.stack([np.nan_to_num(part) for part in restored]).astype(np.float32, copy=False)
    for seen in blurs_in_turn(planes, rings, factor):
        look_up()
        parts = seen[:, inner, inner]
        columns.append(
            np.concatenate([part[good] for part, good in zip(parts, known, strict=True)])
        )
    target, spread = (
        np.concatenate(
            [part[inner, inner][good] for part, good in zip(each, known, strict=True)]
        ).astype(np.float64)
        for each in (blurred, sigma)
    )
    matrix = np.stack(columns, axis=1).astype(np.float64)
    shares = _solve(matrix, target, spread, np.array([1 / ring.max() for ring in rings]))
    return PointSpread(np.tensordot(shares, rings, axes=1), factor)


def _solve(
    matrix: np.ndarray, target: np.ndarray, spread: np.ndarray, areas: np.ndarray
) -> np.ndarray:
    """Shares of the rings, sum 1: iteratively reweighted least squares with a penalty on a profile
    that is not smooth.
    """
    count = matrix.shape[1]
    basis = (
        np.eye(count)[:, 1:] - np.eye(count)[:, :1]
    )  # ways to move light from the centre to a ring
    moved = matrix[:, 1:] - matrix[:, :1]
    start = np.eye(count)[0]
    bends = (
        np.diff(np.eye(count), n=min(2, count - 1), axis=0) / areas
    )  # of the height over the rings
    bends *= areas[0]
    weights = 1 / spread**2
    shares = start
    apart = target - matrix[:, 0]
    for _ in range(_ROUNDS):
        normal = _normal(moved, weights)
        strength = SMOOTHNESS * np.trace(normal) / count
        penalty = strength * (bends.T @ bends)
        right = np.einsum("nm,n->m", moved, weights * apart) - basis.T @ penalty @ start
        left = (
            normal + basis.T @ penalty @ basis + 1e-9 * np.trace(normal) / count * np.eye(count - 1)
        )
        shares = start + basis @ np.linalg.lstsq(left, right, rcond=None)[0]
        off = np.abs(target - np.einsum("nm,m->n", matrix, shares)) / spread
        robust = max(1.4826 * float(np.median(off)), 1e-12)
        weights = np.minimum(1, HUBER * robust / np.maximum(off, 1e-12)) / spread**2
    return shares


def _normal(matrix: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Matrixᵀ · weights · matrix, of (n, m) and (n,), in parts that fit into the cache, and are so
    small that the library for linear algebra calls no helpers.
    """
    normal = np.zeros((matrix.shape[1],) * 2)
    for start in range(0, len(matrix), _AT_ONCE):
        part = matrix[start : start + _AT_ONCE]
        normal += part.T @ (weights[start : start + _AT_ONCE, None] * part)
    return normal


def _rings(radius: int, factor: int) -> list[np.ndarray]:
    """Concentric rings with sloping sides, each of sum 1; together they are level."""
    offsets = np.arange(-radius, radius + 1)
    distance = np.hypot(offsets[:, None], offsets[None, :])
    step = max(RING_PX * factor, 1.0)  # a ring between pixels would have none
    rings = [
        np.maximum(0, 1 - np.abs(distance - step * ring) / step)
        for ring in range(int(radius / step))
    ]
    return [ring / ring.sum() for ring in rings]
