"""How to restore at the image's own pixels? `python benchmarks/same_pixels.py DATA [--real
FOLDER]`.

DATA has the subfolders rgb/ and grey/ of sharp images. Every sixth is reduced by two and blurred
under the Gaussian protocol; the truth is the sharp image averaged over 2 × 2 pixels. Printed is the
gain in PSNR over the blurred image, mean and worst image, of the model's result averaged back to
those pixels, of the image that the approximation module passes on, and of the deblurred candidate.
FOLDER has images of a microscope with a truth of as many pixels, see `docs/evaluation.md`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from napari_mdeblurgan import load_model
from napari_mdeblurgan.degradation import gaussian_protocol
from napari_mdeblurgan.evaluation.images import find_images
from napari_mdeblurgan.evaluation.metrics import cropped, psnr
from napari_mdeblurgan.evaluation.real.cases import Case, cases
from napari_mdeblurgan.evaluation.real.measures import closeness
from napari_mdeblurgan.evaluation.real.sets import find_sets
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration.binning import block_means
from napari_mdeblurgan.restoration.plan import make_plan
from napari_mdeblurgan.restoration.tiling import TILE_BORDER as FRAME

EVERY, EDGE, BORDER = 6, 1024, 8
SIGMAS = (0.7, 1.2, 2.0)


def ways(blurred: np.ndarray, model: Model) -> dict[str, np.ndarray]:
    """(y, x, channels) float32 in windows, y and x multiples of 8, by each way."""
    image = torch.from_numpy(np.ascontiguousarray(blurred.transpose(2, 0, 1)))[None]
    with torch.inference_mode():
        made = model.network.explain(image)
    found = {
        "averaged back": made.output,
        "passed on": made.approximated,
        "deblurred": made.deblurred,
    }
    arrays = {name: values[0].numpy().transpose(1, 2, 0) for name, values in found.items()}
    return arrays | {
        "averaged back": block_means(arrays["averaged back"], binning=model.card.scale, y=0)
    }


def simulated(folder: Path, model: Model, sigma: float) -> dict[str, list[float]]:
    """Gains over the blurred image in dB, one for each sharp image."""
    gains: dict[str, list[float]] = {}
    colour = model.card.channels == 3
    for image in find_images(folder / ("rgb" if colour else "grey"))[0][::EVERY]:
        if image.colour != colour:
            continue
        sharp = np.atleast_3d(image.read(8 * model.card.scale))
        corner = [max(0, (length - EDGE) // 32 * 16) for length in sharp.shape[:2]]
        sharp = sharp[corner[0] : corner[0] + EDGE, corner[1] : corner[1] + EDGE]
        planes = torch.from_numpy(np.ascontiguousarray(sharp.transpose(2, 0, 1)))[None]
        blurred = gaussian_protocol(planes, sigma, model.card.scale)[0].numpy().transpose(1, 2, 0)
        truth = cropped(block_means(sharp, binning=model.card.scale, y=0), BORDER)
        before = psnr(cropped(blurred, BORDER), truth)
        for name, result in ways(blurred, model).items():
            gains.setdefault(name, []).append(
                psnr(cropped(result.clip(0, 1), BORDER), truth) - before
            )
    return gains


def real(case: Case, model: Model) -> dict[str, float]:
    """Gains over an image of a microscope in dB."""
    (window,) = make_plan(case.image, model.card).windows or ()
    values = window.normalise(case.image)
    height, width = values.shape[:2]
    pads = [(FRAME, FRAME + (-(length + 2 * FRAME)) % 8) for length in (height, width)]
    framed = np.pad(np.atleast_3d(values), [*pads, (0, 0)], mode="reflect").astype(np.float32)
    before = closeness(values, case.truth, case.judged, case.peak).psnr_db
    return {
        name: closeness(
            result[FRAME : FRAME + height, FRAME : FRAME + width].reshape(values.shape),
            case.truth,
            case.judged,
            case.peak,
        ).psnr_db
        - before
        for name, result in ways(framed, model).items()
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--models", nargs="+", default=["gray-x2", "rgb-x2"])
    wishes = parser.parse_args()
    models = [load_model(name) for name in wishes.models]
    for model in models:
        for sigma in SIGMAS:
            for name, gains in simulated(wishes.data, model, sigma).items():
                mean, worst = np.mean(gains), min(gains)
                print(
                    f"{model.card.name}, σ {sigma:g} px, {len(gains)} images, {name}: {mean:+.2f} "
                    f"dB ({worst:+.2f})"
                )
    for found in find_sets(wishes.real)[0] if wishes.real else ():
        for case in cases(found):
            for model in (
                models if isinstance(case, Case) and case.truth.shape == case.image.shape else ()
            ):
                if (model.card.channels == 3) == case.colour:
                    for name, gain in real(case, model).items():
                        print(
                            f"{model.card.name}, {found.name}, {case.name}, {name}: {gain:+.2f} dB"
                        )


if __name__ == "__main__":
    main()
