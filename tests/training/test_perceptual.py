"""Perceptual losses, with a small trunk of random weights in the place of VGG19."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from napari_mdeblurgan.errors import ModelError
from napari_mdeblurgan.network.discriminator import Discriminator
from napari_mdeblurgan.training.losses.perceptual import (
    IMAGENET_DEVIATION,
    IMAGENET_MEAN,
    Trunk,
    feature_matching,
    load_trunk,
    perceptual_distance,
    trunk_for,
)

DIVISOR = 16


def grain(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def random_trunk(layer: str = "relu2_2") -> Trunk:
    trunk, random = Trunk(layer, DIVISOR), torch.Generator().manual_seed(0)
    for weights in trunk.parameters():
        weights.copy_(
            torch.randn(weights.shape, generator=random) * (2 / weights[0].numel()) ** 0.5
        )
    return trunk


def written(path: Path, weights: object) -> str:
    """Save as PyTorch does; how the file's hash begins."""
    torch.save(weights, path)
    return hashlib.sha256(path.read_bytes()).hexdigest()[:8]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MDEBLURGAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_up_to_the_last_layer_the_trunk_is_vgg19s() -> None:
    """Positions of the convolutions and their shapes as in torchvision's published file."""
    with torch.device("meta"):
        weights = Trunk("relu5_4").state_dict()
    positions = [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]
    assert list(weights) == [
        f"features.{n}.{kind}" for n in positions for kind in ("weight", "bias")
    ]
    assert weights["features.0.weight"].shape == (64, 3, 3, 3)
    assert weights["features.16.weight"].shape == (256, 256, 3, 3)
    assert weights["features.34.weight"].shape == (512, 512, 3, 3)


@pytest.mark.parametrize(
    ("layer", "shape"), [("relu1_1", (4, 32)), ("relu2_2", (8, 16)), ("relu3_4", (16, 8))]
)
def test_the_trunk_ends_with_the_activation_of_its_layer(
    layer: str, shape: tuple[int, int]
) -> None:
    trunk = random_trunk(layer)
    features = trunk(grain(1, 3, 32, 32))
    assert features.shape == (1, shape[0], shape[1], shape[1])
    assert isinstance(trunk.features[-1], nn.ReLU)
    assert features.min() >= 0


def test_colours_are_normalised_as_vgg19_was_trained() -> None:
    trunk, seen = random_trunk("relu1_1"), []
    trunk.features.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    trunk(torch.tensor(IMAGENET_MEAN)[:, None, None].expand(1, 3, 8, 8))
    trunk(
        torch.tensor(IMAGENET_MEAN)[:, None, None]
        + torch.tensor(IMAGENET_DEVIATION)[:, None, None].expand(1, 3, 8, 8)
    )
    torch.testing.assert_close(seen[0], torch.zeros(1, 3, 8, 8))
    torch.testing.assert_close(seen[1], torch.ones(1, 3, 8, 8))


def test_a_grey_image_is_seen_as_one_of_three_equal_colours() -> None:
    trunk, grey = random_trunk(), grain(2, 1, 16, 16)
    torch.testing.assert_close(trunk(grey), trunk(grey.repeat(1, 3, 1, 1)))


def test_the_distance_is_the_mean_squared_difference_of_the_features() -> None:
    trunk, image, truth = random_trunk(), grain(2, 1, 16, 16), grain(2, 1, 16, 16, seed=1)
    expected = torch.nn.functional.mse_loss(trunk(image), trunk(truth))
    torch.testing.assert_close(perceptual_distance(trunk, image, truth), expected)
    assert perceptual_distance(trunk, truth, truth) == 0


def test_the_distance_pulls_at_the_image_alone() -> None:
    trunk = random_trunk()
    image, truth = (
        grain(1, 1, 16, 16).requires_grad_(),
        grain(1, 1, 16, 16, seed=1).requires_grad_(),
    )
    perceptual_distance(trunk, image, truth).backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0
    assert truth.grad is None
    assert all(weights.grad is None and not weights.requires_grad for weights in trunk.parameters())


def test_feature_matching_is_the_mean_absolute_difference_averaged_over_the_stages() -> None:
    fake = [torch.full((1, 2, 4, 4), 1.0), torch.full((1, 4, 2, 2), 5.0)]
    real = [torch.full((1, 2, 4, 4), 3.0), torch.full((1, 4, 2, 2), 1.0)]
    assert feature_matching(fake, real).item() == pytest.approx((2 + 4) / 2)


def test_feature_matching_pulls_at_the_made_image_alone() -> None:
    judge = Discriminator(1, width=2)
    fake, real = grain(1, 1, 16, 16).requires_grad_(), grain(1, 1, 16, 16, seed=1).requires_grad_()
    feature_matching(judge.features(fake), judge.features(real)).backward()
    assert fake.grad is not None
    assert fake.grad.abs().sum() > 0
    assert real.grad is None


def test_weights_come_from_the_file_and_the_rest_of_it_is_left(tmp_path: Path) -> None:
    trunk = random_trunk()
    whole = {
        **trunk.state_dict(),
        "features.28.weight": torch.zeros(3),
        "classifier.0.weight": torch.zeros(2, 2),
    }
    prefix = written(tmp_path / "weights.pth", whole)
    loaded = load_trunk(tmp_path / "weights.pth", "relu2_2", sha256=prefix, divisor=DIVISOR)
    for name, value in trunk.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)
    assert not any(weights.requires_grad for weights in loaded.parameters())


def test_a_file_of_another_hash_is_not_even_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / "weights.pth", random_trunk().state_dict())
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("the file was opened"))
    with pytest.raises(ModelError, match=r"weights\.pth is not torchvision's published file"):
        load_trunk(tmp_path / "weights.pth", "relu2_2", divisor=DIVISOR)


def test_a_missing_layer_and_a_layer_of_another_shape_are_named(tmp_path: Path) -> None:
    weights = random_trunk().state_dict()
    unfit = {**weights, "features.5.weight": torch.zeros(8, 4, 5, 5)}
    missing = {name: value for name, value in weights.items() if name != "features.7.bias"}
    for damaged, name in (
        (unfit, "features.5.weight"),
        (missing, "features.7.bias"),
        ([1], "features.0.weight"),
    ):
        prefix = written(tmp_path / "weights.pth", damaged)
        with pytest.raises(ModelError, match=name.replace(".", r"\.")):
            load_trunk(tmp_path / "weights.pth", "relu2_2", sha256=prefix, divisor=DIVISOR)


class Trap:
    """What it says is run when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_file_is_refused_and_not_run(tmp_path: Path, legacy: bool) -> None:
    path, marker = tmp_path / "weights.pth", tmp_path / "it ran"
    trapped = {**random_trunk().state_dict(), "extra": Trap(marker)}
    torch.save(trapped, path, _use_new_zipfile_serialization=not legacy)
    prefix = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    with pytest.raises(ModelError, match="without running"):
        load_trunk(path, "relu2_2", sha256=prefix, divisor=DIVISOR)
    assert not marker.exists()


@pytest.mark.parametrize(
    "content", [b"", b"not weights", pickle.dumps({"a": 1}, 2), b"PK\x03\x04 cut"]
)
def test_a_file_that_is_no_weights_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"weights\.pth"):
        load_trunk(path, "relu2_2", sha256=hashlib.sha256(content).hexdigest(), divisor=DIVISOR)


def test_where_no_weights_are_the_message_offers_the_ways_out(cache: Path) -> None:
    with pytest.raises(
        ModelError, match=r"vgg19_download = true.*vgg19_file.*feature-matching"
    ) as refusal:
        trunk_for("relu2_2")
    assert str(cache) in str(refusal.value)


def test_a_file_that_the_user_names_is_the_one_that_is_read(tmp_path: Path, cache: Path) -> None:
    cache.mkdir()
    written(cache / "vgg19-dcbb9e9d.pth", random_trunk().state_dict())
    with pytest.raises(ModelError, match=r"mine\.pth cannot be read"):
        trunk_for("relu2_2", tmp_path / "mine.pth")
    with pytest.raises(ModelError, match=r"vgg19-dcbb9e9d\.pth is not torchvision's"):
        trunk_for("relu2_2")


def test_an_unknown_layer_is_refused() -> None:
    with pytest.raises(ValueError, match="relu3_4"):
        Trunk("relu3_5")
