"""Convolutions that do in one pass what comes right behind them: an activation or a sum.

Torch writes the map of a convolution and reads it again for the activation. oneDNN can do both
while a value is still in a register. Torch has these functions for its compiler, and without it
they can be called as well. In float32 nothing is gained; on other devices, in training, and in
builds of torch without oneDNN everything goes torch's usual way.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

# to which of two pixels, from which of two, by which tap of a transposed convolution
_MOVES = ((0, 0, 1), (1, 0, 2), (1, 1, 0))


def can_fuse(x: Tensor) -> bool:
    """Whether convolutions of `x` are fused: for inference in bfloat16 on a processor."""
    return (
        x.device.type == "cpu"
        and torch.is_inference_mode_enabled()
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") is torch.bfloat16
        and torch.backends.mkldnn.enabled
        and _available()
    )


@functools.cache
def _available() -> bool:
    functions = torch.ops.mkldnn
    return (
        torch.backends.mkldnn.is_available()
        and hasattr(functions, "_convolution_pointwise")
        and hasattr(functions, "_is_mkldnn_bf16_supported")
        and functions._is_mkldnn_bf16_supported()
    )


def convolved_and_activated(layer: nn.Conv2d, x: Tensor, slope: float) -> Tensor:
    """A convolution and a (leaky) ReLU of it: (batch, features, y, x) bfloat16."""
    return _activated(x, layer.weight, layer.bias, layer.stride, layer.padding, slope)


def convolved_and_added(layer: nn.Conv2d, x: Tensor, other: Tensor) -> Tensor:
    """A convolution and its sum with another map of that shape: bfloat16."""
    weight = layer.weight.bfloat16()
    kernel = weight, layer.bias, layer.padding, layer.stride, layer.dilation, layer.groups
    run = torch.ops.mkldnn._convolution_pointwise.binary
    return run(x.bfloat16(), other.bfloat16(), *kernel, "add", 1.0, None, [], "")


def upsampled_and_activated(layer: nn.ConvTranspose2d, x: Tensor, slope: float) -> Tensor:
    """A 3×3 upsampling layer of stride 2 and a (leaky) ReLU of it: bfloat16.

    As a convolution of 2×2 taps on the coarse grid, with four times the features, which are then
    put in place: each pixel of the result sees no more than 2×2 of the input. oneDNN does this
    several times as fast as the transposed convolution.
    """
    weight = _sub_pixel_weight(layer.weight)
    made = _activated(x, weight, None, (1, 1), (1, 1), slope)[:, :, 1:, 1:]
    batch, features, height, width = made.shape
    features //= 4
    pixels = made.permute(0, 2, 3, 1).reshape(batch, height, width, 2, 2, features)
    in_place = pixels.transpose(2, 3).reshape(batch, 2 * height, 2 * width, features)
    return in_place.permute(0, 3, 1, 2)


def _activated(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, ...],
    padding: tuple[int, ...] | str,
    slope: float,
) -> Tensor:
    what = ("leaky_relu", [slope]) if slope else ("relu", [])
    run = torch.ops.mkldnn._convolution_pointwise
    return run(x.bfloat16(), weight.bfloat16(), bias, padding, stride, (1, 1), 1, *what, "")


def _sub_pixel_weight(weight: Tensor) -> Tensor:
    """(4 · out, in, 2, 2), the four pixels one after the other, from (in, out, 3, 3): bfloat16."""
    inputs, outputs = weight.shape[:2]
    taps = weight.bfloat16()
    made = torch.zeros(2, 2, outputs, 2, 2, inputs, dtype=taps.dtype)
    for to_y, from_y, tap_y in _MOVES:
        for to_x, from_x, tap_x in _MOVES:
            made[to_y, to_x, :, from_y, from_x] = taps[:, :, tap_y, tap_x].t()
    return made.reshape(4 * outputs, 2, 2, inputs).permute(0, 3, 1, 2)
