"""What helps against strong blur? `python benchmarks/strong_blur.py VALIDATION --model X2 [--strong
OTHER]`.

VALIDATION holds sharp images, grey or colour as the models are. Each is reduced by two and blurred
under the Gaussian, the physical and the strong protocol. Printed is the gain in PSNR over bicubic
enlargement, mean over the images and the worst, of the ×2 model; of the same on the image averaged
2 × 2 or 4 × 4 before, its result enlarged as often, bicubically; and of a model that learned strong
blur, if one is given.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.degradation import GAUSSIAN, PHYSICAL, STRONG
from napari_mdeblurgan.evaluation.baselines import bicubic
from napari_mdeblurgan.evaluation.protocol import evaluate_functions
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration.binning import binned


def by(model: Model, binning: int = 1) -> Any:
    """The restoration by a model without softness, float32 in the windows of the image."""

    def restored(image: np.ndarray, _: Any) -> np.ndarray:
        if binning == 1:
            return np.asarray(restore(image, model, window=(0, 1), softness=0))
        smaller = np.asarray(binned(image, binning, rgb=image.ndim == 3), np.float32)
        result = np.asarray(restore(smaller, model, window=(0, 1), softness=0), np.float32)
        large = bicubic(result, binning)
        lacking = [(0, 2 * n - m) for n, m in zip(image.shape, large.shape, strict=True)][:2]
        return np.pad(large, lacking + [(0, 0)] * (image.ndim - 2), mode="edge")

    return restored


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("validation", type=Path)
    parser.add_argument("--model", default="gray-x2")
    parser.add_argument("--strong")
    wishes = parser.parse_args()
    model = load_model(wishes.model)
    ways = {
        "bicubic": lambda image, _: bicubic(image, 2),
        wishes.model: by(model),
        f"{wishes.model}, averaged 2 × 2 first": by(model, 2),
        f"{wishes.model}, averaged 4 × 4 first": by(model, 4),
    }
    if wishes.strong:
        ways[wishes.strong] = by(load_model(wishes.strong))
    found: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for score in evaluate_functions(wishes.validation, ways, (*GAUSSIAN, *PHYSICAL, *STRONG)):
        found[score.image, score.condition][score.method] = score.psnr_db
    for name in list(ways)[1:]:
        print(name)
        for condition in dict.fromkeys(condition for _, condition in found):
            gains = [
                (each[name] - each["bicubic"], image)
                for (image, of), each in found.items()
                if of == condition
            ]
            worst, image = min(gains)
            mean = np.mean([gain for gain, _ in gains])
            print(f"    {condition}: {mean:+.2f} dB, worst {worst:+.2f} dB ({image})", flush=True)


if __name__ == "__main__":
    main()
