"""How the features of a network's maps lie in memory."""

from __future__ import annotations

import torch


def layout_on(device: str) -> torch.memory_format:
    """Those of a pixel side by side, as processors and CUDA compute; but each in a plane of its own
    on an Apple GPU: there convolutions and their gradients were wrong otherwise in several versions
    of torch.
    """
    return torch.contiguous_format if device.startswith("mps") else torch.channels_last
