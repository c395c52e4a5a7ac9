"""How near to the network alone every way of an image comes: a table in Markdown, in one run on one
machine.

    python benchmarks/routes.py [--model gray-x2] [--megapixels 25] [--images 100]

Rates are megapixels of the result by the clock. "Of the network" is over the rate of the bare
network on the largest tile of the same route, halo included, measured before and after it, for a
machine may drift. A folder of small images is compared with the network on one whole such image.
`--busy` is for a machine on which others work, too: one thread and its processor time.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import speed
import torch
from speed import best, machine, make_scan, of_network, table

from napari_mdeblurgan import load_model
from napari_mdeblurgan.batch.run import open_batch
from napari_mdeblurgan.batch.settings import BatchSettings
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.pipeline import carry_out
from napari_mdeblurgan.request import Request
from napari_mdeblurgan.restoration.engine import ensemble_steps, restore_steps
from napari_mdeblurgan.restoration.plan import RestorationPlan, make_plan
from napari_mdeblurgan.steps import finished
from napari_mdeblurgan.storage import Micrograph, open_image, write_image

SMALL = 512  # pixels along an edge of an image of a folder
HEAD = ["from → to", "image", "tile", "network, MPix/s", "this way, MPix/s", "of the network"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="gray-x2")
    parser.add_argument("--megapixels", type=float, default=25.0, help="of the image that goes in")
    parser.add_argument("--images", type=int, default=100, help=f"of {SMALL}² pixels in the folder")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, default=2, help="processes of the last two rows")
    parser.add_argument("--busy", action="store_true", help="one thread, by processor time")
    wishes = parser.parse_args()
    if wishes.busy:
        speed.clock = time.process_time
        torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        for line in Routes(load_model(wishes.model), Path(place), wishes).lines():
            print(line, flush=True)


class Routes:
    """Every way of an image, and files for it."""

    def __init__(self, model: Model, folder: Path, wishes: argparse.Namespace) -> None:
        self.model, self.folder, self.wishes = model, folder, wishes
        self.zarr = make_scan(folder, model, wishes.megapixels)
        self.image = np.asarray(open_image(self.zarr).data)
        self.tiff = folder / "scan.ome.tif"
        write_image(self.tiff, Micrograph(self.image, "YXS" if self.image.ndim == 3 else "YX"))
        (folder / "small").mkdir()
        height, width = (length // SMALL for length in self.image.shape[:2])
        for number in range(wishes.images):
            y, x = (at * SMALL for at in divmod(number % (height * width), width))
            part = np.roll(self.image[y : y + SMALL, x : x + SMALL], number, 0)
            write_image(
                folder / "small" / f"{number:04}.png",
                Micrograph(part, "YXS" if part.ndim == 3 else "YX"),
            )

    def lines(self) -> Iterator[str]:
        """The table, line by line."""
        plan = make_plan(self.image, self.model.card, device=self.wishes.device)
        yield (
            f"{machine(plan.device)}, {time.strftime('%Y-%m-%d')}; {self.model.card.name}, "
            f"{plan.precision}."
        )
        yield ""
        yield from table(HEAD, [])
        restored = lambda: finished(restore_steps(self.image, plan, self.model))  # noqa: E731
        finished(
            restore_steps(
                self.image[:256, :256],
                make_plan(self.image[:256, :256], self.model.card),
                self.model,
            )
        )
        yield self.row("memory → memory", plan, restored)
        yield self.row("OME-TIFF → OME-TIFF", plan, lambda: self.file(self.tiff, "result.ome.tif"))
        on_disk = self.file(self.zarr, "result.ome.zarr")  # the plan of a scan has tiles of its own
        yield self.row(
            "OME-Zarr → OME-Zarr", on_disk, lambda: self.file(self.zarr, "again.ome.zarr")
        )
        small = make_plan(self.image[:SMALL, :SMALL], self.model.card, device=self.wishes.device)
        yield self.row(
            f"{self.wishes.images} PNG → OME-TIFF",
            small,
            lambda: self.batch("small", None),
            self.wishes.images,
        )
        yield from self.of_workers()
        yield from self.eightfold(plan)

    def of_workers(self) -> Iterator[str]:
        """A batch on one and on several processes of this machine, each with one thread."""
        seconds = {}
        for workers in (1, self.wishes.workers):
            with one_thread():
                start = time.perf_counter()
                self.batch("small", workers)
                seconds[workers] = time.perf_counter() - start
        rate = 4 * self.wishes.images * SMALL**2 / 1e6 / seconds[self.wishes.workers]
        times = seconds[1] / seconds[self.wishes.workers]
        yield ""
        yield (
            f"{self.wishes.workers} local workers of one thread: {rate:.2f} MPix/s, {times:.2f} × "
            "one, their start included."
        )

    def eightfold(self, plan: RestorationPlan) -> Iterator[str]:
        """The average of eight orientations beside a single restoration."""
        part = self.image[:1024, :1024]
        plan = make_plan(part, self.model.card, device=self.wishes.device)
        once = best(lambda: finished(restore_steps(part, plan, self.model)), plan.device)
        eight = best(lambda: finished(ensemble_steps(part, plan, self.model)), plan.device, 1)
        yield f"Average of eight orientations: {eight / once:.2f} × one restoration (1024²)."

    def row(
        self, name: str, plan: RestorationPlan, work: Callable[[], object], images: int = 1
    ) -> str:
        """One line of the table."""
        tile = max(plan.grid, key=lambda each: (each.pixels, each.y.start > 0 and each.x.start > 0))
        bare = of_network(self.model, tile, plan)
        seconds = [best(bare, plan.device)]
        start = speed.clock()
        work()
        taken = speed.clock() - start
        seconds.append(best(bare, plan.device))
        network = plan.factor**2 * tile.pixels / 1e6 / (sum(seconds) / 2)
        rate = images * np.prod(plan.output_shape[:2]) / 1e6 / taken
        height, width = plan.shape[:2]
        cells = [
            name,
            f"{height} × {width}",
            str(tile.edge),
            f"{network:.2f}",
            f"{rate:.2f}",
            f"{rate / network:.2f}",
        ]
        return table(cells, [])[0]

    def file(self, source: Path, name: str) -> RestorationPlan:
        """From file to file, as the command does it."""
        request = Request(output=self.folder / name, options={"device": self.wishes.device})
        plan, _ = finished(carry_out(open_image(source), self.model, request))
        return plan

    def batch(self, folder: str, workers: int | None) -> None:
        """A folder, as the command does it."""
        output = self.folder / f"batch-{workers}"
        settings = BatchSettings(
            grey_model=self.model.card.name, device=self.wishes.device, workers=workers
        )
        for _ in open_batch([self.folder / folder], output, settings).steps():
            pass


@contextmanager
def one_thread() -> Iterator[None]:
    """Processes that start here compute in one thread."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


if __name__ == "__main__":
    main()
