"""Separable filters of planes, as processors like them.

oneDNN is made for convolutions of many features and takes several times as long for one of a single
feature. So sixteen pixels of a row stand side by side as features: along y each is filtered by
itself, along x a block of sixteen becomes one of sixteen, or of several times as many, by what is
in it and in its neighbours.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

_BLOCK = 16  # pixels
KernelLines = tuple[tuple[float, ...], ...]
LARGEST_RADIUS = _BLOCK


def can_filter(x: Tensor) -> bool:
    """Whether `filtered` is for `x`: for inference in float32 on a processor."""
    return (
        x.device.type == "cpu"
        and x.dtype is torch.float32
        and torch.is_inference_mode_enabled()
        and not torch.is_autocast_enabled("cpu")
    )


def filtered(x: Tensor, lines: KernelLines) -> Tensor:
    """Planes filtered along y and along x, and enlarged by the number of `lines`; edges repeated.

    Parameters
    ----------
    x : Tensor
        (batch, channels, y, x), for which this `can_filter`.
    lines : tuple of tuple of float
        For each of the pixels along an edge that one becomes, weights of the pixels from -r to r
        around it, the same r ≤ `LARGEST_RADIUS` for all.

    Returns
    -------
    Tensor
        (batch, channels, factor · y, factor · x) float32.
    """
    batch, channels, height, width = x.shape
    factor, radius, missing = len(lines), len(lines[0]) // 2, -width % _BLOCK
    sides = (_BLOCK, _BLOCK + missing, radius, radius)
    padded = functional.pad(x.reshape(-1, 1, height, width), sides, mode="replicate")
    blocks = padded.view(batch * channels, height + 2 * radius, -1, _BLOCK).permute(0, 3, 1, 2)
    along_y, along_x = _kernels(lines)
    rows = [
        functional.conv2d(functional.conv2d(blocks, kernel, groups=_BLOCK), along_x).movedim(1, -1)
        for kernel in along_y
    ]
    made = rows[0]  # (planes, y, x / block, factor · block)
    if factor > 1:
        made = made.new_empty((*made.shape[:2], factor, *made.shape[2:]))
        for phase, row in enumerate(rows):
            made[:, :, phase] = row
    return made.reshape(batch, channels, factor * height, -1)[..., : factor * width]


@functools.lru_cache(maxsize=16)
def _kernels(lines: KernelLines) -> tuple[list[Tensor], Tensor]:
    """For each line the kernels along y, (block, 1, taps, 1), and one along x for all, (factor ·
    block, block, 1, 3).
    """
    radius = len(lines[0]) // 2
    along_x = np.zeros((_BLOCK, len(lines), _BLOCK, 1, 3), np.float32)
    for phase, line in enumerate(lines):
        for pixel in range(_BLOCK):
            for offset, weight in enumerate(line, pixel - radius):
                block, source = divmod(offset, _BLOCK)
                along_x[pixel, phase, source, 0, block + 1] = weight
    along_y = np.asarray(lines, np.float32)[:, None, None, :, None].repeat(_BLOCK, axis=1)
    dense = along_x.reshape(len(lines) * _BLOCK, _BLOCK, 1, 3)
    return [_features_last(kernel) for kernel in along_y], _features_last(dense)


def _features_last(kernel: np.ndarray) -> Tensor:
    return torch.from_numpy(kernel).contiguous(memory_format=torch.channels_last)
