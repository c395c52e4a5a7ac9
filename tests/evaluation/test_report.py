"""The whole report on a few tiny images: what is in it, and that its figures are those that were
measured.
"""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from napari_mdeblurgan.degradation import GAUSSIAN
from napari_mdeblurgan.errors import FileError, ModelError
from napari_mdeblurgan.evaluation import evaluate as module
from napari_mdeblurgan.evaluation.cost import Cost, measure, probe
from napari_mdeblurgan.evaluation.evaluate import EvaluationOptions, evaluation_steps
from napari_mdeblurgan.evaluation.evaluation_report import Evaluation
from napari_mdeblurgan.evaluation.images import find_images
from napari_mdeblurgan.evaluation.method_gains import Comparison
from napari_mdeblurgan.evaluation.methods import Method, bicubic_method
from napari_mdeblurgan.evaluation.protocol import Score
from napari_mdeblurgan.evaluation.runs import run_curves
from napari_mdeblurgan.model import Model, ModelCard, save_model
from napari_mdeblurgan.network import UNetSuperResolution

from .conftest import discs, write

Rows = list[dict[str, str]]


def finished(wishes: EvaluationOptions) -> Evaluation:
    """Run to the end."""
    steps = evaluation_steps(wishes)
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return end.value
        assert 0 < step.done <= step.total


def cost_here(method: Method, channels: int, device: str, label: str) -> Cost:
    """As `measure`, on few pixels and in this process."""
    found = probe(method.source, method.scale, channels, device, 128)
    numbers = method.parameters, method.gflop_per_mpix, found["seconds"], found["mib"]
    return Cost(method.name, label, *numbers, method.identity)


@pytest.fixture(scope="module")
def evaluated(
    tmp_path_factory: pytest.TempPathFactory, tiny_model: Callable[..., Model]
) -> tuple[Path, Evaluation]:
    """A report on three grey images and one colour image."""
    folder = tmp_path_factory.mktemp("evaluated")
    for index, image in enumerate((discs(), 1 - discs(), discs()[:, ::-1])):
        write(folder / "images" / "grey" / f"rings-{index}.png", image)
    colour = np.stack([discs(), discs()[::-1], 1 - discs()], axis=-1)
    write(folder / "images" / "colour.png", colour)
    write(folder / "images" / "tiny.png", discs()[:20, :20])
    model = tiny_model(1, 2)
    save_model(model.network, model.card, folder / "ours.safetensors")
    unet = UNetSuperResolution(1, 2, width=2)
    facts: dict[str, Any] = {
        "architecture": unet.architecture,
        "scale": 2,
        "channels": 1,
        "halo": unet.halo,
    }
    save_model(unet, ModelCard(name="u", description="", **facts), folder / "u.safetensors")
    for run, rise in (("ours", 2.0), ("u-net", 1.0)):
        (folder / run).mkdir()
        rows = [f"{epoch * 10},{epoch},{20 + rise * epoch}" for epoch in range(1, 4)]
        text = "\n".join(["step,epoch,validation_psnr_db", *rows, ""])
        (folder / run / "metrics.csv").write_text(text, encoding="utf-8")
    wishes = EvaluationOptions(
        folder=folder / "images",
        output=folder / "report",
        models=(str(folder / "ours.safetensors"), str(folder / "u.safetensors")),
        runs=(folder / "ours", folder / "u-net"),
        device="cpu",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "measure", cost_here)
        return folder / "report", finished(wishes)


@pytest.fixture
def text(evaluated: tuple[Path, Evaluation]) -> str:
    return (evaluated[0] / "report.md").read_text(encoding="utf-8")


@pytest.fixture
def rows(evaluated: tuple[Path, Evaluation]) -> Rows:
    with (evaluated[0] / "scores.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def section(text: str, title: str) -> str:
    """From a heading to the next one."""
    return re.split(r"^#+ ", text.split(f"# {title}", 1)[1], maxsplit=1, flags=re.M)[0]


def cells(table: str, first: str) -> list[str]:
    """The other cells of the row of a table that begins with `first`."""
    (line,) = (line for line in table.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def mean(rows: Rows, measure: str, **facts: str) -> float:
    return float(
        np.mean(
            [
                float(r[measure])
                for r in rows
                if all(r[name] == value for name, value in facts.items())
            ]
        )
    )


@pytest.mark.parametrize("protocol", ["gaussian", "physical"])
def test_the_table_holds_the_means_of_the_scores(text: str, rows: Rows, protocol: str) -> None:
    table = section(text, f"{protocol.capitalize()} protocol (as the paper's Table 1)")
    labels = list(dict.fromkeys(row["condition"] for row in rows if row["protocol"] == protocol))
    assert len(labels) == 3
    for method in ("bicubic", "Richardson-Lucy + bicubic", "U-Net + SR (u)", "ours"):
        found = cells(table, method)
        for label, cell in zip(labels, found, strict=False):
            facts = {"protocol": protocol, "condition": label, "method": method}
            expected = (
                f"{mean(rows, 'psnr_db', **facts):.2f} / {mean(rows, 'ssim', **facts):.4f} / –"
            )
            assert cell.replace("*", "") == expected
        assert f"{mean(rows, 'psnr_db', protocol=protocol, method=method):.2f} /" in found[
            -1
        ].replace("*", "")


def test_gains_are_differences_of_the_scores(text: str, rows: Rows) -> None:
    table = section(text, "Gaussian protocol: gains")
    line = next(line for line in table.splitlines() if line.startswith("| ours | PSNR |"))
    db = {
        m: mean(rows, "psnr_db", protocol="gaussian", method=m)
        for m in {row["method"] for row in rows}
    }
    over = ("bicubic", "Richardson-Lucy + bicubic", "U-Net + SR (u)")
    for cell, method in zip(line.strip("|").split("|")[2:], over, strict=False):
        assert float(cell.strip().removesuffix(" dB")) == pytest.approx(
            db["ours"] - db[method], abs=0.0051
        )


def test_the_worst_image_is_named_and_every_one_worse_than_bicubic_listed(
    text: str, rows: Rows
) -> None:
    own = [row for row in rows if row["protocol"] == "gaussian" and row["method"] == "ours"]
    plain = {(r["image"], r["condition"]): r for r in rows if r["method"] == "bicubic"}
    gains = {
        (r["image"], r["condition"]): float(r["psnr_db"])
        - float(plain[r["image"], r["condition"]]["psnr_db"])
        for r in own
    }
    line = next(
        x
        for x in section(text, "Gaussian protocol: gains").splitlines()
        if x.startswith("- **ours**")
    )
    image, condition = min(gains, key=lambda place: gains[place])
    assert f"worst: `{image}` at {condition}" in line
    listed = (
        line.split("worse than bicubic", 1)[-1]
        if "None of" not in line
        else line.split("Worse than bicubic")[-1]
    )
    for (image, condition), gain in gains.items():
        if gain < 0:
            assert f"`{image}` at {condition} ({gain:+.2f} dB" in listed


def test_every_picture_of_the_report_is_there_and_every_kind_of_picture_is_in_it(
    text: str, evaluated: tuple[Path, Evaluation]
) -> None:
    pictures = re.findall(r"^!\[.*\]\((.*)\)$", text, flags=re.M)
    for start in (
        "side-by-side-grey-x2-gaussian",
        "side-by-side-grey-x2-physical",
        "psnr-parameters-",
        "psnr-per-epoch",
    ):
        assert any(name.startswith(start) for name in pictures), start
    for name in pictures:
        with Image.open(evaluated[0] / name) as picture:
            assert min(picture.size) > 300
            assert np.asarray(picture.convert("L")).std() > 5


def test_the_papers_figures_stand_apart_from_what_was_measured(text: str) -> None:
    paper = section(text, "What the paper reports")
    assert "37.53 dB" in paper
    assert "0.9551" in paper
    assert "None of it was measured here" in paper
    assert "37.53" not in text.replace(paper, "")


def test_costs_and_flat_backgrounds_are_those_of_the_csv_files(
    text: str, evaluated: tuple[Path, Evaluation]
) -> None:
    with (evaluated[0] / "costs.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            assert cells(section(text, "Costs"), row["method"])[0] == f"{int(row['parameters']):,}"
    with (evaluated[0] / "backgrounds.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            ratio = float(row["output_std"]) / float(row["input_std"])
            assert f"× {ratio:.3f}" in cells(
                section(text, "A flat noisy background"), row["method"]
            )


def test_what_was_left_out_is_said(text: str) -> None:
    assert "tiny.png has 20 × 20 pixels" in text


def test_the_same_command_again_measures_nothing_and_gives_the_same_report(
    text: str, evaluated: tuple[Path, Evaluation], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = evaluated[0].parent
    models = (str(folder / "ours.safetensors"), str(folder / "u.safetensors"))
    runs = (folder / "ours", folder / "u-net")
    monkeypatch.setattr(module, "measure", lambda *_: pytest.fail("was measured again"))
    monkeypatch.setattr(module, "draw", lambda *_: evaluated[1].figures)
    before = (evaluated[0] / "scores.csv").read_bytes()
    again = finished(
        EvaluationOptions(
            folder=folder / "images", output=evaluated[0], models=models, runs=runs, device="cpu"
        )
    )
    assert again.comparisons[0].scores == evaluated[1].comparisons[0].scores
    assert (evaluated[0] / "scores.csv").read_bytes() == before
    assert (evaluated[0] / "report.md").read_text(encoding="utf-8") == text


def test_a_model_is_called_what_it_is_called_now(
    tmp_path: Path, evaluated: tuple[Path, Evaluation], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = evaluated[0].parent
    shutil.copytree(evaluated[0], tmp_path / "report")
    shutil.copy(folder / "ours.safetensors", tmp_path / "renamed.safetensors")
    monkeypatch.setattr(module, "measure", lambda *_: pytest.fail("was measured again"))
    monkeypatch.setattr(module, "draw", lambda *_: evaluated[1].figures)
    models = (str(tmp_path / "renamed.safetensors"),)
    found = finished(
        EvaluationOptions(
            folder=folder / "images", output=tmp_path / "report", models=models, device="cpu"
        )
    )
    (grey,) = found.comparisons
    assert (
        {each.method for each in grey.scores}
        == {each.method for each in grey.backgrounds}
        == {method.name for method in grey.methods}
    )
    assert "renamed" in {method.name for method in grey.methods}


def test_a_model_without_images_of_its_kind_is_refused(
    tmp_path: Path, evaluated: tuple[Path, Evaluation]
) -> None:
    write(tmp_path / "in" / "colour.png", np.stack([discs(), discs(), 1 - discs()], axis=-1))
    models = (str(evaluated[0].parent / "ours.safetensors"),)
    with pytest.raises(ModelError, match="grey images, of which there are none"):
        finished(
            EvaluationOptions(
                folder=tmp_path / "in", output=tmp_path / "out", models=models, device="cpu"
            )
        )


@pytest.mark.parametrize(
    ("content", "said"), [(None, "no metrics.csv"), ("step,epoch\n1,0.1\n", "no PSNR")]
)
def test_a_run_without_validation_is_refused(
    tmp_path: Path, content: str | None, said: str
) -> None:
    if content:
        (tmp_path / "metrics.csv").write_text(content, encoding="utf-8")
    with pytest.raises(FileError, match=said):
        run_curves([tmp_path])


def test_runs_of_one_name_are_told_apart_by_the_folders_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / name for name in ("one/a/run", "two/a/run", "b/run", "other")]
    for rise, folder in enumerate(folders):
        folder.mkdir(parents=True)
        text = f"step,epoch,validation_psnr_db\n10,1,{20 + rise}\n"
        (folder / "metrics.csv").write_text(text, encoding="utf-8")
    monkeypatch.chdir(folders[-1])
    curves = run_curves([*folders, folders[0], Path()])
    assert curves == {
        "one/a/run": [(1.0, 20.0)],
        "two/a/run": [(1.0, 21.0)],
        "b/run": [(1.0, 22.0)],
        "other": [(1.0, 23.0)],
    }


def test_the_limit_takes_images_from_all_over_the_folder(tmp_path: Path) -> None:
    for index in range(5):
        write(tmp_path / f"{index}.png", discs(64))
    wishes = EvaluationOptions(folder=tmp_path, output=tmp_path / "out", models=(), limit=3)
    assert [image.name for image in module._images(wishes)[0]] == ["0.png", "2.png", "4.png"]


def test_two_perfect_results_gain_nothing_over_each_other(tmp_path: Path) -> None:
    write(tmp_path / "a.png", discs(64))
    one, other = bicubic_method(2), replace(bicubic_method(2), name="another", identity="another")
    perfect = Score(
        "gaussian", "σ = 0.7 px", "grey", 2, "a.png", "", float("inf"), 1.0, None, "", "", ""
    )
    scores = tuple(replace(perfect, method_id=method.identity) for method in (one, other))
    comparison = Comparison("grey", 2, tuple(find_images(tmp_path)[0]), (one, other), scores)
    assert comparison.gains(one, other, "psnr_db", GAUSSIAN[:1]).tolist() == [[0]]


def test_a_method_is_measured_in_a_process_of_its_own() -> None:
    cost = measure(bicubic_method(2), 1, "cpu", "here", edge=128)
    assert cost.seconds_per_mpix > 0
    assert cost.parameters == 0
    assert cost.gflop_per_mpix == pytest.approx(
        0.05
    )  # 25 products and sums for each pixel of the result


def test_the_process_that_measures_ends_with_the_one_that_waits_for_it() -> None:
    program = (
        "from napari_mdeblurgan.evaluation.cost import measure\n"
        "from napari_mdeblurgan.evaluation.methods import bicubic_method\n"
        'measure(bicubic_method(2), 1, "cpu", "here", edge=16384)\n'
    )
    with subprocess.Popen([sys.executable, "-c", program]) as waiting:
        measuring: list[psutil.Process] = []
        while not measuring:
            assert waiting.poll() is None
            measuring = psutil.Process(waiting.pid).children()
        time.sleep(3)  # it has begun
        assert measuring[0].is_running()
        waiting.kill()
    assert not psutil.wait_procs(measuring, timeout=10)[1]
