"""From a folder to scores, and the command."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from napari_mdeblurgan.evaluation.baselines import bicubic
from napari_mdeblurgan.evaluation.real.cases import Case
from napari_mdeblurgan.evaluation.real.contenders import Contender, baselines, on_grid
from napari_mdeblurgan.evaluation.real.gains import mean_gain, real_gains
from napari_mdeblurgan.evaluation.real.scoring import (
    RealScore,
    best_setting,
    case_digest,
    closeness_of,
)


def truth(edge: int = 128) -> np.ndarray:
    random = np.random.default_rng(2)
    return np.clip(
        128 + 400 * ndimage.gaussian_filter(random.normal(size=(edge, edge)), 2), 0, 255
    ).astype(np.float32)


def case(blur: float = 1.2) -> Case:
    sharp = truth()
    image = ndimage.gaussian_filter(sharp.reshape(64, 2, 64, 2).mean(axis=(1, 3)), blur)
    judged = np.zeros((128, 128), bool)
    judged[8:-8, 8:-8] = True
    return Case("set", "image.png", 1.0, "steps", image.astype(np.float32), sharp, judged, 255.0)


def test_the_best_of_a_grid_is_the_setting_that_comes_closest_to_the_truth() -> None:
    known = case()
    runs = {
        f"{gain}": (lambda image, gain=gain: gain * known.truth + image.mean() * 0 + noise(gain))
        for gain in (1, 2, 3)
    }
    setting, close = best_setting(known, Contender("any", "any", None, runs))
    assert setting == "1"
    assert close.psnr_db == pytest.approx(closeness_of(known, known.truth + noise(1)).psnr_db)


def noise(gain: int) -> np.ndarray:
    return gain**2 * np.random.default_rng(0).normal(size=(128, 128))


def test_sharpening_with_the_best_setting_beats_bicubic_where_blur_is_gaussian() -> None:
    plain, unsharp, lucy = (best_setting(case(), each)[1] for each in baselines())
    assert unsharp.psnr_db > plain.psnr_db + 1
    assert lucy.psnr_db > plain.psnr_db + 1
    assert lucy.frc is not None


def test_colours_are_sharpened_each_on_its_own() -> None:
    grey = case()
    colours = np.stack([grey.image, 255 - grey.image, 0.5 * grey.image], axis=-1)
    for contender in baselines():
        for run in contender.runs.values():
            assert np.allclose(run(colours)[..., 0], run(grey.image), atol=1.5)
            assert (
                np.abs(run(colours)[..., 0] - run(grey.image)).mean() < 0.5
                or "Lucy" in contender.name
            )


def test_results_of_any_density_are_brought_to_the_pixels_of_the_truth() -> None:
    image = np.arange(64.0).reshape(8, 8)
    assert (
        on_grid(bicubic(image.astype(np.float32)), (16, 16)) == bicubic(image.astype(np.float32))
    ).all()
    assert np.allclose(on_grid(np.kron(image, np.ones((2, 2))), (8, 8)), image)
    assert (on_grid(image, (16, 16)) == bicubic(image.astype(np.float32))).all()
    assert on_grid(np.zeros((16, 16, 3)), (8, 8, 3)).shape == (8, 8, 3)


def test_the_digest_of_a_case_changes_with_what_is_judged() -> None:
    one, other = case(), case()
    assert case_digest(one) == case_digest(other)
    other.judged[10, 10] = False
    assert case_digest(one) != case_digest(other)


def score(method: str, psnr: float, frc: float | None, image: str = "a") -> RealScore:
    return RealScore(
        "set", image, 1.0, "", 1.0, method, "", psnr, 0.5, 0.1, frc, frc, image, method
    )


def test_gains_are_over_bicubic_of_the_same_image_and_left_out_where_nothing_was_measured() -> None:
    found = real_gains(
        [
            score("bicubic", 30, 0.5),
            score("m", 31, 0.75),
            score("bicubic", 20, 0.5, "b"),
            score("m", 19.5, None, "b"),
        ]
    )
    assert [gain.psnr_db for gain in found] == [1, -0.5]
    assert mean_gain(found, "psnr_db") == 0.25
    assert mean_gain(found, "frc") == 0.25


@pytest.fixture
def series(tmp_path: Path) -> Path:
    folder = tmp_path / "series"
    folder.mkdir()
    for number, blur in ((0, 0.0), (1, 1.5), (2, 2.5)):
        plane = ndimage.gaussian_filter(truth(), blur)
        Image.fromarray(np.rint(plane).astype(np.uint8)).save(folder / f"{number}.png")
    return folder


def test_the_command_judges_a_folder_of_planes_and_measures_only_what_is_new(
    series: Path, tmp_path: Path, tiny_defaults: None, run: Callable[..., tuple[int, str, str]]
) -> None:
    model, output = "tiny-1-x2", tmp_path / "report"
    code, out, err = run(
        "evaluate", series, "--real", "--models", model, "--output", output, "--halve", "--advised"
    )
    assert (code, err) == (0, "")
    assert "series (2 images), gains over bicubic enlargement:" in out
    assert "halved first" in out
    assert "as advised" in out
    with (output / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["image"] for row in rows} == {"1.png", "2.png"}
    assert (
        len(rows) == 2 * 6
    )  # bicubic, unsharp, Richardson-Lucy, the model, halved first, as advised
    assert all(float(row["psnr_db"]) > 0 and 0 < float(row["judged"]) < 1 for row in rows)
    page = (output / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 2  # the median and the worst of two images
    assert all(words in page for words in ("<h2>series</h2>", "Richardson-Lucy", "halved first"))
    before = (output / "scores.csv").read_bytes()
    code, _, _ = run("evaluate", series, "--real", "--models", model, "--output", output)
    assert code == 0
    assert (output / "scores.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--real",), "name a FOLDER"),
        ((".", "--real", "--fundus"), "does not go together"),
        ((".", "--sets", "a"), "add --real"),
    ],
)
def test_wrong_use_is_said_in_one_line(
    arguments: tuple[str, ...], words: str, run: Callable[..., tuple[int, str, str]]
) -> None:
    code, _, err = run("evaluate", *arguments)
    assert code == 2
    assert words in err
    assert err.count("\n") == 1


def test_models_for_other_images_are_refused(
    series: Path, tmp_path: Path, tiny_defaults: None, run: Callable[..., tuple[int, str, str]]
) -> None:
    options = ("--real", "--models", "tiny-3-x2", "--no-richardson-lucy")
    code, _, err = run("evaluate", series, *options, "--output", tmp_path / "r")
    assert code == 1
    assert "colour or grey" in err


def test_a_folder_of_which_no_image_can_be_judged_says_why(
    tmp_path: Path, tiny_defaults: None, run: Callable[..., tuple[int, str, str]]
) -> None:
    (tmp_path / "in").mkdir()
    for name in ("1.png", "2.png"):  # two places
        noise = np.random.default_rng(int(name[0])).integers(0, 255, (128, 128), np.uint8)
        Image.fromarray(noise).save(tmp_path / "in" / name)
    options = ("--real", "--models", "tiny-1-x2", "--no-richardson-lucy")
    code, _, err = run("evaluate", tmp_path / "in", *options, "--output", tmp_path / "r")
    assert code == 1
    assert err.startswith("mdeblurgan: No image can be judged: in, ")
    assert " was left out: " in err
    assert err.count("\n") == 1
