"""How much could be gained at most? `python benchmarks/ceiling.py --validation SHARP` or `--real
REAL`.

Oracles, which know what nobody knows of an image of their own, beside what a model gains over
bicubic enlargement, in PSNR.

SHARP holds sharp images, grey or colour as the model is: under the strong protocol, a Wiener filter
is told the true point-spread function and the power spectrum of the very truth, ring by ring, and
takes the noise level that is best of many. It is the best linear filter that treats all directions
alike.

REAL holds the sets of `mdeblurgan evaluate --real`: of each image's restoration the correction to
bicubic enlargement is divided into five bands of detail, and each gets the weight that is best by
the truth; the same is done to the bands of the enlarged image itself, which is any smooth filter,
and to both together.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import fft, ndimage

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.degradation import STRONG, Condition
from napari_mdeblurgan.evaluation.baselines import bicubic
from napari_mdeblurgan.evaluation.images import find_images
from napari_mdeblurgan.evaluation.metrics import cropped, psnr
from napari_mdeblurgan.evaluation.protocol import BORDER, degraded
from napari_mdeblurgan.evaluation.real.cases import Case, LeftOut, cases
from napari_mdeblurgan.evaluation.real.measures import linearly_fitted, psnr_where
from napari_mdeblurgan.evaluation.real.sets import find_sets
from napari_mdeblurgan.model import Model

SCALE = 2
NOISE = np.geomspace(1e-8, 1e-2, 19)  # variances, of intensities in [0, 1]
RINGS = 400  # for a cycle in a pixel
MARGIN = 64
BANDS_PX = 0.7, 1.4, 2.8, 5.6  # standard deviations between the five bands


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--validation", type=Path)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--model", default="rgb-x2")
    options = parser.parse_args()
    model = load_model(options.model)
    if options.validation:
        print_wiener(options.validation, model)
    if options.real:
        print_bands(options.real, model)


def print_wiener(folder: Path, model: Model) -> None:
    """Gains by condition, mean over the images: of the model, and of the filter."""
    for condition in STRONG:
        own, oracle = [], []
        for image in find_images(folder)[0]:
            if image.colour != (model.card.channels == 3):
                continue
            low, truth = degraded(image.read(SCALE), condition, SCALE)
            large = np.clip(bicubic(low, SCALE), 0, 1)
            result = np.clip(restore(low, model, window=(0, 1), softness=0), 0, 1)
            filtered = (np.clip(each, 0, 1) for each in wiener(large, truth, condition))
            before, after, *told = (_psnr(each, truth) for each in (large, result, *filtered))
            own.append(after - before)
            oracle.append(np.array(told) - before)
        best = np.mean(oracle, axis=0).max()
        print(
            f"{condition.label}: {model.card.name} {np.mean(own):+.2f} dB, Wiener filter that is "
            f"told the truth's spectrum {best:+.2f} dB ({len(own)} images)",
            flush=True,
        )


def _psnr(result: np.ndarray, truth: np.ndarray) -> float:
    return psnr(cropped(result.astype(np.float32), BORDER), cropped(truth, BORDER))


def wiener(blurred: np.ndarray, truth: np.ndarray, condition: Condition) -> Iterator[np.ndarray]:
    """The filter's results for each of the noise levels, (y, x) or (y, x, colours)."""
    optics, sigma = condition.optics, condition.sigma  # one of them
    fine_optics = optics and replace(optics, pixel_size_um=optics.pixel_size_um / SCALE)
    psf = replace(condition, sigma=sigma and SCALE * sigma, optics=fine_optics).psf(1)
    planes = [_Plane(*pair, psf) for pair in zip(_planes(blurred), _planes(truth), strict=True)]
    for noise in NOISE:
        yield np.stack([plane.filtered(noise) for plane in planes], -1).reshape(truth.shape)


class _Plane:
    """One colour, mirrored at its edges, and all that the filter is told of it."""

    def __init__(self, blurred: np.ndarray, truth: np.ndarray, psf: np.ndarray) -> None:
        self._mean = float(blurred.mean())
        image, sharp = (
            np.pad(each - self._mean, MARGIN, mode="symmetric") for each in (blurred, truth)
        )
        kernel = np.zeros(image.shape)
        kernel[: len(psf), : len(psf)] = psf
        self._transfer = fft.rfft2(np.roll(kernel, (-(len(psf) // 2),) * 2, (0, 1)))
        self._image, self._shape = fft.rfft2(image), image.shape
        y, x = fft.fftfreq(image.shape[0])[:, None], fft.rfftfreq(image.shape[1])[None]
        ring = (np.hypot(y, x) * RINGS).astype(int)
        power = np.abs(fft.rfft2(sharp)) ** 2 / sharp.size
        counts = np.bincount(ring.ravel())
        self._power = (np.bincount(ring.ravel(), power.ravel()) / np.maximum(counts, 1))[ring]

    def filtered(self, noise: float) -> np.ndarray:
        """The best linear estimate of the truth at that variance of the noise."""
        weights = (
            self._transfer.conj()
            * self._power
            / (np.abs(self._transfer) ** 2 * self._power + SCALE**2 * noise)
        )
        result = fft.irfft2(self._image * weights, self._shape)
        return np.asarray(result[MARGIN:-MARGIN, MARGIN:-MARGIN] + self._mean)


def _planes(image: np.ndarray) -> np.ndarray:
    return np.moveaxis(np.atleast_3d(image), -1, 0).astype(np.float64)


def print_bands(folder: Path, model: Model) -> None:
    """Gains by set, mean over the images: of the model, and with the weights that are best."""
    gains: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for real in find_sets(folder)[0]:
        for case in cases(real):
            if isinstance(case, LeftOut) or case.colour != (model.card.channels == 3):
                continue
            if len(case.truth) == SCALE * len(case.image):
                gains[real.name].append(band_gains(case, model))
    for name, each in gains.items():
        own, corrected, filtered, both = np.mean(each, axis=0)
        print(
            f"{name}, {len(each)} images: {model.card.name} {own:+.2f} dB; best weights for its "
            f"corrections {corrected:+.2f} dB, for the image's own bands {filtered:+.2f} dB, for "
            f"both {both:+.2f} dB",
            flush=True,
        )


def band_gains(case: Case, model: Model) -> tuple[float, ...]:
    """Of the restoration, of its weighted corrections, of the weighted image, and of both."""
    large = bicubic(case.image.astype(np.float32) / case.peak, SCALE) * case.peak
    result = np.asarray(restore(case.image, model), np.float32)
    own, image = _bands(result - large), _bands(large)

    def gain(parts: list[np.ndarray]) -> float:
        seen = np.stack([_centred(part, case) for part in (large, *parts)], axis=1)
        weights = np.linalg.lstsq(seen, _centred(case.truth, case), rcond=None)[0]
        made = sum(w * part for w, part in zip(weights, (large, *parts), strict=True))
        return _psnr_fitted(np.asarray(made), case) - before

    before = _psnr_fitted(large, case)
    return (
        _psnr_fitted(result, case) - before,
        gain(own),
        gain(image[:-1]),
        gain([*own, *image[:-1]]),
    )


def _bands(image: np.ndarray) -> list[np.ndarray]:
    """What sets the image and its averages apart, from fine to coarse, and the last of these."""
    found = []
    for sigma in BANDS_PX:
        mean = ndimage.gaussian_filter(image, (sigma, sigma, *(0 for _ in image.shape[2:])))
        found.append(image - mean)
        image = mean
    return [*found, image]


def _centred(image: np.ndarray, case: Case) -> np.ndarray:
    """What is judged, each colour less its mean, in one line."""
    seen = image[case.judged].astype(np.float64)
    return np.ravel(seen - seen.mean(axis=0))


def _psnr_fitted(result: np.ndarray, case: Case) -> float:
    return psnr_where(
        linearly_fitted(result, case.truth, case.judged), case.truth, case.judged, case.peak
    )


if __name__ == "__main__":
    main()
