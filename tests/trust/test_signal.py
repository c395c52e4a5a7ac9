"""The error bar over what is not background: dark or bright, flat or crowded, tile by tile."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration.plan import make_plan
from napari_mdeblurgan.short_numbers import short
from napari_mdeblurgan.trust.assess import assess
from napari_mdeblurgan.trust.noise import Noise
from napari_mdeblurgan.trust.signal import Brightness
from napari_mdeblurgan.trust.summary import summarise

NOISE = Noise((1e-4,), (0.0,))  # a hundredth of the window


def test_figures_are_short_whatever_the_units() -> None:
    assert [short(value) for value in (3.12e-13, 0.5, 41.6, 1234.5, 3.12e35)] == [
        *("3.1e-13", "0.5", "42", "1234", "3.1e+35"),
    ]
    assert [short(value, 3) for value in (0.01234, 12.34, 99.96, 1425.6)] == [
        *("0.0123", "12.3", "100", "1426"),
    ]


def sparse(background: float, cells: float) -> tuple[np.ndarray, np.ndarray]:
    """Brightness and error bar of a field of which a sixteenth is cells, whose bar is ten times as
    wide.
    """
    values = np.random.default_rng(0).normal(background, 0.01, (256, 256))
    widths = np.full(values.shape, 0.002)
    values[64:128, 64:128] += cells - background
    widths[64:128, 64:128] = 0.02
    return values, widths


def gathered(values: np.ndarray, widths: np.ndarray) -> Brightness:
    brightness = Brightness()
    brightness.add(values, widths)
    return brightness


@pytest.mark.parametrize(
    ("background", "cells"), [(0.1, 0.6), (0.9, 0.4)], ids=["fluorescence", "brightfield"]
)
def test_the_error_of_sparse_cells_is_told_without_the_background(
    background: float, cells: float
) -> None:
    found = gathered(*sparse(background, cells)).foreground(NOISE)
    assert found is not None
    assert found.pixels == pytest.approx(64 * 64, rel=0.05)
    assert found.signal == pytest.approx(0.5, rel=0.03)
    assert found.errors / found.pixels / found.signal == pytest.approx(0.04, rel=0.06)


def test_tiles_give_what_the_whole_gives_and_gaps_do_not_count() -> None:
    values, widths = sparse(0.1, 0.6)
    widths[:20] = np.nan
    tiles = Brightness()
    for rows in (slice(0, 100), slice(100, 256)):
        tiles.add(values[rows], widths[rows])
    found, whole = tiles.foreground(NOISE), gathered(values[20:], widths[20:]).foreground(NOISE)
    assert found is not None
    assert whole is not None
    assert dataclasses.astuple(found) == pytest.approx(dataclasses.astuple(whole), rel=1e-9)


@pytest.mark.parametrize("spread", [0.0, 0.01], ids=["flat", "noisy"])
def test_nothing_stands_out_of_an_empty_field(spread: float) -> None:
    values = np.random.default_rng(0).normal(0.5, spread, (256, 256))
    found = gathered(values, np.full(values.shape, 0.01)).foreground(NOISE)
    assert found is not None
    assert found.pixels == 0


def test_a_crowded_field_has_no_background() -> None:
    values = np.random.default_rng(0).uniform(0, 1, (256, 256))
    assert gathered(values, np.full(values.shape, 0.01)).foreground(NOISE) is None


@pytest.mark.parametrize("colours", [1, 3])
def test_the_sentence_quotes_the_error_of_the_signal(
    tiny_model: Callable[..., Model], colours: int
) -> None:
    values, _ = sparse(0.1, 0.6)
    image = np.clip(values * 255, 0, 255).astype(np.uint8)
    model = tiny_model(channels=colours) if colours == 3 else tiny_model()
    image = np.stack([image] * 3, axis=-1) if colours == 3 else image
    plan = make_plan(image, model.card, precision="float32", device="cpu")
    # A perfect result: the image itself, with twice as many pixels.
    f = plan.factor
    result = image.repeat(f, axis=0).repeat(f, axis=1)
    found = assess(image, result, plan, model)
    assert found.signal_error is not None
    assert found.signal_share is not None
    inside = found.map("error").data[64 * f : 128 * f, 64 * f : 128 * f]
    assert found.signal_error == pytest.approx(float(inside.mean()), rel=0.1)
    assert found.signal_share == pytest.approx(found.signal_error / (0.5 * 255), rel=0.05)
    sentence = summarise(
        dataclasses.replace(found, calibrated=True, signal_error=9.0, signal_share=0.04), model.card
    )
    assert "Error ±4 % of the signal (±9 grey levels)" in sentence.sentence
