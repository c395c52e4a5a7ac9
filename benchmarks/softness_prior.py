"""What a small softness would cost and bring where nothing is known of the objective: changes of
PSNR in dB, in one table.

    python benchmarks/softness_prior.py DATA OUTPUT [--models rgb-x2 gray-x2] [--prior 0.4 0.5 0.6]
    [--sets smear widefield]

DATA has the subfolders validation/rgb, validation/grey and real. Every third image for validation
goes through the Gaussian protocol, and real images are judged as `mdeblurgan evaluate --real` does.
A line gives the gain of the bare network over bicubic enlargement, mean and worst, and for each
softness by how much both change. Results are made once and blurred as often as is needed. OUTPUT
keeps the scores on real images, so that a second call measures only what is new.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.degradation import gaussian_protocol
from napari_mdeblurgan.evaluation.baselines import bicubic
from napari_mdeblurgan.evaluation.ledger import Ledger
from napari_mdeblurgan.evaluation.metrics import cropped, psnr
from napari_mdeblurgan.evaluation.real.cases import LeftOut, cases
from napari_mdeblurgan.evaluation.real.contenders import (
    BICUBIC,
    Contender,
    baselines,
    restored_for_user,
)
from napari_mdeblurgan.evaluation.real.gains import real_gains
from napari_mdeblurgan.evaluation.real.scoring import REAL_KEYS, RealScore, scores_of
from napari_mdeblurgan.evaluation.real.sets import find_sets
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration.softened_result import softened_plane
from napari_mdeblurgan.training.data.dataset import image_files, read_sharp

BORDER = 8
GRID = 16
EVERY = 3
SIGMAS = (0.7, 1.2, 2.0)
SETS = ("smear", "widefield", "H&E")

Line = tuple[str, str, np.ndarray]  # model, where, and gains in dB: (images, 1 + priors)


def validation(
    data: Path, name: str, model: Model, priors: Sequence[float], edge: int
) -> Iterator[Line]:
    """A line for each blur of the Gaussian protocol."""
    folder = data / "validation" / ("rgb" if model.card.channels == 3 else "grey")
    for sigma in SIGMAS:
        found = [_gains(path, sigma, model, priors, edge) for path in image_files(folder)[::EVERY]]
        yield name, f"Gaussian protocol, σ = {sigma:g}", np.array(found)


def _gains(
    path: Path, sigma: float, model: Model, priors: Sequence[float], edge: int
) -> list[float]:
    sharp = read_sharp(path)
    height, width = (min(length, edge) // GRID * GRID for length in sharp.shape[:2])
    truth = sharp[:height, :width].astype(np.float32)
    planes = torch.from_numpy(np.atleast_3d(truth).transpose(2, 0, 1).copy())[None]
    blurred = gaussian_protocol(planes, sigma)[0].permute(1, 2, 0).numpy()
    low = np.ascontiguousarray(blurred if truth.ndim == 3 else blurred[..., 0])

    def score(image: np.ndarray) -> float:
        return psnr(cropped(np.clip(image, 0, 1), BORDER), cropped(truth, BORDER))

    bare, plain = np.asarray(restore(low, model, softness=0)), score(bicubic(low, 2))
    return [score(softened_plane(bare, each, rgb=bare.ndim == 3)) - plain for each in (0, *priors)]


def real(
    data: Path,
    output: Path,
    models: Sequence[tuple[str, Model]],
    priors: Sequence[float],
    sets: Sequence[str],
) -> Iterator[Line]:
    """A line for each set of real images and way of restoring them."""
    found, _ = find_sets(data, tuple(sets))
    table = Ledger(output / "prior_scores.csv", RealScore, REAL_KEYS)
    for title in dict.fromkeys(each.name for each in found):
        scores = []
        for one in (each for each in found if each.name == title):
            halved = (False, True) if one.description.halve else (False,)
            ways = [
                way
                for name, model in models
                for halve in halved
                for way in _ways(name, model, halve, priors)
            ]
            listed = [*baselines(sharpened=False), *ways]
            for case in cases(one):
                if not isinstance(case, LeftOut):
                    scores += list(scores_of(case, listed, table))
        by_way: dict[str, dict[str, list[float]]] = {}
        for gain in real_gains(scores):
            way, softness = gain.score.method.rsplit(" at ", 1)
            by_way.setdefault(way, {}).setdefault(softness, []).append(gain.psnr_db)
        for way, figures in by_way.items():
            yield way, title, np.array([figures[f"{each:g} px"] for each in (0, *priors)]).T


def _ways(name: str, model: Model, halve: bool, priors: Sequence[float]) -> Iterator[Contender]:
    """One model, bare and softened, of one result."""
    kept: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def bare(image: np.ndarray) -> np.ndarray:
        if id(image) not in kept:
            kept.clear()
            kept[id(image)] = (
                image,
                restored_for_user(image, model, binning=2 if halve else 1, softness=0),
            )
        return kept[id(image)][1]

    def softened(softness: float) -> Callable[[np.ndarray], np.ndarray]:
        return lambda image: softened_plane(bare(image), softness, rgb=image.ndim == 3)

    way = f"{name}, halved first" if halve else name
    for softness in (0, *priors):
        identity = f"{model.card.weights_sha256} {'halved ' * halve}blurred {softness:g}"
        yield Contender(
            f"{way} at {softness:g} px", identity, model.card.channels, {"": softened(softness)}
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--models", nargs="+", default=["rgb-x2", "gray-x2"])
    parser.add_argument("--prior", nargs="+", type=float, default=[0.4, 0.5, 0.6])
    parser.add_argument(
        "--sets", nargs="*", default=SETS, help="parts of names of sets of real images"
    )
    parser.add_argument("--edge", type=int, default=512)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    models = [(name, load_model(name)) for name in options.models]
    told = "".join(f" | {each:g} px: change" for each in options.prior)
    print(
        f"| model | images | n | bare over {BICUBIC}{told} "
        f"|\n|{' --- |' * (4 + len(options.prior))}"
    )
    for name, model in models:
        for line in validation(options.data, name, model, options.prior, options.edge):
            _print(*line)
    if options.sets:
        for line in real(options.data, options.output, models, options.prior, options.sets):
            _print(*line)


def _print(model: str, images: str, found: np.ndarray) -> None:
    mean, worst = found.mean(axis=0), found.min(axis=0)
    cells = [f"{mean[0]:+.2f} dB, worst {worst[0]:+.2f}"]
    cells += [
        f"{m - mean[0]:+.2f}, worst {w - worst[0]:+.2f}"
        for m, w in zip(mean[1:], worst[1:], strict=True)
    ]
    print(f"| {model} | {images} | {len(found)} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
