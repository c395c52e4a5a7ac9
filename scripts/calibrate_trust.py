"""Calibrate the error bar of models: `python scripts/calibrate_trust.py DATA [--model NAME] ... [--output FILE]`.

DATA has the subfolders rgb/ and grey/ of sharp training images; images for judging are not among them. Half of the patches are
degraded as in training, half as in the evaluation's protocols. The entries go into the package, or into FILE; one named
calibrations.json in the folder of the user's models is found, too. Entries of other models stay, those whose model is no longer
there are taken out of the package's. Run it again whenever a bundled model was trained anew: an entry belongs to one model's
weights.
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
from napari_mdeblurgan.evaluation.protocol import degraded
from napari_mdeblurgan.model import Model, list_models
from napari_mdeblurgan.training.degradation import GAUSSIAN, PHYSICAL
from napari_mdeblurgan.training.recipe import training_patches
from napari_mdeblurgan.trust.calibrating import calibrate, restore_known
from napari_mdeblurgan.trust.error_bar import BUNDLED

BUNDLED_MODELS = ("rgb-x2", "gray-x2")
EDGE, PATCHES, SEED = 128, 96, 77


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
    """Blurred patches and their truth."""
    channels, scale = model.card.channels, model.card.scale
    sampler = replace(training_patches(data, channels, SEED), size=EDGE, batch=1, scale=scale)
    conditions = (*GAUSSIAN, *PHYSICAL)
    for number in range(count):
        patch = sampler.draw(number)
        low, truth = (_image(each) for each in (patch.blurred, patch.sharp))
        if number % 2:
            low, truth = degraded(truth, conditions[number // 2 % len(conditions)], scale)
        if np.ptp(low) > 1 / 255:
            yield low, truth


def _image(batch: torch.Tensor) -> np.ndarray:
    image = batch[0].numpy().transpose(1, 2, 0)
    return np.ascontiguousarray(image if image.shape[-1] == 3 else image[..., 0])


def _rms(error: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(error, dtype=np.float64))))


if __name__ == "__main__":
    main()
