"""The baselines, and scoring under fixed conditions."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from napari_mdeblurgan.degradation import GAUSSIAN, PHYSICAL, Condition
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.evaluation.baselines import bicubic, richardson_lucy_bicubic
from napari_mdeblurgan.evaluation.images import find_images
from napari_mdeblurgan.evaluation.ledger import Ledger
from napari_mdeblurgan.evaluation.methods import (
    Method,
    bicubic_method,
    model_method,
    richardson_lucy_method,
)
from napari_mdeblurgan.evaluation.protocol import (
    SCORE_KEYS,
    Score,
    degraded,
    evaluate_functions,
    scores,
)
from napari_mdeblurgan.evaluation.real.scoring import REAL_KEYS, RealScore

from .conftest import discs, write


def test_a_table_of_another_kind_of_evaluation_asks_for_another_folder(tmp_path: Path) -> None:
    Ledger(tmp_path / "scores.csv", RealScore, REAL_KEYS)
    with pytest.raises(FileError, match=r"by real blur, .* choose another folder"):
        Ledger(tmp_path / "scores.csv", Score, SCORE_KEYS)


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3)])
def test_bicubic_keeps_a_plane_and_doubles_its_size(shape: tuple[int, ...]) -> None:
    ramp = np.broadcast_to(
        np.linspace(0, 1, 30, dtype=np.float32).reshape((1, 30) + (1,) * (len(shape) - 2)), shape
    )
    enlarged = bicubic(ramp)
    assert enlarged.shape == (40, 60, *shape[2:])
    np.testing.assert_allclose(np.diff(enlarged[20], axis=0)[4:-4], 0.5 / 29, atol=1e-6)


def test_richardson_lucy_that_is_told_the_blur_beats_bicubic(tmp_path: Path) -> None:
    write(tmp_path / "discs.png", discs())
    methods = (bicubic_method(2), richardson_lucy_method(2))
    found = {
        (s.method, s.condition): s for s in scores(find_images(tmp_path)[0], methods, GAUSSIAN[1:])
    }
    for condition in GAUSSIAN[1:]:
        plain, ours = (found[method.name, condition.label] for method in methods)
        assert ours.psnr_db > plain.psnr_db + 1
        assert ours.ssim > plain.ssim


def test_richardson_lucy_takes_the_cameras_offset_for_no_light() -> None:
    low, _ = degraded(discs(), GAUSSIAN[1], 2)
    psf = GAUSSIAN[1].psf(2)
    without = richardson_lucy_bicubic(low, psf, iterations=5)
    with_offset = richardson_lucy_bicubic(low + np.float32(0.1), psf, iterations=5, offset=0.1)
    np.testing.assert_allclose(with_offset, without + 0.1, atol=1e-5)


def test_more_blur_is_harder(tmp_path: Path) -> None:
    write(tmp_path / "discs.png", discs())
    db = [
        score.psnr_db
        for score in evaluate_functions(tmp_path, {"bicubic": lambda image, _: bicubic(image)})
    ]
    assert db == sorted(db, reverse=True)


def test_every_method_is_given_the_same_noisy_input() -> None:
    sharp = discs()
    first, again = (degraded(sharp, PHYSICAL[1], 2)[0] for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, degraded(sharp[::-1].copy(), PHYSICAL[1], 2)[0][::-1])
    assert first.std() > degraded(sharp, GAUSSIAN[2], 2)[0].std()


def counting(calls: list[str], identity: str) -> Method:
    def run(image: np.ndarray, condition: Condition) -> np.ndarray:
        calls.append(condition.label)
        return bicubic(image)

    return Method("counted", "", "bicubic", identity, "", 2, None, run)


def test_what_was_scored_once_is_not_computed_again(tmp_path: Path) -> None:
    write(tmp_path / "in" / "discs.png", discs())
    images, calls = find_images(tmp_path / "in")[0], []
    for identity, expected in (("a", 3), ("a", 3), ("b", 6)):
        ledger = Ledger(tmp_path / "scores.csv", Score, SCORE_KEYS)
        assert len(list(scores(images, [counting(calls, identity)], GAUSSIAN, ledger))) == 3
        assert len(calls) == expected
    write(tmp_path / "in" / "discs.png", 1 - discs())
    list(
        scores(
            images,
            [counting(calls, "b")],
            GAUSSIAN,
            Ledger(tmp_path / "scores.csv", Score, SCORE_KEYS),
        )
    )
    assert len(calls) == 9


def test_an_interrupted_evaluation_goes_on_and_drops_half_a_line(tmp_path: Path) -> None:
    write(tmp_path / "in" / "discs.png", discs())
    images, path = find_images(tmp_path / "in")[0], tmp_path / "scores.csv"
    whole = list(scores(images, [bicubic_method(2)], GAUSSIAN, Ledger(path, Score, SCORE_KEYS)))
    path.write_text(path.read_text(encoding="utf-8")[:-40], encoding="utf-8")
    again = list(scores(images, [bicubic_method(2)], GAUSSIAN, Ledger(path, Score, SCORE_KEYS)))
    assert again == whole
    assert len(path.read_text(encoding="utf-8").splitlines()) == 1 + 3


def test_a_network_is_one_method_among_the_others(tiny_model) -> None:
    method = model_method(tiny_model(1, 2), "tiny", "tiny")
    low, truth = degraded(discs(), PHYSICAL[0], 2)
    assert method.restore(low, PHYSICAL[0]).shape == truth.shape
    assert method.parameters == sum(p.numel() for p in tiny_model(1, 2).network.parameters())
    assert method.family == "m-deblurgan"


def test_a_network_that_was_tuned_for_the_images_own_pixels_is_judged_at_the_pixels_of_the_truth(
    tiny_model,
) -> None:
    made = tiny_model(1, 2)
    tuned = dataclasses.replace(made, card=dataclasses.replace(made.card, output_scale=1))
    low, truth = degraded(discs(), PHYSICAL[0], 2)
    own, plain = (
        model_method(model, "tiny", "tiny").restore(low, PHYSICAL[0]) for model in (tuned, made)
    )
    assert own.shape == truth.shape
    np.testing.assert_array_equal(own, plain)
