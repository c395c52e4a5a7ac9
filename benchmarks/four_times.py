"""Does a ×4 model beat the ×2 one? `python benchmarks/four_times.py VALIDATION --model X4 [--twice
gray-x2]`.

VALIDATION holds sharp images, grey or colour as the models are. Each is reduced by four and blurred
under the Gaussian protocol. Printed is the gain in PSNR and SSIM over bicubic enlargement by four,
mean over images and blurs and the worst, of the ×4 model and of the ×2 model whose result is
enlarged by two, bicubically.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.evaluation.baselines import bicubic
from napari_mdeblurgan.evaluation.protocol import evaluate_functions
from napari_mdeblurgan.model import Model


def by(model: Model) -> Any:
    """The restoration by a model without softness, float32 in the windows of the image."""

    def restored(image: np.ndarray, _: Any) -> np.ndarray:
        result = restore(image, model, window=(0, 1), softness=0, precision="float32")
        left = 4 // model.card.scale
        return np.asarray(result) if left == 1 else bicubic(np.asarray(result, np.float32), left)

    return restored


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("validation", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--twice", default="gray-x2")
    wishes = parser.parse_args()
    ways = {
        "bicubic": lambda image, _: bicubic(image, 4),
        "×4": by(load_model(wishes.model)),
        "×2, then bicubic": by(load_model(wishes.twice)),
    }
    found: dict[tuple[str, str], dict[str, tuple[float, float]]] = defaultdict(dict)
    for score in evaluate_functions(wishes.validation, ways, scale=4):
        found[score.image, score.condition][score.method] = score.psnr_db, score.ssim
    for name in list(ways)[1:]:
        gains = np.array([np.subtract(each[name], each["bicubic"]) for each in found.values()])
        psnr, ssim = gains.mean(axis=0)
        print(
            f"{name}: {psnr:+.2f} dB, SSIM {ssim:+.4f}, worst {gains[:, 0].min():+.2f} dB, "
            f"{len(gains)} results"
        )
        for condition in dict.fromkeys(condition for _, condition in found):
            chosen = [
                gain[0] for key, gain in zip(found, gains, strict=True) if key[1] == condition
            ]
            print(f"    {condition}: {np.mean(chosen):+.2f} dB")


if __name__ == "__main__":
    main()
