"""How much of a training step is spent waiting for data, and how fast patches are drawn.

    python benchmarks/loader.py DATA [--channels 1] [--steps 20] [--threads 1] [--workers 1]
    [--depth 4] [--width 16] [--batch 8]

DATA is a folder of sharp images. Trains a fresh network for some steps in bfloat16, first with
every batch drawn when needed, then with batches drawn ahead by a thread or, if there are several
workers, by processes, and prints the share of the time in which the network waited. Before that:
milliseconds for the crops of a batch, for a whole batch, and batches per second of one and of more
workers without a network. The load of the machine stands beside the figures, for they depend on it.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from napari_mdeblurgan.network import Generator
from napari_mdeblurgan.training.data.dataset import Patches, PatchSampler, open_folder
from napari_mdeblurgan.training.data.loader import prefetched
from napari_mdeblurgan.training.losses.terms import pixel_loss

WARM_UP = 3


def waiting(network: Generator, batches: Iterator[Patches], steps: int) -> tuple[float, float]:
    """Seconds of a step, and the share of them spent waiting for a batch."""
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
    waited, start = 0.0, time.perf_counter()
    for step in range(-WARM_UP, steps):
        if step == 0:
            waited, start = 0.0, time.perf_counter()
        asked = time.perf_counter()
        patches = next(batches)
        waited += time.perf_counter() - asked
        with torch.autocast("cpu", torch.bfloat16):
            restored = network.explain(patches.blurred)
        loss = torch.stack(
            list(pixel_loss(restored, patches.sharp_low, patches.sharp).values())
        ).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    total = time.perf_counter() - start
    return total / steps, waited / total


def rate(sampler: PatchSampler, steps: int, workers: int, depth: int) -> float:
    """Batches per second that workers draw when nothing else is done."""
    batches = prefetched(sampler.batches(1000), max(depth, 2 * workers), workers)
    for _ in range(30 * workers):  # processes take some seconds to start, and have read nothing yet
        next(batches)
    start = time.perf_counter()
    for _ in itertools.islice(batches, steps):
        pass
    return steps / (time.perf_counter() - start)


def crop_ms(sampler: PatchSampler, steps: int) -> float:
    """Milliseconds of one core for the crops of a batch, nothing done to them."""
    edge = (sampler.size + 2 * sampler.mixture.margin) * sampler.scale
    start = time.thread_time()
    for number, place in itertools.product(range(steps), range(sampler.batch)):
        sampler._crop(np.random.default_rng((sampler.seed, number, place)), edge)
    return (time.thread_time() - start) / steps * 1e3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--channels", type=int, default=1, choices=[1, 3])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--batch", type=int, default=8)
    wishes = parser.parse_args()
    torch.set_num_threads(wishes.threads)
    start = time.thread_time()
    folder = open_folder(wishes.data, wishes.channels)
    sampler = PatchSampler(folder.training, batch=wishes.batch)
    files = {image.path for source in folder.training for image in source.images}
    print(
        f"{len(files)} files opened in {time.thread_time() - start:.1f} s of one core, "
        f"{len(folder.skipped)} skipped"
    )
    crop_ms(sampler, wishes.steps)
    print(
        f"crops of a batch of {wishes.batch}: {crop_ms(sampler, wishes.steps):.1f} ms of one core"
    )
    drawn = time.thread_time()
    for _ in itertools.islice(sampler.batches(), wishes.steps):
        pass
    print(f"a whole batch: {(time.thread_time() - drawn) / wishes.steps * 1e3:.1f} ms of one core")
    for workers in sorted({1, 2, wishes.workers}):
        print(
            f"{workers} workers draw {rate(sampler, wishes.steps, workers, wishes.depth):.1f} "
            "batches per second"
        )
    torch.manual_seed(0)
    network = Generator(wishes.channels, width=wishes.width)
    for name in ("drawn when needed", "drawn ahead"):
        plain = sampler.batches()
        batches = (
            plain
            if name == "drawn when needed"
            else prefetched(plain, wishes.depth, wishes.workers)
        )
        seconds, share = waiting(network, batches, wishes.steps)
        print(f"{name}: {seconds:.3f} s for a step, {share:.1%} of it waiting for data")
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} over the last minute, "
        f"{wishes.threads} threads of torch"
    )


if __name__ == "__main__":
    main()
