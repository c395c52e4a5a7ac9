"""What an assessment costs beside the restoration: `python benchmarks/trust_cost.py [--edges 512
1024] [--device auto] [--disk]`.

Restores a tiled sample micrograph of growing size, with and without being watched, and assesses it;
prints seconds, the share that the assessment adds, and the most memory that its arrays take.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import tracemalloc
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
from busy import micrograph

from napari_mdeblurgan import load_model
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.pipeline import Assessing, Planned, carry_out
from napari_mdeblurgan.request import Request
from napari_mdeblurgan.restoration.engine import restore_steps
from napari_mdeblurgan.restoration.plan import make_plan
from napari_mdeblurgan.storage import Micrograph
from napari_mdeblurgan.trust.assess import assess_steps
from napari_mdeblurgan.trust.explanation import Explanation
from napari_mdeblurgan.trust.trust_plan import plan_trust

MODELS = ("rgb-x2", "gray-x2")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--edges", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--disk", action="store_true", help="restore to OME-Zarr, as `restore --trust` does"
    )
    wishes = parser.parse_args()
    print(
        "model    pixels        restored  looked at  assessed  added"
        if wishes.disk
        else "model    pixels        restored  watched  planned  mapped  added   "
        "arrays of the mapping"
    )
    for name in MODELS:
        model = load_model(name)
        for edge in wishes.edges:
            image = micrograph(model, edge)
            plan = make_plan(image, model.card, device=wishes.device)
            warm_up(image[:64, :64], model, wishes.device)
            if wishes.disk:
                looked, on_disk, assessed = timed_on_disk(image, model, wishes.device)
                added = (looked + assessed) / on_disk
                print(
                    f"{name:8} {edge:5} × {edge:<5} {on_disk:7.1f} s {looked:8.1f} s "
                    f"{assessed:7.1f} s {added:6.0%}",
                    flush=True,
                )
                continue
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


def timed_on_disk(image: np.ndarray, model: Model, device: str) -> tuple[float, float, float]:
    """Seconds for looking at an image, for restoring it to OME-Zarr, and for assessing that."""
    source = Micrograph(image, "YXS" if image.ndim > 2 else "YX")
    at = [time.perf_counter()]
    with tempfile.TemporaryDirectory() as folder:
        request = Request(output=Path(folder, "a.ome.zarr"), options={"device": device}, maps=True)
        at.extend(
            time.perf_counter()
            for event in carry_out(source, model, request)
            if isinstance(event, Planned | Assessing)
        )
        at.append(time.perf_counter())
    looked, restored, assessed = (float(each) for each in np.diff(at))
    return looked, restored, assessed


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
