"""What training minimises."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_mdeblurgan.network import Restoration

NOISE_FLOOR = 2e-6


def log_mse(restored: Tensor, truth: Tensor, border: int, floor: float = NOISE_FLOOR) -> Tensor:
    """Mean over the batch of each patch's log mean squared error, `border` pixels left out on every side.

    The logarithm makes a dim patch count as much as a bright one; a gain of 1 dB is worth the same anywhere. Errors far below
    `floor` count as none. Its final value lies near the rounding error of 8 bits. Training starts with a higher one: else
    patches with nothing to sharpen, on which every correction is wrong at first, silence the branches that make corrections.
    """
    inner = slice(border, -border) if border else slice(None)
    error = (restored[..., inner, inner] - truth[..., inner, inner]).square().mean(dim=(1, 2, 3))
    return torch.log(error + floor).mean()


def pixel_loss(
    restored: Restoration, sharp_low: Tensor, sharp: Tensor, border: int = 6, floor: float = NOISE_FLOOR
) -> dict[str, Tensor]:
    """Weighted terms of the three supervised images: both sharpened candidates and the output.

    Returns
    -------
    dict of str to Tensor
        Scalar terms; training minimises their sum.
    """
    scale = sharp.shape[-1] // sharp_low.shape[-1]
    return {
        "output": log_mse(restored.output, sharp, border * scale, floor),
        "encoder-decoder": 0.15 * log_mse(restored.encoder_decoder, sharp_low, border, floor),
        "deblurred": 0.25 * log_mse(restored.deblurred, sharp_low, border, floor),
    }


def distance_loss(restored: Restoration, blurred: Tensor, sharp_low: Tensor, border: int = 6) -> Tensor:
    """How well the distances of the three candidates to the truth are estimated: Laplace likelihood, relative, 0 if perfect-ish.

    Its minimum over a neighbourhood is reached where the estimate is the mean absolute error there.
    """
    inner = slice(border, -border)
    candidates = (blurred, restored.encoder_decoder, restored.deblurred)
    true = torch.stack([(c.detach() - sharp_low).abs().mean(dim=1) for c in candidates], dim=1)[..., inner, inner]
    estimate = restored.distances[..., inner, inner] + 1e-5
    return (true / estimate + torch.log(estimate)).mean()
