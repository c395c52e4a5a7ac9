"""Which part of a network is learned."""

from __future__ import annotations

from torch import nn

from napari_mdeblurgan.errors import TrainingError
from napari_mdeblurgan.fine_tuning.settings import Part
from napari_mdeblurgan.network import Generator, Network


def learn_only(network: Network, part: Part) -> None:
    """Let only one part of the network change.

    Raises
    ------
    TrainingError
        If the network is of another kind, which has no such parts.
    """
    if part == "all":
        return
    if not isinstance(network, Generator):
        raise TrainingError("A U-Net has no parts that could be learned on their own; choose to learn all of it.")
    kept: tuple[nn.Module, ...] = (network.super_resolution,)
    if part == "deblurring":
        kept = (network.deblurring, network.approximation)
    network.requires_grad_(False)
    for module in kept:
        module.requires_grad_(True)
