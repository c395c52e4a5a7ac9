"""How a network does on the held-out squares, square by square."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from napari_mdeblurgan.fine_tuning.held_out import Box
from napari_mdeblurgan.fine_tuning.pairs import TuningPair
from napari_mdeblurgan.network import Network
from napari_mdeblurgan.network.averaging import averaged_to
from napari_mdeblurgan.network.blocks import BicubicUpsampling
from napari_mdeblurgan.network.exact import exact_float32
from napari_mdeblurgan.restoration.out_of_memory import is_out_of_memory
from napari_mdeblurgan.training.losses.similarity import batch_ssim


@dataclass(frozen=True, slots=True)
class Scores:
    """Peak signal-to-noise ratio in dB and structural similarity, one for each square."""

    psnr_db: tuple[float, ...]
    ssim: tuple[float, ...]

    @classmethod
    def of(cls, squares: Iterable[Sequence[float]]) -> Scores:
        """From the two figures of each square."""
        psnrs, ssims = zip(*squares, strict=True)
        return cls(tuple(psnrs), tuple(ssims))

    @property
    def tensor(self) -> torch.Tensor:
        """The two figures of each square: (squares, 2), float64."""
        return torch.tensor(list(zip(self.psnr_db, self.ssim, strict=True)), dtype=torch.float64)

    @property
    def mean_psnr_db(self) -> float:
        """Over the squares."""
        return float(np.mean(self.psnr_db))

    @property
    def mean_ssim(self) -> float:
        """Over the squares."""
        return float(np.mean(self.ssim))


@exact_float32()
@torch.inference_mode()
def restored_box(network: Network | BicubicUpsampling, pair: TuningPair, box: Box) -> np.ndarray:
    """A held-out box through the network, in float32, clipped to [0, 1]: (channels, scale · y,
    scale · x).

    The network sees nothing outside of the box. What it makes is averaged to the pixels of the
    pair's truth. A box that does not fit on a GPU beside what is trained there goes through a copy
    of the network on the processor.
    """
    device = (
        next(network.parameters()).device
        if any(True for _ in network.parameters())
        else torch.device("cpu")
    )
    image = torch.from_numpy(np.ascontiguousarray(pair.low[:, *box.spans]))[None]
    try:
        made = network(image.to(device)).float().cpu()
    except RuntimeError as error:
        if device.type == "cpu" or not is_out_of_memory(error):
            raise
        made = copy.deepcopy(network).cpu()(image).float()
    return np.asarray(averaged_to(made, image.shape[-1] * pair.scale)[0].clamp(0, 1).numpy())


def cut_square(restored: np.ndarray, box: Box, square: Box, scale: int) -> np.ndarray:
    """The part of a restored box that shows a square within it."""
    own = Box(
        square.pair, square.y0 - box.y0, square.y1 - box.y0, square.x0 - box.x0, square.x1 - box.x0
    )
    return np.ascontiguousarray(restored[:, *own.enlarged(scale)])


def compared(restored: np.ndarray, pair: TuningPair, box: Box, square: Box) -> tuple[float, float]:
    """PSNR and SSIM of a square within a restored box; where the truth says nothing, there is no
    error.
    """
    at = square.enlarged(pair.scale)
    truth, valid = pair.high[:, *at], pair.valid[at]
    made = np.where(valid, cut_square(restored, box, square, pair.scale), truth)
    image, sharp = (
        torch.from_numpy(np.ascontiguousarray(np.clip(each, 0, 1)))[None] for each in (made, truth)
    )
    error = float(
        ((image.double() - sharp.double()).square().mean() / valid.mean()).clamp_min(1e-12)
    )
    return float(-10 * np.log10(error)), float(batch_ssim(image, sharp))


def plain_name(pairs: Sequence[TuningPair]) -> str:
    """What is compared with without any network is called so."""
    return "bicubic" if pairs[0].scale > 1 else "blurred image"
