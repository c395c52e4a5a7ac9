"""How much memory scans of growing size take, each in a process of its own: a table in Markdown.

    python benchmarks/memory.py [--model gray-x2] [--gigapixels 0.1 1 10] [--table
    docs/memory-table.md]

The scan is synthetic and lazy: its pixels are made when they are read, so that its size costs no
disk. What is counted is memory beyond that of the libraries and the model, at its highest; time by
the clock and, which other work on the machine changes less, of the processor, over all threads.
With `--width 2` a network of that width and random weights takes the model's place, which shows in
reasonable time what depends on the size of the scan; the tiles are kept as they are. With
`--resumed 0.97` so much of the scan is made by bicubic enlargement alone, and the model goes on
from there as after an interruption; the peak is that of both, the times are the model's.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from torch import nn

from napari_mdeblurgan.network.blocks import BicubicUpsampling
from napari_mdeblurgan.network.reach import Reach
from napari_mdeblurgan.network.stages import Stage, Stages

PEAK_EVERY_S = 0.05


class Synthetic:
    """A uint8 image of any size that is made when it is read."""

    dtype, ndim = np.dtype(np.uint8), 2

    def __init__(self, edge: int) -> None:
        self.shape = (edge, edge)
        spots = gaussian_filter(
            np.random.default_rng(0).standard_normal((4096, 4096), np.float32), 3, mode="wrap"
        )
        self._pattern = np.clip(128 + 40 * spots / spots.std(), 0, 255).astype(np.uint8)

    def __getitem__(self, key: tuple[slice, slice]) -> np.ndarray:
        y, x = (
            np.arange(*part.indices(length)) % 4096
            for part, length in zip(key, self.shape, strict=True)
        )
        return self._pattern[y[:, None], x[None, :]]


class Enlargement(nn.Module):
    """Bicubic enlargement in the place of a network: what there is to a restoration but the
    network.
    """

    channels, scale = 1, 2

    def __init__(self) -> None:
        super().__init__()
        self.enlarge = BicubicUpsampling(2)

    @property
    def stages(self) -> Stages:
        return Stages(
            [Stage(lambda image: (self.enlarge(image),), self._reach, ("image",), {"output": 0.5})]
        )

    def _reach(self, reach: Reach) -> tuple[Reach]:
        return (self.enlarge.reach(reach),)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="gray-x2")
    parser.add_argument(
        "--gigapixels",
        type=float,
        nargs="+",
        default=[0.1, 1.0, 10.0],
        help="of the scan that goes in",
    )
    parser.add_argument("--width", type=int, help="of a random network instead of the model's")
    parser.add_argument(
        "--resumed",
        type=float,
        default=0.0,
        help="share of the scan that is there when the model begins",
    )
    parser.add_argument("--precision", default="auto")
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="stop a scan early, after so long"
    )
    parser.add_argument("--folder", type=Path, help="for the result; by default a temporary one")
    parser.add_argument("--table", type=Path)
    parser.add_argument("--one", type=float, help=argparse.SUPPRESS)
    wishes = parser.parse_args()
    if wishes.one is not None:
        print(measure(wishes))
        return
    lines = [
        "| network | precision | tile | scan, gigapixels | done, % | peak memory, MB | seconds "
        "per megapixel of the scan | of the processor |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for size in wishes.gigapixels:
        command = [sys.executable, __file__, *sys.argv[1:], "--one", str(size)]
        lines.append(
            subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        )
        print(lines[-1], flush=True)
    if wishes.table:
        wishes.table.write_text("\n".join(lines) + "\n")


def measure(wishes: argparse.Namespace) -> str:
    """One size: a line of the table."""
    from napari_mdeblurgan import load_model
    from napari_mdeblurgan.model import Model
    from napari_mdeblurgan.network import Generator
    from napari_mdeblurgan.restoration.scan import open_scan
    from napari_mdeblurgan.storage import Micrograph

    model = load_model(wishes.model)
    name, edge = model.card.name, round((wishes.one * 1e9) ** 0.5)
    if wishes.width:
        network = Generator(1, 2, wishes.width).eval().requires_grad_(False)
        model, name = Model(model.card, network), f"width {wishes.width}"
    with tempfile.TemporaryDirectory(dir=wishes.folder) as folder:
        source = Micrograph(Synthetic(edge), "YX")
        warm = open_scan(
            Micrograph(Synthetic(64), "YX"),
            model,
            Path(folder) / "warm.zarr",
            precision=wishes.precision,
        )
        list(warm.steps())
        base, highest, ended = resident(), [0], threading.Event()

        def watch() -> None:
            while not ended.wait(PEAK_EVERY_S):
                highest[0] = max(highest[0], resident())

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        wanted = {"window": (0, 255), "identity": "synthetic", "precision": wishes.precision}
        before = 0
        if wishes.resumed:
            bicubic = Model(model.card, Enlargement())
            with closing(
                open_scan(source, bicubic, Path(folder) / "a.zarr", **wanted).steps()
            ) as steps:
                before = next(
                    progress.done for progress in steps if progress.fraction >= wishes.resumed
                )
        start, worked = time.perf_counter(), time.process_time()
        scan = open_scan(source, model, Path(folder) / "a.zarr", **wanted)
        for progress in scan.steps():
            step, seconds = progress, time.perf_counter() - start
            if seconds > wishes.seconds:
                break
        worked = time.process_time() - worked
        ended.set()
        watcher.join()
        megapixels = (step.done - before) / scan.plan.factor**2 / 1e6
        if wishes.resumed:
            name += f", last {100 * (1 - wishes.resumed):.0f} %"
        cells = [
            name,
            scan.plan.precision,
            scan.plan.tile,
            wishes.one,
            f"{100 * step.fraction:.0f}",
        ]
        cells += [f"{(highest[0] - base) / 1e6:.0f}", f"{seconds / megapixels:.3f}"]
        cells += [f"{worked / megapixels:.3f}"]
        return "| " + " | ".join(map(str, cells)) + " |"


def resident() -> int:
    """Bytes of memory that this process has."""
    import psutil

    return int(psutil.Process(os.getpid()).memory_info().rss)


if __name__ == "__main__":
    main()
