"""Make a wider network that computes what a trained one does, as a start for further training.

    python scripts/widen_model.py MODEL WIDTH OUT.safetensors

The features that are new get random weights where they listen, and zeros where they are listened
to.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch

from napari_mdeblurgan.model import load_model, save_model
from napari_mdeblurgan.network import Generator

TRANSPOSED = ("deblurring.upsampling", "deblurring.to_half", "deblurring.to_full")
JOINED, GROUPS = "deblurring.mix.weight", 5  # its input is so many maps side by side


def widened(narrow: Generator, width: int) -> Generator:
    """A generator of `width` features at full size with the same output as `narrow`, in evaluation
    mode.
    """
    wide = Generator(
        narrow.channels, narrow.scale, width, narrow.approximation.reading, narrow.slope
    )
    weights = wide.state_dict()
    for name, values in narrow.state_dict().items():
        target = weights[name]
        if values.shape == target.shape:
            target.copy_(values)
            continue
        if name.startswith(TRANSPOSED):
            values, target = values.transpose(0, 1), target.transpose(0, 1)
        outputs, inputs = torch.arange(values.shape[0]), torch.arange(values.shape[1])
        if name == JOINED:
            own, new = values.shape[1] // GROUPS, target.shape[1] // GROUPS
            inputs = torch.cat([torch.arange(own) + group * new for group in range(GROUPS)])
        target[outputs] = 0
        target[outputs[:, None], inputs[None]] = values
    wide.load_state_dict(weights)
    return wide.eval()


def main() -> None:
    """Widen, compare, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("width", type=int)
    parser.add_argument("output", type=Path)
    wishes = parser.parse_args()
    model = load_model(wishes.model)
    if not isinstance(model.network, Generator) or wishes.width <= model.network.width:
        parser.error(
            f"{wishes.model} is not an M-Deblurgan generator of less than {wishes.width} features."
        )
    torch.manual_seed(0)
    wide = widened(model.network, wishes.width)
    image = torch.rand(1, wide.channels, 128, 128)
    with torch.inference_mode():
        print("largest difference:", float((model.network(image) - wide(image)).abs().max()))
    print(
        save_model(
            wide,
            dataclasses.replace(model.card, architecture=wide.architecture, halo=wide.halo),
            wishes.output,
        )
    )


if __name__ == "__main__":
    main()
