"""Which base model pairs ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from napari_mdeblurgan.model import Model
from napari_mdeblurgan.pairs import RegisteredPair
from napari_mdeblurgan.widgets.fine_tune.starting import asked_of_base
from napari_mdeblurgan.widgets.shared import offered_models
from tests.fine_tuning.conftest import make_pair

GREY, COLOUR = 1, 3


def pair(kind: str) -> RegisteredPair:
    made = make_pair(channels=COLOUR if kind == "coloured" else GREY)
    if kind != "grey in colours":
        return made
    threefold = {name: np.repeat(getattr(made, name), 3, axis=0) for name in ("low", "high")}
    return replace(made, **threefold, rgb=True, windows=made.windows * 3)


@pytest.mark.parametrize(
    ("base", "own", "picked", "kinds", "asked"),
    [
        (COLOUR, False, False, ["coloured"], None),
        (GREY, False, False, ["coloured"], COLOUR),
        (COLOUR, False, True, ["grey"], GREY),
        (COLOUR, False, False, ["grey in colours"], GREY),
        (COLOUR, False, True, ["grey in colours"], None),
        (COLOUR, True, False, ["grey in colours"], None),
        (GREY, False, False, ["grey in colours"], None),
        (COLOUR, False, False, ["coloured", "grey in colours"], None),
        (COLOUR, False, False, [], None),
    ],
)
def test_it_fits_the_pairs_and_what_the_user_picked_stays(
    tiny_model: Callable[..., Model],
    base: int,
    own: bool,
    picked: bool,
    kinds: list[str],
    asked: int | None,
) -> None:
    card = replace(
        tiny_model(base).card, name="mine" if own else offered_models.BUNDLED_MODELS[base]
    )
    assert asked_of_base(card, [pair(kind) for kind in kinds], picked=picked) == asked
