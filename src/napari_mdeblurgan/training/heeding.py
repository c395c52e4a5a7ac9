"""A step of training that can be stopped on its way back, too: on its way forth, every layer looks
up by itself.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from napari_mdeblurgan.stopping import can_be_stopped, looking_up


def heed_backwards(network: nn.Module) -> None:
    """Have every layer look up when its gradient has come; nothing of what it computes changes."""
    for layer in network.modules():
        if not any(True for _ in layer.children()):
            layer.register_forward_hook(_heed)


def _heed(_: nn.Module, __: Any, made: Any) -> None:
    if can_be_stopped() and isinstance(made, Tensor) and made.requires_grad:
        heed = looking_up()  # the way back may be gone in another thread
        made.register_hook(lambda _: heed())
