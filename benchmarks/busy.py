"""How long a restoration takes while other programs keep processors busy: a table in Markdown.

    python benchmarks/busy.py [--model gray-x2] [--edges 512 1536] [--busy 0 1 2]

Each of the others is a process that does nothing but count. By the clock, the median of three
restorations of an image in memory; "fair" is what it would take if the processors were shared out
evenly among the others and as many threads as there are processors.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from speed import machine, table

from napari_mdeblurgan import load_model
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration.engine import restore_steps
from napari_mdeblurgan.restoration.plan import make_plan
from napari_mdeblurgan.samples import sample_path
from napari_mdeblurgan.steps import finished
from napari_mdeblurgan.storage import read_image

SAMPLES = {1: "nuclei", 3: "leaf_epidermis"}
TIMES = 3


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
    print(*table(["image", "busy others", "seconds", "times as long", "fair"], []), sep="\n")
    for edge in wishes.edges:
        image, alone = micrograph(model, edge), None
        for count in wishes.busy:
            with others(count):
                seconds = statistics.median(restored(image, model) for _ in range(TIMES))
            alone = seconds if alone is None else alone
            fair = (processors + count) / processors
            cells = [
                f"{edge}²",
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


def restored(image: np.ndarray, model: Model) -> float:
    """Seconds for one restoration, after one that is not counted."""
    plan = make_plan(image, model.card, device="cpu")
    finished(restore_steps(image, plan, model))
    start = time.perf_counter()
    finished(restore_steps(image, plan, model))
    return time.perf_counter() - start


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
