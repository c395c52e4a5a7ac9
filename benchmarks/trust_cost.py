"""What an assessment costs beside the restoration: `python benchmarks/trust_cost.py [--edges 512
1024] [--device auto]`.

Restores a tiled sample micrograph of growing size, with and without being watched, and assesses it;
prints seconds, the share that the assessment adds, and the most memory that its arrays take.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Generator
from typing import Any

import numpy as np

from napari_mdeblurgan import load_model
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration.engine import restore_steps
from napari_mdeblurgan.restoration.plan import make_plan
from napari_mdeblurgan.samples import sample_path
from napari_mdeblurgan.storage import read_image
from napari_mdeblurgan.trust.assess import assess_steps
from napari_mdeblurgan.trust.explanation import Explanation
from napari_mdeblurgan.trust.plan import plan_trust

SAMPLES = {"rgb-x2": "leaf_epidermis", "gray-x2": "nuclei"}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--edges", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--device", default="auto")
    wishes = parser.parse_args()
    print(
        "model    pixels        restored  watched  planned  mapped  added   arrays of the mapping"
    )
    for name, sample in SAMPLES.items():
        model, picture = load_model(name), read_image(sample_path(sample)).data
        for edge in wishes.edges:
            repeats = [-(-edge // length) for length in picture.shape[:2]] + [1] * (
                picture.ndim - 2
            )
            image = np.tile(picture, repeats)[:edge, :edge]
            plan = make_plan(image, model.card, device=wishes.device)
            warm_up(image[:64, :64], model, wishes.device)
            _, plain = timed(restore_steps(image, plan, model))
            said = Explanation(plan)
            restored, watched = timed(restore_steps(image, plan, model, said.keep))
            start = time.perf_counter()
            trust = plan_trust(image, restored, plan, model)
            planned = time.perf_counter() - start
            _, mapped = timed(assess_steps(image, restored, trust, model, said))
            tracemalloc.start()
            timed(assess_steps(image, restored, trust, model, said))
            most = tracemalloc.get_traced_memory()[1] / 1e6
            tracemalloc.stop()
            added = (watched + planned + mapped) / plain - 1
            print(
                f"{name:8} {edge:5} × {edge:<5} {plain:7.1f} s {watched:6.1f} s {planned:6.1f} s "
                f"{mapped:5.1f} s {added:6.0%} {most:8.0f} MB",
                flush=True,
            )


def warm_up(image: np.ndarray, model: Model, device: str) -> None:
    """Do all of it once, so that what is imported and prepared for the first time is not timed."""
    plan = make_plan(image, model.card, device=device)
    restored, _ = timed(restore_steps(image, plan, model))
    timed(assess_steps(image, restored, plan_trust(image, restored, plan, model), model))


def timed(steps: Generator[Any, None, Any]) -> tuple[Any, float]:
    """Run to the end: result and seconds."""
    start = time.perf_counter()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value, time.perf_counter() - start


if __name__ == "__main__":
    main()
