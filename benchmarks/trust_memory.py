"""How much memory the maps of trust take for results on disk of growing size: a table in Markdown.

    python benchmarks/trust_memory.py [--model gray-x2] [--megapixels 10 40 100] [--width 2]

The scan is that of `memory.py`: synthetic, lazy, of any size. It is restored into an OME-Zarr and
assessed, each size in a process of its own. What is counted is memory beyond that of the libraries
and the model, at its highest while the maps are made. With `--width` a network of that width and
random weights takes the model's place.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from memory import PEAK_EVERY_S, Synthetic, resident


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="gray-x2")
    parser.add_argument(
        "--megapixels", type=float, nargs="+", default=[10.0, 40.0, 100.0], help="of the scan"
    )
    parser.add_argument("--width", type=int, help="of a random network instead of the model's")
    parser.add_argument("--folder", type=Path, help="for the result; by default a temporary one")
    parser.add_argument("--one", type=float, help=argparse.SUPPRESS)
    wishes = parser.parse_args()
    if wishes.one is not None:
        print(measure(wishes))
        return
    print(
        "| network | scan, megapixels | peak memory of the maps, MB | seconds per megapixel of "
        "the scan |"
    )
    print("| --- | --: | --: | --: |", flush=True)
    for size in wishes.megapixels:
        command = [sys.executable, __file__, *sys.argv[1:], "--one", str(size)]
        print(
            subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip(),
            flush=True,
        )


def measure(wishes: argparse.Namespace) -> str:
    """One size: a line of the table."""
    from napari_mdeblurgan import load_model
    from napari_mdeblurgan.model import Model
    from napari_mdeblurgan.network import Generator
    from napari_mdeblurgan.restoration.scan import open_scan
    from napari_mdeblurgan.storage import Micrograph
    from napari_mdeblurgan.trust.stored import assess_stored_steps

    model = load_model(wishes.model)
    name, edge = model.card.name, round((wishes.one * 1e6) ** 0.5)
    if wishes.width:
        model = Model(model.card, Generator(1, 2, wishes.width).eval().requires_grad_(False))
        name = f"width {wishes.width}"
    with tempfile.TemporaryDirectory(dir=wishes.folder) as folder:

        def restored(size: int, path: Path) -> tuple:
            source = Micrograph(Synthetic(size), "YX")
            scan = open_scan(source, model, path, window=(0, 255), identity=str(size))
            for _ in scan.steps():
                pass
            return source, path, scan.plan, model

        for _ in assess_stored_steps(*restored(600, Path(folder) / "warm.ome.zarr")):
            pass
        arguments = restored(edge, Path(folder) / "scan.ome.zarr")
        base, highest, ended = resident(), [0], threading.Event()

        def watch() -> None:
            while not ended.wait(PEAK_EVERY_S):
                highest[0] = max(highest[0], resident())

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        start = time.perf_counter()
        for _ in assess_stored_steps(*arguments):
            pass
        seconds = time.perf_counter() - start
        ended.set()
        watcher.join()
    return (
        f"| {name} | {wishes.one:g} | {(highest[0] - base) / 1e6:.0f} | "
        f"{seconds / wishes.one:.2f} |"
    )


if __name__ == "__main__":
    main()
