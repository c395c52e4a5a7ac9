"""Make the bundled samples from the original micrographs.

    python benchmarks/make_samples.py DATA [--output FOLDER]

DATA holds `leaf_epidermis.png` (averaged 2×2 from the camera's pixels) and `nuclei.tif`; see
src/napari_mdeblurgan/samples/ATTRIBUTION.md for where they come from.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

import napari_mdeblurgan.samples
from napari_mdeblurgan.storage import Micrograph, read_image, write_image
from napari_mdeblurgan.training.degradation import downsample, gaussian_blur

LEAF_Y, LEAF_X = slice(300, 780), slice(480, 1120)  # three stomata, one of them and most cells out of focus
BLUR_SIGMA_PX = 1.5
OFFSET = 120.0  # camera offset, counts; just under the darkest pixel of the original
ELECTRONS_PER_COUNT = 4.0
READ_NOISE = 2.0  # counts


def leaf(original: Micrograph) -> Micrograph:
    """A crop of the brightfield image, as it is."""
    return Micrograph(original.data[LEAF_Y, LEAF_X], "YXS")


def nuclei(original: Micrograph) -> Micrograph:
    """The fluorescence image at half its density, blurred, with shot noise and read noise."""
    height, width = (length // 2 * 2 for length in original.data.shape)
    sharp = torch.from_numpy(original.data[None, None, :height, :width].astype(np.float32))
    blurred = gaussian_blur(downsample(sharp, 2), torch.tensor([BLUR_SIGMA_PX]))[0, 0].numpy()
    random = np.random.default_rng(0)
    electrons = random.poisson(np.clip(blurred - OFFSET, 0, None) * ELECTRONS_PER_COUNT)
    counts = OFFSET + electrons / ELECTRONS_PER_COUNT + random.normal(0, READ_NOISE, blurred.shape)
    return Micrograph(np.clip(np.rint(counts), 0, 65_535).astype(np.uint16), "YX")


def main() -> None:
    """Write both samples."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of the original micrographs")
    parser.add_argument("--output", type=Path, default=Path(napari_mdeblurgan.samples.__file__).parent)
    arguments = parser.parse_args()
    for file, make in (("leaf_epidermis.png", leaf), ("nuclei.tif", nuclei)):
        write_image(arguments.output / file, make(read_image(arguments.data / file)))
        print(arguments.output / file)


if __name__ == "__main__":
    main()
