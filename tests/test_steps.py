"""Generators gone through, and told in other words."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import pytest

from napari_mdeblurgan.steps import Returning, finished, map_steps
from napari_mdeblurgan.stopping import attending


def counting(ended: list[str]) -> Generator[int, None, str]:
    try:
        yield 1
        yield 2
        return "made"
    finally:
        ended.append("ended")


def test_a_loop_keeps_what_its_steps_return_also_when_it_is_asked_for_more() -> None:
    returning = Returning(counting([]))
    assert list(returning) == [1, 2]
    assert list(returning) == []
    assert returning.result == "made"


def test_what_steps_return_is_not_known_where_the_loop_is_left() -> None:
    ended: list[str] = []
    steps = counting(ended)
    returning = Returning(steps)
    assert next(returning) == 1
    assert not ended
    with pytest.raises(AttributeError):
        _ = returning.result


def test_steps_told_in_another_way_return_the_same_and_are_closed_with_it() -> None:
    ended: list[str] = []
    told = map_steps(counting(ended), str)
    assert next(told) == "1"
    told.close()
    assert ended == ["ended"]
    assert finished(map_steps(counting(ended), str)) == "made"


def test_steps_are_gone_through_as_numpy_counts_by_default_and_what_others_have_set_stays() -> None:
    def small() -> Generator[int, None, float]:
        yield 1
        return float(np.exp(np.float64(-1000)))

    with np.errstate(all="raise"):
        before = np.geterr()
        told = map_steps(small(), str)
        assert next(told) == "1"
        assert np.geterr() == before
        assert finished(told) == 0
        assert finished(attending(lambda: np.exp(np.float64(-1000)))) == 0
        assert np.geterr() == before
