"""A network from outside, registered by its class alone: stored, restoring, trained, assessed and
compared as ours are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.errors import ModelError, TrainingError
from napari_mdeblurgan.evaluation.methods import model_method
from napari_mdeblurgan.fine_tuning.parts import learn_only
from napari_mdeblurgan.model import ModelCard, save_model
from napari_mdeblurgan.network import Network, Restoration, build_generator
from napari_mdeblurgan.network.blocks import BicubicUpsampling
from napari_mdeblurgan.network.reach import Reach
from napari_mdeblurgan.network.registry import register, unregister
from napari_mdeblurgan.network.stages import Stage, Stages
from napari_mdeblurgan.storage import read_image
from napari_mdeblurgan.storage.provenance import entries_of, read_provenance
from napari_mdeblurgan.training.config import ConfigError, parse_config

CONFIG = """
[network]
name = "toy"
width = 3
[data]
patch = 24
batch = 2
validation = 0.5
[degradation]
physical = 0
[schedule]
name = "cosine"
steps = 4
warm_up = 1
steps_per_epoch = 2
[run]
threads = 1
precision = "float32"
device = "cpu"
"""


class Toy(Network):
    """Two convolutions, and bicubic enlargement."""

    name, title, family = "toy", "Toy", "toys"
    downsampling = 8

    def __init__(self, channels: int = 1, scale: int = 2, width: int = 2, taps: int = 5) -> None:
        super().__init__()
        self.channels, self.scale, self.width, self.taps = channels, scale, width, taps
        first, second = (
            nn.Conv2d(*pair, taps, padding="same", bias=False)
            for pair in ((channels, width), (width, channels))
        )
        self.sharpen, self.enlarge = nn.Sequential(first, second), BicubicUpsampling(scale)

    @property
    def architecture(self) -> dict[str, Any]:
        facts = {
            "channels": self.channels,
            "scale": self.scale,
            "width": self.width,
            "taps": self.taps,
        }
        return {"name": self.name, **facts}

    @property
    def described(self) -> str:
        return f"a toy of {self.taps} taps"

    @property
    def stages(self) -> Stages:
        def wider(image: Reach) -> tuple[Reach]:
            return (image.convolved(self.taps).convolved(self.taps),)

        return Stages(
            (
                Stage(
                    lambda image: (image + self.sharpen(image),), wider, ("image",), {"sharp": 1}, 8
                ),
                Stage(
                    lambda sharp: (self.enlarge(sharp),),
                    lambda sharp: (self.enlarge.reach(sharp),),
                    ("sharp",),
                    {"output": 1 / self.scale},
                ),
            )
        )

    def explain(self, image: Tensor) -> Restoration:
        self.check(image)
        sharp, nothing = (
            image + self.sharpen(image),
            torch.zeros_like(image[:, :1]).repeat(1, 3, 1, 1),
        )
        return Restoration(self.enlarge(sharp), sharp, sharp, sharp, nothing, nothing)


@pytest.fixture(autouse=True)
def toy() -> Iterator[type[Network]]:
    register(Toy)
    yield Toy
    unregister(Toy)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = Toy(taps=7).eval()
    facts: dict[str, Any] = {
        "architecture": network.architecture,
        "scale": 2,
        "channels": 1,
        "halo": network.halo,
    }
    save_model(
        network,
        ModelCard(name="mine", description="A toy.", **facts),
        tmp_path / "mine.safetensors",
    )
    return tmp_path / "mine.safetensors"


def test_a_model_of_it_is_stored_and_its_tiles_fit_together(path: Path) -> None:
    model = load_model(path)
    assert isinstance(model.network, Toy)
    assert (model.network.taps, model.card.halo) == (7, 8)
    image = np.random.default_rng(0).random((150, 130)).astype(np.float32)
    whole, tiled = (restore(image, model, tile=tile, precision="float32") for tile in (1024, 64))
    np.testing.assert_allclose(tiled, whole, atol=1e-5)
    assert np.abs(whole[::2, ::2] - image).max() > 0.01


def test_it_is_trained_and_what_comes_of_it_restores_and_is_assessed(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    (tmp_path / "sharp").mkdir()
    for number in range(2):
        grain = gaussian_filter(np.random.default_rng(number).random((120, 120)), 1)
        pixels = (255 * (grain - grain.min()) / np.ptp(grain)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "sharp" / f"grain-{number}.png")
    (tmp_path / "toy.toml").write_text(CONFIG)
    model, sharp = tmp_path / "run" / "trained.safetensors", tmp_path / "sharp.ome.tif"
    arguments = (
        "--output",
        tmp_path / "run",
        "--config",
        tmp_path / "toy.toml",
        "--model-name",
        "trained",
    )
    code, out, error = run("train", tmp_path / "sharp", *arguments)
    assert code == 0, error
    assert "toy ×2" in out
    code, out, error = run(
        "restore",
        tmp_path / "sharp" / "grain-0.png",
        sharp,
        "--model",
        model,
        "--trust",
        "--device",
        "cpu",
    )
    assert code == 0, error
    assert read_image(sharp).data.shape == (240, 240)
    assert entries_of(read_provenance(sharp))[0]["trust"]["settings"]["Model"].startswith("trained")
    assert not (tmp_path / "sharp-choice.tif").exists()  # it does not choose between candidates


def test_it_is_compared_by_the_name_of_its_kind(path: Path) -> None:
    method = model_method(load_model(path), "mine", str(path), "cpu")
    assert (method.name, method.family) == ("Toy (mine)", "toys")
    assert method.what == "a toy of 7 taps; “A toy.”"


def test_a_part_that_it_does_not_have_cannot_be_learned_on_its_own(path: Path) -> None:
    network = load_model(path).network
    learn_only(network, "all")
    with pytest.raises(TrainingError, match="of the kind toy has no such part"):
        learn_only(network, "super-resolution")


def test_a_name_belongs_to_one_network() -> None:
    with pytest.raises(ValueError, match="called toy already"):
        register(Toy)


def test_it_is_not_known_where_it_was_not_registered(path: Path) -> None:
    unregister(Toy)
    try:
        with pytest.raises(ValueError, match="unknown network 'toy'"):
            build_generator({"name": "toy"})
        with pytest.raises(ModelError, match="update the plugin"):
            load_model(path)
        with pytest.raises(
            ConfigError, match=r"network.name is 'toy': must be one of m-deblurgan, unet-sr"
        ):
            parse_config({"network": {"name": "toy"}}, "a.toml")
    finally:
        register(Toy)
