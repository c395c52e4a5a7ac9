"""Pairs of a blurred and a sharp grain image that lie exactly on each other, and a fine-tuning of
seconds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

if TYPE_CHECKING:
    from napari_mdeblurgan.fine_tuning.folder import FineTuneFolder
    from napari_mdeblurgan.pairs import RegisteredPair


def make_pair(
    name: str = "grain",
    edge: int = 96,
    seed: int = 0,
    channels: int = 1,
    accepted: bool = True,
    light: Any = 1.0,
) -> RegisteredPair:
    """`edge` is that of the low-resolution image, whose light is multiplied by `light`."""
    from napari_mdeblurgan.pairs import RegisteredPair, Registration
    from napari_mdeblurgan.restoration.intensity import Window

    grain = gaussian_filter(
        np.random.default_rng(seed).random((channels, 2 * edge, 2 * edge)), (0, 1.2, 1.2)
    )
    high = ((grain - grain.min()) / np.ptp(grain)).astype(np.float32)
    low = (
        gaussian_filter(high, (0, 2, 2)).reshape(channels, edge, 2, edge, 2).mean(axis=(2, 4))
        * light
    )
    registration = Registration(
        np.diag([2.0, 2.0, 1.0]), "similarity", accepted, 1.0, 1.0, 9.0, 0.0, 0.0,
        (1.0,) * channels, (0.0,) * channels, 1.0,
        reasons=() if accepted else ("They show different places.",),
    )  # fmt: skip
    return RegisteredPair(
        name=name,
        low=low.astype(np.float32),
        high=high,
        valid=np.ones(high.shape[1:], bool),
        scale=2,
        rgb=channels == 3,
        windows=(Window(0.0, 1.0),) * channels,
        low_crop=(slice(0, edge),) * 2,
        high_crop=(slice(0, 2 * edge),) * 2,
        low_shape=(edge, edge),
        high_shape=(2 * edge, 2 * edge),
        registration=registration,
    )


@pytest.fixture
def pair() -> Callable[..., RegisteredPair]:
    return make_pair


@pytest.fixture
def base_file(tmp_path: Path, tiny_model: Callable[..., Any]) -> Path:
    """An untrained network, which is bicubic enlargement, as a model file."""
    import torch

    from napari_mdeblurgan.model import save_model
    from napari_mdeblurgan.network import Generator

    torch.manual_seed(0)
    card = dataclasses.replace(tiny_model(1).card, name="base", softness=0.5)
    path = tmp_path / "base.safetensors"
    save_model(Generator(channels=1, width=4), card, path)
    return path


@pytest.fixture
def begun(base_file: Path) -> Callable[..., FineTuneFolder]:
    """``begun(pairs, steps=4)``: all that a fine-tuning needs, in its folder."""
    from napari_mdeblurgan.fine_tuning.folder import begin
    from napari_mdeblurgan.fine_tuning.pairs import tuning_pairs
    from napari_mdeblurgan.fine_tuning.settings import FineTuneSettings
    from napari_mdeblurgan.model import read_card

    def make(pairs: Any = None, *, overwrite: bool = False, **changes: Any) -> FineTuneFolder:
        wishes: dict[str, Any] = {
            "minutes": 60.0,
            "steps": 4,
            "batch": 2,
            "patch": 24,
            "threads": 1,
        }
        wishes |= {"precision": "float32", "device": "cpu", "name": "tuned"}
        settings = FineTuneSettings(base=str(base_file), **wishes | changes)
        return begin(
            settings,
            tuning_pairs(pairs or [make_pair()], read_card(base_file)),
            overwrite=overwrite,
        )

    return make
