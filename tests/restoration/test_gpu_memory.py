"""What passes between the processor and a GPU, and whose the memory there is; told by a GPU that is
only made believe. `test_gpu.py` has what a real one does.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast
from weakref import WeakKeyDictionary

import numpy as np
import pytest
import torch

from napari_mdeblurgan.model import Model
from napari_mdeblurgan.network import Restoration
from napari_mdeblurgan.network.layout import layout_on
from napari_mdeblurgan.restoration import inference, memory, tile_size
from napari_mdeblurgan.restoration.engine import restore
from napari_mdeblurgan.restoration.tile_size import fitting_batch, fitting_tile
from napari_mdeblurgan.training import trainer
from napari_mdeblurgan.training.data.dataset import Patches
from napari_mdeblurgan.training.losses import objectives
from napari_mdeblurgan.training.optimisers.schedule import Schedule

Models = Callable[..., Model]
GIB = 2**30


def prepared(*shape: int) -> inference.Prepared:
    """Values of a tile; nothing else of it is asked for."""
    values = np.random.default_rng(0).random(shape, np.float32)
    return inference.Prepared(cast(Any, None), values, None, None)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [1, 2])
def test_a_copy_to_an_apple_gpu_is_waited_for_and_lies_as_planes(
    channels: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def to(self: torch.Tensor, _: str, non_blocking: bool = False) -> torch.Tensor:
        asked.append(non_blocking)
        return self

    monkeypatch.setattr(torch.Tensor, "to", to)
    batch = [prepared(8, 16, channels)] * count
    images = inference._on_device(batch, "mps")
    assert asked == [False]
    assert images.shape == (count, channels, 8, 16)
    assert images.is_contiguous()
    np.testing.assert_array_equal(images[-1].permute(1, 2, 0), batch[-1].values)


@pytest.fixture
def card_of_24_gib(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Of torch's memory on a GPU of 24 GiB, what is kept and what of that is in use."""
    used = SimpleNamespace(kept=0, tensors=0)
    monkeypatch.setattr(
        torch.cuda, "mem_get_info", lambda _: (24 * GIB - used.kept, 24 * GIB), raising=False
    )
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: used.kept)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: used.tensors)
    return used


def test_what_torch_keeps_for_what_comes_next_counts_as_free(
    tiny_model: Models, card_of_24_gib: SimpleNamespace
) -> None:
    card = tiny_model().card
    card = SimpleNamespace(
        **{name: getattr(card, name) for name in ("halo", "channels", "scale")},
        architecture=card.architecture | {"width": 24},
    )

    def found() -> tuple[int, int]:
        tile = fitting_tile(cast(Any, card), "cuda:1", "float32", quick=False)
        return tile, fitting_batch(cast(Any, card), tile, "cuda:1", "float32")

    before = found()
    assert before[0] == 2048
    card_of_24_gib.kept, card_of_24_gib.tensors = 20 * GIB, 1 * 2**20
    assert found() == before
    card_of_24_gib.tensors = 20 * GIB
    assert found() < before


def test_no_map_on_an_apple_gpu_reaches_what_metal_cannot_hold(
    tiny_model: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        tile_size.psutil, "virtual_memory", lambda: SimpleNamespace(available=400 * GIB)
    )
    card = tiny_model().card
    for scale in (2, 4):
        for width in (16, 24, 64):
            wide: Any = SimpleNamespace(
                halo=88, channels=1, scale=scale, architecture=card.architecture | {"width": width}
            )
            tile = fitting_tile(wide, "mps", "float32", quick=False)
            count = fitting_batch(wide, tile, "mps", "float32")
            largest = 4 * (scale // 2) ** 2 * width * count * (tile + 2 * 88) ** 2 * 4
            assert largest < 2**32


def test_the_memory_of_a_gpu_is_given_back_when_a_restoration_is_done(
    tiny_model: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_back: list[str] = []
    monkeypatch.setattr(inference, "give_back", given_back.append)
    model, image = tiny_model(), np.zeros((40, 40), np.uint8)
    restore(image, model, device="cpu")
    assert given_back == []
    monkeypatch.setitem(inference._COPIES, model.network, {"cuda:1": model.network})
    restore(image, model, device="cpu")
    assert given_back == ["cuda:1"]


def test_giving_back_is_asked_of_the_right_library(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    for library, name in ((torch.cuda, "empty_cache"), (torch.mps, "empty_cache")):
        called = f"{library.__name__}.{name}"
        monkeypatch.setattr(library, name, lambda called=called: asked.append(called))
    monkeypatch.setattr(
        torch.accelerator, "empty_host_cache", lambda: asked.append("host"), raising=False
    )
    for device in ("cpu", "mps", "cuda:1"):
        inference.give_back(device)
    assert asked == ["torch.mps.empty_cache", "torch.cuda.empty_cache", "host"]
    assert inference._give_all_back in memory._OTHERS


@pytest.mark.parametrize(
    ("device", "layout"),
    [("mps", torch.contiguous_format), ("cuda:1", torch.channels_last)],
)
def test_features_lie_as_the_device_computes_them(
    device: str,
    layout: torch.memory_format,
    tiny_model: Models,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, _: self)
    monkeypatch.setattr(inference, "_COPIES", WeakKeyDictionary())
    network = inference.network_on(tiny_model(), device)
    weights = [each for each in network.parameters() if each.ndim == 4 and min(each.shape) > 1]
    assert weights
    assert all(each.is_contiguous(memory_format=layout) for each in weights)


def test_a_training_on_an_apple_gpu_keeps_features_in_planes(
    tiny_model: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "layout_on", lambda _: layout_on("mps"))
    monkeypatch.setattr(objectives, "layout_on", lambda _: layout_on("mps"))
    network = copy.deepcopy(tiny_model(3).network).requires_grad_(True)
    training = trainer.Training(network, Schedule(1))
    seen: list[torch.Tensor] = []
    explain = network.explain

    def noted(image: torch.Tensor) -> Restoration:
        seen.append(image)
        return explain(image)

    monkeypatch.setattr(network, "explain", noted)
    low, high = torch.rand(2, 3, 48, 48), torch.rand(2, 3, 96, 96)
    assert [record.step for record in training.run([Patches(low, low, high)])] == [1]
    assert seen
    assert all(each.is_contiguous() for each in [*seen, *network.parameters()])
