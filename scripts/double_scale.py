"""Make a ×4 network from a trained ×2 one, as a start for training.

    python scripts/double_scale.py MODEL OUT.safetensors

All weights are taken over. The second sub-pixel layer, which the ×2 network lacks, interpolates its
features linearly, so the start sees what the ×2 network saw and its correction lies about where it
should.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch
from torch import Tensor

from napari_mdeblurgan.model import load_model, save_model
from napari_mdeblurgan.network import Generator


def linear_doubling(features: int) -> Tensor:
    """Weights of a convolution before a pixel shuffle that enlarge each feature
    twofold, linearly.
    """
    before = torch.tensor([0.25, 0.75, 0.0])
    taps = torch.stack([before, before.flip(0)])  # of the left and of the right of two pixels
    kernels = torch.einsum("iy,jx->ijyx", taps, taps).reshape(4, 3, 3)
    weights = torch.zeros(4 * features, features, 3, 3)
    for feature in range(features):
        weights[4 * feature : 4 * feature + 4, feature] = kernels
    return weights


def doubled(network: Generator) -> Generator:
    """A ×4 generator with the weights of a ×2 one."""
    large = Generator(
        network.channels, 4, network.width, network.approximation.reading, network.slope
    )
    weights = large.state_dict()
    weights |= network.state_dict()
    weights["super_resolution.sub_pixel.1.convolution.weight"] = linear_doubling(network.width)
    large.load_state_dict(weights)
    return large.eval()


def main() -> None:
    """Double, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("output", type=Path)
    wishes = parser.parse_args()
    model = load_model(wishes.model)
    if not isinstance(model.network, Generator) or model.network.scale != 2:
        parser.error(
            f"{wishes.model} is not an M-Deblurgan generator that doubles the pixel density."
        )
    large = doubled(model.network)
    changes = {"architecture": large.architecture, "scale": 4, "halo": large.halo, "scores": {}}
    name = model.card.name.replace("x2", "x4")
    card = dataclasses.replace(model.card, name=name, description="", **changes)
    print(save_model(large, card, wishes.output))


if __name__ == "__main__":
    main()
