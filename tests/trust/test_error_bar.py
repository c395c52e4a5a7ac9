"""The error bar: fitted to known errors it covers nine of ten, and belongs to
one model's weights.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_mdeblurgan.model import Model, list_models
from napari_mdeblurgan.trust.calibrating import Known, calibrate, fit_error_bar, score_bar
from napari_mdeblurgan.trust.error_bar import error_calibration
from napari_mdeblurgan.trust.features import WITH_DISAGREEMENT

Models = Callable[..., Model]


def known(seed: int, edge: int = 64) -> Known:
    """Errors whose scale follows the first feature, and an idle second."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(len(WITH_DISAGREEMENT), edge, edge)).astype(np.float32)
    scale = 0.01 * np.exp(0.8 * features[0] + 0.2 * features[1] ** 2)
    error = np.abs(random.laplace(scale=scale)).astype(np.float32)
    return Known(features, error, error / 2)


def test_nine_of_ten_errors_are_within_it_on_other_data() -> None:
    fitted, other = known(0), known(1)
    count = len(WITH_DISAGREEMENT)
    bar = fit_error_bar(WITH_DISAGREEMENT, fitted.features.reshape(count, -1), fitted.error.ravel())
    width = bar.half_width(other.features)
    found = score_bar(width, other.error)
    assert found.covered == pytest.approx(0.9, abs=0.02)
    wide = width > np.median(width)
    for part in (wide, ~wide):
        assert (other.error[part] <= width[part]).mean() == pytest.approx(0.9, abs=0.03)
    assert width[wide].mean() > 2 * width[~wide].mean()


def test_judging_ranks_cells_of_eight_pixels() -> None:
    error = np.kron(np.arange(16.0).reshape(4, 4), np.ones((8, 8)))
    noise = np.random.default_rng(0).random(error.shape)
    assert score_bar(error + 0.1 * noise, error).spearman == pytest.approx(1)
    assert score_bar(noise, error).spearman < 0.9
    assert score_bar(np.full_like(error, 8), error).covered == 9 / 16


def test_a_calibration_of_the_users_own_model_is_found(
    tiny_model: Models, models_folder: Path
) -> None:
    card = tiny_model().card
    assert not error_calibration(card).own
    models_folder.mkdir()
    entry = calibrate([known(0), known(1)], [0.05, 0.05], card.name, 1)
    (models_folder / "calibrations.json").write_text(json.dumps({card.weights_sha256: entry}))
    found = error_calibration(card)
    assert found.own
    assert (found.model, found.noise_limit) == (card.name, 0.05)
    assert not error_calibration(replace(card, weights_sha256="0" * 64)).own


@pytest.mark.parametrize("content", ["{", "[1]", '{"a": 1}', '{"a": {"channels": 1}}'])
def test_a_file_that_cannot_be_used_is_as_if_it_were_not_there(
    tiny_model: Models, models_folder: Path, content: str
) -> None:
    models_folder.mkdir()
    (models_folder / "calibrations.json").write_text(content)
    assert not error_calibration(tiny_model().card).own


def test_every_bundled_model_is_calibrated() -> None:
    cards = list_models()
    assert {card.name for card in cards} >= {"rgb-x2", "gray-x2"}
    assert all(error_calibration(card).own for card in cards)


def test_every_bundled_model_is_calibrated_for_the_images_own_pixels() -> None:
    for card in list_models():
        same, made = error_calibration(card, 1), error_calibration(card, card.scale)
        assert same.own
        assert made == error_calibration(card)
        assert same.plain != made.plain


def test_an_entry_without_bars_for_the_images_own_pixels_takes_those_of_a_bundled_model(
    tiny_model: Models, models_folder: Path
) -> None:
    card = tiny_model().card
    models_folder.mkdir()
    entry = calibrate([known(0)], [0.05, 0.05], card.name, 1)
    (models_folder / "calibrations.json").write_text(json.dumps({card.weights_sha256: entry}))
    assert error_calibration(card).own
    same = error_calibration(card, 1)
    assert not same.own
    assert same.noise_limit == 0.05
    own = calibrate([known(0)], [0.05, 0.05], card.name, 1, {1: [known(1)]})
    (models_folder / "calibrations.json").write_text(json.dumps({card.weights_sha256: own}) + " ")
    assert error_calibration(card, 1).own
