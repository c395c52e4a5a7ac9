"""Convolutions that do the activation behind them in the same pass.

Torch writes the map of a convolution and reads it again for the activation. oneDNN can do both
while a value is still in a register. Torch has these functions for its compiler, and without it
they can be called as well. In float32 nothing is gained; on other devices, in training, and in
builds of torch without oneDNN everything goes torch's usual way. Sums behind
convolutions could be taken in as well, but that gains nothing and takes a third more memory.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn


def can_fuse(x: Tensor) -> bool:
    """Whether convolutions of `x` are fused: for inference in bfloat16 on a processor."""
    return (
        x.device.type == "cpu"
        and torch.is_inference_mode_enabled()
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") is torch.bfloat16
        and bool(torch.backends.mkldnn.enabled)
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
    """A convolution and a (leaky) ReLU of it.

    Parameters
    ----------
    layer : Conv2d
        Padded by zeros.
    x : Tensor
        (batch, features, y, x), for which it `can_fuse`.
    slope : float
        Of the ReLU below zero.

    Returns
    -------
    Tensor
        bfloat16.
    """
    kernel = layer.weight.bfloat16(), layer.bias, layer.padding, layer.stride, layer.dilation
    relu = ("leaky_relu", [slope]) if slope else ("relu", [])
    run = torch.ops.mkldnn._convolution_pointwise
    return run(x.bfloat16(), *kernel, layer.groups, *relu, "")
