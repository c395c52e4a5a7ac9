"""What if a result is given back what it lacks of its image? `python benchmarks/back_projection.py
REAL [--sets NAME]`

The result, blurred again by the point-spread function that the trust maps are made with, is taken
from the image, and the rest, enlarged, is added to the result: one step of iterative
back-projection (Irani and Peleg 1991). All of it, all of it after a Gaussian blur, or only what
noise does not explain: around every pixel by the share of its energy that is more than the noise's.

REAL holds the sets of `mdeblurgan evaluate --real`. Gains in PSNR and SSIM over bicubic
enlargement, for images as they are and averaged first as the program advises.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.evaluation.baselines import bicubic
from napari_mdeblurgan.evaluation.real.cases import Case, LeftOut, cases
from napari_mdeblurgan.evaluation.real.scoring import closeness_of
from napari_mdeblurgan.evaluation.real.sets import find_sets
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration.binning import block_means
from napari_mdeblurgan.restoration.plan import make_plan
from napari_mdeblurgan.trust.consistency import local_rms
from napari_mdeblurgan.trust.domain import binning_for
from napari_mdeblurgan.trust.trust_plan import plan_trust

MARGIN = 32


class Way(NamedTuple):
    """How what is lacking is given back: after a blur of `sigma` pixels, by `share`; what noise
    explains is not, if `sifted`.
    """

    name: str
    share: float
    sigma: float = 0.0
    sifted: bool = False


WAYS = (
    Way("as it is", 0),
    Way("half of what is lacking", 0.5),
    Way("all of it", 1),
    Way("blurred, σ = 1 px", 1, 1),
    Way("blurred, σ = 2 px", 1, 2),
    Way("more than noise, blurred, σ = 1 px", 1, 1, True),
    Way("more than noise, blurred, σ = 0.6 px", 1, 0.6, True),
    Way("more than noise", 1, 0, True),
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("real", type=Path)
    parser.add_argument("--sets", nargs="*", default=[])
    parser.add_argument("--models", nargs="+", default=["gray-x2", "rgb-x2"])
    options = parser.parse_args()
    models = {model.card.channels: model for model in map(load_model, options.models)}
    for real in find_sets(options.real, options.sets)[0]:
        gains = defaultdict(list)
        for case in cases(real):
            model = None if isinstance(case, LeftOut) else models.get(3 if case.colour else 1)
            if model is None:
                continue
            plain = closeness_of(case, bicubic(case.image.astype(np.float32)))
            for advised in (False, True):
                for way, result in zip(WAYS, results(case, model, advised=advised), strict=True):
                    close = closeness_of(case, result)
                    gains[advised, way].append(
                        (close.psnr_db - plain.psnr_db, close.ssim - plain.ssim)
                    )
        for (advised, way), found in gains.items():
            psnr, ssim = np.array(found).T
            print(
                f"{real.name:34} {'as advised' if advised else 'its pixels':10} {way.name:38} "
                f"{psnr.mean():+.3f} dB, worst {psnr.min():+.3f}, SSIM {ssim.mean():+.4f}",
                flush=True,
            )


def results(case: Case, model: Model, *, advised: bool) -> list[np.ndarray]:
    """The result of a case in all ways, (y, x) or (y, x, colours) float32."""
    binning = binning_for(case.image, model.card) if advised else 1
    image = block_means(case.image, binning=binning, y=0) if binning > 1 else case.image
    options = {"output_scale": model.card.scale}
    plan, restored = make_plan(image, model.card, **options), restore(image, model, **options)
    estimate = plan_trust(image, restored, plan, model).estimates[0]
    shape = (*image.shape[:2], -1)
    before, noise = image.reshape(shape).astype(np.float32), estimate.examination.noise
    after = np.asarray(restored, np.float32)
    padded = np.pad(
        after.reshape(*after.shape[:2], -1), ((MARGIN,) * 2,) * 2 + ((0, 0),), "symmetric"
    )
    edge = MARGIN // model.card.scale
    lacking = before - estimate.psf.applied(padded)[edge:-edge, edge:-edge]
    rms = local_rms(
        lacking / (noise.sigma(estimate.window.normalise(before)) * estimate.window.span)
    )
    sifted = np.clip(1 - 1 / np.maximum(rms, 1e-6) ** 2, 0, 1)[..., None]
    found = []
    for way in WAYS:
        part = lacking * sifted if way.sifted else lacking
        part = ndimage.gaussian_filter(part, (way.sigma, way.sigma, 0)) if way.sigma else part
        given = [bicubic(part[..., c], model.card.scale) for c in range(part.shape[-1])]
        whole = after + way.share * np.stack(given, axis=-1).reshape(after.shape)
        found.append(whole if binning <= 2 else bicubic(whole, binning // 2))
    return found


if __name__ == "__main__":
    main()
