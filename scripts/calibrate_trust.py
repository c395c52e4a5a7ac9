"""Calibrate the error bar of models: `python scripts/calibrate_trust.py DATA [--model NAME] ...
[--output FILE]`.

DATA has the subfolders rgb/ and grey/ of sharp training images; images for judging are not among
them. Fields of up to 512² pixels from anywhere in them, as many from each source, are blurred in
the six ways of the evaluation's protocols (models for strong blur: in the ten ways), as often in
each, and restored, to as many pixels as the
model makes and to their own; each result counts as it was computed and rounded to 8 bits. How much
noise is too much is taken from patches that are degraded as in training. The entries go into the
package, or into FILE; one named calibrations.json in the folder of the user's models is found, too.
Entries of other models stay, those whose model is no longer there are taken out of the package's.
Run it again whenever a bundled model was trained anew: an entry belongs to one model's weights.
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
from napari_mdeblurgan.degradation import GAUSSIAN, PHYSICAL, STRONG
from napari_mdeblurgan.evaluation.images import SharpPart, find_images
from napari_mdeblurgan.evaluation.protocol import degraded
from napari_mdeblurgan.model import Model, list_models
from napari_mdeblurgan.training.recipe import MIXTURE
from napari_mdeblurgan.trust.calibrating import calibrate, noise_share, restore_known
from napari_mdeblurgan.trust.error_bar import BUNDLED_CALIBRATIONS

BUNDLED_MODELS = ("rgb-x2", "gray-x2", "rgb-x4", "gray-x4")
STRONG_PX = 4.5
EDGE, FIELDS, SEED = 512, 72, 77
NOISY_EDGE, NOISY = 256, 96
TRAINED = replace(MIXTURE, shapes=0.0, padding=0.0)  # no areas that nobody has taken a picture of


def main() -> None:
    """Calibrate and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--output", type=Path, default=BUNDLED_CALIBRATIONS)
    parser.add_argument("--fields", type=int, default=FIELDS)
    wishes = parser.parse_args()
    entries = (
        json.loads(wishes.output.read_text(encoding="utf-8")) if wishes.output.is_file() else {}
    )
    for name in wishes.model or BUNDLED_MODELS:
        model, start = load_model(name), time.perf_counter()
        sources = sharp_images(wishes.data, model)
        fields = list(pairs(sources, model, wishes.fields))
        known = [each for pair in fields for each in restore_known(*pair, model)]
        averaged = {
            1: [each for pair in fields for each in restore_known(*pair, model, output_scale=1)]
        }
        shares = [noise_share(image, model) for image in as_in_training(sources, model, NOISY)]
        card = model.card
        entries[card.weights_sha256] = calibrate(known, shares, card.name, card.channels, averaged)
        gain = 20 * np.log10(
            np.mean([_rms(k.error) for k in known])
            / np.mean([_rms(k.error_of_mean) for k in known])
        )
        seconds = time.perf_counter() - start
        print(
            f"{name}: {len(fields)} fields, {seconds:.0f} s; the mean of eight orientations gains "
            f"{gain:.2f} dB",
            flush=True,
        )
    if wishes.output == BUNDLED_CALIBRATIONS:
        there = {card.weights_sha256 for card in list_models()}
        entries = {digest: entry for digest, entry in entries.items() if digest in there}
    wishes.output.write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def sharp_images(data: Path, model: Model) -> list[list[SharpPart]]:
    """Those of the model's kind, by source."""
    colour = model.card.channels == 3
    sources: dict[str, list[SharpPart]] = {}
    for image in find_images(data / ("rgb" if colour else "grey"))[0]:
        if image.colour == colour:
            sources.setdefault(image.path.stem.split("-")[0], []).append(image)
    return [sources[name] for name in sorted(sources)]


def pairs(
    sources: list[list[SharpPart]], model: Model, count: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Blurred fields and their truth."""
    known = model.card.blur_sigma_px
    strong = known is not None and known[1] >= STRONG_PX
    conditions = (*GAUSSIAN, *PHYSICAL, *(STRONG if strong else ()))
    for number in range(count):
        condition = conditions[number // len(sources) % len(conditions)]
        low, truth = degraded(
            _field(sources, number, EDGE, model.card.scale), condition, model.card.scale
        )
        if np.ptp(low) > 2 / 255:
            yield low, truth


def as_in_training(
    sources: list[list[SharpPart]], model: Model, count: int
) -> Iterator[np.ndarray]:
    """Blurred patches with as much noise as the model knows."""
    for number in range(count):
        sharp = _field(sources, number, NOISY_EDGE, model.card.scale)
        planes = torch.from_numpy(np.atleast_3d(sharp).transpose(2, 0, 1).copy())[None]
        low = TRAINED.draw(planes, np.random.default_rng((SEED, number)), model.card.scale).blurred
        image = low[0].numpy().transpose(1, 2, 0).reshape(*low.shape[2:], *sharp.shape[2:])
        if np.ptp(image) > 2 / 255:
            yield np.ascontiguousarray(image)


def _field(sources: list[list[SharpPart]], number: int, edge: int, scale: int) -> np.ndarray:
    """A part of one of the images of the source whose turn it is."""
    random = np.random.default_rng((SEED, edge, number))
    of_source = sources[number % len(sources)]
    return _part(of_source[random.integers(len(of_source))].read(scale), random, edge)


def _part(image: np.ndarray, random: np.random.Generator, edge: int) -> np.ndarray:
    """At most `edge` pixels along y and x, anywhere."""
    corner = [
        int(random.integers(0, max(1, length - edge + 1))) // 8 * 8 for length in image.shape[:2]
    ]
    cut = image[corner[0] : corner[0] + edge, corner[1] : corner[1] + edge]
    height, width = (length // 8 * 8 for length in cut.shape[:2])
    return np.ascontiguousarray(cut[:height, :width])


def _rms(error: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(error, dtype=np.float64))))


if __name__ == "__main__":
    main()
