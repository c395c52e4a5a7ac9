"""M-Deblurgan against U-Net + SR of equal training: same data, steps and seeds for both.

    python benchmarks/unet_sr.py DATA [--steps 2000] [--seeds 3] [--csv TABLE.csv]

Trains a grey ×2 network of either kind for every seed, as `approximation_readings.py` does, and scores the averaged weights
on the middle 256 × 256 pixels of every grey validation image under the Gaussian protocol: gain in PSNR over bicubic enlargement,
mean and spread over the seeds. What is in the table already is not trained again.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))

from approximation_readings import SIGMAS, gain_over_bicubic, held_out

from napari_mdeblurgan.evaluation.complexity import gigaflop_per_megapixel, parameters
from napari_mdeblurgan.network import Generator, Network, UNetSuperResolution
from napari_mdeblurgan.training.degradation import gaussian_protocol
from napari_mdeblurgan.training.loss_config import LossConfig
from napari_mdeblurgan.training.recipe import training_patches
from napari_mdeblurgan.training.schedule import Schedule
from napari_mdeblurgan.training.trainer import Method, Training

NETWORKS: dict[str, Callable[[], Network]] = {
    "M-Deblurgan, width 16": lambda: Generator(1),
    "U-Net + SR, width 32": lambda: UNetSuperResolution(1),
}


def trained(name: str, data: Path, steps: int, seed: int) -> Network:
    """A network of one kind, from nothing; its averaged weights."""
    torch.manual_seed(seed)
    method = Method(averaging=0.99, precision="bfloat16")
    network = NETWORKS[name]()
    distances = 0.1 if isinstance(network, Generator) else 0.0  # a U-Net estimates none
    loss = LossConfig(ssim_share=0.0, distances=distances)
    training = Training(network, Schedule(steps, 2e-3, "cosine", warm_up=100), method, loss)
    for _ in training.run(training_patches(data / "train", 1, seed=seed).batches()):
        pass
    return training.averaged


@torch.no_grad()
def gain(network: Network, images: list[torch.Tensor]) -> float:
    """Mean over images and blurs, in dB."""
    gains = []
    for sharp in images:
        for sigma in SIGMAS:
            low = gaussian_protocol(sharp, sigma)
            gains.append(gain_over_bicubic(network(low), low, sharp))
    return float(np.mean(gains))


def main() -> None:
    """Train, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--csv", type=Path, default=Path("unet-sr.csv"))
    wishes = parser.parse_args()
    images = held_out(wishes.data / "validation" / "grey")
    rows: list[dict[str, str]] = []
    if wishes.csv.exists():
        rows = list(csv.DictReader(wishes.csv.open(newline="")))
    for seed in range(wishes.seeds):
        for name in NETWORKS:
            key = {"network": name, "steps": str(wishes.steps), "seed": str(seed)}
            if any(key.items() <= row.items() for row in rows):
                continue
            start = time.perf_counter()
            rows.append(key | {"gain_db": f"{gain(trained(name, wishes.data, wishes.steps, seed), images):.4f}"})
            print(rows[-1], f"{time.perf_counter() - start:.0f} s", flush=True)
            with wishes.csv.open("w", newline="") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
    print("| network | parameters | GFLOP per MPix of the result | gain over bicubic | seeds |")
    print("| --- | ---: | ---: | ---: | --- |")
    for name, make in NETWORKS.items():
        gains = np.array([float(r["gain_db"]) for r in rows if (r["network"], r["steps"]) == (name, str(wishes.steps))])
        spread = gains.std(ddof=min(1, len(gains) - 1))
        print(
            f"| {name} | {parameters(make()):,} | {gigaflop_per_megapixel(make(), 1, 2):.0f} | "
            f"{gains.mean():+.2f} ± {spread:.2f} dB | {', '.join(f'{each:+.2f}' for each in gains)} |"
        )


if __name__ == "__main__":
    main()
