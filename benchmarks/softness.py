"""What it is worth to know how soft a truth is: gains over bicubic enlargement with the softness
told, and without.

    python benchmarks/softness.py DATA [--models rgb-x2 gray-x2] [--softness 0 1 2 3] [--sigma 0.7]
    [--edge 512]

DATA has the subfolders validation/rgb and validation/grey. Every image is softened by a Gaussian of
so many pixels, then taken through the Gaussian protocol (bicubic halving, blur of --sigma pixels of
the halved image, 8 bits) and restored. Prints for each model and softness the mean and the worst
gain in PSNR, once bare and once blurred by that same Gaussian.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.degradation import gaussian_blur, gaussian_protocol
from napari_mdeblurgan.evaluation.baselines import bicubic
from napari_mdeblurgan.evaluation.metrics import cropped, psnr
from napari_mdeblurgan.training.data.dataset import image_files, read_sharp

BORDER = 16
GRID = 16


def gains(
    path: Path, softness: float, sigma: float, edge: int, model: object
) -> tuple[float, float]:
    """Gain of the bare result and of the one that is told, in dB."""
    truth = gaussian_blur(sharp_planes(path, edge), torch.tensor([softness]))
    low = image_of(gaussian_protocol(truth, sigma))
    right = cropped(image_of(truth), BORDER)

    def score(image: np.ndarray) -> float:
        return psnr(cropped(np.clip(image, 0, 1), BORDER), right)

    plain = score(bicubic(low, 2))
    return tuple(score(np.asarray(restore(low, model, softness=s))) - plain for s in (0, softness))  # type: ignore


def sharp_planes(path: Path, edge: int) -> torch.Tensor:
    """A corner of a sharp image, as a batch of one: (1, channels, y, x) float32."""
    sharp = read_sharp(path)
    height, width = (min(length, edge) // GRID * GRID for length in sharp.shape[:2])
    planes = np.atleast_3d(sharp[:height, :width]).transpose(2, 0, 1).copy()
    return torch.from_numpy(planes)[None].float()


def image_of(planes: torch.Tensor) -> np.ndarray:
    """(y, x) or (y, x, 3) of a batch of one."""
    image = planes[0].permute(1, 2, 0).numpy()
    return np.ascontiguousarray(image if image.shape[2] == 3 else image[..., 0])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", nargs="+", default=["rgb-x2", "gray-x2"])
    parser.add_argument("--softness", nargs="+", type=float, default=[0.0, 1.0, 2.0, 3.0])
    parser.add_argument("--sigma", type=float, default=0.7)
    parser.add_argument("--edge", type=int, default=512)
    options = parser.parse_args()
    print("model     softness   bare: mean, worst      told: mean, worst")
    for name in options.models:
        model = load_model(name)
        folder = options.data / "validation" / ("rgb" if model.card.channels == 3 else "grey")
        for softness in options.softness:
            found = [
                gains(path, softness, options.sigma, options.edge, model)
                for path in image_files(folder)
            ]
            bare, told = np.array(found).T
            figures = (
                f"{bare.mean():+7.2f} {bare.min():+7.2f} dB   {told.mean():+7.2f} "
                f"{told.min():+7.2f} dB"
            )
            print(f"{name:9} {softness:4.1f} px    {figures}", flush=True)


if __name__ == "__main__":
    main()
