"""The `mdeblurgan` command, from the outside: what it writes, what it says, how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_mdeblurgan import __version__
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration import engine
from napari_mdeblurgan.samples import SAMPLES, sample_path
from napari_mdeblurgan.storage import Micrograph, read_image, write_image
from tests.one_line import assert_one_line, grey

__all__ = ["grey"]  # fixtures

pytestmark = pytest.mark.usefixtures("tiny_defaults")


def test_a_grey_image_is_restored_with_half_the_pixel_size(run, grey: Path, tmp_path: Path) -> None:
    code, out, error = run(
        "restore", grey, tmp_path / "sharp.ome.tif", "--device", "cpu", "--precision", "float32"
    )
    assert (code, error) == (0, "")
    assert "sharp.ome.tif: 40 × 48 (YX)" in out
    assert "tiny-1-x2" in out
    sharp = read_image(tmp_path / "sharp.ome.tif")
    assert sharp.data.shape == (40, 48)
    assert sharp.data.dtype == np.uint16
    assert sharp.pixel_size == pytest.approx({"X": 0.25, "Y": 0.2})
    assert sharp.unit == "µm"


def test_the_result_is_that_of_restore(
    run, grey: Path, tmp_path: Path, tiny_model: Callable[..., Model]
) -> None:
    assert (
        run("restore", grey, tmp_path / "sharp.tif", "--precision", "float32", "--device", "cpu")[0]
        == 0
    )
    expected = engine.restore(
        read_image(grey).data, tiny_model(1), device="cpu", precision="float32"
    )
    np.testing.assert_array_equal(read_image(tmp_path / "sharp.tif").data, expected)


def test_a_colour_image_is_restored_by_the_model_for_colours(run, tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 24, 3), np.uint8)).save(
        tmp_path / "colour.jpg"
    )
    code, out, _ = run("restore", tmp_path / "colour.jpg", tmp_path / "sharp.png")
    assert code == 0
    assert "tiny-3-x2" in out
    assert read_image(tmp_path / "sharp.png").data.shape == (40, 48, 3)


def test_channels_are_restored_each_in_its_own_range(
    run, tmp_path: Path, tiny_model: Callable[..., Model]
) -> None:
    random = np.random.default_rng(0)
    data = np.stack(
        [random.integers(0, 200, (3, 20, 24)), random.integers(0, 60_000, (3, 20, 24))], axis=1
    )
    stack = Micrograph(
        data.astype(np.uint16), "ZCYX", {"X": 0.2, "Y": 0.2, "Z": 1.0}, "µm", ("DAPI", "GFP")
    )
    write_image(tmp_path / "stack.ome.tif", stack)
    arguments = ("--device", "cpu", "--precision", "float32")
    assert (
        run("restore", tmp_path / "stack.ome.tif", tmp_path / "sharp.ome.tif", *arguments)[0] == 0
    )
    sharp = read_image(tmp_path / "sharp.ome.tif")
    assert sharp.axes == "ZCYX"
    assert sharp.channel_names == ("DAPI", "GFP")
    assert sharp.pixel_size == pytest.approx({"X": 0.1, "Y": 0.1, "Z": 1.0})
    expected = engine.restore(
        stack.data, tiny_model(1), channel_axis=1, device="cpu", precision="float32"
    )
    np.testing.assert_array_equal(sharp.data, expected)


def test_the_before_after_picture_is_drawn_on_request(run, grey: Path, tmp_path: Path) -> None:
    code, out, _ = run("restore", grey, tmp_path / "sharp.tif", "--compare", tmp_path / "both.png")
    assert code == 0
    assert "both.png" in out
    assert read_image(tmp_path / "both.png").rgb


def test_progress_in_a_pipe_is_a_line_for_every_tenth(run, tmp_path: Path) -> None:
    write_image(tmp_path / "a.tif", Micrograph(np.zeros((40, 20, 24), np.uint8), "TYX"))
    code, out, error = run("restore", tmp_path / "a.tif", tmp_path / "b.tif")
    lines = [line for line in out.splitlines() if "%" in line]
    assert (code, error) == (0, "")
    assert 9 <= len(lines) <= 11
    assert lines[-1].startswith("100 %")


def test_progress_on_a_terminal_is_a_bar(
    run, grey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    code, out, error = run("restore", grey, tmp_path / "sharp.tif")
    assert code == 0
    assert "%" not in out
    assert "px/s" in error


def test_missing_pixels_are_mentioned(run, tmp_path: Path) -> None:
    data = np.random.default_rng(0).random((20, 24)).astype(np.float32)
    data[3, 4] = np.nan
    write_image(tmp_path / "a.tif", Micrograph(data, "YX"))
    code, _, error = run("restore", tmp_path / "a.tif", tmp_path / "b.tif")
    assert code == 0
    assert_one_line(error, "NaN")


def test_an_output_that_exists_is_kept_unless_it_may_be_replaced(
    run, grey: Path, tmp_path: Path
) -> None:
    target = tmp_path / "sharp.tif"
    target.write_bytes(b"precious")
    code, _, error = run("restore", grey, target)
    assert code == 2
    assert_one_line(error, "sharp.tif is there already", "--overwrite")
    assert target.read_bytes() == b"precious"
    assert run("restore", grey, target, "--overwrite")[0] == 0
    assert read_image(target).data.shape == (40, 48)


def test_the_picture_is_not_overwritten_either(run, grey: Path, tmp_path: Path) -> None:
    (tmp_path / "both.png").write_bytes(b"precious")
    code, _, error = run(
        "restore", grey, tmp_path / "sharp.tif", "--compare", tmp_path / "both.png"
    )
    assert code == 2
    assert_one_line(error, "both.png is there already")
    assert not (tmp_path / "sharp.tif").exists()


def test_the_input_is_never_overwritten(run, grey: Path, tmp_path: Path) -> None:
    content = grey.read_bytes()
    (tmp_path / "link.tif").symlink_to(grey)
    os.link(grey, tmp_path / "hard.tif")
    for target in (grey, tmp_path / "link.tif", tmp_path / "hard.tif"):
        code, _, error = run("restore", grey, target, "--overwrite")
        assert code == 2
        assert_one_line(error, "is the input itself")
    assert grey.read_bytes() == content


def test_models_are_listed_with_factor_kind_and_description(run) -> None:
    code, out, _ = run("models")
    assert code == 0
    lines = out.splitlines()
    (line,) = (line for line in lines if line.startswith("tiny-3-x2"))
    assert "×2  RGB   A tiny network of random weights." in line
    (line,) = (line for line in lines if line.startswith("tiny-1-x2"))
    assert "×2  grey" in line


def test_the_demo_restores_every_sample_and_says_where(run, tmp_path: Path) -> None:
    models = ("--rgb-model", "tiny-3-x2", "--gray-model", "tiny-1-x2")
    code, out, error = run("demo", "--output", tmp_path / "out", *models, "--device", "cpu")
    assert (code, error) == (0, "")
    for name, sample in SAMPLES.items():
        restored = tmp_path / "out" / f"{name}-restored.tif"
        picture = tmp_path / "out" / f"{name}-before-after.png"
        original = read_image(sample_path(name))
        assert str(picture) in out
        assert read_image(picture).rgb
        if sample.stack:
            in_focus = read_image(tmp_path / "out" / f"{name}-in-focus.tif").data
            assert in_focus.shape == original.data.shape[1:]
            details = [
                np.abs(np.diff(plane.astype(float))).mean() for plane in (*original.data, in_focus)
            ]
            assert details[-1] > 0.9 * max(details[:-1])
            continue
        assert str(restored) in out
        assert read_image(restored).data.shape[:2] == tuple(
            2 * length for length in original.data.shape[:2]
        )
        assert read_image(restored).data.dtype == original.data.dtype
    assert len(list((tmp_path / "out").iterdir())) == 2 * len(SAMPLES)


def test_the_version_is_shown(run) -> None:
    assert run("--version") == (0, f"mdeblurgan {__version__}\n", "")


@pytest.mark.parametrize("command", [(), ("restore",), ("models",), ("demo",), ("simulate",)])
def test_every_help_has_an_example(run, command: tuple[str, ...]) -> None:
    code, out, _ = run(*command, "--help")
    assert code == 0
    assert "Example:\n    mdeblurgan " in out


def test_every_example_of_a_help_is_a_command_of_its_own_line() -> None:
    from typer.main import get_command

    from napari_mdeblurgan.cli import app

    for command in get_command(app).commands.values():
        lines = [line.split() for line in command.help.partition("Example")[2].splitlines()[1:]]
        assert {words[0] for words in lines} == {"mdeblurgan"}
        assert {words.count("mdeblurgan") for words in lines} == {1}


def test_the_list_of_commands_says_whole_sentences(run) -> None:
    commands = run("--help")[1].partition("Commands:\n")[2].splitlines()
    assert len(commands) > 12
    assert [line for line in commands if not line.endswith(".") or line.endswith("..")] == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["restore", "--help"], 0),
        (["restore", "missing.tif", "b.tif"], 2),
        (["models"], 0),
        (["demo", "--help"], 0),
    ],
)
def test_help_mistakes_and_models_need_neither_torch_nor_napari(
    tmp_path: Path, arguments: list[str], code: int
) -> None:
    program = f"""
import sys
from napari_mdeblurgan.cli import main
sys.argv = ["mdeblurgan", *{arguments!r}]
try:
    main()
except SystemExit as stop:
    assert stop.code == {code}, stop.code
assert not {{"torch", "napari", "qtpy", "magicgui"}} & set(sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr


def test_of_a_file_of_several_images_one_is_restored_and_the_others_are_told(
    run, tmp_path: Path
) -> None:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        for value in (50, 150):
            file.write(
                np.full((20, 24), value, np.uint8),
                metadata={"axes": "YX", "Name": f"position {value}"},
            )
    code, _, error = run(
        "restore", tmp_path / "a.ome.tif", tmp_path / "first.tif", "--device", "cpu"
    )
    assert code == 0
    assert_one_line(
        error, 'holds 2 images, of which "position 50" is taken', '--image NAME: "position 150"'
    )
    for given, output in (("position 150", "named.tif"), ("1", "second.ome.zarr")):
        assert run("restore", tmp_path / "a.ome.tif", tmp_path / output, "--image", given)[::2] == (
            0,
            "",
        )
    means = [
        read_image(tmp_path / name).data.mean()
        for name in ("first.tif", "named.tif", "second.ome.zarr")
    ]
    np.testing.assert_allclose(means, (50, 150, 150), atol=1)
    code, _, error = run(
        "restore", tmp_path / "a.ome.tif", tmp_path / "no.tif", "--image", "position 2"
    )
    assert code == 2
    assert_one_line(error, 'no image "position 2"', '"position 50", "position 150"')


@pytest.mark.parametrize(
    "words",
    [
        ("restore", "http://127.0.0.1:9/a", "a.tif"),
        ("restore", "GREY", "http://127.0.0.1:9/a.tif"),
        ("restore", "GREY", "a.tif", "--model", "http://127.0.0.1:9/a"),
        ("restore", "GREY", "a.tif", "--report", "http://127.0.0.1:9/a.html"),
        ("restore", "GREY", "a.tif", "--report", "http://127.0.0.1:9/a"),
        ("restore", "GREY", "a.tif", "--compare", "http://127.0.0.1:9/a"),
        ("batch", "http://127.0.0.1:9/a", "--output", "out"),
        ("evaluate", "http://127.0.0.1:9/a", "--output", "out"),
        ("evaluate", "http://127.0.0.1:9/a", "--real", "--output", "out"),
        ("pairs", "--low", "http://127.0.0.1:9/a", "--high", ".", "--output", "out"),
        ("train", "http://127.0.0.1:9/a", "--output", "out"),
        ("export", "http://127.0.0.1:9/a", "a.onnx"),
        ("export", "gray-x2", "http://127.0.0.1:9/a.onnx"),
        ("import", "http://127.0.0.1:9/a"),
    ],
    ids=" ".join,
)
def test_an_address_is_named_as_it_was_given(
    run, grey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, error = run(*(grey if word == "GREY" else word for word in words))
    assert code
    assert_one_line(error, "http://127.0.0.1:9/a", " is an address", "download it")


def test_the_address_of_a_file_of_this_machine_is_told_as_its_path(run, tmp_path: Path) -> None:
    code, _, error = run("restore", "file:///data/a.tif", tmp_path / "a.tif")
    assert code
    assert_one_line(error, "file:///data/a.tif is an address", "give its path, /data/a.tif")


def test_the_softness_is_taken_from_the_options_and_told(run, grey: Path, tmp_path: Path) -> None:
    exact = ("--precision", "float32", "--device", "cpu")
    code, out, _ = run("restore", grey, tmp_path / "soft.tif", "--softness", "1.5", *exact)
    assert code == 0
    assert "softness 1.5 px (given)" in out
    code, out, _ = run(
        "restore",
        grey,
        tmp_path / "known.tif",
        "--numerical-aperture",
        "0.25",
        "--wavelength",
        500,
        *exact,
    )
    assert code == 0
    assert "softness 0.93 px (objective of NA 0.25, 0.5 µm, pixels of 0.45 µm)" in out
    code, out, _ = run("restore", grey, tmp_path / "bare.tif", "--softness", "0", *exact)
    assert (code, "px (given)" in out) == (0, False)
    bare, known, soft = (
        read_image(tmp_path / f"{name}.tif").data.std() for name in ("bare", "known", "soft")
    )
    assert soft < known < bare


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--softness", "much"), "neither auto nor a number"),
        (("--softness", "-1"), "give 0 to 8"),
        (("--wavelength", "500"), "--numerical-aperture"),
        (("--numerical-aperture", "3"), "numerical aperture of 3 is impossible"),
        (("--numerical-aperture", "0.5", "--wavelength", "0.53"), "0.1 to 3 µm (100 to 3000 nm)"),
    ],
)
def test_an_impossible_softness_is_wrong_use(
    run, grey: Path, tmp_path: Path, options: tuple, words: str
) -> None:
    code, _, error = run("restore", grey, tmp_path / "soft.tif", *options)
    assert code == 2
    assert_one_line(error, words)
    assert not (tmp_path / "soft.tif").exists()


def test_a_command_whose_streams_are_closed_runs_all_the_same() -> None:
    code = (
        "import sys; sys.argv = ['mdeblurgan', '--version']; from napari_mdeblurgan.cli import "
        "main; main()"
    )
    done = subprocess.run(["sh", "-c", f'"{sys.executable}" -c "{code}" <&- >&- 2>&-'], check=False)
    assert done.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
@pytest.mark.parametrize("words", [["--version"], ["--help"], ["models"], ["info"]])
def test_what_cannot_be_printed_ends_in_one_line(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "napari_mdeblurgan", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": ""},
            check=False,
        )
    assert done.returncode == 1
    assert_one_line(done.stderr, "what is printed cannot be written (no space left on device)")


@pytest.mark.skipif(os.name == "nt", reason="Windows removes no folder that somebody is in")
def test_a_current_folder_that_was_removed_is_named(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gone").mkdir()
    os.chdir("gone")
    (tmp_path / "gone").rmdir()
    code, _, error = run("restore", "a.tif", "b.tif")
    assert code == 2
    assert_one_line(error, "the current folder has been removed")


@pytest.mark.skipif(sys.platform != "linux", reason="libgomp alone reads it")
@pytest.mark.parametrize(
    ("given", "spins"),
    [
        ({}, "1000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "active"}, "30000000000"),
    ],
)
def test_threads_do_not_wait_awake_for_long_unless_told_to(
    given: dict[str, str], spins: str
) -> None:
    code = (
        "import sys; sys.argv = ['mdeblurgan', '--version']\n"
        "from napari_mdeblurgan.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    import torch\n"
    )
    own = {name: text for name, text in os.environ.items() if not name.startswith(("OMP", "GOMP"))}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=own | given | {"OMP_DISPLAY_ENV": "verbose", "OMP_NUM_THREADS": "2"},
        check=True,
    )
    assert f"GOMP_SPINCOUNT = '{spins}'" in done.stderr
