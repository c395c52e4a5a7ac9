"""How fast scans are restored here, where the time goes, and how near to the network alone: a table
in Markdown.

    python benchmarks/speed.py [--model gray-x2] [--megapixels 25] [--table docs/speed-table.md]

In one run on one machine, so that the ratios hold: the peak of matrix products, the bare network on
the tiles of a scan, and a synthetic scan from OME-Zarr to OME-Zarr. What users would pick instead
is measured by `side_by_side.py`.

`--busy` is for a machine on which others work, too: one thread, and its processor time in place of
the clock's, so that rates are those of one core.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from napari_mdeblurgan import load_model
from napari_mdeblurgan.lent_pages import reused_pages
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.network.exact import exact_float32
from napari_mdeblurgan.network.shape import outline
from napari_mdeblurgan.restoration import inference
from napari_mdeblurgan.restoration.device import pick_device, pick_precision
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.restoration.scan import Scan, open_scan
from napari_mdeblurgan.restoration.tile_size import block_edge, halo_overhead
from napari_mdeblurgan.restoration.tiling import Tile
from napari_mdeblurgan.storage import open_image
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_writing import create_ome_zarr

clock: Callable[[], float] = time.perf_counter


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="gray-x2")
    parser.add_argument("--megapixels", type=float, default=25.0, help="of the scan that goes in")
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--precisions", nargs="+", help="by default float32 and the one that is chosen here"
    )
    parser.add_argument("--busy", action="store_true", help="one thread, by processor time")
    parser.add_argument(
        "--folder", type=Path, help="for the scan and the result; by default a temporary one"
    )
    parser.add_argument("--table", type=Path)
    wishes = parser.parse_args()
    if wishes.busy:
        global clock
        clock = time.process_time
        torch.set_num_threads(1)
    model, device = load_model(wishes.model), pick_device(wishes.device)
    precisions = wishes.precisions or list(
        dict.fromkeys(["float32", pick_precision("auto", device)])
    )
    lines = [f"{machine(device)}, {time.strftime('%Y-%m-%d')}.", ""]
    with tempfile.TemporaryDirectory(dir=wishes.folder) as folder:
        source = make_scan(Path(folder), model, wishes.megapixels)
        rows = []
        for name in precisions:
            rows.append(row(model, source, Path(folder) / f"{name}.zarr", device, name))
            print(rows[-1], file=sys.stderr, flush=True)
    lines += table(list(rows[0]), [list(each.values()) for each in rows])
    text = "\n".join(lines) + "\n"
    print(text)
    if wishes.table:
        wishes.table.write_text(text)


def machine(device: str) -> str:
    """The processor or the GPU, and the version of torch."""
    if device.startswith("cuda"):
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if "model name" in line] or [
        platform.processor()
    ]
    return f"{names[0]}, {torch.get_num_threads()} of its cores, torch {torch.__version__}"


def best(work: Callable[[], object], device: str, repeats: int = 2) -> float:
    """Seconds of the fastest of a few repetitions, after one to warm up; on a thread of its own,
    whose helpers of OpenMP go with it, for those that stay would slow the next ones; with pages
    that are lent again, as a walk has them.
    """

    def timed() -> float:
        start = clock()
        work()
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        elif device == "mps":
            torch.mps.synchronize()
        return clock() - start

    with reused_pages(), ThreadPoolExecutor(1) as apart:
        return min(list(apart.map(lambda _: timed(), range(repeats + 1)))[1:])


def peak(device: str, precision: str) -> float:
    """10⁹ operations per second of a large matrix product."""
    edge = 8192 if device.startswith("cuda") else 2048
    a, b = (torch.randn(edge, edge, device=device).to(getattr(torch, precision)) for _ in range(2))
    return 2 * edge**3 / best(lambda: a @ b, device, 8) / 1e9


def make_scan(folder: Path, model: Model, megapixels: float) -> Path:
    """A synthetic scan: blurred noise with a little noise on top, different everywhere, uint8."""
    from scipy import ndimage

    edge, chunk, random = round((megapixels * 1e6) ** 0.5), 1024, np.random.default_rng(0)
    colours = (3,) if model.card.channels == 3 else ()
    pattern = ndimage.gaussian_filter(
        random.random((chunk, chunk, *colours)), (1.5, 1.5, *(0 for _ in colours))
    )
    pattern = ((pattern - pattern.min()) / np.ptp(pattern) * 240).astype(np.uint8)
    axes = "YXS" if colours else "YX"
    writer = create_ome_zarr(
        folder / "scan.zarr", (edge, edge, *colours), axes, "uint8", {"X": 0.5, "Y": 0.5}, "µm"
    )
    for y in range(0, edge, chunk):
        for x in range(0, edge, chunk):
            block = np.roll(pattern, (y // 7, x // 3), (0, 1))[: edge - y, : edge - x]
            writer.write((), y, x, block + random.integers(0, 12, block.shape, np.uint8))
    return writer.finish()


def bare(scan: Scan, model: Model) -> tuple[float, float]:
    """Of the network alone on one of the scan's tiles: output pixels per second, and operations per
    second.
    """
    plan = scan.plan
    block = max(
        scan.blocks, key=lambda each: (each.pixels, each.tile.y.start > 0 and each.tile.x.start > 0)
    )
    work = of_network(model, block.tile, plan)
    seconds = best(work, plan.device)
    megapixels = block.pixels / 1e6
    zeros = (
        0.75 * 18 * 16 * model.card.channels * model.card.architecture["width"] * block.pixels / 4
    )  # of folded weights
    return megapixels / seconds, (counted(model, block.tile, plan) - zeros) / seconds / 1e9


def counted(model: Model, tile: Tile, plan: RestorationPlan) -> int:
    """Floating-point operations of the network on a tile and all that it reads, without numbers:
    torch does not count those that oneDNN does in one pass with others.
    """
    network = outline(dict(model.card.architecture))
    shape = tuple(span.read_stop - span.read_start for span in (tile.y, tile.x))
    image = torch.empty((1, model.card.channels, *shape), device="meta")
    y, x = ((span.inside.start, span.inside.stop) for span in (tile.y, tile.x))
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network.stages.run(image, (y, x), block_edge(plan.device, plan.precision))
    return int(counter.get_total_flops())


def of_network(model: Model, tile: Tile, plan: RestorationPlan) -> Callable[[], object]:
    """The network alone, on a tile and all that it reads."""
    network = inference.network_on(model, plan.device)
    shape = tuple(span.read_stop - span.read_start for span in (tile.y, tile.x))
    image = torch.rand((1, *shape, model.card.channels)).permute(0, 3, 1, 2).to(plan.device)

    def work() -> object:
        with exact_float32(), torch.inference_mode():
            given = network.stages, (network.stages.result,), image, tile
            return inference._forward(*given, plan.device, plan.precision)

    return work


def row(model: Model, source: Path, path: Path, device: str, precision: str) -> dict[str, str]:
    """One precision: the network, the scan and their ratios."""
    scan = open_scan(open_image(source), model, path, device=device, precision=precision)
    plan = scan.plan
    top = peak(device, precision)
    before = bare(scan, model)
    start = clock()
    pixels = 0
    for step in scan.steps():
        pixels = step.total
    rate = pixels / (clock() - start) / 1e6
    network, arithmetic = (
        sum(pair) / 2 for pair in zip(before, bare(scan, model), strict=True)
    )  # a machine may drift
    return {
        "model": model.card.name,
        "precision": precision,
        "scan, MPix": f"{pixels / plan.factor**2 / 1e6:.0f}",
        "tile": str(plan.tile),
        "halo costs": f"{100 * halo_overhead(model.card, plan.tile, device, precision):.0f} %",
        "peak, GFLOP/s": f"{top:.0f}",
        "network, GFLOP/s": f"{arithmetic:.0f}",
        "of the peak": f"{100 * arithmetic / top:.0f} %",
        "network, MPix/s": f"{network:.2f}",
        "end to end, MPix/s": f"{rate:.2f}",
        "of the network": f"{rate / network:.2f}",
    }


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Markdown."""
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]


if __name__ == "__main__":
    main()
