"""Levels for the viewer that answer at once, with what is known, and read the rest in the
background.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest

from napari_mdeblurgan.widgets.layers.shown_levels import ShownLevels


class Slow:
    """An array whose parts can be read only when a gate is open."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels, self.gate = pixels, threading.Event()
        self.shape, self.dtype, self.ndim = pixels.shape, pixels.dtype, pixels.ndim

    def __getitem__(self, key: Any) -> Slow:
        part = Slow(self.pixels[key])
        part.gate = self.gate
        return part

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        assert self.gate.wait(30)
        return self.pixels.copy()


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 255, (2, 64, 64)).astype(np.uint8)


def wait_for(ready: Any) -> None:
    end = time.monotonic() + 10
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.01)


def nothing(_level: int, spans: Any) -> np.ndarray:
    return np.zeros([len(span) for span in spans if isinstance(span, range)], np.uint8)


def shown(image: np.ndarray) -> tuple[ShownLevels, list[Slow], list[None]]:
    levels, news = [Slow(image), Slow(image[:, ::2, ::2])], []
    return (
        ShownLevels(levels, nothing, False, lambda: news.append(None), lambda: True),
        levels,
        news,
    )


def test_unknown_pixels_are_zero_at_once_and_come_later(image: np.ndarray) -> None:
    made, levels, news = shown(image)
    part = made.arrays[0][1, 8:24, 0:16]
    assert not np.asarray(part).any()
    levels[0].gate.set()
    wait_for(lambda: news)
    np.testing.assert_array_equal(np.asarray(made.arrays[0][1, 8:24, 0:16]), image[1, 8:24, 0:16])
    made.close()


def test_unknown_pixels_are_made_up_from_a_coarser_level_of_the_same_plane(
    image: np.ndarray,
) -> None:
    made, levels, news = shown(image)
    levels[1].gate.set()
    np.asarray(made.arrays[1][1])
    wait_for(lambda: news)
    np.testing.assert_array_equal(
        np.asarray(made.arrays[0][1, 8:24, 0:16]),
        image[1, 8:24:2, 0:16:2].repeat(2, 0).repeat(2, 1),
    )
    assert not np.asarray(made.arrays[0][0, 8:24, 0:16]).any()
    made.close()


def test_pixels_that_were_shown_before_are_kept_while_the_view_moves(image: np.ndarray) -> None:
    made, levels, news = shown(image)
    levels[0].gate.set()
    np.asarray(made.arrays[0][0, 0:32, 0:32])
    wait_for(lambda: news)
    levels[0].gate.clear()
    moved = np.asarray(made.arrays[0][0, 16:48, 0:32])
    np.testing.assert_array_equal(moved[:16], image[0, 16:32, 0:32])
    assert not moved[16:].any()
    levels[0].gate.set()
    made.close()


def test_nothing_is_told_where_nothing_has_changed(image: np.ndarray) -> None:
    made, levels, news = shown(image)
    levels[0].gate.set()
    part = made.arrays[0][0]
    np.asarray(part)
    wait_for(lambda: news)
    made.look_again()
    time.sleep(0.2)
    assert len(news) == 1
    levels[0].pixels = np.zeros_like(image)
    made.look_again()
    wait_for(lambda: len(news) == 2)
    assert not np.asarray(part).any()
    made.close()


def test_what_is_read_from_a_place_that_is_gone_is_not_shown(image: np.ndarray) -> None:
    news: list[None] = []
    level = Slow(image)
    level.gate.set()
    made = ShownLevels(
        [level, level[:, ::2, ::2]], nothing, False, lambda: news.append(None), lambda: False
    )
    np.asarray(made.arrays[0][0])
    time.sleep(0.2)
    assert not news
    made.close()


def test_closed_levels_read_for_themselves(image: np.ndarray) -> None:
    made, levels, _ = shown(image)
    made.close()
    levels[0].gate.set()
    np.testing.assert_array_equal(np.asarray(made.arrays[0][0, ::2]), image[0, ::2])
