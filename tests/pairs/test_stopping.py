"""Registering can be stopped while it looks at one pair, and leaves nothing behind."""

from __future__ import annotations

from itertools import count

import pytest

from napari_mdeblurgan.pairs import register_images
from napari_mdeblurgan.stopping import Stopped, look_up, stoppable


@pytest.mark.parametrize("after", [0, 1, 5, 20])
def test_registering_ends_when_it_looks_up_next_and_can_be_done_again(make, after: int) -> None:
    number = count()
    with pytest.raises(Stopped), stoppable(lambda: next(number) >= after):
        register_images(make().pair)
    assert next(number) == after + 1  # it was asked no more
    look_up()  # nobody asks any more


def test_what_is_not_asked_to_stop_is_registered_as_ever(make) -> None:
    pair = make().pair
    with stoppable(lambda: False):
        found = register_images(pair)
    assert found.registration.score == register_images(pair).registration.score
