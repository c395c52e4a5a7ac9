"""What the plan settles, and what it refuses before work starts."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import psutil
import pytest
import torch

from napari_mdeblurgan.errors import ImageError, ModelError
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration.intensity import Window
from napari_mdeblurgan.restoration.plan import make_plan, planning
from napari_mdeblurgan.steps import finished

Models = Callable[..., Model]


def test_placement_follows_the_contract(tiny_model: Models) -> None:
    plan = make_plan(
        np.zeros((5, 20, 30)), tiny_model().card, scale=(3, 0.5, 0.2), translate=(7, 10, 20)
    )
    assert plan.scale == (3, 0.25, 0.1)
    assert plan.translate == (7, 10 - 0.125, 20 - 0.05)
    assert plan.output_shape == (5, 40, 60)


def test_a_region_moves_the_result_to_its_place(tiny_model: Models) -> None:
    plan = make_plan(
        np.zeros((50, 60)), tiny_model(scale=4).card, region=((10, 20), (30, 45)), scale=(2, 2)
    )
    assert plan.output_shape == (40, 60)
    assert plan.scale == (0.5, 0.5)
    assert plan.translate == (2 * (10 - 0.375), 2 * (30 - 0.375))


def test_colours_are_taken_for_what_the_model_is_for(tiny_model: Models) -> None:
    plan = make_plan(np.zeros((4, 20, 30, 4), np.uint8), tiny_model(3).card)
    assert plan.rgb
    assert plan.leading == (4,)
    assert plan.output_shape == (4, 40, 60, 4)


def test_a_window_per_channel(tiny_model: Models) -> None:
    image = np.stack([np.tile([0, 10], (20, 10)), np.tile([0, 4000], (20, 10))]).astype(np.uint16)
    plan = make_plan(image, tiny_model().card, channel_axis=0)
    assert plan.windows == (Window(0, 10), Window(0, 4000))
    assert make_plan(image, tiny_model().card).windows == (Window(0, 4000),)


def test_one_window_for_all_slices(tiny_model: Models) -> None:
    image = np.zeros((2, 20, 20), np.uint16)
    image[1, :10] = 500
    assert make_plan(image, tiny_model().card).windows == (Window(0, 500),)


def test_a_lazy_image_is_not_read(tiny_model: Models) -> None:
    def explode(block: np.ndarray) -> np.ndarray:
        raise AssertionError("read while planning")

    lazy = da.zeros((100, 100), chunks=50).map_blocks(explode, dtype=float, meta=np.empty((0, 0)))
    assert make_plan(lazy, tiny_model().card).windows is None


def test_a_lazy_image_is_measured_last_and_its_plan_has_its_windows(tiny_model: Models) -> None:
    read: list[int] = []
    plane = np.tile(np.array([0, 4000], np.uint16), (100, 50))
    lazy = da.from_array(plane, chunks=50).map_blocks(
        lambda block: read.append(block.size) or block, dtype=np.uint16
    )
    read.clear()
    with pytest.raises(ImageError, match="no device 'tpu'"):
        finished(planning(lazy, tiny_model().card, device="tpu"))
    steps = planning(lazy, tiny_model().card)
    assert next(steps) == 0
    assert not read
    assert finished(steps) == make_plan(plane, tiny_model().card)


def test_a_part_has_the_window_of_the_whole(tiny_model: Models) -> None:
    stack = np.stack([np.tile([0, 10], (20, 10)), np.tile([0, 4000], (20, 10))]).astype(np.uint16)
    assert make_plan(stack[:1], tiny_model().card, whole=stack).windows == (Window(0, 4000),)


def test_tiles_of_a_result_on_disk_end_at_its_chunks(tiny_model: Models, tmp_path: Path) -> None:
    plan = make_plan(
        np.zeros((900, 900)),
        tiny_model(1, 4).card,
        tile=300,
        on_disk=tmp_path / "a.zarr",
        window=(0, 1),
    )
    assert (plan.tile, plan.tile_step * plan.factor) == (300, 1024)
    fine = make_plan(
        np.zeros((900, 900)), tiny_model().card, tile=600, eightfold=True, window=(0, 1)
    )
    assert fine.tile == 512


def test_channel_axes_may_come_as_any_numbers(tiny_model: Models) -> None:
    image = np.zeros((3, 2, 10, 10))
    for given in (1, np.int64(-3), [1], np.array([1]), {1}):
        assert make_plan(image, tiny_model().card, channel_axis=given).window_axes == (1,)
    assert make_plan(image, tiny_model().card, channel_axis=np.array([1, -4])).window_axes == (0, 1)


def test_missing_pixels_give_a_warning_with_their_number(tiny_model: Models) -> None:
    image = np.zeros((10, 10), np.float32)
    for pixels, told in (
        ((np.nan, 0), "1 value (1 %) is"),
        ((np.nan, np.inf), "2 values (2 %) are"),
    ):
        image[2, 3:5] = pixels
        (warning,) = make_plan(image, tiny_model().card).warnings
        assert warning.startswith(f"{told} NaN or infinite")
    image = np.full((20, 20), np.nan, np.float32)
    image[0, 0] = 1
    (warning,) = make_plan(image, tiny_model().card, window=(0, 1)).warnings
    assert warning.startswith("399 values (99 %) are NaN or infinite")


@pytest.mark.parametrize("region", [None, ((300, 500), (0, 400))])
def test_missing_pixels_of_a_lazy_image_are_told(
    tiny_model: Models, region: tuple[tuple[int, int], tuple[int, int]] | None
) -> None:
    image = np.random.default_rng(0).normal(size=(3, 700, 400)).astype(np.float32)
    image[1, 400, 100:104] = np.nan
    (told,) = make_plan(image, tiny_model().card, region=region).warnings
    lazy = planning(da.from_array(image), tiny_model().card, region=region)
    assert finished(lazy).warnings == (told,)


def test_missing_pixels_of_a_large_lazy_image_are_told_where_it_is_looked_at(
    tiny_model: Models,
) -> None:
    image = np.random.default_rng(0).normal(size=(2000, 3000)).astype(np.float32)
    image[:, ::4] = np.inf
    (told,) = finished(planning(da.from_array(image, 1000), tiny_model().card)).warnings
    assert told.startswith("Some 25 % of the values are NaN or infinite, as a few places show")
    lazy, corner = da.from_array(image, 1000), ((1970, 2000), (2970, 3000))
    (told,) = finished(planning(lazy, tiny_model().card, region=corner)).warnings
    assert told.startswith("210 values (23 %) are NaN or infinite")
    many = da.from_array(np.full((20, 64, 64), np.nan, np.float32), (1, 64, 64))
    (told,) = finished(planning(many, tiny_model().card, window=(0, 1))).warnings
    assert told.startswith("Some 100 % of the values are NaN")
    whole = np.zeros((2000, 3000), np.float32)
    whole[1] = 1
    assert finished(planning(da.from_array(whole, 1000), tiny_model().card)).warnings == ()


def test_planning_copies_no_stack_that_lies_across_memory(tiny_model: Models) -> None:
    stack = np.zeros((40, 20, 256, 256), np.uint16).swapaxes(0, 1)
    tracemalloc.start()
    make_plan(stack, tiny_model().card)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.3 * stack.nbytes


def test_float_images_get_a_wider_halo_because_holes_are_filled(tiny_model: Models) -> None:
    card = tiny_model().card
    assert make_plan(np.zeros((10, 10), np.uint8), card).halo == card.halo
    assert make_plan(np.zeros((10, 10), np.float32), card).halo == card.halo + 8


REFUSED: list[tuple[str, Any, dict[str, Any], str]] = [
    ("empty axis", np.zeros((0, 10)), {}, "empty"),
    ("empty stack", np.zeros((0, 10, 10)), {}, "empty"),
    ("one row", np.zeros((1, 10)), {}, "at least 2"),
    ("one column", np.zeros((10, 1)), {}, "at least 2"),
    ("one axis", np.zeros(10), {}, "axes y and x"),
    ("no axis", np.float64(3), {}, "axes y and x"),
    ("complex", np.zeros((10, 10), complex), {}, "complex128"),
    ("object", np.zeros((10, 10), object), {}, "object"),
    ("text", np.full((10, 10), "a"), {}, "<U1"),
    ("dates", np.zeros((10, 10), "M8[s]"), {}, "datetime64"),
    ("structured", np.zeros((10, 10), [("a", "u1")]), {}, "cannot be restored"),
    ("all NaN", np.full((10, 10), np.nan), {}, "NaN"),
    (
        "RGB for a grey model",
        np.arange(300, dtype=np.uint16).reshape(10, 10, 3),
        {},
        "for grey images and this image is RGB",
    ),
    ("unknown device", np.zeros((10, 10)), {"device": "tpu"}, "no device 'tpu'"),
    ("unknown precision", np.zeros((10, 10)), {"precision": "float8"}, "no precision 'float8'"),
    (
        "float16 on the processor",
        np.zeros((10, 10)),
        {"precision": "float16", "device": "cpu"},
        "does not compute in float16",
    ),
    ("tiny tile", np.zeros((10, 10)), {"tile": 3}, "64 or more"),
    ("region outside", np.zeros((10, 10)), {"region": ((0, 11), (0, 5))}, "does not lie within"),
    ("part of a pixel", np.zeros((10, 10)), {"region": ((0, 2.5), (0, 5))}, "in whole pixels"),
    ("empty region", np.zeros((10, 10)), {"region": ((3, 3), (0, 5))}, "does not lie within"),
    (
        "wrong number of scales",
        np.zeros((10, 10)),
        {"scale": (1, 1, 1)},
        "3 values, but the image has 2 axes",
    ),
    ("channel axis is x", np.zeros((3, 10, 10)), {"channel_axis": 2}, "not one of the 1 axes"),
    ("channel axis by name", np.zeros((3, 10, 10)), {"channel_axis": "c"}, "axis 'c' is not one"),
    ("channel axis of nothing", np.zeros((3, 10, 10)), {"channel_axis": [0, None]}, "axis None is"),
    ("window upside down", np.zeros((10, 10)), {"window": (5, 1)}, "intensity range"),
    ("window of no numbers", np.zeros((10, 10)), {"window": (None, 1)}, "intensity range"),
    ("region of one pair", np.zeros((10, 10)), {"region": (0, 5)}, "y start"),
    ("tile of words", np.zeros((10, 10)), {"tile": "64"}, "whole number"),
    ("ragged list", [[1, 2], [3]], {}, "no image"),
    ("unknown size", da.zeros((10, 10))[da.ones(10) > 0], {}, "compute_chunk_sizes"),
    ("name of a file", "scan.tif", {}, r"This str is no image.*read_image\(path\)\.data"),
    ("nothing", None, {}, "This NoneType is no image"),
    ("region without end", np.zeros((9, 9)), {"region": ((0, np.inf), (0, 5))}, "in whole pixels"),
    ("window of huge numbers", np.zeros((9, 9)), {"window": (10**400, 1)}, "intensity range"),
    ("channel axis in an array", np.zeros((9, 9)), {"channel_axis": np.array(0)}, "channel axis"),
    ("device in a list", np.zeros((9, 9)), {"device": ["cpu"]}, "no device"),
    ("one scale for all axes", np.zeros((9, 9)), {"scale": 0.1}, "scale is one number for each"),
    ("window not finite", np.zeros((10, 10)), {"window": (0, np.inf)}, "intensity range"),
]


@pytest.mark.parametrize(
    ("image", "wishes", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_bad_input_is_refused_in_one_sentence(
    tiny_model: Models, image: Any, wishes: dict, words: str
) -> None:
    with pytest.raises(ImageError, match=words) as refusal:
        make_plan(image, tiny_model().card, **wishes)
    assert str(refusal.value).endswith(".")
    assert "\n" not in str(refusal.value)


def test_a_device_of_torch_is_a_device(tiny_model: Models) -> None:
    assert (
        make_plan(np.zeros((9, 9)), tiny_model().card, device=torch.device("cpu")).device == "cpu"
    )


def test_a_model_in_place_of_its_card_is_refused_in_one_sentence(tiny_model: Models) -> None:
    with pytest.raises(ModelError, match=r"This Model is no card of a model; pass `model\.card`"):
        make_plan(np.zeros((9, 9)), tiny_model())  # type: ignore[arg-type]


def test_colours_that_come_first_are_refused_with_how_to_move_them(tiny_model: Models) -> None:
    card = tiny_model(3).card
    with pytest.raises(ImageError, match=r"gray-x2, or move its colours to the end, .*image, -3, "):
        make_plan(np.zeros((3, 10, 10)), card)
    for image, rgb in ((np.zeros((10, 10)), None), (np.zeros((3, 10, 10)), False)):
        with pytest.raises(ImageError, match=r"such as gray-x2\.$"):
            make_plan(image, card, rgb=rgb)


def test_a_grey_image_is_refused_by_a_colour_model(tiny_model: Models) -> None:
    with pytest.raises(ImageError, match="for RGB images and this image is grey"):
        make_plan(np.zeros((10, 10)), tiny_model(3).card)


def test_a_result_that_does_not_fit_in_memory_names_its_size_and_the_lazy_way(
    tiny_model: Models,
) -> None:
    edge = int(psutil.virtual_memory().total ** 0.5)
    huge = np.broadcast_to(np.uint8(0), (edge, edge))
    with pytest.raises(ImageError, match=r"would take \d+\.\d GB .* dask"):
        make_plan(huge, tiny_model().card, window=(0, 1))
    assert make_plan(huge, tiny_model().card, window=(0, 1), in_memory=False).output_shape == (
        2 * edge,
        2 * edge,
    )


@pytest.mark.parametrize("wish", [0, -1, float("nan"), "200"])
def test_memory_that_is_no_amount_is_refused_in_words(tiny_model: Models, wish: object) -> None:
    with pytest.raises(ImageError, match=r"A tile cannot take .* MiB of memory; give a positive"):
        make_plan(np.zeros((64, 64), np.uint8), tiny_model(1, 2).card, tile_memory_mb=wish)


@pytest.mark.parametrize("wish", ["region", "window", "tile", "channel_axis", "softness"])
@pytest.mark.parametrize("edge", [2, 40])
def test_an_array_in_place_of_a_wish_stays_on_one_line_and_short(
    tiny_model: Models, wish: str, edge: int
) -> None:
    given: Any = np.full((edge, edge), 0.5)
    with pytest.raises(ImageError) as refused:
        make_plan(np.zeros((3, 100, 100)), tiny_model().card, **{wish: given})
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 250
