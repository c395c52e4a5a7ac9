"""What mixed precision costs and saves: float32 against a faster precision, on blurred validation
images.

    python benchmarks/precision.py MODEL FOLDER [--precision bfloat16] [--device auto]

Prints the difference of the two results in percent of the image's intensity window (root mean
square and largest, the worst image of the folder), the PSNR that each reaches on average, and how
long each takes.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.degradation import GAUSSIAN
from napari_mdeblurgan.evaluation.images import find_images
from napari_mdeblurgan.evaluation.metrics import cropped, psnr
from napari_mdeblurgan.evaluation.protocol import BORDER, degraded
from napari_mdeblurgan.restoration.plan import make_plan

CONDITION = GAUSSIAN[1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--device", default="auto")
    wishes = parser.parse_args()
    model = load_model(wishes.model)
    spreads, largest, seconds = [], [], {"float32": 0.0, wishes.precision: 0.0}
    reached: dict[str, list[float]] = {name: [] for name in seconds}
    images, _ = find_images(wishes.folder)
    for image in images:
        if image.colour != (model.card.channels == 3):
            continue
        low, sharp = degraded(image.read(model.card.scale), CONDITION, model.card.scale)
        results = {}
        for name in seconds:
            start = time.perf_counter()
            results[name] = restore(low, model, precision=name, device=wishes.device)
            seconds[name] += time.perf_counter() - start
            reached[name].append(
                psnr(cropped(results[name].clip(0, 1), BORDER), cropped(sharp, BORDER))
            )
        (window,) = make_plan(low, model.card).windows or ()
        difference = np.abs(results[wishes.precision] - results["float32"]) / (
            window.high - window.low
        )
        spreads.append(float(np.sqrt(np.mean(difference**2))))
        largest.append(float(difference.max()))
    print(
        f"{model.card.name}, {len(spreads)} images, {CONDITION.label}, {torch.get_num_threads()} "
        "threads"
    )
    print(
        f"difference, worst image: {max(spreads):.4%} root mean square, {max(largest):.3%} "
        "largest, of the window"
    )
    for name, taken in seconds.items():
        print(f"{name:9} {np.mean(reached[name]):.3f} dB, {taken:.1f} s")


if __name__ == "__main__":
    main()
