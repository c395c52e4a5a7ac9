"""The recipe that bundled models are trained by from now on: which micrographs, how often, and
where a network starts from.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from napari_mdeblurgan.degradation import Mixture
from napari_mdeblurgan.model import ModelCard
from napari_mdeblurgan.network import Generator
from napari_mdeblurgan.training.data.dataset import PatchSampler, open_folder
from napari_mdeblurgan.training.data.sharp_folder import COLOURS_AS_GREY

RGB_WEIGHTS = {"blood": 3.0, "leaf": 3.0, "tissue": 3.0, "cp": 1.0}
GREY_WEIGHTS = {"cp": 3.0, "nuclei": 3.0, "neubias": 4.0, "plant": 1.0}
WIDTH = 16
_SIGMA = (0.2, 6.0)
SOFTNESS = 0.5  # pixels of the result; measured: docs/softness.md
MIXTURE = Mixture(
    gaussian=0.5,
    gaussian_noisy=0.12,
    physical=0.38,
    sigma=_SIGMA,
    defocus_radius=(0.0, 12.0),
    bias=2.0,
    jpeg=0.12,
    jpeg_quality=(50, 97),
    shapes=0.08,
    padding=0.08,
    soft=0.35,
    softness=(0.3, 3.5),
    told=0.7,
    depth=0.25,
    depth_radius=(1.0, 8.0),
    spherical_waves=(-0.25, 0.25),
    colour_focus=(0.0, 2.0),
    haze=0.2,
    curved=0.3,
    mosaic=0.3,
    processed=0.06,
)

RGB_CREDITS = (
    "Chula-RBC-12 blood smears (MIT)",
    "deepstomata leaf epidermis (MIT)",
    "OpenSlide CMU-1 H&E section (CC0)",
    "CellProfiler example images (BSD-3-Clause)",
)
GREY_CREDITS = (
    "BBBC039v1 nuclei (CC0)",
    "NEUBIAS training resources (CC BY 4.0)",
    "CellProfiler example images (BSD-3-Clause)",
    "MorphoLibJ plant tissue (CC BY 4.0)",
    "single channels of Chula-RBC-12 (MIT), deepstomata (MIT), CMU-1 (CC0) and CellProfiler "
    "(BSD-3-Clause)",
)


def settings_for(kind: str, data: Path) -> dict[str, dict[str, Any]]:
    """What a training of the bundled model of a kind ("rgb" or "grey") sets, for `parse_config`;
    how long is up to its user.

    Parameters
    ----------
    kind : {"rgb", "grey"}
        Of the model.
    data : Path
        Has the subfolders ``validation/rgb`` and ``validation/grey``; `training_images` says what
        is trained on.
    """
    return {
        "model": {"name": f"{'rgb' if kind == 'rgb' else 'gray'}-x2", "licence": "BSD-3-Clause"},
        "network": {"kind": kind, "width": WIDTH},
        "data": {
            "weights": RGB_WEIGHTS if kind == "rgb" else RGB_WEIGHTS | GREY_WEIGHTS,
            "validation_folder": str(data / "validation" / kind),
        },
        "degradation": asdict(MIXTURE),
        "loss": {"ssim_share": 0.0, "passed_on": 0.15},
        "schedule": {"name": "cosine", "learning_rate": 3e-3, "warm_up": 200},
        "optimizer": {"name": "muon", "averaging": 0.999},
        "run": {"precision": "bfloat16"},
    }


def training_images(kind: str, data: Path) -> Path:
    """The folder that the bundled model of a kind learns from: colour micrographs, or those and
    grey ones.
    """
    return data / "train" / "rgb" if kind == "rgb" else data / "train"


def training_patches(data: Path, channels: int, seed: int = 0) -> PatchSampler:
    """Patches for a model of `channels`, from a folder with the subfolders ``rgb`` and ``grey``, of
    which nothing is held out.
    """
    colour = open_folder(data / "rgb", channels, validation=0, weights=RGB_WEIGHTS).training
    if channels == 3:
        return PatchSampler(colour, mixture=MIXTURE, seed=seed)
    grey = open_folder(data / "grey", channels, validation=0, weights=GREY_WEIGHTS).training
    colour = tuple(replace(source, weight=source.weight * COLOURS_AS_GREY) for source in colour)
    return PatchSampler((*grey, *colour), mixture=MIXTURE, seed=seed)


def colour_network_from_grey(grey: Generator) -> Generator:
    """A colour network that does to every channel what `grey` does to the mean of them: a start for
    training.
    """
    colour = Generator(3, grey.scale, grey.width, grey.approximation.reading, grey.slope)
    weights = colour.state_dict()
    for name, value in grey.state_dict().items():
        target = weights[name]
        for axis in range(value.ndim):
            if value.shape[axis] != target.shape[axis]:
                value = value.repeat_interleave(3, axis)
                if axis == 1:  # inputs are summed
                    value = value / 3
        with torch.no_grad():
            target.copy_(value)
    return colour


def card_for(network: Generator, scores: dict[str, float]) -> ModelCard:
    """The card of a bundled model."""
    colour = network.channels == 3
    kind = (
        "Colour micrographs: brightfield, stained sections"
        if colour
        else "Fluorescence, phase contrast, any grey image"
    )
    return ModelCard(
        name=f"{'rgb' if colour else 'gray'}-x{network.scale}",
        description=f"{kind}; ×{network.scale}, blur up to σ = {_SIGMA[1]:g} px, noise",
        architecture=network.architecture,
        scale=network.scale,
        channels=network.channels,
        halo=network.halo,
        trained_on=RGB_CREDITS if colour else GREY_CREDITS,
        blur_sigma_px=_SIGMA,
        softness=SOFTNESS,
        scores=scores,
        licence="BSD-3-Clause",
    )
