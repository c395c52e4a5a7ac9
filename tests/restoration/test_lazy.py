"""dask in, dask out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import cloudpickle
import dask
import dask.array as da
import numpy as np
import pytest

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration.engine import restore, restore_steps
from napari_mdeblurgan.restoration.plan import make_plan

Models = Callable[..., Model]


def counting(image: np.ndarray, chunks: tuple, read: set) -> da.Array:
    """`image` as a dask array that notes which chunks were read."""

    def note(block: np.ndarray, block_info: dict | None = None) -> np.ndarray:
        if block_info:
            read.add(tuple(block_info[0]["chunk-location"]))
        return block

    return da.from_array(image, chunks=chunks).map_blocks(note, dtype=image.dtype, meta=image[:0])


@pytest.mark.parametrize("chunks", [(50, 70), (33, 200), (230, 190)])
def test_lazy_equals_eager(tiny_model: Models, chunks: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 4000, (230, 190), dtype=np.uint16)
    model, wishes = tiny_model(), {"window": (0, 4000), "precision": "float32"}
    lazy = restore(da.from_array(image, chunks=chunks), model, tile=64, **wishes)
    assert isinstance(lazy, da.Array)
    assert lazy.shape == (460, 380)
    assert lazy.dtype == np.uint16
    eager = restore(image, model, **wishes)
    np.testing.assert_allclose(
        lazy.compute(scheduler="synchronous"), eager.astype(int), rtol=0, atol=1
    )


def test_nothing_is_computed_until_asked_and_then_only_the_neighbourhood(
    tiny_model: Models,
) -> None:
    image, read = np.random.default_rng(0).random((2000, 2000)).astype(np.float32), set()
    model = tiny_model()
    lazy = restore(counting(image, (200, 200), read), model, tile=200, window=(0, 1))
    assert not read
    lazy[:10, :10].compute(scheduler="synchronous")
    assert read <= {(y, x) for y in range(2) for x in range(2)}


def test_the_window_of_a_lazy_image_is_that_of_one_in_memory(tiny_model: Models) -> None:
    image = np.random.default_rng(0).random((300, 200)).astype(np.float32)
    model = tiny_model()
    eager = restore(image, model, precision="float32")
    lazy = restore(da.from_array(image, chunks=100), model, precision="float32")
    np.testing.assert_allclose(lazy.compute(scheduler="synchronous"), eager, rtol=0, atol=1e-4)


def test_stacks_with_alpha_and_chunked_colours(tiny_model: Models) -> None:
    image = np.random.default_rng(0).integers(0, 256, (2, 3, 60, 50, 4), dtype=np.uint8)
    model, wishes = tiny_model(3, 4), {"window": (0, 255), "precision": "float32"}
    lazy = restore(da.from_array(image, chunks=(2, 2, 40, 30, 2)), model, **wishes)
    assert np.array_equal(lazy.compute(scheduler="synchronous"), restore(image, model, **wishes))


def test_channels_have_their_own_windows(tiny_model: Models) -> None:
    image = np.random.default_rng(0).random((2, 40, 40)).astype(np.float32) * np.float32(
        [[[1]], [[1000]]]
    )
    model, wishes = tiny_model(), {"channel_axis": 0, "precision": "float32"}
    lazy = restore(da.from_array(image, chunks=(1, 20, 20)), model, **wishes).compute(
        scheduler="synchronous"
    )
    eager = restore(image, model, **wishes)
    for channel in range(2):
        np.testing.assert_allclose(
            lazy[channel], eager[channel], rtol=0, atol=1e-4 * np.ptp(eager[channel])
        )


def test_a_lazy_image_of_nan_alone_is_refused_when_it_is_read(tiny_model: Models) -> None:
    lazy = restore(da.full((50, 50), np.nan, chunks=25), tiny_model())
    with pytest.raises(ImageError, match="NaN or infinite"):
        lazy.compute(scheduler="synchronous")


def test_the_window_takes_a_few_chunks_and_is_measured_once(tiny_model: Models) -> None:
    image, read = np.random.default_rng(0).integers(0, 99, (6000, 6000), dtype=np.uint8), set()
    lazy = restore(counting(image, (500, 500), read), tiny_model(), tile=200)
    lazy[:10, :10].compute(scheduler="synchronous")
    assert len(read) < 0.5 * 144
    read.clear()
    lazy[2000:2010, 2000:2010].compute(scheduler="synchronous")
    assert len(read) <= 4


@pytest.mark.parametrize("ground", [np.nan, 7.0])
def test_an_image_with_something_in_one_place_only_is_found_to_have_it(
    tiny_model: Models, ground: float
) -> None:
    image = np.full((5000, 5000), ground, np.float32)
    image[600:700, 600:700] = np.random.default_rng(0).random((100, 100)) * 100 + 50
    lazy = restore(da.from_array(image, chunks=1000), tiny_model(), tile=200)
    part = lazy[1200:1400, 1200:1400].compute(scheduler="synchronous")
    assert np.isfinite(part[10:-10, 10:-10]).all()
    assert np.ptp(part[20:-20, 20:-20]) > 50


def test_a_lazy_result_can_be_sent_to_another_process(tiny_model: Models) -> None:
    image = np.random.default_rng(0).random((60, 50)).astype(np.float32)
    lazy = restore(da.from_array(image, chunks=30), tiny_model())
    again = cloudpickle.loads(cloudpickle.dumps(lazy))
    assert np.array_equal(
        again.compute(scheduler="synchronous"), lazy.compute(scheduler="synchronous")
    )


def noted(block: np.ndarray, folder: Path) -> np.ndarray:
    """`block`, and a file that says that it was read."""
    if block.size:
        (folder / uuid4().hex).touch()
    return block


def test_processes_measure_the_window_once_for_all_tiles(
    tiny_model: Models, tmp_path: Path
) -> None:
    image = da.from_array(np.random.default_rng(0).random((256, 256)), chunks=128)
    lazy = restore(
        image.map_blocks(noted, tmp_path, dtype=image.dtype, meta=image._meta),
        tiny_model(),
        tile=64,
    )
    lazy.compute(scheduler="processes", num_workers=2)
    assert len(list(tmp_path.iterdir())) == 2 * 4  # for the window, and for the tiles


def test_a_tile_does_not_carry_the_whole_image_with_it(tiny_model: Models) -> None:
    sizes = []
    for edge in (1000, 8000):
        image = da.zeros((edge, edge), chunks=50, dtype=np.uint8)
        graph = dict(restore(image, tiny_model(), tile=1000).__dask_graph__())
        tiles = [task for key, task in graph.items() if "restore" in str(key)]
        sizes.append(max(len(cloudpickle.dumps(task)) for task in tiles))
    assert sizes[1] < 1.5 * sizes[0]


def test_steps_read_a_lazy_image_tile_by_tile(tiny_model: Models) -> None:
    image, read = np.random.default_rng(0).random((1200, 300)).astype(np.float32), set()
    model = tiny_model()
    lazy = counting(image, (100, 300), read)
    steps = restore_steps(lazy, make_plan(lazy, model.card, tile=300, window=(0, 1)), model)
    with dask.config.set(scheduler="synchronous"):
        next(steps), next(steps)
    assert len(read) <= 5


def test_out_of_memory_quarters_the_tile_of_a_chunk(
    tiny_model: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from napari_mdeblurgan.restoration import inference

    image, model = np.random.default_rng(0).random((500, 250)).astype(np.float32), tiny_model()
    wishes = {"window": (0, 1), "precision": "float32"}
    whole, forward = restore(image, model, **wishes), inference._forward

    failed = []

    def limited(
        stages: object, names: object, block: torch.Tensor, *more: object
    ) -> list[torch.Tensor]:
        if block.shape[-1] > 250:
            failed.append(block.shape)
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return forward(stages, names, block, *more)

    monkeypatch.setattr(inference, "_forward", limited)
    lazy = restore(da.from_array(image, chunks=100), model, tile=256, **wishes)
    np.testing.assert_allclose(lazy.compute(scheduler="synchronous"), whole, rtol=0, atol=1e-5)
    assert len(failed) == 1


@pytest.mark.parametrize(
    ("made", "said", "window"),
    [
        (np.ones((20, 56), np.uint16), r"shape \(20, 56\) where it announced \(48, 56\)", None),
        (np.ones((20, 56), np.uint16), r"shape \(20, 56\) where it announced \(48, 56\)", (0, 9)),
        (np.ones((96, 56), np.uint16), r"shape \(96, 56\) where it announced \(48, 56\)", None),
        (np.ones((48, 56)), "is of the type float64 where it announced uint16", None),
        (np.ones((48, 56)), "is of the type float64 where it announced uint16", (0, 9)),
    ],
)
def test_a_lazy_image_that_is_not_what_it_announced_is_refused(
    tiny_model: Models, made: np.ndarray, said: str, window: tuple[int, int] | None
) -> None:
    image = da.from_delayed(dask.delayed(lambda: made)(), (48, 56), np.uint16)
    model, wishes = tiny_model(), {"window": window}
    with pytest.raises(ImageError, match=said):
        restore(image, model, **wishes).compute()
    plan = make_plan(image, model.card, **wishes)
    with pytest.raises(ImageError, match=said):
        list(restore_steps(image, plan, model))
