"""Train one of the bundled models on the processor, in the background and in as many sittings as it takes.

    python scripts/train_bundled.py {rgb,grey} DATA RUN [--steps 11500] [--start MODEL] [--threads 1]

DATA has the subfolders train/rgb, train/grey, validation/rgb and validation/grey. RUN/checkpoint.safetensors is written every
250 steps and gone on from; at the end RUN/MODEL.safetensors is the averaged network with its card and its scores under the
Gaussian protocol. `--start` takes a grey model as the start of a colour one, or a model of the same kind.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

from napari_mdeblurgan.evaluation.baselines import bicubic
from napari_mdeblurgan.evaluation.protocol import evaluate
from napari_mdeblurgan.model import Model, load_model, save_model
from napari_mdeblurgan.network import Generator
from napari_mdeblurgan.restoration.engine import restore
from napari_mdeblurgan.training.recipe import WIDTH, card_for, colour_network_from_grey, training_patches
from napari_mdeblurgan.training.trainer import Schedule, Training

SAVE_EVERY = 250


def first_network(channels: int, start: str | None) -> Generator:
    """Untrained, or what training starts from."""
    torch.manual_seed(0)
    if start is None:
        return Generator(channels, width=WIDTH)
    network = load_model(start).network
    return (network if network.channels == channels else colour_network_from_grey(network)).requires_grad_(True)


def scores(network: Generator, folder: Path) -> dict[str, float]:
    """Mean PSNR and SSIM, and their gain over bicubic, under the Gaussian protocol."""
    model = Model(card_for(network, {}), network)
    methods = {"bicubic": lambda image, _: bicubic(image), "model": lambda image, _: restore(image, model)}
    found = defaultdict(list)
    for score in evaluate(folder, methods):
        found[score.method].append((score.psnr_db, score.ssim))
    own, plain = (np.mean(found[name], axis=0) for name in ("model", "bicubic"))
    return {
        "gaussian_psnr_db": round(float(own[0]), 2),
        "gaussian_ssim": round(float(own[1]), 4),
        "gaussian_psnr_gain_over_bicubic_db": round(float(own[0] - plain[0]), 2),
        "gaussian_ssim_gain_over_bicubic": round(float(own[1] - plain[1]), 4),
    }


def main() -> None:
    """Train, evaluate, write the model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["rgb", "grey"])
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--steps", type=int, default=11_500)
    parser.add_argument("--start")
    parser.add_argument("--threads", type=int, default=1)
    wishes = parser.parse_args()
    torch.set_num_threads(wishes.threads)
    wishes.run.mkdir(parents=True, exist_ok=True)
    checkpoint = wishes.run / "checkpoint.safetensors"
    channels = 3 if wishes.kind == "rgb" else 1
    schedule = Schedule(wishes.steps, learning_rate=2e-3, averaging=0.999, bfloat16=True)
    training = Training(first_network(channels, wishes.start), schedule)
    if checkpoint.exists():
        training.resume(checkpoint)
    patches = training_patches(wishes.data / "train", channels)
    start, total = time.perf_counter(), 0.0
    for terms in training.run(patches.batches(training.step)):
        total += terms["output"]
        if training.step % SAVE_EVERY == 0 or training.step == wishes.steps:
            training.save(checkpoint)
            seconds = time.perf_counter() - start
            print(f"step {training.step}, {seconds:.0f} s, log mean squared error {total / SAVE_EVERY:.3f}", flush=True)
            total = 0.0
    network = training.averaged
    card = card_for(network, scores(network, wishes.data / "validation" / wishes.kind))
    print(save_model(network, card, wishes.run / f"{card.name}.safetensors"))


if __name__ == "__main__":
    main()
