"""Weights between those of two networks of one shape."""

from __future__ import annotations

import copy

import torch

from napari_mdeblurgan.network import Network


@torch.no_grad()
def between(base: Network, tuned: Network, way: float) -> Network:
    """A network whose weights lie so far on the straight way from the base model's (0) to the tuned
    ones (1).

    A network that was tuned on few images does better on others there (Wortsman et al. 2022,
    "Robust fine-tuning of zero-shot models").

    Parameters
    ----------
    base, tuned : Network
        Of one shape; not changed.
    way : float
        0 to 1.

    Returns
    -------
    Network
        On the device of `tuned`; `tuned` itself for 1.
    """
    if way == 1:
        return tuned
    network, start = copy.deepcopy(tuned), base.state_dict()
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value.lerp_(start[name].to(value), 1 - way)
    return network
