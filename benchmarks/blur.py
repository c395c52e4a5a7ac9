"""The blur that is read off images place by place, fitted and judged: `python benchmarks/blur.py
DATA [--fit]`.

DATA has the subfolders train/ and validation/, each with rgb/ and grey/. Sharp images are reduced
by two and blurred by Gaussians and by defocus (a disk); camera noise, JPEG compression or dirt on
the camera is added. With `--fit` the network is fitted on train/ and written into the package. Then
the estimate is judged on validation/, tile by tile, beside two in closed form: the ratio of
gradients before and after more blur (Zhuo & Sim 2011), and the fall of the power spectrum below
that of natural images, 1/f².
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage, signal

from napari_mdeblurgan.degradation.gaussian_blur import downsample
from napari_mdeblurgan.degradation.processing import after_jpeg
from napari_mdeblurgan.evaluation.images import find_images
from napari_mdeblurgan.trust import blur as measured
from napari_mdeblurgan.trust.noise import Noise, measure_coarse_noise

SIGMAS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0)
CONDITIONS = (
    "clean",
    "noise 1 %",
    "noise 4 %",
    "mosaic 1 %",
    "JPEG 75",
    "JPEG 50",
    "dirt",
    "all three",
)
EDGE = 256
STRONGEST_PX = 8.0
WIDTH, EPOCHS, BATCH = 24, 40, 512


def main() -> None:
    """Fit if that is asked for, and judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--fit", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.fit:
        write_fit(options.data / "train")
        measured.blur_fit.cache_clear()
    judge(options.data / "validation")


# ---- images of known blur


def sharp_images(folder: Path) -> Iterator[np.ndarray]:
    """The middle of each image, mean over the colours, reduced by two: at most 512² pixels."""
    for kind in ("rgb", "grey"):
        for image in find_images(folder / kind)[0]:
            sharp = image.read(2)
            sharp = sharp.mean(axis=-1) if sharp.ndim == 3 else sharp
            height, width = (min(n, 4 * EDGE) // 2 * 2 for n in sharp.shape)
            y, x = (sharp.shape[0] - height) // 2, (sharp.shape[1] - width) // 2
            part = np.ascontiguousarray(sharp[y : y + height, x : x + width], dtype=np.float32)
            yield downsample(torch.from_numpy(part)[None, None], 2)[0, 0].numpy()


def blurred(sharp: np.ndarray, sigma: float, *, defocus: bool) -> np.ndarray:
    """By a Gaussian, or by a disk whose radius is twice its σ."""
    if sigma < 0.05 or (defocus and sigma < 0.4):
        return sharp
    if not defocus:
        return ndimage.gaussian_filter(sharp, sigma, mode="reflect")
    reach, fine = int(np.ceil(2 * sigma)) + 1, 8
    edge = 2 * reach + 1
    at = (np.arange(edge * fine) - (edge * fine - 1) / 2) / fine
    disk = (np.hypot(at[:, None], at[None, :]) <= 2 * sigma).astype(float)
    disk = disk.reshape(edge, fine, edge, fine).mean(axis=(1, 3))
    padded = np.pad(sharp, reach, mode="symmetric")
    return signal.fftconvolve(padded, disk / disk.sum(), mode="valid").astype(np.float32)


def dirty(image: np.ndarray, random: np.random.Generator, specks: int) -> np.ndarray:
    """With sharp specks of 1 to 5 pixels, dark or bright."""
    image = image.copy()
    y, x = np.mgrid[-4:4, -4:4]
    for _ in range(specks):
        row, column = (int(random.integers(4, length - 4)) for length in image.shape)
        distance = np.hypot(y + random.uniform(-0.5, 0.5), x + random.uniform(-0.5, 0.5))
        inside = np.clip(random.uniform(0.4, 2.2) + 0.5 - distance, 0, 1)
        change = -random.uniform(0.2, 0.9) if random.random() < 0.7 else random.uniform(0.5, 2)
        image[row - 4 : row + 4, column - 4 : column + 4] *= 1 + change * inside
    return image


def taken(
    image: np.ndarray,
    random: np.random.Generator,
    noise: float,
    quality: int,
    *,
    mosaic: bool = False,
) -> np.ndarray:
    """As a camera and a file of 8 bits have it; a quality of 0 is no JPEG.

    Where a camera makes colours from a mosaic, the noise of neighbours is not independent.
    """
    grain = random.standard_normal(image.shape, dtype=np.float32)
    image = image + noise * (ndimage.uniform_filter(grain, 2) * 2 if mosaic else grain)
    levels = np.rint(image.clip(0, 1) * 255).astype(np.uint8)
    if quality:
        levels = after_jpeg(levels, quality)
    return levels.astype(np.float32) / 255


def under(
    condition: str, sharp: np.ndarray, sigma: float, random: np.random.Generator
) -> np.ndarray:
    """An image of known blur under one of `CONDITIONS`."""
    image = blurred(sharp, sigma, defocus=bool(random.random() < 0.5))
    if condition in ("dirt", "all three"):
        image = dirty(image, random, image.size // 4000)
    noise = {"noise 1 %": 0.01, "noise 4 %": 0.04, "mosaic 1 %": 0.01, "all three": 0.01}.get(
        condition, 0.0
    )
    quality = {"JPEG 75": 75, "JPEG 50": 50, "all three": 75}.get(condition, 0)
    return taken(image, random, noise, quality, mosaic=condition.startswith("mosaic"))


def prepared(image: np.ndarray) -> tuple[np.ndarray, Noise]:
    """In windows, and the noise."""
    low, high = np.percentile(image, (0.1, 99.9))
    span = max(float(high - low), 1e-3)
    plane = ((image - low) / span).astype(np.float32)
    parts = [plane[y : y + 128, x : x + 128] for y, x in _corners(plane.shape)]
    return plane, measure_coarse_noise(parts, 1 / 255 / span)


def _corners(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    rows, columns = (range(0, max(length - 127, 1), 128) for length in shape)
    return [(y, x) for y in rows for x in columns]


# ---- fitting


def write_fit(folder: Path) -> None:
    """Fit the network on all images but each fifth, which give the error that
    is written beside it.
    """
    torch.manual_seed(0)
    known: dict[bool, list[tuple[np.ndarray, np.ndarray]]] = {False: [], True: []}
    for number, sharp in enumerate(sharp_images(folder)):
        random = np.random.default_rng(number)
        for _ in range(10):
            values, sigma = drawn(sharp, random)
            known[number % 5 == 0].append((values, np.full(len(values), sigma)))
    values, sigma = (np.concatenate(each) for each in zip(*known[False], strict=True))
    mean, spread = values.mean(axis=0), values.std(axis=0)
    network = fitted(
        (np.clip((values - mean) / spread, -4, 4)), np.log(np.hypot(sigma, measured.PIXEL_SIGMA))
    )
    linear = [layer for layer in network if isinstance(layer, torch.nn.Linear)]
    layers = tuple((each.weight.detach().numpy(), each.bias.detach().numpy()) for each in linear)
    fit = measured.BlurFit(mean, spread, layers, 0.0)
    others, true = (np.concatenate(each) for each in zip(*known[True], strict=True))
    error = float(np.median(np.abs(fit.sigma_px(others) - np.minimum(true, measured.LARGEST_PX))))
    print(f"fitted to {len(sigma)} tiles; median |error| on {len(true)} others: {error:.2f} px")
    fields = {
        "made_by": "benchmarks/blur.py --fit",
        "tiles": len(sigma),
        "error_px": round(error, 3),
    }
    fields |= {"mean": _short(mean), "spread": _short(spread)}
    fields["layers"] = [
        [[_short(row) for row in weights], _short(offsets)] for weights, offsets in layers
    ]
    measured.FITTED.write_text(json.dumps(fields) + "\n", encoding="utf-8")


def drawn(sharp: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, float]:
    """Features of the tiles of a part of an image with some blur, and the blur."""
    sigma = float(
        random.uniform(0, 1.5) if random.random() < 0.5 else random.uniform(0, STRONGEST_PX)
    )
    image = blurred(sharp, sigma, defocus=bool(random.random() < 0.4))
    y, x = (int(random.integers(0, max(length - EDGE, 0) + 1)) for length in image.shape)
    image = image[y : y + EDGE, x : x + EDGE]
    if random.random() < 0.4:
        image = dirty(image, random, int(random.integers(0, 25)))
    if random.random() < 0.3:
        image = image * np.float32(random.uniform(0.3, 1))
    noise = float(random.choice((0, 0.003, 0.01, 0.02, 0.04)))
    quality = int(random.integers(50, 97)) if random.random() < 0.35 else 0
    image = taken(image, random, noise, quality, mosaic=bool(random.random() < 0.25))
    plane, found = prepared(image)
    cells = [length // measured.CELL for length in plane.shape]
    sizes = [min(measured.TILE_CELLS, length) for length in cells]
    starts = [np.arange(0, max(length - measured.TILE_CELLS, 0) + 1, 6) for length in cells]
    if min(cells) < measured.FEWEST_CELLS:
        return np.zeros((0, 2 * measured.BLUR_LEVELS - 1)), sigma
    values, known = measured.blur_features(
        plane[: cells[0] * measured.CELL, : cells[1] * measured.CELL], found, starts, sizes
    )
    return values[known], sigma


def fitted(values: np.ndarray, target: np.ndarray) -> torch.nn.Sequential:
    """A small network with the least absolute error."""
    count = values.shape[1]
    network = torch.nn.Sequential(
        torch.nn.Linear(count, WIDTH),
        torch.nn.Tanh(),
        torch.nn.Linear(WIDTH, WIDTH),
        torch.nn.Tanh(),
        torch.nn.Linear(WIDTH, 1),
    )
    x, y = torch.from_numpy(values.astype(np.float32)), torch.from_numpy(target.astype(np.float32))
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS * (len(x) // BATCH))
    for _ in range(EPOCHS):
        order = torch.randperm(len(x))
        for first in range(0, len(x) - BATCH + 1, BATCH):
            at = order[first : first + BATCH]
            loss = (network(x[at])[:, 0] - y[at]).abs().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return network


def _short(values: np.ndarray) -> list[float]:
    return [round(float(value), 4) for value in values]


# ---- judging


def judge(folder: Path) -> None:
    """Print, for each condition and true blur, the median of the estimates over all tiles and the
    error.
    """
    images = list(sharp_images(folder))
    ways = {"fitted": measured.local_blur, "gradient ratio": ratio_blur, "spectrum": spectrum_blur}
    for condition in CONDITIONS:
        found: dict[str, dict[float, np.ndarray]] = {name: {} for name in ways}
        unknown = []
        for sigma in SIGMAS:
            estimates: dict[str, list[np.ndarray]] = {name: [] for name in ways}
            for number, sharp in enumerate(images):
                random = np.random.default_rng((number, round(10 * sigma)))
                plane, noise = prepared(under(condition, sharp, sigma, random))
                known = np.isfinite(measured.local_blur(plane, noise))
                unknown.append(1 - known.mean())
                for name, way in ways.items():
                    estimates[name].append(way(plane, noise)[known])
            for name, each in estimates.items():
                found[name][sigma] = np.concatenate(each)
        print(f"\n{condition}: {np.mean(unknown):.0%} of the blocks cannot be judged")
        print(
            f"  {'true σ [px]':16}"
            + "".join(f"{sigma:>12g}" for sigma in SIGMAS)
            + "   median |error|"
        )
        for name, by_sigma in found.items():
            middles = [
                "{:.1f} ({:.1f}–{:.1f})".format(*np.nanquantile(v, (0.5, 0.1, 0.9)))
                for v in by_sigma.values()
            ]
            error = np.nanmedian(
                np.concatenate([np.abs(values - sigma) for sigma, values in by_sigma.items()])
            )
            print(f"  {name:16}" + "".join(f"{text:>14}" for text in middles) + f"{error:10.2f}")


def ratio_blur(plane: np.ndarray, noise: Noise) -> np.ndarray:
    """Zhuo & Sim 2011: at the steepest twentieth of a tile, the median ratio of gradients before
    and after a blur of 1 pixel.
    """
    before, after = (
        ndimage.gaussian_gradient_magnitude(plane, scale) for scale in (0.7, np.hypot(0.7, 1.0))
    )
    found = np.full([-(-n // measured.BLOCK) for n in plane.shape], np.nan)
    for block, tile in _tiles(plane.shape):
        steep = before[tile] >= np.quantile(before[tile], 0.95)
        ratio = max(
            float(np.median(before[tile][steep] / np.maximum(after[tile][steep], 1e-6))), 1.0001
        )
        found[block] = min(np.sqrt(max(1 / (ratio**2 - 1) - 0.7**2, 0.0)), measured.LARGEST_PX)
    return found


def spectrum_blur(plane: np.ndarray, noise: Noise) -> np.ndarray:
    """Power of a tile = amplitude / f² · exp(-4 π² σ² f²) + noise, by least squares of the
    logarithm where signal is left.
    """
    found = np.full([-(-n // measured.BLOCK) for n in plane.shape], np.nan)
    for block, tile in _tiles(plane.shape):
        part = plane[tile]
        taper = np.multiply.outer(*(np.hanning(n) for n in part.shape))
        power = np.abs(np.fft.fft2((part - part.mean()) * taper)) ** 2 / (taper**2).sum()
        frequency = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n) for n in part.shape), indexing="ij"))
        ring = np.rint(frequency * 64).astype(int)
        mean = np.bincount(ring.ravel(), power.ravel()) / np.maximum(np.bincount(ring.ravel()), 1)
        at = np.arange(2, 32)
        variance = noise.typical**2
        at = at[mean[at] > 2 * variance]
        if len(at) < 3:
            found[block] = measured.LARGEST_PX
            continue
        f = at / 64
        system = np.stack([np.ones(len(at)), -4 * np.pi**2 * f**2], axis=1)
        slope = np.linalg.lstsq(system, np.log(mean[at] - variance) + 2 * np.log(f), rcond=None)[0][
            1
        ]
        found[block] = min(np.sqrt(max(slope, 0.0)), measured.LARGEST_PX)
    return found


def _tiles(shape: tuple[int, ...]) -> Iterator[tuple[tuple[int, int], tuple[slice, slice]]]:
    """Each block and the tile around it."""
    for block in np.ndindex(*(-(-n // measured.BLOCK) for n in shape)):
        starts = [
            max(min(b * measured.BLOCK - 16, n // 8 * 8 - 64), 0)
            for b, n in zip(block, shape, strict=True)
        ]
        yield (
            (block[0], block[1]),
            (slice(starts[0], starts[0] + 64), slice(starts[1], starts[1] + 64)),
        )


if __name__ == "__main__":
    main()
