"""Eight orientations: what is the same in all is certain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from napari_mdeblurgan.model import Model
from napari_mdeblurgan.network import Generator
from napari_mdeblurgan.restoration import fitting
from napari_mdeblurgan.restoration.engine import ensemble_steps, restore
from napari_mdeblurgan.restoration.orientation import ORIENTATIONS
from napari_mdeblurgan.restoration.plan import make_plan

Models = Callable[..., Model]


def ensemble(image: np.ndarray, model: Model, **wishes: Any) -> tuple[np.ndarray, np.ndarray]:
    steps = ensemble_steps(
        image, make_plan(image, model.card, precision="float32", **wishes), model
    )
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def test_it_is_the_mean_and_spread_of_the_turned_images_turned_back(tiny_model: Models) -> None:
    image = np.random.default_rng(0).random((51, 78)).astype(np.float32)
    model = tiny_model()
    each = [
        o.back(
            restore(np.ascontiguousarray(o.laid(image)), model, window=(0, 1), precision="float32")
        )
        for o in ORIENTATIONS
    ]
    mean, spread = ensemble(image, model, window=(0, 1))
    np.testing.assert_allclose(mean, np.mean(each, axis=0), atol=1e-5)
    np.testing.assert_allclose(spread, np.std(each, axis=0, ddof=1), atol=1e-5)
    assert spread.max() > 0.01


@pytest.mark.parametrize("shape", [(70, 90), (66, 40, 4), (2, 24, 70)])
def test_tiled_equals_whole(
    tiny_model: Models, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]
) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    model = tiny_model(3 if shape[-1] == 4 else 1)
    whole = ensemble(image, model)
    monkeypatch.setattr(fitting, "LARGEST_TILE", 64)
    for a, b in zip(whole, ensemble(image, model), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(
            a.astype(float), b.astype(float), atol=1 if a.dtype == np.uint8 else 5e-3
        )


def test_a_network_that_adds_nothing_agrees_with_itself(tiny_model: Models) -> None:
    network = Generator(channels=1, scale=2, width=2).eval()
    model = Model(tiny_model().card, network)
    image = np.random.default_rng(0).random((60, 60)).astype(np.float32)
    _, spread = ensemble(image, model)
    assert spread[8:-8, 8:-8].max() < 1e-4


def test_memory_that_runs_out_quarters_the_tiles(
    tiny_model: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from napari_mdeblurgan.restoration import inference

    image, model = np.random.default_rng(0).random((200, 200)).astype(np.float32), tiny_model()
    whole, forward = ensemble(image, model), inference._forward

    def limited(
        stages: object, names: object, block: torch.Tensor, *more: object
    ) -> list[torch.Tensor]:
        if block.shape[-1] > 230:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return forward(stages, names, block, *more)

    monkeypatch.setattr(inference, "_forward", limited)
    for a, b in zip(whole, ensemble(image, model), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_grey_stored_in_colours_stays_grey(tiny_model: Models) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (51, 78), np.uint8)
    mean, _ = ensemble(np.stack([grey] * 3, axis=-1), tiny_model(3))
    assert np.array_equal(mean[..., 0], mean[..., 1])
    assert np.array_equal(mean[..., 0], mean[..., 2])
