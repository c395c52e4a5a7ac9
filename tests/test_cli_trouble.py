"""Wrong use and trouble on the way, as the command tells them: in one line, with the right code."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_mdeblurgan.__main__ import main
from napari_mdeblurgan.commands import restore as restoring
from napari_mdeblurgan.exclusive import claimed
from napari_mdeblurgan.restoration import engine
from napari_mdeblurgan.storage import Micrograph, write_image
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_writing import OmeZarrWriter
from tests.one_line import assert_one_line, grey

__all__ = ["grey"]  # fixtures

pytestmark = pytest.mark.usefixtures("tiny_defaults")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("missing.tif", "b.tif"), "missing.tif does not exist"),
        (("grey.tif", "b.tif", "--compare", "both.jpg"), "PNG"),
        (("grey.tif", "b.png", "--compare", "b.png"), "cannot be both"),
        (("grey.tif", "b.jpg"), "kind that is written"),
        (("grey.tif", "nowhere/b.tif"), "no folder"),
        (("grey.tif", "b.tif", "--model", "no-such-model"), "no-such-model"),
        (("grey.tif", "b.tif", "--model", "no-such-file.safetensors"), "no-such-file.safetensors"),
        (("grey.tif", "b.tif", "--device", "cuda:99"), "cuda:99"),
        (("grey.tif", "b.tif", "--device", "cpu", "--precision", "float16"), "float16"),
        (("stack.tif", "b.png"), "single plane"),
        (("grey.tif", "b.tif", "--model", "tiny-3-x2"), "this image is grey; choose"),
        (("colours.png", "b.tif", "--model", "tiny-1-x2"), "this image is RGB; choose"),
        (("grey.tif", "b.tif", "--image", "second"), 'has no image "second"'),
    ],
)
@pytest.mark.usefixtures("grey")
def test_wrong_use_ends_with_code_2_and_one_line(
    run, tmp_path, monkeypatch, arguments, words
) -> None:
    monkeypatch.chdir(tmp_path)
    write_image("stack.tif", Micrograph(np.zeros((2, 20, 20), np.uint8), "ZYX"))
    write_image("colours.png", Micrograph(np.full((20, 20, 3), (1, 2, 3), np.uint8), "YXS"))
    before = set(tmp_path.iterdir())
    code, out, error = run("restore", *arguments)
    assert (code, out) == (2, "")
    assert_one_line(error, words)
    assert set(tmp_path.iterdir()) == before


def test_a_folder_of_one_s_own_is_found_where_the_shell_does_not(
    run, grey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.tif").write_bytes(b"kept")
    before = set(tmp_path.iterdir())
    code, _, error = run("restore", f"~/{grey.name}", "~/there.tif")
    assert code == 2
    assert_one_line(error, f"{tmp_path / 'there.tif'} is there already")
    assert run("simulate", "~/grey.tif", "--output=~/pairs")[0] == 0
    assert set(tmp_path.iterdir()) - before == {tmp_path / "pairs"}
    assert (tmp_path / "there.tif").read_bytes() == b"kept"


@pytest.mark.parametrize("option", [("--gray-model", "no-such-model"), ("--device", "cuda:99")])
def test_wrong_use_of_the_demo_leaves_nothing(run, tmp_path: Path, option: tuple[str, str]) -> None:
    models = ("--rgb-model", "tiny-3-x2", "--gray-model", "tiny-1-x2")
    code, out, error = run("demo", "--output", tmp_path / "out", *models, *option)
    assert (code, out) == (2, "")
    assert_one_line(error, option[1])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("grey.tif",),
        ("grey.tif", "b.tif", "--tile", "3"),
        ("grey.tif", "b.tif", "--device", "abacus"),
    ],
)
@pytest.mark.usefixtures("grey")
def test_arguments_that_are_missing_or_senseless_end_with_code_2(
    run, tmp_path, monkeypatch, arguments
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, error = run("restore", *arguments)
    assert code == 2
    assert "Usage: mdeblurgan restore" in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("broken.tif", "b.tif"), "broken.tif"),
        (("grey.tif", "b.tif", "--model", "weights.pth"), "weights.pth"),
        (("grey.tif", "b.tif", "--model", "damaged"), "damaged.safetensors"),
    ],
)
@pytest.mark.usefixtures("grey")
def test_work_that_fails_ends_with_code_1_and_one_line(
    run, tmp_path, monkeypatch, models_folder, arguments, words
) -> None:
    monkeypatch.chdir(tmp_path)
    (models_folder / "damaged.safetensors").write_bytes(b"rubbish")
    Path("broken.tif").write_bytes(b"II*\0rubbish")
    Path("weights.pth").write_bytes(b"pickle")
    before = set(tmp_path.iterdir())
    code, _, error = run("restore", *arguments)
    assert code == 1
    assert_one_line(error, words)
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("trouble", "code", "words"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(5, "Input/output error", "disk"), 1, "disk: input/output error"),
        (MemoryError(), 1, "not enough memory"),
        (
            RuntimeError("kernel 7\nfailed"),
            1,
            "restore failed unexpectedly (RuntimeError: kernel 7 failed); run",
        ),
        (
            AssertionError(),
            1,
            "restore failed unexpectedly (AssertionError); run `mdeblurgan --debug restore …`",
        ),
    ],
)
def test_trouble_on_the_way_is_one_line_and_leaves_nothing(
    run, grey, tmp_path, monkeypatch, trouble, code, words
) -> None:
    def troubled(*_: object, **__: object) -> None:
        raise trouble

    monkeypatch.setattr(engine, "restore_steps", troubled)
    before = set(tmp_path.iterdir())
    ended, _, error = run("restore", grey, tmp_path / "b.tif")
    assert ended == code
    assert_one_line(error, words)
    assert set(tmp_path.iterdir()) == before


def test_debug_shows_where_an_error_came_from(run, grey: Path, tmp_path: Path, monkeypatch) -> None:
    def troubled(*_: object, **__: object) -> None:
        raise RuntimeError("kernel 7")

    monkeypatch.setattr(engine, "restore_steps", troubled)
    code, _, error = run("--debug", "restore", grey, tmp_path / "b.tif")
    assert code == 1
    assert "Traceback" in error
    assert ", in troubled" in error
    assert error.splitlines()[-1].startswith(
        "mdeblurgan: restore failed unexpectedly (RuntimeError: kernel 7)"
    )


def test_an_interruption_while_writing_leaves_nothing(
    run, grey: Path, tmp_path: Path, monkeypatch
) -> None:
    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    before = set(tmp_path.iterdir())
    code, _, error = run("restore", grey, tmp_path / "b.tif")
    assert code == 130
    assert_one_line(error, "interrupted")
    assert set(tmp_path.iterdir()) == before


def test_a_report_is_drawn_whatever_window_matplotlib_was_told_to_draw_in(tmp_path: Path) -> None:
    source, output, page = (tmp_path / name for name in ("a.tif", "b.tif", "b.html"))
    write_image(source, Micrograph(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64), "YX"))
    words = ["restore", source, output, "--model", "tiny-1-x2", "--report", page]
    command = [sys.executable, "-m", "napari_mdeblurgan", *map(str, words)]
    subprocess.run(command, check=True, env=os.environ | {"MPLBACKEND": "Qt4Agg"})
    assert page.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("signals_of_a_terminal")
def test_an_interrupted_command_ends_with_code_130(tmp_path: Path, number: signal.Signals) -> None:
    write_image(tmp_path / "a.tif", Micrograph(np.zeros((2000, 64, 64), np.uint8), "TYX"))
    command = [
        sys.executable,
        "-m",
        "napari_mdeblurgan",
        "restore",
        str(tmp_path / "a.tif"),
        str(tmp_path / "b.tif"),
    ]
    before = set(tmp_path.iterdir())
    process = subprocess.Popen(
        [*command, "--model", "tiny-1-x2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "tiny-1-x2" in process.stdout.readline()
    time.sleep(0.2)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert_one_line(error, "interrupted")
    assert set(tmp_path.iterdir()) == before


def test_ctrl_c_while_the_program_loads_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupted:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "napari_mdeblurgan.cli":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "napari_mdeblurgan.cli", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 130
    assert_one_line(capsys.readouterr().err, "interrupted")


@pytest.mark.parametrize("name", ["b.tif", "b.ome.zarr"])
def test_a_result_that_another_command_is_making_is_left_to_it(
    run, grey: Path, tmp_path: Path, name: str
) -> None:
    output = tmp_path / name
    with claimed(output):
        code, _, error = run("restore", grey, output)
    assert code == 1
    assert_one_line(error, f"{output} is being made elsewhere")
    assert not output.exists()
    assert run("restore", grey, output)[0] == 0
    assert {each.name for each in tmp_path.glob("b.*")} == {name}


def test_a_result_that_came_while_the_command_began_is_not_replaced(
    run, grey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = restoring._fit_card

    def slowly(*given: Any) -> Any:
        (tmp_path / "b.tif").write_bytes(b"of another command")
        return fit(*given)

    monkeypatch.setattr(restoring, "_fit_card", slowly)
    code, _, error = run("restore", grey, tmp_path / "b.tif")
    assert code == 2
    assert_one_line(error, f"{tmp_path / 'b.tif'} is there already")
    assert (tmp_path / "b.tif").read_bytes() == b"of another command"


def test_what_is_done_of_a_scan_is_not_thrown_away_by_another_command(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (3, 64, 64)).astype(np.uint8)
    write_image(tmp_path / "a.tif", Micrograph(pixels, "ZYX"))
    given = ("restore", tmp_path / "a.tif", tmp_path / "b.ome.zarr", "--device", "cpu")
    write, count = OmeZarrWriter.write, itertools.count()

    def interrupted(*block: Any) -> None:
        if next(count) == 2:
            raise KeyboardInterrupt
        write(*block)

    with monkeypatch.context() as patch:
        patch.setattr(OmeZarrWriter, "write", interrupted)
        assert run(*given)[0] == 130
    begun = {path: path.stat().st_mtime_ns for path in (tmp_path / "b.ome.zarr.partial").rglob("*")}
    code, _, error = run(*given, "--ensemble")
    assert code == 1
    assert_one_line(error, "other settings", "67 % of it is done", "--overwrite")
    assert {path: path.stat().st_mtime_ns for path in begun} == begun
    assert run(*given, "--ensemble", "--overwrite")[0] == 0


def test_the_same_command_goes_on_where_it_was_interrupted(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(
        tmp_path / "a.tif", Micrograph(np.eye(64, dtype=np.uint8)[None].repeat(2, 0), "ZYX")
    )
    given = ("restore", tmp_path / "a.tif", tmp_path / "b.ome.zarr", "--device", "cpu")
    write, blocks = OmeZarrWriter.write, []

    def interrupted(self: OmeZarrWriter, index: Any, *block: Any) -> None:
        if len(blocks) == 1:
            blocks.append("interrupted")
            raise KeyboardInterrupt
        write(self, index, *block)
        blocks.append(tuple(index))

    monkeypatch.setattr(OmeZarrWriter, "write", interrupted)
    assert [run(*given)[0] for _ in range(2)] == [130, 0]
    assert blocks == [(0,), "interrupted", (1,)]
