"""How soft the result of a JPEG-compressed image is best: gains over bicubic enlargement by
softness and quality.

    python benchmarks/jpeg.py DATA [--models rgb-x2 gray-x2] [--truth 0 0.9] [--sigma 0.3 0.6]
    [--quality 98 95 90 80 60] [--softness 0 0.5 0.6 0.7 0.8 0.9 1] [--every 1] [--edge 512]

DATA has the subfolders validation/rgb and validation/grey. Every image is softened by a Gaussian of
--truth pixels, as by the optics that see it, then taken through the Gaussian protocol (bicubic
halving, blur of --sigma pixels of the halved image, noise of one grey level, 8 bits), compressed,
colours with halved chroma, and restored. Prints for each of these the mean and the worst gain in
PSNR, at each softness and as "auto" has it.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

import numpy as np
import torch
from softness import BORDER, image_of, sharp_planes

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.degradation import gaussian_blur, gaussian_protocol
from napari_mdeblurgan.degradation.processing import after_jpeg
from napari_mdeblurgan.evaluation.baselines import bicubic
from napari_mdeblurgan.evaluation.metrics import cropped, psnr
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.training.data.dataset import image_files


def gains(
    path: Path,
    truth: float,
    sigma: float,
    quality: int,
    softness: list[float],
    edge: int,
    model: Model,
) -> list[float]:
    """Gain at each softness and at that of "auto", in dB."""
    soft = gaussian_blur(sharp_planes(path, edge), torch.tensor([truth]))
    noise = np.random.default_rng(0)
    low = 255 * image_of(gaussian_protocol(soft, sigma))
    noisy = np.clip(np.rint(low + noise.normal(size=low.shape)), 0, 255)
    low = after_jpeg(noisy.astype(np.uint8), quality)
    right = cropped(image_of(soft), BORDER)

    def score(image: np.ndarray) -> float:
        return psnr(cropped(np.clip(image, 0, 1), BORDER), right)

    plain = score(bicubic(np.float32(low) / 255, 2))
    return [
        score(np.float32(restore(low, model, softness=each)) / 255) - plain
        for each in (*softness, "auto")
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", nargs="+", default=["rgb-x2", "gray-x2"])
    parser.add_argument("--truth", nargs="+", type=float, default=[0.0, 0.9])
    parser.add_argument("--sigma", nargs="+", type=float, default=[0.3, 0.6])
    parser.add_argument("--quality", nargs="+", type=int, default=[98, 95, 90, 80, 60])
    parser.add_argument(
        "--softness", nargs="+", type=float, default=[0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    )
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--edge", type=int, default=512)
    options = parser.parse_args()
    columns = [*(f"{each:g} px" for each in options.softness), "auto"]
    print("model    truth sigma quality " + "".join(f"{each:>16}" for each in columns))
    for name in options.models:
        model = load_model(name)
        folder = options.data / "validation" / ("rgb" if model.card.channels == 3 else "grey")
        files = image_files(folder)[:: options.every]
        for truth, sigma, quality in product(options.truth, options.sigma, options.quality):
            found = np.array(
                [
                    gains(path, truth, sigma, quality, options.softness, options.edge, model)
                    for path in files
                ]
            )
            figures = zip(found.mean(axis=0), found.min(axis=0), strict=True)
            told = "".join(f"{f'{mean:+.2f}, {worst:+.2f}':>16}" for mean, worst in figures)
            print(f"{name:8} {truth:5.1f} {sigma:5.1f} {quality:7} {told}", flush=True)


if __name__ == "__main__":
    main()
