"""How blurred an image is, place by place: the σ in pixels of the Gaussian blur that would look
like it, from the image alone.

Two kinds of energy are measured in cells of 8 pixels on the levels of a pyramid: that of gradients,
whose fall from scale to scale gives the blur of edges (Zhuo & Sim 2011), and that of Laplacians,
which are bands of the spectrum. The noise, known as variance over brightness, is taken off. In a
tile of 64 pixels the *median* over the cells with most contrast counts, so a few sharp specks (dirt
on the camera, hot pixels) on a blurred field change nothing. A small network, fitted to micrographs
of known blur with noise, JPEG compression and dirt, makes a σ of the medians. Where too few cells
stand out of the noise, nothing is said. `benchmarks/blur.py` fits and judges it.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from napari_mdeblurgan.restoration.intensity import fill
from napari_mdeblurgan.trust.noise import Noise

BLOCK = 32  # pixels along y and x that share one σ
CELL = 8
TILE_CELLS, BLOCK_CELLS = 8, BLOCK // CELL  # the tile of a block is twice as large, around it
FEWEST_CELLS = 4  # along y and x: of less nothing can be said
BLUR_LEVELS = 5
_REACH = 32  # pixels: beyond it nothing has an influence; a whole number of the coarsest pixels
KERNEL = np.array([1, 4, 6, 4, 1], np.float32) / 16
REFERENCE, BANDS = (
    4,
    (5, 7),
)  # gradients at a quarter of the size; Laplacians at a quarter and an eighth
STANDS_OUT = 5.0  # times the noise's share of a cell's energy
LEAST_ENERGY = (
    6e-5  # of a Laplacian, in squared windows: less is dust, coloured noise or uneven light
)
_GAP_SHARE = 1 / 16  # of a cell: so few missing pixels, filled from all around, hardly matter
_LEAST_SHARE = 0.22  # of the cells of a tile that must stand out
STEEPEST = 0.5  # of those that do, the share that counts
NOISE_LEFT = 0.15  # of the noise's energy: what cannot be told from nothing
PIXEL_SIGMA = 0.5  # added in quadrature, so that no blur at all is not far from a little
LARGEST_PX = 6.0
_LEAST = 1e-7
FITTED = Path(__file__).with_name("blur.json")

Read = Callable[[slice, slice], np.ndarray]


@dataclass(frozen=True, slots=True, eq=False)
class BlurFit:
    """The network that makes a σ of a tile's features.

    Attributes
    ----------
    mean, spread : ndarray
        Of each feature over the tiles that it was fitted to.
    layers : tuple of (ndarray, ndarray)
        Weights and offsets.
    error_px : float
        Median absolute error on images that it was not fitted to.
    """

    mean: np.ndarray
    spread: np.ndarray
    layers: tuple[tuple[np.ndarray, np.ndarray], ...]
    error_px: float

    def sigma_px(self, values: np.ndarray) -> np.ndarray:
        """From features (n, features) to σ (n,), between 0 and `LARGEST_PX`."""
        found = np.clip((values - self.mean) / self.spread, -4, 4)
        for number, (weights, offsets) in enumerate(self.layers):
            found = (np.tanh(found) if number else found) @ weights.T + offsets
        whole = np.exp(np.clip(found[:, 0], -3, 3))
        return np.minimum(np.sqrt(np.maximum(whole**2 - PIXEL_SIGMA**2, 0.0)), LARGEST_PX)


@functools.cache
def blur_fit() -> BlurFit:
    """The network that comes with the package."""
    fields = json.loads(FITTED.read_text(encoding="utf-8"))
    layers = tuple((np.array(weights), np.array(offsets)) for weights, offsets in fields["layers"])
    return BlurFit(
        np.array(fields["mean"]), np.array(fields["spread"]), layers, float(fields["error_px"])
    )


def local_blur(plane: np.ndarray, noise: Noise) -> np.ndarray:
    """The blur of an image, block by block of 32 pixels.

    Parameters
    ----------
    plane : ndarray
        (y, x) float32 in windows; NaN where nothing is known.
    noise : Noise
        Of the plane, which is its one colour.

    Returns
    -------
    ndarray
        (⌈y / 32⌉, ⌈x / 32⌉) float32: σ in pixels of the Gaussian closest, from 0 to `LARGEST_PX`;
        NaN where nothing can be judged.
    """
    blocks = [range(-(-length // BLOCK)) for length in plane.shape]
    return blur_of_blocks(
        lambda y, x: plane[y, x], (plane.shape[0], plane.shape[1]), (blocks[0], blocks[1]), noise
    )


def blur_of_blocks(
    read: Read, shape: tuple[int, int], blocks: tuple[range, range], noise: Noise
) -> np.ndarray:
    """The same for some blocks of a large image, of which no more is read than counts; see
    `local_blur`.

    Parameters
    ----------
    read : callable
        Given two slices, the pixels there: (y, x) float32 in windows.
    shape : (int, int)
        Of the image.
    blocks : (range, range)
        Numbers of the wanted rows and columns of blocks.
    noise : Noise
        Of the image.
    """
    found = np.full((len(blocks[0]), len(blocks[1])), np.nan, np.float32)
    if min(shape) // CELL < FEWEST_CELLS or not found.size:
        return found
    tiles = [
        _tile_starts(wanted, length // CELL) for wanted, length in zip(blocks, shape, strict=True)
    ]
    sizes = [min(TILE_CELLS, length // CELL) for length in shape]
    parts = []
    for starts, size, length in zip(tiles, sizes, shape, strict=True):
        first = max(starts[0] * CELL - _REACH, 0) // (2 * CELL) * (2 * CELL)
        parts.append(slice(first, min((starts[-1] + size) * CELL + _REACH, length // CELL * CELL)))
    values, known = blur_features(
        read(*parts),
        noise,
        [starts - part.start // CELL for starts, part in zip(tiles, parts, strict=True)],
        sizes,
    )
    if known.any():
        found[known] = blur_fit().sigma_px(values[known])
    return found


def blur_features(
    plane: np.ndarray, noise: Noise, tiles: list[np.ndarray], sizes: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of the energies of tiles, relative to that of the gradients at a quarter of the
    size, and of the noise.

    Parameters
    ----------
    plane : ndarray
        (y, x) float32, a whole number of cells.
    noise : Noise
    tiles : list of ndarray
        First cell of each tile along y and along x.
    sizes : list of int
        Cells of a tile along y and x.

    Returns
    -------
    (rows, columns, features) float64, and (rows, columns) bool: where enough stands out of the
    noise to be judged.
    """
    missing = ~np.isfinite(plane)
    whole = fill(plane, missing) if missing.any() else plane
    energy = _energies(whole)
    variance = noise.sigma(_cell_means(whole)[..., None])[..., 0].astype(np.float64) ** 2
    floor = _noise_gains()[:, None, None] * variance
    bands = [energy[n] > STANDS_OUT * floor[n] + LEAST_ENERGY for n in BANDS]
    seen = (bands[0] | bands[1]) & (energy[REFERENCE] > STANDS_OUT * floor[REFERENCE])
    if missing.any():
        gaps = _cell_means(missing.astype(np.float32)) > _GAP_SHARE
        seen &= ~ndimage.binary_dilation(gaps, iterations=2)
    energy, floor, seen = (_tiled(each, tiles, sizes) for each in (energy, floor, seen[None]))
    return _of_tiles(energy, floor, seen[0])


def _of_tiles(
    energy: np.ndarray, floor: np.ndarray, seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """From (energies, rows, columns, cells) to the medians over the cells with most contrast."""
    count = seen.sum(axis=-1)
    known = count >= math.ceil(_LEAST_SHARE * seen.shape[-1])
    reference = energy[REFERENCE]
    fewest = math.ceil(_LEAST_SHARE * seen.shape[-1])
    kept = np.where(
        known, np.maximum(np.ceil(STEEPEST * count), np.minimum(fewest, count)), 1
    ).astype(int)
    ranked = -np.sort(-np.where(seen, reference, -1.0), axis=-1)
    least = np.take_along_axis(ranked, kept[..., None] - 1, axis=-1)
    chosen = seen & (reference >= least)
    with np.errstate(all="ignore"):  # of tiles that are not known
        ratios = (energy - floor) / (reference - floor[REFERENCE])
        medians = _medians(np.where(chosen, ratios, np.inf), chosen.sum(axis=-1))
        scale = _medians(np.where(chosen, reference, np.inf)[None], chosen.sum(axis=-1))[0]
        noise = _medians(np.where(chosen, floor, np.inf), chosen.sum(axis=-1)) / scale
        logs = np.log(np.maximum(medians, NOISE_LEFT * noise + _LEAST))
        values = np.concatenate([np.delete(logs, REFERENCE, axis=0), np.log(noise[:1] + 1e-6)])
    return np.moveaxis(values, 0, -1), known


def _medians(values: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Over the last axis, of the `count` smallest values; the lower one of two in the middle."""
    middle = np.broadcast_to(np.maximum(count - 1, 0) // 2, values.shape[:-1])
    found: np.ndarray = np.take_along_axis(np.sort(values, axis=-1), middle[..., None], axis=-1)[
        ..., 0
    ]
    return found


def _tile_starts(blocks: range, cells: int) -> np.ndarray:
    """First cell of the tile around each block, within the image."""
    around = (TILE_CELLS - BLOCK_CELLS) // 2
    return np.clip(np.array(blocks) * BLOCK_CELLS - around, 0, max(cells - TILE_CELLS, 0))


def _tiled(cells: np.ndarray, tiles: list[np.ndarray], sizes: list[int]) -> np.ndarray:
    """(n, y, x) cells to (n, rows, columns, cells of a tile)."""
    views = np.lib.stride_tricks.sliding_window_view(cells, sizes, axis=(1, 2))
    chosen = views[:, tiles[0][:, None], tiles[1][None, :]]
    return chosen.reshape(*chosen.shape[:3], -1)


def _energies(plane: np.ndarray) -> np.ndarray:
    """(2 · levels − 1, y, x) float32 for each cell: of gradients and Laplacians on each level, of
    gradients alone on the last.
    """
    rows, columns = (length // CELL for length in plane.shape)
    level = np.ascontiguousarray(plane[: rows * CELL, : columns * CELL], dtype=np.float32)
    found = []
    for number in range(BLUR_LEVELS):
        energy = np.zeros_like(level)
        np.square(np.subtract(level[1:], level[:-1], out=energy[:-1]), out=energy[:-1])
        across = level[:, 1:] - level[:, :-1]
        energy[:, :-1] += np.square(across, out=across)
        found.append(_cell_means(energy, number)[:rows, :columns])
        if number < BLUR_LEVELS - 1:
            laplacian = np.zeros_like(level)
            inner = laplacian[1:-1, 1:-1]
            np.add(level[1:-1, 2:], level[1:-1, :-2], out=inner)
            inner += level[2:, 1:-1]
            inner += level[:-2, 1:-1]
            inner -= 4 * level[1:-1, 1:-1]
            np.square(inner, out=inner)
            found.append(_cell_means(laplacian, number)[:rows, :columns])
            level = _halved(level)
    return np.stack(found)


def _halved(level: np.ndarray) -> np.ndarray:
    """Every second pixel of the smoothed level; only these are made."""
    along_y = ndimage.correlate1d(level, KERNEL, axis=0, mode="reflect")[::2]
    return np.ascontiguousarray(
        ndimage.correlate1d(along_y, KERNEL, axis=1, mode="reflect")[:, ::2]
    )


def _cell_means(values: np.ndarray, level: int = 0) -> np.ndarray:
    """Mean over each cell of 8 pixels of the image; of a pixel that is larger, itself for each of
    its cells.
    """
    edge = CELL >> level
    if not edge:
        return values.repeat(2, axis=0).repeat(2, axis=1)
    height, width = (length // edge for length in values.shape)
    rows = values[: height * edge, : width * edge].reshape(height, edge, width * edge).sum(axis=1)
    sums: np.ndarray = rows.reshape(height, width, edge).sum(
        axis=2
    )  # numpy is slow along both at once
    return sums / np.float32(edge**2)


@functools.cache
def _noise_gains() -> np.ndarray:
    """What white noise of variance 1 adds to each energy, from the kernels of the pyramid."""
    kernel, found = np.ones(1), []
    for number in range(BLUR_LEVELS):
        step = 2**number
        power = float((kernel**2).sum())
        slope = np.append(kernel, np.zeros(step)) - np.append(np.zeros(step), kernel)
        found.append(2 * float((slope**2).sum()) * power)
        if number < BLUR_LEVELS - 1:
            second = np.zeros(len(kernel) + 2 * step)
            second[: len(kernel)] += kernel
            second[2 * step :] += kernel
            middle = np.zeros_like(second)
            middle[step : step + len(kernel)] = kernel
            second -= 2 * middle
            across = float((second * middle).sum())
            found.append(2 * float((second**2).sum()) * power + 2 * across**2)
            spread = np.zeros(4 * step + 1)
            spread[::step] = KERNEL
            kernel = np.convolve(kernel, spread)
    return np.array(found)
