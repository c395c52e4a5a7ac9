"""Average the weights of models of one shape: what several trainings from one start agree on.

    python scripts/average_models.py DATA OUTPUT.safetensors MODEL:SHARE MODEL:SHARE ...

MODEL is a name or a path, SHARE how much of it; the shares are made to add up to 1. The mean of
networks that were trained from one start is often better than each of them (Wortsman et al. 2022).
DATA has the subfolders validation/rgb and validation/grey; the card is that of the first model with
new scores. An OUTPUT that is there is not replaced.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
from pathlib import Path

import torch
from train_bundled import scores

from napari_mdeblurgan.model import load_model, save_model


def main() -> None:
    """Average, score, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("models", nargs="+", metavar="MODEL:SHARE")
    wishes = parser.parse_args()
    parts = [
        (load_model(name), float(share))
        for name, _, share in (each.rpartition(":") for each in wishes.models)
    ]
    if len({str(sorted(model.card.architecture.items())) for model, _ in parts}) > 1:
        parser.error("models of different shapes cannot be averaged")
    whole = sum(share for _, share in parts)
    network = copy.deepcopy(parts[0][0].network).float()
    states = [(model.network.state_dict(), share / whole) for model, share in parts]
    with torch.no_grad():
        for name, value in network.state_dict().items():
            value.copy_(
                torch.stack([share * state[name].float() for state, share in states]).sum(dim=0)
            )
    kind = "rgb" if network.channels == 3 else "grey"
    card = dataclasses.replace(
        parts[0][0].card,
        name=wishes.output.stem,
        scores=scores(network, wishes.data / "validation" / kind),
    )
    print(save_model(network, card, wishes.output))


if __name__ == "__main__":
    main()
