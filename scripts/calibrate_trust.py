"""Calibrate the error bar of models: `python scripts/calibrate_trust.py DATA [--model NAME] ... [--output FILE]`.

DATA has the subfolders rgb/ and grey/ of sharp training images; images for judging are not among them. Half of the patches are
degraded as in training, half as in the evaluation's protocols; they lie anywhere in the images. The entries go into the package,
or into FILE; one named calibrations.json in the folder of the user's models is found, too. Entries of other models stay, those
whose model is no longer there are taken out of the package's. Run it again whenever a bundled model was trained anew: an entry
belongs to one model's weights.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from napari_mdeblurgan import load_model
from napari_mdeblurgan.evaluation.images import SharpPart, find_images
from napari_mdeblurgan.evaluation.protocol import degraded
from napari_mdeblurgan.model import Model, list_models
from napari_mdeblurgan.training.degradation import GAUSSIAN, PHYSICAL
from napari_mdeblurgan.training.recipe import MIXTURE
from napari_mdeblurgan.trust.calibrating import calibrate, restore_known
from napari_mdeblurgan.trust.error_bar import BUNDLED

BUNDLED_MODELS = ("rgb-x2", "gray-x2")
EDGE, PATCHES, SEED = 128, 96, 77
TRAINED = replace(MIXTURE, shapes=0.0, padding=0.0)  # no areas that nobody has taken a picture of


def main() -> None:
    """Calibrate and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--output", type=Path, default=BUNDLED)
    parser.add_argument("--patches", type=int, default=PATCHES)
    wishes = parser.parse_args()
    entries = json.loads(wishes.output.read_text(encoding="utf-8")) if wishes.output.is_file() else {}
    for name in wishes.model or BUNDLED_MODELS:
        model, start = load_model(name), time.perf_counter()
        known = [restore_known(*pair, model) for pair in pairs(wishes.data, model, wishes.patches)]
        entries[model.card.weights_sha256] = calibrate(known, model.card.name, model.card.channels)
        gain = 20 * np.log10(np.mean([_rms(k.error) for k in known]) / np.mean([_rms(k.error_of_mean) for k in known]))
        seconds = time.perf_counter() - start
        print(
            f"{name}: {len(known)} patches, {seconds:.0f} s; the mean of eight orientations gains {gain:.2f} dB",
            flush=True,
        )
    if wishes.output == BUNDLED:
        there = {card.weights_sha256 for card in list_models()}
        entries = {digest: entry for digest, entry in entries.items() if digest in there}
    wishes.output.write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def pairs(data: Path, model: Model, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Blurred patches and their truth: from anywhere in an image, rich in detail or not, as often from each source."""
    colour, scale = model.card.channels == 3, model.card.scale
    sources: dict[str, list[SharpPart]] = {}
    for image in find_images(data / ("rgb" if colour else "grey"))[0]:
        if image.colour == colour:
            sources.setdefault(image.path.stem.split("-")[0], []).append(image)
    names, conditions = sorted(sources), (*GAUSSIAN, *PHYSICAL)
    for number in range(count):
        random = np.random.default_rng((SEED, number))
        of_source = sources[names[number // 2 % len(names)]]
        sharp = _patch(of_source[random.integers(len(of_source))].read(scale), random, EDGE * scale)
        if number % 2:
            low, truth = degraded(sharp, conditions[random.integers(len(conditions))], scale)
        else:
            planes = torch.from_numpy(np.atleast_3d(sharp).transpose(2, 0, 1).copy())[None]
            found = TRAINED.draw(planes, random, scale)
            low, truth = (_image(each, colour) for each in (found.blurred, found.sharp))
        if np.ptp(low) > 2 / 255:
            yield low, truth


def _patch(image: np.ndarray, random: np.random.Generator, edge: int) -> np.ndarray:
    """A square of at most `edge` pixels, anywhere."""
    corner = [int(random.integers(0, max(1, length - edge + 1))) // 8 * 8 for length in image.shape[:2]]
    cut = image[corner[0] : corner[0] + edge, corner[1] : corner[1] + edge]
    height, width = (length // 8 * 8 for length in cut.shape[:2])
    return np.ascontiguousarray(cut[:height, :width])


def _image(batch: torch.Tensor, colour: bool) -> np.ndarray:
    image = batch[0].numpy().transpose(1, 2, 0)
    return np.ascontiguousarray(image if colour else image[..., 0])


def _rms(error: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(error, dtype=np.float64))))


if __name__ == "__main__":
    main()
