from __future__ import annotations

import dataclasses
import os
import shutil

import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter
from typer.testing import CliRunner

from napari_mdeblurgan.cli import app
from napari_mdeblurgan.model import list_models, save_model
from napari_mdeblurgan.storage import Micrograph, read_image, write_image
from tests.focus.test_stack import texture, two_halves


def field(seed: int) -> np.ndarray:
    """A sharp field of discs, (300, 300) in 8 bits."""
    random = np.random.default_rng(seed)
    sharp = np.zeros((300, 300))
    y, x = np.indices(sharp.shape)
    for row, column, radius in zip(
        *random.integers(0, 300, (2, 120)), random.uniform(2, 8, 120), strict=True
    ):
        sharp += np.hypot(y - row, x - column) < radius
    return 20 + 200 * gaussian_filter(sharp, 0.7) / sharp.max()


@pytest.fixture
def folders(tmp_path):
    """Two fields by a ×5 objective out of focus, the middle of each by a ×10 one, and a file that
    is no image.
    """
    for number in range(2):
        sharp = field(number)
        low = gaussian_filter(sharp, 2.5).reshape(150, 2, 150, 2).mean(axis=(1, 3))
        for folder, image in (("low", low), ("high", sharp[40:240, 50:250])):
            (tmp_path / folder).mkdir(exist_ok=True)
            tifffile.imwrite(tmp_path / folder / f"field{number}.tif", image.astype(np.uint8))
    (tmp_path / "low" / "notes.txt").write_text("nothing to see")
    (tmp_path / "low" / "odd.tif").write_bytes(b"II*\0 no image")
    return tmp_path


@pytest.fixture
def base(models_folder, tiny_model):
    model = tiny_model(1)
    save_model(
        model.network,
        dataclasses.replace(model.card, name="base"),
        models_folder / "base.safetensors",
    )
    return "base"


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def to_mine(folders, base):
    """The words of a fine-tuning of the pairs in `folders` to the model "mine"."""
    words = "fine-tune", "--low", folders / "low", "--high", folders / "high"
    return [*words, "--model", base, "--output", "mine"]


def test_from_two_folders_to_a_model_and_on_from_there(folders, base):
    command = to_mine(folders, base)
    command += ["--batch", 1, "--patch", 24, "--device", "cpu"]
    result = run(*command, "--steps", 2)
    assert result.exit_code == 0, result.output
    assert "field0" in result.output
    assert "PSNR" in result.output
    assert "odd.tif" in result.output
    assert "mine" in [card.name for card in list_models()]
    again = run(*command, "--steps", 3)
    assert again.exit_code == 0, again.output
    assert "going on with mine" in again.output
    other = run(*command, "--learning-rate", 0.5)
    assert other.exit_code == 2
    assert "was begun with learning rate" in other.output
    assert "going on" not in other.output
    card = next(card for card in list_models() if card.name == "mine")
    assert card.scores["fine_tuning_pairs"] == 2


def test_a_pair_of_two_places_is_refused_and_learned_from_only_if_it_is_trusted(folders, base):
    tifffile.imwrite(folders / "high" / "field1.tif", field(7)[40:240, 50:250].astype(np.uint8))
    command = to_mine(folders, base)
    refused = run(*command, "--steps", 1)
    assert refused.exit_code == 1
    assert "field1" in refused.output
    assert "--trust-unregistered" in refused.output
    assert "mine" not in [card.name for card in list_models()]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--low and --high"),
        (["--low", ".", "--output", "mine", "--stack", "."], "--low and --high"),
        (["--stack", "gone.tif", "--output", "mine"], "gone.tif does not exist"),
        (
            ["--low", ".", "--high", ".", "--output", "mine", "--registered"],
            "name one with --stack",
        ),
        (["--low", ".", "--high", "."], "--output"),
        (["--low", "gone", "--high", ".", "--output", "mine"], "gone is no folder"),
        (["--low", ".", "--high", ".", "--output", "a/../.hidden"], "name"),
        (["--low", ".", "--high", ".", "--output", "mine", "--patch", 25], "patch"),
        (["--low", ".", "--high", ".", "--output", "."], ". names no model"),
        (["--low", ".", "--high", ".", "--output", "/"], "/ names no model"),
        (["--low", ".", "--high", ".", "--output", "mine", "--device", "cuda:99"], "cuda:99"),
        (["--low", ".", "--high", ".", "--output", "mine", "--low-objective", 20], "weaker"),
        (["--stack", ".", "--output", "mine", "--match", "order"], "are of pairs"),
        (["--stack", ".", "--output", "mine", "--low-objective", 5], "are of pairs"),
        (["--stack", ".", "--output", "mine", "--trust-unregistered"], "are of pairs"),
        (["--low", ".", "--high", ".", "--output", "rgb-x2"], "name of a bundled model"),
        (["--csv", "gone.csv", "--output", "mine"], "gone.csv does not exist"),
        (["--low", ".", "--high", ".", "--csv", "a.csv", "--output", "mine"], "not both"),
    ],
)
def test_what_cannot_be_meant_is_wrong_use(words, said):
    result = run("fine-tune", *words)
    assert result.exit_code == 2
    assert said in result.output


def test_folders_of_the_same_images_are_refused_each_named_once(folders, base):
    shutil.rmtree(folders / "low")
    shutil.copytree(folders / "high", folders / "low")
    result = run(*to_mine(folders, base))
    assert result.exit_code == 1
    assert "left out: field0: both are the same image" in result.output
    assert "field0: field0:" not in result.output


def test_a_dot_in_the_name_of_a_file_is_no_end_of_it(folders, base):
    words = to_mine(folders, base)[:-1]
    for name in ("run.1", "run.2", "run.3.safetensors"):
        result = run(*words, folders / "made" / name, "--minutes", 0, "--patch", 24)
        assert result.exit_code == 0, result.output
        assert "going on" not in result.output
    made = sorted(path.name for path in (folders / "made").glob("*.safetensors"))
    assert made == ["run.1.safetensors", "run.2.safetensors", "run.3.safetensors"]


def test_a_model_of_that_name_is_not_replaced_without_a_word(folders, base):
    result = run(
        "fine-tune",
        "--low",
        folders / "low",
        "--high",
        folders / "high",
        "--model",
        base,
        "--output",
        "base",
    )
    assert result.exit_code == 2
    assert "already" in result.output


@pytest.fixture(scope="module")
def planes() -> np.ndarray:
    return (two_halves(texture()).clip(0, 1) * 250).astype(np.uint8)


def test_from_focus_stacks_and_pairs_to_a_model(folders, base, planes):
    write_image(folders / "stack.ome.tif", Micrograph(planes, "ZYX"))
    (folders / "planes").mkdir()
    for number, plane in enumerate(planes):
        tifffile.imwrite(folders / "planes" / f"plane{number}.tif", plane)
    command = [
        "fine-tune",
        "--stack",
        folders / "stack.ome.tif",
        "--stack",
        folders / "planes",
        "--registered",
    ]
    command += [
        "--low",
        folders / "low",
        "--high",
        folders / "high",
        "--model",
        base,
        "--output",
        "mine",
    ]
    result = run(*command, "--batch", 1, "--patch", 24, "--device", "cpu", "--steps", 1)
    assert result.exit_code == 0, result.output
    assert "stack, plane 3: " in result.output
    assert "planes, plane 5: " in result.output
    assert "on parts that it never saw" in result.output
    card = next(card for card in list_models() if card.name == "mine")
    assert card.scores["fine_tuning_pairs"] == 2
    assert card.scores["fine_tuning_stacks"] == 2
    assert "fine-tuned on the focus stack planes (5 planes)" in card.trained_on


@pytest.mark.parametrize(
    ("axes", "count", "said"),
    [
        ("ZYX", 1, "This is a single plane; a focus stack has at least two"),
        ("TYX", 5, "through time, not through focus"),
    ],
)
def test_what_is_no_focus_stack_is_told_in_one_sentence(tmp_path, base, planes, axes, count, said):
    write_image(tmp_path / "stack.ome.tif", Micrograph(planes[:count], axes))
    result = run(
        "fine-tune", "--stack", tmp_path / "stack.ome.tif", "--model", base, "--output", "mine"
    )
    assert result.exit_code == 1
    assert said in result.output
    assert "mine" not in [card.name for card in list_models()]


@pytest.fixture
def one_objective(tmp_path):
    """Two fields out of focus and in focus, on the same pixels; the files say no pixel size."""
    for number in range(2):
        sharp = field(number)
        for folder, image in (
            ("widefield", gaussian_filter(sharp, 2.0)),
            ("confocal", sharp[8:280, 12:292]),
        ):
            (tmp_path / folder).mkdir(exist_ok=True)
            tifffile.imwrite(tmp_path / folder / f"field{number}.tif", image.astype(np.uint8))
    return tmp_path


def test_from_pairs_of_one_objective_to_a_model_that_restores_at_the_same_pixels(
    one_objective, base
):
    low = one_objective / "widefield"
    command = [
        "fine-tune",
        "--low",
        low,
        "--high",
        one_objective / "confocal",
        "--model",
        base,
        "--output",
        "mine",
    ]
    result = run(*command, "--steps", 2, "--batch", 1, "--patch", 24, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "Both images have pixels of the same size" in result.output
    assert "  blurred image  PSNR" in result.output
    card = next(card for card in list_models() if card.name == "mine")
    assert card.output_scale == 1
    assert any(line.split()[:2] == ["mine", "×1"] for line in run("models").output.splitlines())
    out = one_objective / "out.tif"
    same = run("restore", low / "field0.tif", out, "--model", "mine", "--device", "cpu")
    assert (same.exit_code, tifffile.imread(out).shape) == (0, (300, 300))
    assert "not trained" not in same.output
    twice = ["--model", "mine", "--device", "cpu", "--output-scale", 2]
    larger = run("restore", low / "field0.tif", out, *twice, "--overwrite")
    assert (larger.exit_code, tifffile.imread(out).shape) == (0, (600, 600))
    assert (
        "mine was fine-tuned for results with the image's own pixels; at ×2 it was not trained"
        in larger.output
    )
    batch = run(
        "batch",
        low / "field0.tif",
        "--output",
        one_objective / "batch",
        "--model",
        "mine",
        "--device",
        "cpu",
    )
    assert batch.exit_code == 0, batch.output
    assert tifffile.imread(one_objective / "batch" / "field0.ome.tif").shape == (300, 300)
    zarr = one_objective / "out.ome.zarr"
    assert (
        run("restore", low / "field0.tif", zarr, "--model", "mine", "--device", "cpu").exit_code
        == 0
    )
    assert read_image(zarr).data.shape == (300, 300)


def test_pairs_of_one_objective_and_of_two_are_not_learned_from_together(
    folders, one_objective, base
):
    with (one_objective / "pairs.csv").open("w") as table:
        print("low,high,name", file=table)
        print("low/field0.tif,high/field0.tif,two", file=table)
        print("widefield/field0.tif,confocal/field0.tif,one", file=table)
    result = run(
        "fine-tune",
        "--csv",
        one_objective / "pairs.csv",
        "--model",
        base,
        "--output",
        "mine",
        "--steps",
        1,
    )
    assert result.exit_code == 1
    assert (
        "Both images of one have pixels of the same size, but two is a pair by two objectives"
        in result.output
    )
    assert "mine" not in [card.name for card in list_models()]


def test_pairs_of_four_times_the_magnification_are_refused_in_a_sentence(folders, base):
    words = to_mine(folders, base)
    result = run(*words, "--low-objective", 5, "--high-objective", 20)
    assert result.exit_code == 1
    assert (
        "start from gray-x4 or rgb-x4, average the high-magnification images over 2 × 2"
        in result.output
    )
    assert "mine" not in [card.name for card in list_models()]


def test_an_unwritable_folder_of_models_is_told_before_any_pair_is_looked_at(
    folders, base, models_folder, monkeypatch
):
    may = os.access
    monkeypatch.setattr("os.access", lambda path, mode: path != models_folder and may(path, mode))
    result = run(*to_mine(folders, base), "--steps", 1)
    assert (result.exit_code, result.stdout) == (1, ""), result.stderr
    assert f"{models_folder} may not be written to" in result.stderr
    assert "MDEBLURGAN_MODELS" in result.stderr
