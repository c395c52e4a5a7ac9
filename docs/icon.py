"""The plugin's icon: nuclei blurred and restored, `python docs/icon.py`, into the package and, for
the site, into docs/images.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import colormaps
from PIL import Image, ImageDraw

import napari_mdeblurgan
from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.samples import sample_path
from napari_mdeblurgan.storage import read_image

PICTURES = (
    Path(napari_mdeblurgan.__file__).with_name("icon.png"),
    Path(__file__).with_name("images") / "icon.png",
)
EDGE = 256  # of the picture, in pixels
CROP = (31, 85, 44)  # of the sample: first row, first column and edge
ROUNDED, LINE = 44, 7  # pixels: radius of the corners, width of the line between the halves
FINER = 4  # drawn so much larger, for smooth edges


def main() -> None:
    """Restore, draw, save."""
    before = read_image(sample_path("nuclei")).data
    model = load_model("gray-x2")
    y, x, edge = CROP
    squares = (
        before[y : y + edge, x : x + edge],
        restore(before, model)[2 * y :, 2 * x :][: 2 * edge, : 2 * edge],
    )
    low, high = squares[1].min(), squares[1].max()
    blurred, sharp = (
        coloured((square.astype(np.float32) - low) / (high - low)) for square in squares
    )
    size = EDGE * FINER
    right, shape = Image.new("L", (size, size)), Image.new("L", (size, size))
    top, bottom = 0.62 * size, 0.38 * size
    ImageDraw.Draw(right).polygon([(top, 0), (size, 0), (size, size), (bottom, size)], fill=255)
    ImageDraw.Draw(shape).rounded_rectangle([0, 0, size - 1, size - 1], ROUNDED * FINER, fill=255)
    icon = Image.composite(sharp, blurred, right)
    ImageDraw.Draw(icon).line([(top, 0), (bottom, size)], fill="white", width=LINE * FINER)
    icon.putalpha(shape)
    icon = icon.resize((EDGE, EDGE), Image.Resampling.LANCZOS)
    for path in PICTURES:
        icon.save(path, optimize=True)
    print(f"{PICTURES[0].name}: {PICTURES[0].stat().st_size / 1000:.0f} kB")


def coloured(grey: np.ndarray) -> Image.Image:
    """From 0 to 1 in colours, enlarged to the size of the picture."""
    colours = (colormaps["viridis"](grey)[..., :3] * 255).astype(np.uint8)
    return Image.fromarray(colours).resize((EDGE * FINER, EDGE * FINER), Image.Resampling.BICUBIC)


if __name__ == "__main__":
    main()
