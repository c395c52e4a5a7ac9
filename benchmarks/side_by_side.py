"""What users would pick instead, side by side in one run on one machine: speed, memory and quality
in Markdown.

    python benchmarks/side_by_side.py [--model gray-x2] [--edge 3072] [--validation
    DATA/validation/grey] [--table FILE]

Each method makes a result of `--edge` pixels along y and x, from an array in memory to an array in
memory, in a process of its own and the way its program does by itself: M-Deblurgan in its tiles
with their halo; Cellpose 3 in tiles of 224 pixels that overlap by a tenth on every side, eight at a
time; CAREamics and Richardson-Lucy on the whole image at once. Only M-Deblurgan enlarges; the
others are given as many pixels as they give. Cellpose's and CAREamics' weights are at random: speed
and memory do not depend on them, and quality is left out. With `--validation` the gain in PSNR over
bicubic enlargement is measured on these images under the Gaussian protocol, Richardson-Lucy being
told the true blur.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))

from alternatives import CareamicsUNet, CellposeRestoration
from approximation_readings import gain_over_bicubic
from skimage.restoration import richardson_lucy
from speed import machine, table

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.degradation import GAUSSIAN, Condition
from napari_mdeblurgan.evaluation.baselines import ITERATIONS, richardson_lucy_bicubic
from napari_mdeblurgan.evaluation.cost import peak_mib
from napari_mdeblurgan.training.data.dataset import image_files, read_sharp

CELLPOSE_TILE, CELLPOSE_OVERLAP, CELLPOSE_BATCH = 224, 0.1, 8
SCALE = 2

Run = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True)
class Alternative:
    """One line of the table.

    Attributes
    ----------
    name, precision : str
        What it is called, and what it computes in.
    ready : callable
        (model's name, precision) -> from (y, x), float32 in [0, 1], to the result.
    scale : int
        Pixels of the result for one of the image, along y and x.
    sharpen : callable, optional
        (model's name, precision) -> from a blurred image and its condition to a result of twice the
        pixels; where quality means something.
    """

    name: str
    precision: str
    ready: Callable[[str, str], Run]
    scale: int = 1
    sharpen: Callable[[str, str], Callable[[np.ndarray, Condition], np.ndarray]] | None = None


def m_deblurgan(name: str, precision: str) -> Run:
    """As `restore` does it."""
    model = load_model(name)
    return lambda image: restore(image, model, precision=precision)


def told_nothing(name: str, precision: str) -> Callable[[np.ndarray, Condition], np.ndarray]:
    """M-Deblurgan, which gets the image alone."""
    run = m_deblurgan(name, precision)
    return lambda image, _: run(image)


def cellpose(_: str, precision: str) -> Run:
    """Overlapping tiles, each weighted by a sigmoid that falls towards its edges."""
    network = CellposeRestoration().eval().to(memory_format=torch.channels_last)
    distance = np.abs(np.arange(CELLPOSE_TILE) - (CELLPOSE_TILE - 1) / 2)
    taper = 1 / (1 + np.exp((distance - (CELLPOSE_TILE / 2 - 20)) / 7.5))
    weights = (taper[:, None] * taper).astype(np.float32)

    def run(image: np.ndarray) -> np.ndarray:
        result, seen = np.zeros_like(image), np.zeros_like(image)
        corners = [(y, x) for y in starts(image.shape[0]) for x in starts(image.shape[1])]
        for first in range(0, len(corners), CELLPOSE_BATCH):
            some = corners[first : first + CELLPOSE_BATCH]
            tiles = np.stack([image[y : y + CELLPOSE_TILE, x : x + CELLPOSE_TILE] for y, x in some])
            for (y, x), tile in zip(some, through(network, tiles, precision), strict=True):
                place = slice(y, y + CELLPOSE_TILE), slice(x, x + CELLPOSE_TILE)
                result[place] += weights * tile
                seen[place] += weights
        return result / seen

    return run


def starts(length: int) -> np.ndarray:
    """First pixels of Cellpose's tiles along one axis."""
    count = int(np.ceil((1 + 2 * CELLPOSE_OVERLAP) * length / CELLPOSE_TILE))
    return np.linspace(0, length - CELLPOSE_TILE, count).astype(int)


def careamics(_: str, precision: str) -> Run:
    """The whole image at once."""
    network = CareamicsUNet().eval().to(memory_format=torch.channels_last)
    return lambda image: through(network, image[None], precision)[0]


def through(network: torch.nn.Module, images: np.ndarray, precision: str) -> np.ndarray:
    """(images, y, x) through a network of one channel."""
    dtype = getattr(torch, precision)
    with torch.inference_mode(), torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
        return network(torch.from_numpy(images)[:, None])[:, 0].float().numpy()


def deconvolution(_: str, __: str) -> Run:
    """The whole image at once, with a Gaussian of σ = 2 pixels."""
    distance = np.arange(-8, 9)
    line = np.exp(-0.5 * (distance / 2) ** 2)
    spread = np.outer(line, line) / line.sum() ** 2
    return lambda image: richardson_lucy(image, spread, ITERATIONS)


def told_the_blur(_: str, __: str) -> Callable[[np.ndarray, Condition], np.ndarray]:
    """Richardson-Lucy with the true point-spread function, then bicubic enlargement."""
    return lambda image, condition: richardson_lucy_bicubic(
        image, condition.psf(SCALE), SCALE, ITERATIONS
    )


ALTERNATIVES = (
    Alternative("M-Deblurgan", "bfloat16", m_deblurgan, SCALE, told_nothing),
    Alternative("M-Deblurgan", "float32", m_deblurgan, SCALE, told_nothing),
    Alternative("Cellpose 3, restoration", "float32", cellpose),
    Alternative("Cellpose 3, restoration", "bfloat16", cellpose),
    Alternative("CAREamics' U-Net", "float32", careamics),
    Alternative("CAREamics' U-Net", "bfloat16", careamics),
    Alternative(
        f"Richardson-Lucy, {ITERATIONS} iterations", "float32", deconvolution, 1, told_the_blur
    ),
)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="gray-x2")
    parser.add_argument("--edge", type=int, default=3072, help="of the result, in pixels")
    parser.add_argument("--validation", type=Path, help="sharp grey micrographs")
    parser.add_argument("--table", type=Path)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    wishes = parser.parse_args()
    if wishes.one is not None:
        print(json.dumps(measured(ALTERNATIVES[wishes.one], wishes.model, wishes.edge)))
        return
    rows: list[list[str]] = []
    rates: list[float] = []
    for number, each in enumerate(ALTERNATIVES):
        command = [sys.executable, __file__, *sys.argv[1:], "--one", str(number)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        rates.append(wishes.edge**2 / 1e6 / found["seconds"])
        gain = (
            "–"
            if each.sharpen is None or wishes.validation is None
            else f"{gained(each, wishes):+.2f} dB"
        )
        rows.append(
            [each.name, each.precision, f"{rates[-1]:.2f}", f"{rates[0] / rates[-1]:.1f} ×"]
        )
        rows[-1] += [f"{found['mib']:.0f}", gain]
        print(rows[-1], file=sys.stderr, flush=True)
    head = [
        "",
        "precision",
        "MPix/s of the result",
        "the first is faster by",
        "memory, MiB",
        "PSNR over bicubic",
    ]
    text = (
        f"{machine('cpu')}, {time.strftime('%Y-%m-%d')}.\n\n" + "\n".join(table(head, rows)) + "\n"
    )
    print(text)
    if wishes.table:
        wishes.table.write_text(text)


def measured(each: Alternative, model: str, edge: int) -> dict[str, float]:
    """Seconds and memory of one method, a small image having been restored before."""
    run = each.ready(model, each.precision)
    image = np.random.default_rng(0).random((edge // each.scale,) * 2, np.float32)
    run(image[:256, :256])
    with peak_mib("cpu") as peak:
        start = time.perf_counter()
        result = run(image)
        seconds = time.perf_counter() - start
    assert result.shape == (edge, edge), result.shape
    return {"seconds": seconds, "mib": peak[0]}


def gained(each: Alternative, wishes: argparse.Namespace) -> float:
    """Mean gain in PSNR over bicubic enlargement, over the images and three blurs, in dB."""
    assert each.sharpen is not None
    run = each.sharpen(wishes.model, each.precision)
    gains = []
    for sharp, low, condition in blurred(wishes.validation):
        images = (run(low, condition), low, sharp)
        gains.append(
            gain_over_bicubic(*(torch.from_numpy(np.array(each))[None, None] for each in images))
        )
    return float(np.mean(gains))


def blurred(folder: Path) -> Iterator[tuple[np.ndarray, np.ndarray, Condition]]:
    """Every image with its blurred, reduced versions."""
    for path in image_files(folder):
        sharp = read_sharp(path)
        sharp = sharp[: sharp.shape[0] // SCALE * SCALE, : sharp.shape[1] // SCALE * SCALE]
        for condition in GAUSSIAN:
            low = (
                condition.degrade(torch.from_numpy(sharp.copy())[None, None], 0, SCALE)
                .blurred[0, 0]
                .numpy()
            )
            yield sharp, low, condition


if __name__ == "__main__":
    main()
