"""All that is to be known of a device, in one call of some minutes: a table in Markdown, and as
CSV.

    python benchmarks/gpu.py [--model gray-x2] [--device auto] [--edge 4096] [--csv gpu.csv]

The network alone on tiles of several sizes, in batches, in every precision, beside the peak of
matrix products; then every route of an image of EDGE² pixels as a multiple of that: memory to
memory, OME-Zarr to OME-Zarr, TIFF to TIFF, trust, eight orientations; and a training step. It runs
on a processor as well: there take `--edge 1024`. What users would pick instead is measured by
`side_by_side.py`, how a loader keeps up by `loader.py`.
"""

from __future__ import annotations

import argparse
import copy
import csv
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import torch
from speed import best, machine, make_scan, peak, table
from torch.utils.flop_counter import FlopCounterMode

from napari_mdeblurgan import load_model
from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.network.exact import exact_float32
from napari_mdeblurgan.restoration import inference
from napari_mdeblurgan.restoration.device import PRECISIONS, pick_device, pick_precision
from napari_mdeblurgan.restoration.engine import ensemble_steps, restore_steps
from napari_mdeblurgan.restoration.micrographs import plan_micrograph, restored_micrograph
from napari_mdeblurgan.restoration.plan import RestorationPlan, make_plan
from napari_mdeblurgan.restoration.scan import open_scan
from napari_mdeblurgan.restoration.walk import DoesNotFit
from napari_mdeblurgan.steps import finished
from napari_mdeblurgan.storage import Micrograph, open_image, read_image, write_image
from napari_mdeblurgan.training.losses.terms import pixel_loss
from napari_mdeblurgan.trust.assess import assess

TILES, BATCHES = (256, 512, 1024, 2048), (1, 4, 8)
PATCHES, PATCH, STEPS = 8, 64, 20


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    Attributes
    ----------
    what, setting : str
    value : float
    unit : str
    ratio : str
        Of what it is compared with.
    """

    what: str
    setting: str
    value: float
    unit: str
    ratio: str = ""


def network_figures(model: Model, device: str, precision: str, top: float) -> list[Figure]:
    """The bare network: megapixels of the result per second, and its share of the peak."""
    found = []
    network, channels, random = (
        inference.network_on(model, device),
        model.card.channels,
        np.random.default_rng(0),
    )
    for edge in TILES:
        image = random.integers(
            0, 256, (edge + 512, edge + 512, channels)[: 3 if channels == 3 else 2], np.uint8
        )
        plan = make_plan(
            image, model.card, device=device, precision=precision, tile=edge, window=(0, 255)
        )
        tile = plan.grid.tile_over(((256, 256 + edge), (256, 256 + edge)))
        prepared = inference.prepare(
            image[tile.y.source, tile.x.source], tile, plan, plan.windows[0]
        )  # type: ignore[index]
        for most in BATCHES if device.startswith("cuda") else (1,):
            batch = [prepared] * most

            def work(
                batch: list[inference.Prepared] = batch, plan: RestorationPlan = plan
            ) -> object:
                return inference.apply(network, batch, plan)

            try:
                seconds = best(work, device)
                with FlopCounterMode(display=False) as counter:
                    work()
            except DoesNotFit:
                found.append(
                    Figure(
                        "network",
                        f"{precision}, tile {edge}, {most} at a time",
                        float("nan"),
                        "does not fit",
                    )
                )
                break
            share = counter.get_total_flops() / seconds / 1e9 / top
            rate = most * (edge * plan.factor) ** 2 / seconds / 1e6
            found.append(
                Figure(
                    "network",
                    f"{precision}, tile {edge}, {most} at a time",
                    rate,
                    "MPix/s",
                    f"{share:.2f} of the peak",
                )
            )
    return found


def timed(work: Callable[[], object]) -> float:
    """Seconds of one go."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def route_figures(
    model: Model, device: str, precision: str, edge: int, bare: float
) -> list[Figure]:
    """Every route of an image, in megapixels of the result per second and as a share of the bare
    network.
    """
    found, wishes = [], {"device": device, "precision": precision}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scan = open_image(make_scan(folder, model, edge**2 / 1e6))
        image = Micrograph(np.asarray(scan.data), scan.axes)
        write_image(folder / "in.tif", image)
        plan = plan_micrograph(image, model.card, **wishes)
        pixels = float(np.prod(plan.output_shape[:2])) / 1e6
        finished(
            restore_steps(
                image.data[:512, :512],
                make_plan(image.data[:512, :512], model.card, **wishes),
                model,
            )
        )
        made: dict[str, np.ndarray] = {}

        def in_memory() -> None:
            made["result"] = finished(restore_steps(image.data, plan, model))

        def on_disk() -> None:
            finished(open_scan(scan, model, folder / "out.zarr", **wishes).steps())

        def tiff() -> None:
            before = read_image(folder / "in.tif")
            of_file = plan_micrograph(before, model.card, **wishes)
            data = finished(restore_steps(before.data, of_file, model))
            write_image(folder / "out.tif", restored_micrograph(before, data, of_file))

        def eightfold() -> None:
            finished(ensemble_steps(image.data, plan, model))

        seconds = {}
        for route, work in (
            ("memory to memory", in_memory),
            ("OME-Zarr to OME-Zarr", on_disk),
            ("TIFF to TIFF", tiff),
        ):
            seconds[route] = timed(work)
            rate = pixels / seconds[route]
            found.append(
                Figure(route, precision, rate, "MPix/s", f"{rate / bare:.2f} of the network")
            )
        plain = seconds["memory to memory"]
        for route, work in (
            ("trust", lambda: assess(image.data, made["result"], plan, model)),
            ("eight orientations", eightfold),
        ):
            taken = timed(work)
            found.append(
                Figure(route, precision, taken, "s", f"{taken / plain:.2f} of a restoration")
            )
    return found


def training_figure(model: Model, device: str, precision: str) -> Figure:
    """A training step with the pixel losses, without a loader."""
    network = copy.deepcopy(model.network).to(device).train().requires_grad_(True)
    channels, scale = model.card.channels, model.card.scale
    blurred = torch.rand(PATCHES, channels, PATCH, PATCH, device=device)
    sharp = torch.rand(PATCHES, channels, PATCH * scale, PATCH * scale, device=device)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-5)
    kind = device.split(":")[0]

    @exact_float32()
    def step() -> None:
        with torch.autocast(kind, getattr(torch, precision), enabled=precision != "float32"):
            restored = network.explain(blurred)
        loss = torch.stack(list(pixel_loss(restored, blurred, sharp).values())).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def steps() -> None:
        for _ in range(STEPS):
            step()

    each = best(steps, device, 1) / STEPS
    return Figure(
        "training step",
        f"{precision}, {PATCHES} patches of {PATCH}²",
        1e3 * each,
        "ms",
        f"{1 / each:.1f} a second",
    )


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="gray-x2")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--edge", type=int, default=4096)
    parser.add_argument(
        "--precisions", nargs="+", help="by default all that the device computes in"
    )
    parser.add_argument("--csv", type=Path)
    given = parser.parse_args()
    model, device, figures = load_model(given.model), pick_device(given.device), []
    for precision in given.precisions or PRECISIONS:
        try:
            pick_precision(precision, device)
        except ImageError as error:
            print(error, file=sys.stderr)
            continue
        top = peak(device, precision)
        figures.append(Figure("matrix product", precision, top, "GFLOP/s"))
        figures += network_figures(model, device, precision, top)
        bare = max(
            each.value
            for each in figures
            if each.what == "network"
            and each.setting.startswith(precision)
            and each.value == each.value
        )
        figures += route_figures(model, device, precision, given.edge, bare)
        figures.append(training_figure(model, device, precision))
        print(f"{precision} is done", file=sys.stderr, flush=True)
    print(f"{machine(device)}, {given.model}, {given.edge}² pixels, {time.strftime('%Y-%m-%d')}.\n")
    rows = [
        [each.what, each.setting, f"{each.value:.4g}", each.unit, each.ratio] for each in figures
    ]
    print("\n".join(table(["what", "setting", "figure", "unit", "ratio"], rows)))
    if given.csv:
        with given.csv.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(
                [("what", "setting", "figure", "unit", "ratio"), *map(astuple, figures)]
            )


if __name__ == "__main__":
    main()
