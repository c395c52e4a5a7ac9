"""A small model file, and changes to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from napari_mdeblurgan.errors import ModelError
from napari_mdeblurgan.model import ModelCard, save_model
from napari_mdeblurgan.network import Generator


def make_card(**facts: Any) -> ModelCard:
    known = {
        "name": "tiny",
        "description": "A test",
        "architecture": {},
        "scale": 1,
        "channels": 1,
        "halo": 0,
    }
    return ModelCard(**(known | facts))


@pytest.fixture
def network() -> Generator:
    torch.manual_seed(1)
    network = Generator(channels=3, scale=4, width=2)
    with torch.no_grad():
        for values in network.parameters():
            values.normal_()
    return network


@pytest.fixture
def saved(tmp_path: Path, network: Generator) -> Path:
    path = tmp_path / "tiny.safetensors"
    save_model(network, make_card(), path)
    return path


def refusal(action: Callable[[], object]) -> str:
    """The message of the refusal, which must be one sentence."""
    with pytest.raises(ModelError) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert len(message) < 400
    return message
