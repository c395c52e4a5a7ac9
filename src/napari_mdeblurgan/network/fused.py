"""Convolutions that do the activation or the sum behind them in the same pass.

Torch writes the map of a convolution and reads it again for what comes next. oneDNN can do both
while a value is still in a register. Torch has these functions for its compiler, and without it
they can be called as well. In float32 nothing is gained; on other devices, in training, and in
builds of torch without oneDNN everything goes torch's usual way.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn

_FUNCTIONS = (
    "_convolution_pointwise",
    "_convolution_pointwise_",
    "_convolution_transpose_pointwise",
    "_is_mkldnn_acl_supported",
    "_is_mkldnn_bf16_supported",
)


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
        and all(hasattr(functions, name) for name in _FUNCTIONS)
        and functions._is_mkldnn_bf16_supported()
        and not functions._is_mkldnn_acl_supported()  # Arm's library has none: slower, then
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
    run = torch.ops.mkldnn._convolution_pointwise
    return run(x.bfloat16(), *_kernel(layer), *_relu(slope), "")


def convolved_and_added(layer: nn.Conv2d, x: Tensor, to: Tensor, spent: bool) -> Tensor:
    """A convolution and a sum.

    Parameters
    ----------
    layer : Conv2d
        Padded by zeros.
    x : Tensor
        (batch, features, y, x), for which it `can_fuse`.
    to : Tensor
        bfloat16, of the shape of what the layer makes.
    spent : bool
        Whether the sum may be written over `to`.

    Returns
    -------
    Tensor
        bfloat16.
    """
    how = *_kernel(layer), "add", 1.0, None, [], None
    if spent:
        return torch.ops.mkldnn._convolution_pointwise_.binary(to, x.bfloat16(), *how)
    return torch.ops.mkldnn._convolution_pointwise.binary(x.bfloat16(), to, *how)


def enlarged_and_activated(layer: nn.ConvTranspose2d, x: Tensor, slope: float) -> Tensor:
    """A transposed convolution and a (leaky) ReLU of it, see `convolved_and_activated`."""
    run = torch.ops.mkldnn._convolution_transpose_pointwise
    padding = layer.padding, layer.output_padding, layer.stride, layer.dilation
    kernel = layer.weight.bfloat16(), layer.bias, *padding, layer.groups
    return run(x.bfloat16(), *kernel, *_relu(slope), "")


def _kernel(layer: nn.Conv2d) -> tuple[Any, ...]:
    kernel = layer.weight.bfloat16(), layer.bias, layer.padding, layer.stride, layer.dilation
    return *kernel, layer.groups


def _relu(slope: float) -> tuple[Any, ...]:
    return ("leaky_relu", [slope]) if slope else ("relu", [])
