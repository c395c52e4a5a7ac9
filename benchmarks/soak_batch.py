"""Kills batches at random moments, lets them go on, and compares what comes out with an undisturbed
run.

    python benchmarks/soak_batch.py                 # a hundred kills
    python benchmarks/soak_batch.py --kills 5 --seed 1 --workers 2

Small images of several kinds go through a tiny network of random weights: in memory, and block by
block by way of OME-Zarr, into OME-TIFF and into OME-Zarr. Every run is a process of its own that is
killed by SIGKILL; it is forked from this one, so that a run takes a second and not the time of
importing torch. After every kill, whatever has a final name must be the same as in the undisturbed
run: pixels, axes, pixel sizes, channel names, and for OME-Zarr every byte of every file. After up
to three kills a run is left to its end; then all results must be there, and nothing else.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from napari_mdeblurgan.batch import BatchSettings, open_batch
from napari_mdeblurgan.batch.batch_table import PAGE, TABLE
from napari_mdeblurgan.batch.manifest import MANIFEST
from napari_mdeblurgan.batch.output_folder import WORK
from napari_mdeblurgan.model import ModelCard, save_model
from napari_mdeblurgan.network import Generator
from napari_mdeblurgan.storage import Micrograph, read_image, write_image

AHEAD_OF_FORKS = """
    dask.array filelock imagecodecs tifffile yaozarrs.v05 zarr.codecs zarr.storage
    napari_mdeblurgan.batch.summary_page
    napari_mdeblurgan.restoration.scan napari_mdeblurgan.restoration.softened_result
    napari_mdeblurgan.storage.ome_zarr.ome_zarr_image
    napari_mdeblurgan.storage.raster napari_mdeblurgan.storage.tiff.tiff_lazy
    napari_mdeblurgan.storage.tiff.tiff_stream
    napari_mdeblurgan.trust.stored PIL.PngImagePlugin skimage.measure tifffile.zarr
"""
LARGE_BYTES = 150_000  # so that some of the images count as large
IN_A_ROW = 3
PATIENCE_S = 120


@dataclass(frozen=True)
class Case:
    """A batch and what it makes when nothing happens to it."""

    inputs: Path
    settings: BatchSettings
    expected: dict[str, str]
    seconds: float


def main() -> None:
    """Run the soak; exit code 1 at the first difference."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--workers", type=int, default=None, help="processes of a local cluster; none by default"
    )
    parser.add_argument(
        "--folder", type=Path, default=None, help="where to work; a temporary folder by default"
    )
    given = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="soak-", dir=given.folder))
    try:
        print(soak(root, given.kills, given.seed, given.workers))
    finally:
        shutil.rmtree(root, ignore_errors=True)


def soak(root: Path, kills: int, seed: int, workers: int | None = None) -> str:
    """Kill so many times, and give an account of it.

    Raises
    ------
    SystemExit
        If something differs.
    """
    chance, start = random.Random(seed), time.perf_counter()
    for module in AHEAD_OF_FORKS.split():
        importlib.import_module(module)
    cases = [case_of(root, name, workers) for name in ("ome-tiff", "ome-zarr")]
    killed = rounds = finished = unfinished = 0
    while killed < kills:
        case, output = chance.choice(cases), root / "out"
        for _ in range(min(chance.randint(1, IN_A_ROW), kills - killed)):
            died = run(case, output, chance.uniform(0, case.seconds))
            killed += died
            there = results(output)
            if died:
                finished, unfinished = (
                    finished + len(there),
                    unfinished + len(case.expected) - len(there),
                )
            compare(case, there, f"after kill {killed}", complete=False)
        run(case, output, None)
        compare(case, results(output), f"in the end, after kill {killed}", complete=True)
        left = sorted(path.name for path in (output / WORK).iterdir() if path.name != "lock")
        if left:
            sys.exit(f"left over after kill {killed}: {left}")
        shutil.rmtree(output)
        rounds += 1
        print(f"{killed} kills, {rounds} batches, {time.perf_counter() - start:.0f} s", flush=True)
    seconds = time.perf_counter() - start
    return (
        f"{killed} kills in {rounds} batches of {len(cases[0].expected)} images, {seconds:.0f} s: "
        f"all results equal those of undisturbed runs ({finished} results were there when the "
        f"batch was killed, {unfinished} were not)"
    )


def case_of(root: Path, name: str, workers: int | None) -> Case:
    """A batch into a format, run once undisturbed."""
    inputs, models = root / "in", root / "models"
    if not inputs.exists():
        apart(lambda: make_inputs(inputs))
        make_models(models)
    settings = BatchSettings(
        rgb_model=str(models / "rgb.safetensors"),
        grey_model=str(models / "grey.safetensors"),
        format=name,
        device="cpu",
        precision="float32",
        tile=64,
        workers=workers,
        large_bytes=LARGE_BYTES,
    )
    seconds = []
    for number in range(2):
        output, start = root / f"undisturbed-{name}-{number}", time.perf_counter()
        run(Case(inputs, settings, {}, 0), output, None)
        seconds.append(time.perf_counter() - start)
    return Case(inputs, settings, results(output), min(seconds))


def make_inputs(folder: Path) -> None:
    """A stack with channels, a colour image, grey ones, an OME-Zarr, and one name twice."""
    draw = np.random.default_rng(0)
    (folder / "day2").mkdir(parents=True)

    def grey(*shape: int) -> np.ndarray:
        return draw.integers(100, 4000, shape).astype(np.uint16)

    sizes = {"X": 0.5, "Y": 0.4}
    stack = Micrograph(grey(2, 2, 40, 50), "ZCYX", sizes | {"Z": 2.0}, "µm", ("DAPI", "GFP"))
    write_image(folder / "stack.ome.tif", stack)
    write_image(
        folder / "colour.png", Micrograph(draw.integers(0, 255, (80, 90, 3), np.uint8), "YXS")
    )
    write_image(folder / "a.tif", Micrograph(grey(90, 80), "YX", sizes, "µm"))
    write_image(folder / "day2" / "a.tif", Micrograph(grey(64, 64), "YX"))
    write_image(folder / "large.tif", Micrograph(grey(130, 150), "YX", sizes, "µm"))
    write_image(folder / "slide.ome.zarr", Micrograph(grey(145, 140), "YX", sizes, "µm"))


def make_models(folder: Path) -> None:
    """Two tiny networks of random weights."""
    for name, channels in (("grey", 1), ("rgb", 3)):
        torch.manual_seed(channels)
        network = Generator(channels=channels, scale=2, width=2).eval()
        card = ModelCard(
            name=name,
            description="A tiny network of random weights.",
            architecture=network.architecture,
            scale=2,
            channels=channels,
            halo=network.halo,
        )
        save_model(network, card, folder / f"{name}.safetensors")


def run(case: Case, output: Path, seconds: float | None) -> bool:
    """A batch in a process of its own, killed after so long unless it has ended; gives whether it
    was killed.
    """

    def work() -> None:
        with open_batch([case.inputs], output, case.settings) as batch:
            for _ in batch.steps():
                pass
            if batch.failures:
                raise RuntimeError(batch.failures)

    return apart(work, seconds)


def apart(work: Callable[[], None], seconds: float | None = None) -> bool:
    """Do something in a process forked from this one, and kill it after so long; gives whether it
    was killed.
    """
    child = os.fork()
    if not child:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    end = time.monotonic() + (PATIENCE_S if seconds is None else seconds)
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() >= end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            if seconds is None:
                sys.exit(f"a batch hangs: it has not ended in {PATIENCE_S} s")
            return True
        time.sleep(0.001)
    if status:
        sys.exit(f"a batch that was not killed ended with status {status}")
    return False


def results(output: Path) -> dict[str, str]:
    """What is there under final names, with digests of what is in it."""
    if not output.exists():
        return {}
    found = {}
    for place, folders, names in os.walk(output):
        folders[:] = [name for name in folders if name != WORK]
        whole = [name for name in folders if name.endswith(".zarr")]
        folders[:] = [name for name in folders if name not in whole]
        for name in [*whole, *(name for name in names if name not in (MANIFEST, TABLE, PAGE))]:
            path = Path(place, name)
            found[path.relative_to(output).as_posix()] = digest(path)
    return found


def digest(path: Path) -> str:
    """Of all bytes of an OME-Zarr; of pixels and metadata of a file, as each OME-TIFF has an
    identifier of its own.
    """
    collected = hashlib.sha256()
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file():
                collected.update(file.relative_to(path).as_posix().encode() + file.read_bytes())
        return (
            collected.hexdigest()
        )  # not read as an image: zarr's threads would not be there after the next fork
    image = read_image(path)
    description = (
        image.axes,
        image.pixel_size,
        image.unit,
        image.channel_names,
        image.name,
        image.time_step_s,
    )
    collected.update(
        f"{description} {image.data.shape} {image.data.dtype}".encode() + image.data.tobytes()
    )
    return collected.hexdigest()


def compare(case: Case, found: dict[str, str], when: str, *, complete: bool) -> None:
    """End with an error if results are not those of the undisturbed run."""
    wrong = [name for name, value in found.items() if case.expected.get(name) != value]
    missing = sorted(case.expected.keys() - found.keys()) if complete else []
    if wrong or missing:
        sys.exit(f"{case.settings.format}, {when}: wrong {wrong}, missing {missing}")


if __name__ == "__main__":
    main()
