"""Overlays of a pair that fits and of two places that do not belong together: `python
docs/pairs_figure.py SHARP`.

SHARP is a folder of sharp colour images of leaves (leaf-*); the pairs are made of them as for the
pictures of fine-tuning.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from napari_mdeblurgan.pairs import match_folders, register_all
from napari_mdeblurgan.pairs.overlay import checkerboard, magenta_green
from napari_mdeblurgan.storage import Micrograph, read_image, write_image

PICTURE = Path(__file__).with_name("images") / "pairs-overlays.png"
PLACE = (slice(80, 480), slice(110, 710))  # of the sharp image that the stronger objective shows
SHOWN = (150, 380)  # pixels of an overlay
GAP = 4


def main(sharp: Path) -> None:
    """Register both pairs, and draw both overlays of each."""
    first, other = (np.asarray(read_image(path).data) for path in sorted(sharp.glob("leaf-*"))[:2])
    with tempfile.TemporaryDirectory() as place:
        low, high = Path(place, "low"), Path(place, "high")
        low.mkdir()
        high.mkdir()
        for number, truth in enumerate((first, other)):
            write_image(low / f"{number}.tif", Micrograph(seen(first), "YXS"))
            write_image(
                high / f"{number}.tif", Micrograph(np.ascontiguousarray(truth[PLACE]), "YXS")
            )
        outcomes = list(register_all(match_folders(low, high).pairs, scale=2, ratio=2.0))
    rows = []
    for outcome in outcomes:
        print(outcome.name, "accepted" if outcome.accepted else "refused", *outcome.problems)
        assert outcome.pair is not None
        rows.append(
            np.hstack(
                [cut(draw(outcome.pair)) for draw in (magenta_green, checkerboard)], dtype=np.uint8
            )
        )
    Image.fromarray(np.vstack(rows)[:-GAP, :-GAP]).save(PICTURE, optimize=True)
    print(f"{PICTURE.name}: {PICTURE.stat().st_size / 1000:.0f} kB")


def seen(sharp: np.ndarray) -> np.ndarray:
    """The whole field by the weaker objective, out of focus and with a camera's noise: half as many
    pixels, uint8.
    """
    height, width = (length // 2 * 2 for length in sharp.shape[:2])
    blurred = gaussian_filter(
        sharp[:height, :width].astype(np.float32), (3.0, 3.0, 0), mode="reflect"
    )
    reduced = blurred.reshape(height // 2, 2, width // 2, 2, 3).mean(axis=(1, 3))
    noisy = reduced + np.random.default_rng(0).normal(0, 1.0, reduced.shape)
    return noisy.round().clip(0, 255).astype(np.uint8)


def cut(overlay: np.ndarray) -> np.ndarray:
    """The middle of an overlay, with a white rim at two sides."""
    y, x = (max(0, length - size) // 2 for length, size in zip(overlay.shape, SHOWN, strict=False))
    part = np.full((SHOWN[0] + GAP, SHOWN[1] + GAP, 3), 255, np.uint8)
    found = overlay[y : y + SHOWN[0], x : x + SHOWN[1]]
    part[: found.shape[0], : found.shape[1]] = found
    return part


if __name__ == "__main__":
    if len(sys.argv) != 2 or "-h" in sys.argv or "--help" in sys.argv:
        sys.exit("usage: python docs/pairs_figure.py SHARP")
    main(Path(sys.argv[1]))
