"""How good a network is on the same pieces of images that it never learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.degradation import Mixture, softened
from napari_mdeblurgan.network import Network
from napari_mdeblurgan.network.blocks import BicubicUpsampling
from napari_mdeblurgan.network.exact import exact_float32
from napari_mdeblurgan.training.data.sharp_image import Sharp
from napari_mdeblurgan.training.losses.similarity import batch_ssim
from napari_mdeblurgan.training.losses.structural import WINDOW

CROPS = 16
_EDGE = 192
_BORDER = 8  # pixels of the result that are not judged
SHOWN, SHOWN_EDGE = 4, 128
LABELS = ("blurred", "bicubic", "restored", "truth")
SMALLEST_COLUMN = 72
_OF_A_COLUMN, _LETTERS = 1 / 8, (10, 22)  # how high words are, in pixels: least and most


@dataclass(frozen=True, slots=True)
class Crop:
    """One piece of an image: float32 on the CPU, (1, channels, y, x); its softness as in
    `Degraded`.
    """

    blurred: Tensor
    sharp: Tensor
    bicubic: Tensor
    softness: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Validation:
    """Means over the pieces; bicubic enlargement beside the network. Peak signal-to-noise ratio and
    structural similarity.
    """

    psnr_db: float
    ssim: float
    bicubic_psnr_db: float
    bicubic_ssim: float

    @property
    def columns(self) -> dict[str, float]:
        """Under the names of the table's columns."""
        return {
            "validation_psnr_db": self.psnr_db,
            "validation_ssim": self.ssim,
            "bicubic_psnr_db": self.bicubic_psnr_db,
            "bicubic_ssim": self.bicubic_ssim,
        }


def validation_crops(
    images: Sequence[Sharp], mixture: Mixture, scale: int, seed: int
) -> list[Crop]:
    """The middle of up to 16 images, spread evenly over all there are, each degraded in its own
    way; the same every time.

    Parameters
    ----------
    images : sequence of Sharp
        (channels, y, x), at least as large as `smallest_image` says.
    mixture : Mixture
        What is done to them.
    scale : int
        Reduction along y and x.
    seed : int
        Of the degradation.
    """
    chosen = sorted(
        set(np.linspace(0, len(images) - 1, min(CROPS, len(images))).round().astype(int).tolist())
    )
    return [_crop(images[number], mixture, scale, seed, number) for number in chosen]


def _crop(image: Sharp, mixture: Mixture, scale: int, seed: int, number: int) -> Crop:
    margin = mixture.margin
    lengths = [min(_EDGE, (length // scale - 2 * margin) // 8 * 8) for length in image.shape[1:]]
    spans = []
    for length, whole in zip(lengths, image.shape[1:], strict=True):
        wanted = (length + 2 * margin) * scale
        start = (whole - wanted) // 2
        spans.append(slice(start, start + wanted))
    sharp = torch.from_numpy(np.ascontiguousarray(image[:, spans[0], spans[1]], np.float32))[None]
    degraded = mixture.draw(sharp, np.random.default_rng((seed, number)), scale)
    low, high = slice(margin, -margin), slice(margin * scale, -margin * scale)
    blurred, truth = (
        degraded.blurred[..., low, low].contiguous(),
        degraded.sharp[..., high, high].contiguous(),
    )
    enlarged = BicubicUpsampling(scale)(blurred).clamp(0, 1)
    return Crop(blurred, truth, enlarged, degraded.softness)


def smallest_image(scale: int, margin: int) -> int:
    """Pixels that an image must have along y and x to be validated on, `margin` as `Mixture` has
    it.
    """
    return scale * (2 * margin + 2 * _BORDER + 8 * -(-WINDOW // 8))


@exact_float32()
@torch.no_grad()
def validate(network: Network, crops: Sequence[Crop]) -> tuple[Validation, list[Tensor]]:
    """Restore every piece, in float32, and compare it with the truth.

    Returns
    -------
    Validation
        Means over the pieces.
    list of Tensor
        What the network made of them: (1, channels, y, x) on the CPU, clipped to [0, 1].
    """
    device = next(network.parameters()).device
    raw = [network(crop.blurred.to(device)).float().cpu() for crop in crops]
    restored = [
        softened(image, crop.softness).clamp(0, 1) for image, crop in zip(raw, crops, strict=True)
    ]
    own = [_scores(image, crop.sharp) for image, crop in zip(restored, crops, strict=True)]
    plain = [_scores(crop.bicubic, crop.sharp) for crop in crops]
    means = [float(value) for value in (*np.mean(own, axis=0), *np.mean(plain, axis=0))]
    return Validation(*means), restored


def _scores(image: Tensor, truth: Tensor) -> tuple[float, float]:
    inner = (..., slice(_BORDER, -_BORDER), slice(_BORDER, -_BORDER))
    error = (image[inner].double() - truth[inner].double()).square().mean().clamp_min(1e-12)
    return float(-10 * torch.log10(error)), float(batch_ssim(image[inner], truth[inner]).mean())


def write_samples(path: Path, crops: Sequence[Crop], restored: Sequence[Tensor]) -> None:
    """Draw the first pieces, one below the other: blurred (each pixel a square), bicubic, restored,
    truth; a PNG.
    """
    rows = [
        (squares(crop.blurred, crop.sharp), crop.bicubic, image, crop.sharp)
        for crop, image in zip(crops[:SHOWN], restored[:SHOWN], strict=True)
    ]
    write_panels(path, rows, LABELS)


def squares(blurred: Tensor, sharp: Tensor) -> Tensor:
    """`blurred` as large as `sharp`, each pixel a square."""
    scale = sharp.shape[-1] // blurred.shape[-1]
    return blurred.repeat_interleave(scale, -1).repeat_interleave(scale, -2)


def write_panels(path: Path, rows: Sequence[Sequence[Tensor]], labels: Sequence[str]) -> None:
    """Draw rows of images side by side, a word above each column; a PNG.

    Parameters
    ----------
    path : Path
        The file; its folder is made as needed.
    rows : sequence of sequences of Tensor
        (1, channels, y, x) in [0, 1], those of a row of one size.
    labels : sequence of str
        One for each column.
    """
    drawn = [np.concatenate([_panel(image) for image in row], axis=1) for row in rows]
    times = max(
        1, -(-SMALLEST_COLUMN * len(labels) // min(row.shape[1] for row in drawn))
    )  # else the words overlap
    drawn = [row.repeat(times, axis=0).repeat(times, axis=1) for row in drawn]
    width = max(row.shape[1] for row in drawn)
    column_width = drawn[0].shape[1] // len(labels)
    size = int(np.clip(column_width * _OF_A_COLUMN, *_LETTERS))
    font, top = ImageFont.load_default(size), size * 3 // 2
    canvas = Image.new("RGB", (width, top + sum(row.shape[0] for row in drawn)))
    draw = ImageDraw.Draw(canvas)
    for column, label in enumerate(labels):
        place = 4 + column * column_width, top // 2
        draw.text(place, label, fill=(255, 255, 255), font=font, anchor="lm")
    for row in drawn:
        canvas.paste(Image.fromarray(row), (0, top))
        top += row.shape[0]
    with replacing(path, make_folders=True) as file:
        canvas.save(file, format="PNG")


def _panel(image: Tensor) -> np.ndarray:
    """The middle, at most 256 pixels wide: (y, x, 3) uint8."""
    spans = []
    for length in image.shape[-2:]:
        shown = min(length, 2 * SHOWN_EDGE)
        spans.append(slice((length - shown) // 2, (length - shown) // 2 + shown))
    pixels = (
        (image[0][:, spans[0], spans[1]].clamp(0, 1) * 255)
        .round()
        .byte()
        .numpy()
        .transpose(1, 2, 0)
    )
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))
