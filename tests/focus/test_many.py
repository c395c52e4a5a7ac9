"""Focus stacks with channels and further axes, step by step."""

from __future__ import annotations

from time import sleep

import numpy as np
import pytest

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.focus import (
    ManyInFocus,
    all_in_focus,
    followed,
    many_followed_steps,
    many_in_focus_steps,
)
from napari_mdeblurgan.steps import finished
from tests.focus.test_stack import LEFT, PLANES, RIGHT, inner, texture, two_halves


@pytest.fixture(scope="module")
def channels() -> np.ndarray:
    """(planes, 2, y, x): the second has most detail."""
    stack = two_halves(texture())
    dull = np.random.default_rng(1).normal(0.5, 0.02, stack.shape)
    return np.stack([dull, stack], axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def found(channels: np.ndarray) -> ManyInFocus:
    return finished(many_in_focus_steps(list(channels), (2,), channel_axis=0, registered=True))


def test_one_channel_decides_and_the_others_follow(
    found: ManyInFocus, channels: np.ndarray
) -> None:
    alone = all_in_focus(channels[:, 1], registered=True)
    assert found.channel == 1
    np.testing.assert_array_equal(found.image[1], alone.image)
    np.testing.assert_array_equal(found.image[0], followed(alone, channels[:, 0]))
    np.testing.assert_array_equal(found.height, alone.height)


def test_a_choice_is_followed_by_another_stack_with_channels(
    found: ManyInFocus, channels: np.ndarray
) -> None:
    again = finished(many_followed_steps(found.choices, list(channels), (2,), 0))
    np.testing.assert_allclose(again, found.image, atol=1e-5)
    with pytest.raises(ImageError, match="as many"):
        finished(many_followed_steps(found.choices, list(channels[:-1]), (2,), 0))


def test_planes_of_which_none_is_sharper_are_told_without_zero_percent() -> None:
    flat = texture()
    noise = np.random.default_rng(2).normal(0, 0.02, (PLANES, *flat.shape))
    planes = list((flat + noise).astype(np.float32))
    (note,) = finished(many_in_focus_steps(planes)).notes
    assert note.startswith("hardly any of the field is clearly sharper")
    assert note.endswith(
        "This happens where nothing is in focus, and where the planes run "
        "through time instead of focus."
    )


def test_each_place_along_further_axes_has_heights_of_its_own(channels: np.ndarray) -> None:
    stack = channels[:, 1]
    twice = np.stack([stack, stack[::-1]], axis=1)
    found = finished(many_in_focus_steps(list(twice), (2,), registered=True))
    assert found.channel is None
    assert (found.image.shape, found.height.shape) == ((2, 192, 192),) * 2
    for number, (left, right) in enumerate(
        [(LEFT, RIGHT), (PLANES - 1 - LEFT, PLANES - 1 - RIGHT)]
    ):
        halves = inner(found.height[number])
        assert [np.median(each) for each in halves] == pytest.approx([left, right], abs=0.2)


@pytest.mark.parametrize("registered", [True, False])
def test_progress_runs_from_nothing_to_all_in_small_steps(
    channels: np.ndarray, registered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "napari_mdeblurgan.stopping.HEARTBEAT_S", 0.002
    )  # as often for each step as in large images
    monkeypatch.setattr("napari_mdeblurgan.focus.focus_progress.look_up", lambda: sleep(0.02))
    steps = many_in_focus_steps(list(channels), (2,), channel_axis=0, registered=registered)
    fractions = [step.fraction for step in steps]
    assert fractions == sorted(fractions)
    assert 0 < fractions[0] < 0.1
    assert 0.9 < fractions[-1] <= 1
    assert np.diff(fractions).max() < 0.15


def test_it_ends_where_it_is_closed() -> None:
    read = []

    class Plane:
        """Notes when it is read."""

        def __init__(self, number: int, data: np.ndarray) -> None:
            self.number, self.data, self.shape, self.ndim, self.dtype = (
                number,
                data,
                data.shape,
                2,
                data.dtype,
            )

        def __getitem__(self, part: object) -> object:
            if part == ():
                return self
            read.append(self.number)
            return self.data[part]  # type: ignore[index]

    steps = many_in_focus_steps(
        [Plane(*each) for each in enumerate([*two_halves(texture(96))] * 6)]
    )
    next(steps)
    steps.close()
    assert set(read) <= {0, 1, 2}  # two at a time, and the next


def test_planes_that_show_different_places_are_no_stack() -> None:
    planes = [texture(128, seed) for seed in range(2)]
    with pytest.raises(ImageError, match="cannot be registered"):
        all_in_focus(planes)


def test_a_stack_through_time_is_told_by_what_it_looks_like() -> None:
    stack = np.repeat(texture()[None], 4, axis=0) + np.random.default_rng(2).normal(
        0, 0.01, (4, 192, 192)
    )
    (note,) = finished(many_in_focus_steps(list(stack), registered=True)).notes
    assert "through time instead of focus" in note
