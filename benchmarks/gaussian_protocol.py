"""Score a bundled or user model under the Gaussian protocol, beside bicubic and Richardson-Lucy told the true blur.

    python benchmarks/gaussian_protocol.py MODEL FOLDER [--csv SCORES.csv] [--no-richardson-lucy] [--precision float32]

Prints a table of the mean gains over bicubic and every image that came out worse than bicubic. MODEL is a name or a
.safetensors file; FOLDER holds sharp images of the model's kind.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
from collections import defaultdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.evaluation.baselines import bicubic, richardson_lucy_bicubic
from napari_mdeblurgan.evaluation.protocol import SIGMAS, Method, Score, evaluate


def gains(scores: list[Score], method: str, sigma: float | None, measure: str) -> np.ndarray:
    """Gain of a method over bicubic for every image (and blur, if `sigma` is None)."""
    values = {(s.method, s.image, s.sigma): getattr(s, measure) for s in scores}
    keys = [(image, blur) for name, image, blur in values if name == method and sigma in (None, blur)]
    return np.array([values[(method, *key)] - values[("bicubic", *key)] for key in keys])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--no-richardson-lucy", action="store_true")
    wishes = parser.parse_args()
    model = load_model(wishes.model)
    methods: dict[str, Method] = {"bicubic": lambda image, _: bicubic(image, model.card.scale)}
    if not wishes.no_richardson_lucy:
        methods["Richardson-Lucy, true blur"] = lambda image, sigma: richardson_lucy_bicubic(
            image, sigma, model.card.scale
        )
    methods[model.card.name] = lambda image, _: restore(image, model, precision=wishes.precision)
    scores = list(tqdm(evaluate(wishes.folder, methods, scale=model.card.scale), unit=" scores", disable=None))
    if wishes.csv:
        with wishes.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(Score)])
            writer.writeheader()
            writer.writerows(dataclasses.asdict(score) for score in scores)
    blurs = [*SIGMAS, None]
    print("| gain over bicubic | " + " | ".join(f"σ = {blur}" if blur else "mean" for blur in blurs) + " | worst |")
    print("| --- |" + " ---: |" * (len(blurs) + 1))
    for method in methods:
        if method == "bicubic":
            continue
        db = [f"{gains(scores, method, blur, 'psnr_db').mean():+.2f} dB" for blur in blurs]
        print(f"| {method}, PSNR | {' | '.join(db)} | {gains(scores, method, None, 'psnr_db').min():+.2f} dB |")
        similarity = [f"{gains(scores, method, blur, 'ssim').mean():+.3f}" for blur in blurs]
        print(f"| {method}, SSIM | {' | '.join(similarity)} | {gains(scores, method, None, 'ssim').min():+.3f} |")
    values: dict[str, dict[str, float]] = defaultdict(dict)
    for score in scores:
        values[f"{score.image} at σ = {score.sigma}"][score.method] = score.psnr_db
    for place, row in values.items():
        if row[model.card.name] < row["bicubic"]:
            print(f"worse than bicubic: {place}: {row[model.card.name]:.2f} against {row['bicubic']:.2f} dB")


if __name__ == "__main__":
    main()
