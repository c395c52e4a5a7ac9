"""`mdeblurgan export` and `import`, from the outside: wrong use is found before any work, in one
line.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_mdeblurgan.exclusive import claimed
from napari_mdeblurgan.export import onnx, package
from napari_mdeblurgan.export.description import Author
from napari_mdeblurgan.model import Model, save_model


@pytest.fixture
def model(tiny_model: Callable[..., Model], tmp_path: Path) -> Path:
    tiny = tiny_model(1)
    save_model(tiny.network, tiny.card, tmp_path / "tiny.safetensors")
    return tmp_path / "tiny.safetensors"


def test_the_kind_of_file_says_what_is_written(
    run, model: Path, tmp_path: Path, monkeypatch
) -> None:
    asked = []
    monkeypatch.setattr(
        onnx, "export_onnx", lambda model, path: asked.append((model.card.name, path))
    )
    monkeypatch.setattr(
        package, "export_package", lambda model, *rest: asked.append((model.card.name, *rest))
    )
    assert run("export", model, tmp_path / "a.onnx")[:2] == (0, f"{tmp_path / 'a.onnx'}\n")
    authors = ("--author", "Ada Lovelace; Somewhere", "--author", "Grace")
    assert run("export", model, tmp_path / "a.zip", *authors, "--license", "MIT")[0] == 0
    expected = [Author("Ada Lovelace", "Somewhere"), Author("Grace")]
    assert asked == [
        ("tiny-1-x2", tmp_path / "a.onnx"),
        ("tiny-1-x2", tmp_path / "a.zip", expected, "MIT"),
    ]


def test_a_file_that_another_command_is_exporting_is_left_to_it(
    run, model: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(onnx, "export_onnx", lambda _, path: path.write_bytes(b"mine"))
    output = tmp_path / "a.onnx"
    with claimed(output):
        code, out, error = run("export", model, output)
    assert (code, out) == (1, "")
    assert f"{output} is being made elsewhere" in error
    assert not output.exists()
    assert run("export", model, output)[0] == 0
    assert {each.name for each in tmp_path.glob("a.*")} == {"a.onnx"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("tiny.safetensors", "a.pt"), "should end in .zip"),
        (("tiny.safetensors", "a.zip"), "at least one: --author"),
        (("tiny.safetensors", "a.zip", "--author", ";Somewhere"), "has no name"),
        (("tiny.safetensors", "a.onnx", "--author", "Ada"), "neither authors nor a licence"),
        (("tiny.safetensors", "there.onnx"), "there already"),
        (("tiny.safetensors", "missing/a.onnx"), "missing; make it first"),
        (("no-such-model", "a.onnx"), "no model called 'no-such-model'"),
    ],
)
def test_wrong_use_is_said_in_one_line(
    run, model: Path, tmp_path: Path, monkeypatch, arguments, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.onnx").write_bytes(b"precious")
    code, out, error = run("export", *arguments)
    assert (code, out) == (2, "")
    assert error.startswith("mdeblurgan: ")
    assert error.count("\n") == 1
    assert words in error
    assert Path("there.onnx").read_bytes() == b"precious"


def test_an_imported_model_is_listed_and_used_by_name(run, model: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "theirs.zip", "w") as archive:
        archive.write(model, "tiny.safetensors")
    code, out, error = run("import", tmp_path / "theirs.zip", "--name", "theirs")
    assert (code, error) == (0, "")
    assert out.startswith("theirs: ")
    assert "theirs" in run("models")[1]


def test_a_package_that_cannot_be_imported_is_said_in_one_line(run, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"nothing")
    (tmp_path / "c.safetensors").write_bytes(b"nothing")
    for path, code, words in (
        (tmp_path, 2, "is a folder"),
        (tmp_path / "c.safetensors", 2, "a model by itself"),
        (tmp_path / "a.zip", 1, "no archive"),
        (tmp_path / "b.zip", 2, "does not exist"),
    ):
        ended, out, error = run("import", path)
        assert (ended, out, error.count("\n")) == (code, "", 1)
        assert words in error


def test_importing_the_command_s_module_first_registers_it_once() -> None:
    program = (
        "import napari_mdeblurgan.commands.export, sys; from napari_mdeblurgan.cli import app; "
        + (
            "print(sorted(c.name or c.callback.__name__ for c in "
            "app.registered_commands).count('export'))"
        )
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "1"
