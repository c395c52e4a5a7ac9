"""What a network costs before it is run: its parameters, and the arithmetic that one megapixel of
the result takes.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

_EDGE = 128


def parameters(network: nn.Module) -> int:
    """How many numbers a network learned."""
    return sum(values.numel() for values in network.parameters())


def gigaflop_per_megapixel(network: nn.Module, channels: int, scale: int) -> float:
    """10⁹ floating-point operations for 10⁶ pixels of the result, counted while an image of 128²
    pixels runs through the layers as they are written, without what inference does another way.

    A multiplication and an addition are two operations. Convolutions are counted, which is all but
    a fraction of a per cent; the halo of tiles is not.

    Parameters
    ----------
    network : Module
        Fully convolutional.
    channels : int
        Of its input.
    scale : int
        Pixels of the result for one of the input, along y and x.
    """
    device = next((values.device for values in network.parameters()), torch.device("cpu"))
    image = torch.zeros(1, channels, _EDGE, _EDGE, dtype=torch.float32, device=device)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    return counter.get_total_flops() / 1e9 / ((scale * _EDGE) ** 2 / 1e6)
