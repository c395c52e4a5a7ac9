"""A lazy array of which many parts are read."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Any

import dask.array as da
import numpy as np
import pytest
from tifffile import imwrite

from napari_mdeblurgan.restoration.read_in_turn import ReadInTurn, read_in_turn
from napari_mdeblurgan.storage import open_image
from napari_mdeblurgan.trust.domain import binning_for

PIXELS = np.random.default_rng(0).integers(0, 255, (3, 90, 120), np.uint8)


class Stored:
    """An array in chunks that takes its time, and notes what is read of it."""

    def __init__(self, seconds: Callable[[int], float], chunks: tuple[Any, ...]) -> None:
        self.shape, self.dtype, self.ndim, self.chunks = PIXELS.shape, PIXELS.dtype, 3, chunks
        self._seconds, self.sizes = seconds, list[int]()

    def __getitem__(self, index: Any) -> np.ndarray:
        part = PIXELS[index]
        self.sizes.append(part.size)
        time.sleep(self._seconds(part.size))
        return part


PLACES = [(n // 8, slice(n, n + 20), slice(3 * n, 3 * n + 30)) for n in range(24)]


def read_places(stored: Stored) -> list[int]:
    array = ReadInTurn(stored, Lock())
    for place in PLACES:
        np.testing.assert_array_equal(array[place], PIXELS[place])
    return stored.sizes


@pytest.mark.parametrize("chunks", [(1, 90, 120), ((1, 1, 1), (90,), (120,))])
def test_a_chunk_that_is_made_whole_for_each_of_its_parts_is_read_once(
    chunks: tuple[Any, ...],
) -> None:
    assert read_places(Stored(lambda _: 0.06, chunks)) == [600, 600, *[10_800] * 3]


def test_of_what_is_quick_only_the_parts_are_read() -> None:
    assert read_places(Stored(lambda _: 0.0, (1, 90, 120))) == [600] * 24


def test_of_a_chunk_that_there_is_no_room_for_the_parts_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("napari_mdeblurgan.restoration.read_in_turn._SHARE_OF_MEMORY", 0)
    assert read_places(Stored(lambda _: 0.06, (1, 90, 120))) == [600] * 24


def test_of_a_chunk_that_takes_longer_than_its_parts_these_are_read() -> None:
    sizes = read_places(Stored(lambda size: 0.06 * size / 600, (1, 90, 120)))
    assert sizes == [600, 600, 10_800, *[600] * 21]


@pytest.mark.parametrize(
    "index",
    [
        (slice(0, 2), slice(0, 20), slice(0, 20)),
        (0, slice(40, 60), slice(0, 20)),
        (0, slice(0, 20, 2), slice(0, 20)),
        (0, slice(20, 20), slice(0, 20)),
        (..., slice(0, 20)),
        slice(0, 1),
    ],
)
def test_parts_of_several_chunks_or_with_gaps_are_read_as_they_are(index: Any) -> None:
    array = ReadInTurn(Stored(lambda _: 0.06, (1, 45, 120)), Lock())
    for _ in range(3):
        np.testing.assert_array_equal(array[index], PIXELS[index])


TILES = [
    (n, slice(y, y + 50), slice(x, x + 50)) for n in (0, 1, 0) for y in (0, 40) for x in (0, 35, 70)
]


def test_chunks_of_slow_parts_are_read_once() -> None:
    stored = Stored(lambda _: 0.06, (1, 30, 30))
    array = read_in_turn(stored)
    assert read_in_turn(array) is array
    for place in TILES:
        np.testing.assert_array_equal(array[place], PIXELS[place])
    again, stored.sizes = sum(stored.sizes), []
    for place in TILES:
        np.testing.assert_array_equal(array[place], PIXELS[place])
    assert again <= 2 * 90 * 120 + 4 * 50 * 50
    assert not stored.sizes


def test_chunks_of_quick_parts_are_not_kept() -> None:
    stored = Stored(lambda _: 0.0, (1, 30, 30))
    array = read_in_turn(stored)
    for place in TILES:
        np.testing.assert_array_equal(array[place], PIXELS[place])
    assert stored.sizes == [50 * 50] * len(TILES)


def test_only_the_chunks_that_were_used_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_mdeblurgan.restoration.read_in_turn._KEPT_BYTES", 8 * 900)
    stored = Stored(lambda _: 0.06, (1, 30, 30))
    array = read_in_turn(stored)
    for place in TILES * 2:
        np.testing.assert_array_equal(array[place], PIXELS[place])
        assert sum(chunk.nbytes for chunk in array._kept.values()) <= 8 * 900


def test_positions_from_the_end_and_axes_left_out() -> None:
    array = ReadInTurn(Stored(lambda _: 0.06, (1, 90, 120)), Lock())
    for index in [
        (-1, slice(-20, None)),
        (2, slice(-20, -5), slice(5, -5)),
        (2,),
        (-1, -1, -1),
    ] * 2:
        np.testing.assert_array_equal(array[index], PIXELS[index])


def test_arrays_in_memory_stay_as_they_are() -> None:
    assert read_in_turn(PIXELS) is PIXELS


def test_a_plane_that_is_computed_in_one_go_is_computed_a_few_times_to_be_looked_at(
    tiny_model: Callable[..., Any],
) -> None:
    computed = []

    def made(block: np.ndarray) -> np.ndarray:
        computed.append(block.shape)
        time.sleep(0.06)
        return block

    image = np.random.default_rng(0).integers(0, 255, (1500, 1200), np.uint8)
    lazy = da.from_array(image, chunks=(1500, 1200)).map_blocks(
        made, dtype=np.uint8, meta=image[:0]
    )
    card = tiny_model().card
    assert binning_for(lazy, card) == binning_for(image, card)
    assert len(computed) <= 8


def test_a_file_of_one_compressed_piece_looks_as_its_pixels_do(
    tmp_path: Any, tiny_model: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_mdeblurgan.restoration.read_in_turn.SLOW_S", 0.0)
    image = np.random.default_rng(0).integers(0, 255, (1500, 1200), np.uint8)
    imwrite(tmp_path / "one.tif", image, compression="zlib", rowsperstrip=1500)
    lazy, card = open_image(tmp_path / "one.tif").data, tiny_model().card
    assert binning_for(lazy, card) == binning_for(image, card)
