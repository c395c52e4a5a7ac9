"""How long a restoration takes while other programs keep processors busy, and a step of training:
a table in Markdown.

    python benchmarks/busy.py [--model gray-x2] [--edges 512 1536] [--busy 0 1 2]

Each of the others is a process that does nothing but count. By the clock, the median of three
restorations of an image in memory, and of 12 steps of training the model on 8 patches of 64²
pixels, as fine-tuning takes them; "fair" is what it would take if the processors were shared out
evenly among the others and as many threads as there are processors.
"""

from __future__ import annotations

import argparse
import copy
import functools
import itertools
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from speed import machine, table

from napari_mdeblurgan import load_model
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration.engine import restore_steps
from napari_mdeblurgan.restoration.plan import make_plan
from napari_mdeblurgan.samples import sample_path
from napari_mdeblurgan.steps import finished
from napari_mdeblurgan.storage import read_image
from napari_mdeblurgan.training.data.dataset import Patches
from napari_mdeblurgan.training.losses.loss_config import LossConfig
from napari_mdeblurgan.training.optimisers.schedule import Schedule
from napari_mdeblurgan.training.trainer import StepMethod, Training

SAMPLES = {1: "nuclei", 3: "leaf_epidermis"}
TIMES, STEPS = 3, 12


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="gray-x2")
    parser.add_argument("--edges", type=int, nargs="+", default=[512, 1536])
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1, 2], help="other programs")
    wishes = parser.parse_args()
    model, processors = load_model(wishes.model), os.cpu_count() or 1
    print(
        f"{machine('cpu')}, {time.strftime('%Y-%m-%d')}; {wishes.model}, {processors} processors."
    )
    print()
    print(*table(["what", "busy others", "seconds", "times as long", "fair"], []), sep="\n")
    measured: dict[str, Callable[[], float]] = {
        f"{edge}²": functools.partial(restored_in, micrograph(model, edge), model)
        for edge in wishes.edges
    }
    for what, seconds_of in (measured | {"a step": functools.partial(step_in, model)}).items():
        alone = None
        for count in wishes.busy:
            with others(count):
                seconds = seconds_of()
            alone = seconds if alone is None else alone
            fair = (processors + count) / processors
            cells = [
                what,
                str(count),
                f"{seconds:.2f}",
                f"{seconds / alone:.1f}",
                f"{fair:.1f}",
            ]
            print(table(cells, [])[0], flush=True)


def micrograph(model: Model, edge: int) -> np.ndarray:
    """A sample, repeated to so many pixels along y and x."""
    picture = read_image(sample_path(SAMPLES[model.card.channels])).data
    repeats = [-(-edge // length) for length in picture.shape[:2]] + [1] * (picture.ndim - 2)
    return np.tile(picture, repeats)[:edge, :edge]


def restored_in(image: np.ndarray, model: Model) -> float:
    """Seconds for one restoration, after one that is not counted."""
    plan, taken = make_plan(image, model.card, device="cpu"), []
    for _ in range(1 + TIMES):
        start = time.perf_counter()
        finished(restore_steps(image, plan, model))
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])


def step_in(model: Model) -> float:
    """Seconds for one step of training, after two that are not counted."""
    network = copy.deepcopy(model.network).train().requires_grad_(True)
    method = StepMethod(optimizer="muon", precision="float32")
    training = Training(network, Schedule(2 + STEPS), method, LossConfig(ssim_share=0.0))
    records = training.run(itertools.repeat(patches(model)))
    return statistics.median([record.seconds for record in records][2:])


def patches(model: Model) -> Patches:
    """A batch of 8 pieces of a sample, 64² pixels each where it is blurred."""
    edge = 64 * model.card.scale
    picture = micrograph(model, 8 * edge).reshape(8 * edge, 8 * edge, -1)
    values = torch.from_numpy(picture / np.float32(picture.max())).float().permute(2, 0, 1)
    sharp = torch.stack(
        [values[:, edge * k : edge * (k + 1), edge * k : edge * (k + 1)] for k in range(8)]
    )
    low = torch.nn.functional.avg_pool2d(sharp, model.card.scale)
    return Patches(low, low, sharp)


@contextmanager
def others(count: int) -> Iterator[None]:
    """So many processes that count until the end."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        time.sleep(0.5 * bool(count))
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
