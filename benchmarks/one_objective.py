"""How much does a pair of one objective teach? `python benchmarks/one_objective.py BLURRED SHARP
OUTPUT [--minutes 5]`.

BLURRED and SHARP are grey images of one place with pixels of the same size that lie on each other,
such as widefield and structured illumination. A model is fine-tuned on the left two thirds. Printed
are PSNR and SSIM on the right third, of which nothing was learned, of the blurred image, of the
base model at the same pixels and of the new one, each after a straight line was fitted to its grey
values. OUTPUT is a folder for the model.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.evaluation.metrics import psnr, ssim
from napari_mdeblurgan.fine_tuning.folder import begin
from napari_mdeblurgan.fine_tuning.outcome import conclude
from napari_mdeblurgan.fine_tuning.pairs import tuning_pairs
from napari_mdeblurgan.fine_tuning.settings import FineTuneSettings
from napari_mdeblurgan.fine_tuning.tuning import open_fine_tuning
from napari_mdeblurgan.pairs import ImagePair, register_images
from napari_mdeblurgan.storage import Micrograph, read_image

LEARNED = 2 / 3  # of the columns
GAP, BORDER = (
    16,
    8,
)  # columns between what is learned from and what is judged, and pixels at the edge that are not
BRIGHTEST = 99.9  # percentile of the truth that counts as white


def learned(
    blurred: np.ndarray, sharp: np.ndarray, output: Path, minutes: float, base: str
) -> Path:
    """The file of a model fine-tuned on a pair."""
    pair = register_images(
        ImagePair("pair", *(Micrograph(image, "YX") for image in (blurred, sharp))),
        objectives=(1.0, 1.0),
    )
    output.mkdir(parents=True, exist_ok=True)
    settings = FineTuneSettings(
        base=base,
        name="tuned",
        output=str(output / "tuned.safetensors"),
        minutes=minutes,
        device="cpu",
    )
    tuning = open_fine_tuning(
        begin(settings, tuning_pairs([pair], load_model(base).card), overwrite=True)
    )
    for _ in tuning.steps():
        pass
    outcome = conclude(tuning)
    print(f"{outcome.steps} steps, the best after {outcome.best_step}: {outcome.verdict.sentence}")
    return Path(outcome.path)


def judged(image: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """PSNR in dB and SSIM, grey values fitted by a straight line, in units of the truth's
    brightest.
    """
    line = np.polyfit(image.ravel().astype(float), truth.ravel().astype(float), 1)
    white = float(np.percentile(truth, BRIGHTEST))
    fitted = (np.polyval(line, image.astype(float)) / white).astype(np.float32)
    return psnr(fitted, (truth / white).astype(np.float32)), ssim(
        fitted, (truth / white).astype(np.float32)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("blurred", type=Path)
    parser.add_argument("sharp", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--base", default="gray-x2")
    given = parser.parse_args()
    blurred, sharp = (np.asarray(read_image(path).data) for path in (given.blurred, given.sharp))
    column = int(LEARNED * blurred.shape[1]) // 8 * 8
    tuned = learned(blurred[:, :column], sharp[:, :column], given.output, given.minutes, given.base)
    part = (slice(BORDER, -BORDER), slice(column + GAP, -BORDER))
    images = {"blurred": blurred}
    for name, file in ((given.base, given.base), ("fine-tuned", tuned)):
        images[name] = restore(blurred, load_model(file), output_scale=1, device="cpu")
    for name, image in images.items():
        decibels, likeness = judged(image[part], sharp[part])
        print(f"{name:12} {decibels:.2f} dB, {likeness:.3f}")


if __name__ == "__main__":
    main()
