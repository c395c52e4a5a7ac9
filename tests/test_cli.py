"""The `mdeblurgan` command, from the outside: what it writes, what it says, how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
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

pytestmark = pytest.mark.usefixtures("tiny_defaults")


@pytest.fixture
def grey(tmp_path: Path) -> Path:
    data = np.random.default_rng(0).integers(100, 4000, (20, 24)).astype(np.uint16)
    write_image(tmp_path / "grey.tif", Micrograph(data, "YX", {"X": 0.5, "Y": 0.4}, "µm"))
    return tmp_path / "grey.tif"


def assert_one_line(error: str, *words: str) -> None:
    assert error.startswith("mdeblurgan: ")
    assert error.count("\n") == 1
    for word in words:
        assert word in error


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
    assert lines[-1].startswith("100%")


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
    ],
)
@pytest.mark.usefixtures("grey")
def test_wrong_use_ends_with_code_2_and_one_line(
    run, tmp_path, monkeypatch, arguments, words
) -> None:
    monkeypatch.chdir(tmp_path)
    write_image("stack.tif", Micrograph(np.zeros((2, 20, 20), np.uint8), "ZYX"))
    before = set(tmp_path.iterdir())
    code, out, error = run("restore", *arguments)
    assert (code, out) == (2, "")
    assert_one_line(error, words)
    assert set(tmp_path.iterdir()) == before


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
        (("grey.tif", "b.tif", "--model", "tiny-3-x2"), "grey"),
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
    assert code == 1
    assert_one_line(error, 'no image "position 2"', '"position 50", "position 150"')


def test_an_address_is_named_as_it_was_given(run, tmp_path: Path) -> None:
    code, _, error = run("restore", "http://127.0.0.1:9/a.zarr", tmp_path / "a.tif")
    assert code == 2
    assert_one_line(error, "http://127.0.0.1:9/a.zarr is an address", "download it")


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
