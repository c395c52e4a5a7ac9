"""Compare the readings of the optimal approximation module: same data, steps and seeds for each.

    python benchmarks/approximation_readings.py DATA [--steps 600] [--seeds 3] [--csv TABLE.csv]

Trains a grey ×2 network of width 16 for every reading and seed, and scores the averaged weights on
the middle 256 × 256 pixels of every grey validation image under the Gaussian protocol. Prints the
gain in PSNR over bicubic (mean and spread over the seeds; and with noise of a standard deviation of
2 % added to the blurred image), how good the deblurred image and the one passed on are by
themselves, and how often the candidate of the largest weight, or of the smallest estimated
distance, is truly the closest of the three within a neighbourhood of 9 × 9 pixels.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from napari_mdeblurgan.degradation import downsample, gaussian_protocol, quantise
from napari_mdeblurgan.evaluation.baselines import bicubic
from napari_mdeblurgan.evaluation.metrics import cropped, psnr
from napari_mdeblurgan.evaluation.protocol import BORDER
from napari_mdeblurgan.network import Generator
from napari_mdeblurgan.network.approximation import READINGS
from napari_mdeblurgan.training.data.dataset import image_files, read_sharp
from napari_mdeblurgan.training.losses.loss_config import LossConfig
from napari_mdeblurgan.training.optimisers.schedule import Schedule
from napari_mdeblurgan.training.recipe import training_patches
from napari_mdeblurgan.training.trainer import StepMethod, Training

EDGE = 256
SIGMAS = (0.7, 1.2, 2.0)
NOISE = 0.02


def held_out(folder: Path) -> list[torch.Tensor]:
    """The middle of every validation image, (1, 1, 256, 256)."""
    middles = []
    for path in image_files(folder):
        sharp = read_sharp(path)
        y, x = ((length - EDGE) // 2 for length in sharp.shape)
        middles.append(torch.from_numpy(sharp[y : y + EDGE, x : x + EDGE].copy())[None, None])
    return middles


def gain_over_bicubic(output: torch.Tensor, low: torch.Tensor, sharp: torch.Tensor) -> float:
    """In dB, 8 pixels left out on every side; all (1, 1, y, x)."""
    truth = cropped(sharp[0, 0].numpy(), BORDER)
    own, plain = output[0, 0].numpy(), bicubic(low[0, 0].numpy())
    return psnr(cropped(own.clip(0, 1), BORDER), truth) - psnr(
        cropped(plain.clip(0, 1), BORDER), truth
    )


@torch.no_grad()
def scored(network: Generator, images: list[torch.Tensor]) -> dict[str, float]:
    """Means over images and blurs."""
    rows = []
    inner = (..., slice(8, -8), slice(8, -8))
    for sharp in images:
        for sigma in SIGMAS:
            low = gaussian_protocol(sharp, sigma)
            restored = network.explain(low)
            truth = downsample(sharp, 2)
            candidates = torch.cat([low, restored.encoder_decoder, restored.deblurred], dim=1)
            errors = functional.avg_pool2d((candidates - truth).abs(), 9, stride=1, padding=4)[
                inner
            ]
            closest = errors.argmin(dim=1)
            grain = NOISE * torch.randn(low.shape, generator=torch.Generator().manual_seed(0))
            noisy = quantise(low + grain)
            before = (low - truth)[inner].square().mean()
            rows.append(
                {
                    "gain_db": gain_over_bicubic(restored.output, low, sharp),
                    "noisy_gain_db": gain_over_bicubic(network(noisy), noisy, sharp),
                    "deblurred_gain_db": float(
                        10
                        * torch.log10(before / (restored.deblurred - truth)[inner].square().mean())
                    ),
                    "passed_gain_db": float(
                        10
                        * torch.log10(
                            before / (restored.approximated - truth)[inner].square().mean()
                        )
                    ),
                    "by_weight": float(
                        (restored.weights[inner].argmax(dim=1) == closest).float().mean()
                    ),
                    "by_distance": float(
                        (restored.distances[inner].argmin(dim=1) == closest).float().mean()
                    ),
                }
            )
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def main() -> None:
    """Train, score, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--readings", nargs="+", default=list(READINGS), choices=READINGS)
    parser.add_argument("--csv", type=Path)
    wishes = parser.parse_args()
    images = held_out(wishes.data / "validation" / "grey")
    rows: list[dict[str, object]] = []
    for seed in range(wishes.seeds):
        patches = training_patches(wishes.data / "train", 1, seed=seed)
        for reading in wishes.readings:
            torch.manual_seed(seed)
            start = time.perf_counter()
            schedule = Schedule(wishes.steps, 2e-3, "cosine", warm_up=100)
            method = StepMethod(averaging=0.99, precision="bfloat16")
            training = Training(
                Generator(1, approximation=reading), schedule, method, LossConfig(ssim_share=0.0)
            )
            for _ in training.run(patches.batches()):
                pass
            rows.append({"reading": reading, "seed": seed} | scored(training.averaged, images))
            print(rows[-1], f"{time.perf_counter() - start:.0f} s", flush=True)
            if wishes.csv:
                with wishes.csv.open("w", newline="") as file:
                    writer = csv.DictWriter(file, list(rows[0]))
                    writer.writeheader()
                    writer.writerows(rows)
    print(
        "| reading | gain over bicubic | seeds | with noise | deblurred | passed on | closest by "
        "weight | by distance |"
    )
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    for reading in wishes.readings:
        own = [row for row in rows if row["reading"] == reading]
        gain = np.array([row["gain_db"] for row in own], float)
        mean = {
            name: np.mean([row[name] for row in own])
            for name in own[0]
            if name not in ("reading", "seed")
        }
        print(
            f"| {reading} | {gain.mean():+.2f} ± {gain.std(ddof=min(1, len(gain) - 1)):.2f} dB | "
            f"{', '.join(f'{value:+.2f}' for value in gain)} | {mean['noisy_gain_db']:+.2f} dB | "
            f"{mean['deblurred_gain_db']:+.2f} dB | {mean['passed_gain_db']:+.2f} dB | "
            f"{mean['by_weight']:.0%} | {mean['by_distance']:.0%} |"
        )


if __name__ == "__main__":
    main()
