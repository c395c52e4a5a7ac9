"""Make the bundled samples from the original micrographs.

    python benchmarks/make_samples.py DATA [--output FOLDER]

DATA holds `leaf_epidermis.png` (averaged 2×2 from the camera's pixels), `nuclei.tif`, and `smear`,
a folder with the planes -9.bmp to 9.bmp of a focus series; see
src/napari_mdeblurgan/samples/ATTRIBUTION.md for where they come from.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import napari_mdeblurgan.samples
from napari_mdeblurgan.degradation import downsample, gaussian_blur
from napari_mdeblurgan.focus.focusing import Focusing
from napari_mdeblurgan.restoration.binning import binned_micrograph
from napari_mdeblurgan.storage import Micrograph, read_image, write_image

LEAF_Y, LEAF_X = (
    slice(300, 780),
    slice(480, 1120),
)  # three stomata, one of them and most cells out of focus
BLUR_SIGMA_PX = 1.5
OFFSET = 120.0  # camera offset, counts; just under the darkest pixel of the original
ELECTRONS_PER_COUNT = 4.0
READ_NOISE = 2.0  # counts
CROPPED = 24  # pixels on every side of the smear: the package is to stay small
STEPS, OUT_OF_FOCUS = range(-9, 10), 5  # of the focus series of a smear; 0 is in focus


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


def smear(folder: Path) -> Micrograph:
    """One plane out of focus, averaged 2×2."""
    return binned_micrograph(Micrograph(_plane(folder, OUT_OF_FOCUS), "YX"), 2)


def smear_stack(folder: Path) -> Micrograph:
    """All planes, laid on the one in focus, without what one of them does not show."""
    planes = [_plane(folder, step) for step in STEPS]
    focusing = Focusing.of(planes, reference=STEPS.index(0))
    whole = tuple(slice(0, length) for length in focusing.shape)
    laid, seen = focusing.planes(whole)
    everywhere = seen.all(axis=0)
    rows = np.flatnonzero(everywhere[:, everywhere.shape[1] // 2])
    columns = np.flatnonzero(everywhere[everywhere.shape[0] // 2])
    inner = (
        slice(rows[0] + CROPPED, rows[-1] + 1 - CROPPED),
        slice(columns[0] + CROPPED, columns[-1] + 1 - CROPPED),
    )
    return Micrograph(np.rint(laid[(slice(None), *inner)]).clip(0, 255).astype(np.uint8), "ZYX")


def _plane(folder: Path, step: int) -> np.ndarray:
    with Image.open(folder / f"{step}.bmp") as file:
        return np.asarray(file.convert("L"))


def main() -> None:
    """Write all samples."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of the original micrographs")
    parser.add_argument(
        "--output", type=Path, default=Path(napari_mdeblurgan.samples.__file__).parent
    )
    arguments = parser.parse_args()
    for file, make in (("leaf_epidermis.png", leaf), ("nuclei.tif", nuclei)):
        write_image(arguments.output / file, make(read_image(arguments.data / file)))
        print(arguments.output / file)
    for file, make in (("smear.tif", smear), ("smear_stack.ome.tif", smear_stack)):
        write_image(arguments.output / file, make(arguments.data / "smear"))
        print(arguments.output / file)


if __name__ == "__main__":
    main()
