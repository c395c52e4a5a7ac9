"""`mdeblurgan evaluate`: what it accepts, what it refuses, what it prints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from napari_mdeblurgan.cli import app
from napari_mdeblurgan.evaluation import evaluate as module
from napari_mdeblurgan.evaluation.cost import Cost
from napari_mdeblurgan.evaluation.ledger import WHILE_MEASURED
from napari_mdeblurgan.evaluation.methods import Method
from napari_mdeblurgan.exclusive import locked
from napari_mdeblurgan.model import Model, save_model


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two grey images and one in colour."""
    folder = tmp_path / "images"
    folder.mkdir()
    random = np.random.default_rng(0)
    for name, shape in (("a.png", (64, 64)), ("b.png", (64, 72)), ("c.png", (64, 64, 3))):
        Image.fromarray(random.integers(0, 256, shape, np.uint8)).save(folder / name)
    return folder


@pytest.fixture
def model(tmp_path: Path, tiny_model: Callable[..., Model]) -> str:
    path = tmp_path / "tiny.safetensors"
    save_model(tiny_model(1, 2).network, tiny_model(1, 2).card, path)
    return str(path)


def free(method: Method, *_: object) -> Cost:
    """What nothing was measured for."""
    return Cost(
        method.name, "here", method.parameters, method.gflop_per_mpix, 1.0, 1.0, method.identity
    )


def refusal(*words: str | Path) -> str:
    """What is said about wrong use, in one line, with exit code 2."""
    done = CliRunner().invoke(app, ["evaluate", *map(str, words)])
    assert done.exit_code == 2, done.output
    return done.stderr


def test_a_report_is_written_and_the_gains_are_printed(
    images: Path, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "measure", free)
    words = [
        "evaluate",
        images,
        "--output",
        tmp_path / "out",
        "--models",
        model,
        "--protocol",
        "gaussian",
    ]
    words += ["--limit", "1", "--no-richardson-lucy", "--device", "cpu"]
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 0, done.output
    assert "Grey, ×2: 1 image: tiny over bicubic: gaussian" in done.stdout
    report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "Richardson-Lucy + bicubic" not in report
    assert "Physical protocol (as" not in report


def test_without_a_folder_it_says_what_to_name() -> None:
    assert "--fundus" in refusal()


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "is no folder" in refusal(tmp_path / "nowhere")


def test_an_unknown_model_is_refused_before_any_work(images: Path, tmp_path: Path) -> None:
    assert "no model called 'nothing'" in refusal(
        images, "--models", "nothing", "--output", tmp_path / "out"
    )
    assert not (tmp_path / "out").exists()


def test_a_protocol_of_simulated_blur_does_not_go_with_real_blur(images: Path) -> None:
    said = refusal(images, "--real", "--protocol", "strong")
    assert "--real does not go together with --protocol" in said


def test_a_folder_of_other_files_is_not_written_into(images: Path) -> None:
    assert "holds other files" in refusal(images, "--output", images)


@pytest.mark.parametrize("output", ["a.png", "a.png/report"])
def test_a_file_in_the_way_of_the_report_is_named(images: Path, output: str) -> None:
    assert f"{images / 'a.png'} is a file; name a folder" in refusal(
        images, "--output", images / output
    )


@pytest.mark.skipif(
    not Path("/proc/self").exists(), reason="needs a folder that nothing can be made in"
)
def test_where_no_folder_can_be_made_another_place_is_asked_for(images: Path, model: str) -> None:
    words = ["evaluate", images, "--models", model, "--output", "/proc/report", "--device", "cpu"]
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 1
    assert "nothing can be made in /proc; choose another folder." in done.stderr


def test_models_of_the_same_weights_are_judged_once_and_that_is_said(
    images: Path, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "measure", free)
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(Path(model).read_bytes())
    words = [
        "evaluate",
        images,
        "--output",
        tmp_path / "out",
        "--models",
        model,
        "--models",
        copy,
        "--models",
        model,
    ]
    words += ["--protocol", "gaussian", "--limit", "1", "--no-richardson-lucy", "--device", "cpu"]
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 0, done.output
    said = f"{copy} was not judged: it has the same weights as {model}, which was."
    assert done.stdout.count(f"mdeblurgan: {said}") == 1
    report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert f"- {said}" in report
    assert "| tiny |" in report
    assert "| copy |" not in report
    for name in ("scores.csv", "costs.csv"):
        table = (tmp_path / "out" / name).read_text(encoding="utf-8")
        assert "tiny" in table
        assert "copy" not in table


@pytest.mark.parametrize("kind", [(), ("--real",)])
def test_a_folder_in_which_another_evaluation_is_at_work_is_left_to_it(
    images: Path, model: str, tmp_path: Path, kind: tuple[str, ...]
) -> None:
    output = tmp_path / "out"
    words = ["evaluate", images, "--models", model, "--output", output, "--device", "cpu", *kind]
    if kind:
        (images / "c.png").unlink()
        (images / "b.png").write_bytes((images / "a.png").read_bytes())
    with locked(output, output / WHILE_MEASURED, "evaluation"):
        done = CliRunner().invoke(app, list(map(str, words)))
        assert done.exit_code == 1, done.output
        assert f"Another evaluation is at work in {output}" in done.stderr
        assert [each.name for each in output.iterdir()] == [WHILE_MEASURED]
