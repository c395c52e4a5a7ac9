"""`mdeblurgan simulate`, from the outside: the pairs that it writes, what it says, how it ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from napari_mdeblurgan.commands.simulate import SimulateOptions
from napari_mdeblurgan.degradation import gaussian_protocol
from napari_mdeblurgan.storage import Micrograph, read_image, write_image
from tests.restoration.test_label_maps import cells
from tests.several_images import write_plate, write_series


@pytest.fixture
def run(run: Callable[..., tuple[int, str, str]]) -> Callable[..., tuple[int, str, str]]:
    """``run(…)``: exit code, stdout and stderr of `mdeblurgan simulate …`."""
    return lambda *arguments: run("simulate", *arguments)


@pytest.fixture
def grey(tmp_path: Path) -> Path:
    data = np.random.default_rng(0).integers(0, 255, (61, 70), np.uint8)
    write_image(tmp_path / "grey.tif", Micrograph(data, "YX", {"X": 0.5, "Y": 0.5}, "µm"))
    return tmp_path / "grey.tif"


def test_a_gaussian_pair_is_the_protocol_and_the_image_itself(
    run, grey: Path, tmp_path: Path
) -> None:
    code, out, error = run(grey, "--output", tmp_path / "pairs", "--sigma", 0.9)
    assert (code, error) == (0, "")
    assert "grey.tif: σ = 0.9 px, 30 × 35 and 60 × 70" in out
    low, high = (read_image(tmp_path / "pairs" / kind / "grey.tif") for kind in ("low", "high"))
    sharp = read_image(grey).data[:60]
    np.testing.assert_array_equal(high.data, sharp)
    expected = gaussian_protocol(torch.from_numpy(sharp / np.float32(255))[None, None], 0.9) * 255
    np.testing.assert_array_equal(low.data, expected[0, 0].round().numpy().astype(np.uint8))
    assert high.pixel_size == pytest.approx({"X": 0.5, "Y": 0.5})
    assert low.pixel_size == pytest.approx({"X": 1.0, "Y": 1.0})
    assert read_image(tmp_path / "pairs" / "grey.png").rgb


def test_a_physical_pair_has_noise_offset_and_the_bits_of_the_camera(run, tmp_path: Path) -> None:
    write_image(tmp_path / "flat.tif", Micrograph(np.full((80, 80), 100, np.uint8), "YX"))
    options = (
        "--protocol",
        "physical",
        "--photons",
        400,
        "--offset",
        0.1,
        "--read-noise",
        0,
        "--bits",
        12,
    )
    code, out, _ = run(tmp_path / "flat.tif", "--output", tmp_path, *options)
    assert code == 0
    assert "0.65 µm is assumed" in out
    low, high = (read_image(tmp_path / kind / "flat.tif") for kind in ("low", "high"))
    assert low.data.dtype == high.data.dtype == np.uint16
    level = 4095 * (0.1 + 0.9 * 100 / 255)
    np.testing.assert_allclose(high.data, level, atol=0.5)
    assert low.data.mean() == pytest.approx(level, rel=0.005)
    assert low.data.std() == pytest.approx(4095 * 0.9 * (100 / 255 / 400) ** 0.5, rel=0.1)
    assert high.pixel_size == pytest.approx({"X": 0.65, "Y": 0.65})
    assert low.pixel_size == pytest.approx({"X": 1.3, "Y": 1.3})


def test_the_file_s_pixel_size_counts_unless_another_is_given(
    run, grey: Path, tmp_path: Path
) -> None:
    physical = ("--protocol", "physical", "--photons", 1e9, "--defocus", 0, "--na", 0.3)
    results = []
    for name, more in (
        ("own", ()),
        ("same", ("--pixel-size", 0.5)),
        ("other", ("--pixel-size", 0.25)),
    ):
        code, out, error = run(grey, "--output", tmp_path / name, *physical, *more)
        assert (code, error) == (0, "")
        assert "assumed" not in out
        results.append(read_image(tmp_path / name / "low" / "grey.tif"))
    np.testing.assert_array_equal(results[0].data, results[1].data)
    assert results[2].data.std() < results[0].data.std()
    assert results[2].pixel_size == pytest.approx({"X": 0.5, "Y": 0.5})


def test_the_wavelength_is_in_nanometres() -> None:
    for given, um in ({}, 0.53), ({"wavelength": 700.0}, 0.7):
        degradation = SimulateOptions("physical", physical=given).degradation(2)
        assert degradation.optics.wavelength_um == pytest.approx(um)


def test_noise_depends_on_the_seed_and_on_the_name(run, grey: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "twin.tif", read_image(grey))

    def low(folder: str, seed: int, *names: str) -> list[np.ndarray]:
        sources = [tmp_path / f"{name}.tif" for name in names]
        assert (
            run(*sources, "--output", tmp_path / folder, "--protocol", "physical", "--seed", seed)[
                0
            ]
            == 0
        )
        return [read_image(tmp_path / folder / "low" / f"{name}.tif").data for name in names]

    first, twin = low("a", 1, "grey", "twin")
    np.testing.assert_array_equal(low("b", 1, "grey")[0], first)
    assert (low("c", 2, "grey")[0] != first).any()
    assert (twin != first).any()


def test_colours_and_folders_are_taken_and_transparency_is_left_out(run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    random = np.random.default_rng(0)
    for name, samples in (("a.png", 3), ("b.png", 4)):
        Image.fromarray(random.integers(0, 255, (48, 40, samples), np.uint8)).save(
            tmp_path / "in" / name
        )
    (tmp_path / "in" / "notes.txt").write_text("no image")
    code, out, error = run(tmp_path / "in", "--output", tmp_path / "out", "--scale", 4)
    assert (code, error) == (0, "")
    assert out.count("\n") == 2
    for name in "ab":
        low = read_image(tmp_path / "out" / "low" / f"{name}.tif")
        assert (low.axes, low.data.shape, low.data.dtype) == ("YXS", (12, 10, 3), np.uint8)


def test_channels_of_a_stack_are_scaled_each_in_its_own_range(run, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    data = np.stack(
        [random.integers(0, 200, (3, 32, 48)), random.integers(100, 60_000, (3, 32, 48))], axis=1
    )
    stack = Micrograph(
        data.astype(np.uint16), "ZCYX", {"X": 500, "Y": 500, "Z": 1000}, "nm", ("DAPI", "GFP")
    )
    write_image(tmp_path / "stack.ome.tif", stack)
    code, _, error = run(
        tmp_path / "stack.ome.tif",
        "--output",
        tmp_path / "out",
        "--protocol",
        "physical",
        "--na",
        0.3,
    )
    assert (code, error) == (0, "")
    high = read_image(tmp_path / "out" / "high" / "stack.tif")
    assert (high.axes, high.data.shape, high.channel_names) == (
        "ZCYX",
        (3, 2, 32, 48),
        ("DAPI", "GFP"),
    )
    assert high.data.max(axis=(0, 2, 3)).tolist() == [255, 255]
    assert high.pixel_size == pytest.approx({"X": 0.5, "Y": 0.5, "Z": 1.0})
    assert read_image(tmp_path / "out" / "low" / "stack.tif").data.shape == (3, 2, 16, 24)


def test_files_that_are_there_are_kept_unless_they_may_be_replaced(
    run, grey: Path, tmp_path: Path
) -> None:
    (tmp_path / "out" / "high").mkdir(parents=True)
    kept = tmp_path / "out" / "high" / "grey.tif"
    kept.write_bytes(b"precious")
    code, out, error = run(grey, "--output", tmp_path / "out")
    assert (code, out) == (2, "")
    assert "grey.tif is there already" in error
    assert kept.read_bytes() == b"precious"
    assert not (tmp_path / "out" / "low").exists()
    assert run(grey, "--output", tmp_path / "out", "--overwrite")[0] == 0
    assert read_image(kept).data.shape == (60, 70)
    assert run(kept, "--output", tmp_path / "out", "--overwrite")[0] == 2
    assert read_image(kept).data.shape == (60, 70)


@pytest.mark.parametrize("wanting", ["high", "picture"])
def test_a_pair_that_is_interrupted_leaves_no_half_of_itself(
    run, grey: Path, tmp_path: Path, wanting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(path: Path, image: Micrograph) -> None:
        if path.parent.name == wanting:
            raise KeyboardInterrupt
        write_image(path, image)

    def draw(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("napari_mdeblurgan.storage.write_image", write)
        patch.setattr("napari_mdeblurgan.before_after.write_comparison", draw)
        code, out, error = run(grey, "--output", tmp_path / "out")
    assert (code, out) == (130, "")
    assert "nothing was left half-written" in error
    assert "with --overwrite makes all pairs" in error
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert run(grey, "--output", tmp_path / "out")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("missing.tif",), 2, "missing.tif does not exist"),
        (("empty",), 2, "no image in empty"),
        (("grey.tif", "again/grey.tif"), 2, "under one name"),
        (("grey.tif", "--defocus", 3), 2, "--defocus belongs to the physical protocol"),
        (
            ("grey.tif", "--protocol", "physical", "--sigma", 3),
            2,
            "--sigma belongs to the Gaussian protocol",
        ),
        (("grey.tif", "--sigma", -1), 2, "standard deviation"),
        (("grey.tif", "--protocol", "physical", "--na", 1.4), 2, "numerical aperture of 1.4"),
        (("grey.tif", "--protocol", "physical", "--photons", 0), 2, "0 photons"),
        (("grey.tif", "--protocol", "physical", "--bits", 32), 2, "32 bits"),
        (("grey.tif", "--sigma", 50), 1, "too small for a blur"),
        (("grey.tif", "--protocol", "physical", "--defocus", 500), 1, "too small for a blur"),
        (("grey.tif", "--protocol", "physical", "--defocus", 1e5), 1, "give a smaller defocus"),
        (("grey.tif", "--protocol", "physical", "--defocus", "inf"), 2, "the defocus is inf"),
        (("oblong.tif", "--protocol", "physical"), 1, "not square"),
        (("holes.tif",), 1, "pixels without a value"),
        (("broken.tif",), 1, "broken.tif"),
        (("cells.tif",), 1, "looks like a label map"),
        (
            ("grey.tif", "--protocol", "physical", "--wavelength", 0.53),
            2,
            "wavelength of 0.00053 µm (0.53 nm) is impossible; give that of light, 0.1 to 3 µm",
        ),
    ],
)
def test_what_cannot_be_meant_or_done_is_said_in_one_line(
    run, grey, tmp_path, monkeypatch, arguments, code, words
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("empty", "again"):
        Path(folder).mkdir()
    Path("again/grey.tif").write_bytes(grey.read_bytes())
    Path("broken.tif").write_bytes(b"II*\0rubbish")
    write_image(
        "oblong.tif", Micrograph(np.zeros((20, 20), np.uint8), "YX", {"X": 0.5, "Y": 0.7}, "µm")
    )
    write_image("cells.tif", Micrograph(cells("uint16"), "YX"))
    write_image("holes.tif", Micrograph(np.full((20, 20), np.nan, np.float32), "YX"))
    ended, out, error = run(*arguments, "--output", "out")
    assert (ended, out) == (code, "")
    assert error.startswith("mdeblurgan: ")
    assert error.count("\n") == 1
    assert words in error
    assert not [path for path in Path("out").rglob("*") if path.is_file()]


@pytest.mark.parametrize("output", ["grey.tif", "grey.tif/pairs"])
def test_a_file_in_the_way_of_the_output_is_named(run, grey: Path, output: str) -> None:
    code, out, error = run(grey, "--output", grey.parent / output)
    assert (code, out) == (2, "")
    assert f"{grey} is a file; choose another folder." in error


def test_files_are_not_taken_for_the_folders_of_the_pairs(run, grey: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "low").touch()
    code, _, error = run(grey, "--output", tmp_path / "out")
    assert code == 2
    assert f"{tmp_path / 'out' / 'low'} is a file; choose another folder." in error


@pytest.mark.skipif(
    not Path("/proc/self").exists(), reason="needs a folder that nothing can be made in"
)
def test_where_no_folder_can_be_made_another_place_is_asked_for(run, grey: Path) -> None:
    code, _, error = run(grey, "--output", "/proc/pairs")
    assert code == 2
    assert "nothing can be made in /proc; choose another folder." in error


def test_what_cannot_be_used_of_a_folder_is_named_and_the_rest_is_done(
    run, grey: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.tif").write_bytes(b"II*\0rubbish")
    write_image(folder / "b.tif", Micrograph(np.zeros((4, 4), np.uint8), "YX"))
    (folder / "c.tif").write_bytes(grey.read_bytes())
    labels = np.kron(np.arange(1, 17).reshape(4, 4), np.ones((16, 16))).astype(np.uint16)
    write_image(folder / "d.tif", Micrograph(labels * 100, "YX"))
    code, out, error = run(folder, "--output", tmp_path / "out")
    assert code == 0
    assert out.count("\n") == 1
    assert out.startswith("c.tif: ")
    broken, small, names = error.splitlines()
    assert f"skipped: {folder / 'd.tif'}: The image looks like a label map" in names
    assert broken.startswith(f"mdeblurgan: skipped: {folder / 'a.tif'} ")
    assert small.startswith(
        f"mdeblurgan: skipped: {folder / 'b.tif'}: an image of 2 × 2 pixels is too small"
    )
    assert [path.name for path in (tmp_path / "out" / "low").iterdir()] == ["c.tif"]


def test_a_folder_of_which_nothing_can_be_used_is_refused(run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.tif").write_bytes(b"II*\0rubbish")
    code, out, error = run(tmp_path / "in", "--output", tmp_path / "out")
    assert (code, out) == (1, "")
    assert "skipped" in error.splitlines()[0]
    assert "No image could be used" in error.splitlines()[1]


def test_mistakes_with_files_are_found_without_torch(tmp_path: Path) -> None:
    program = """
import sys
from napari_mdeblurgan.cli import main
sys.argv = ["mdeblurgan", "simulate", "missing.tif", "--output", "out"]
try:
    main()
except SystemExit as stop:
    assert stop.code == 2, stop.code
assert not {"torch", "napari", "qtpy", "magicgui"} & set(sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr


def test_all_images_of_a_file_are_degraded_each_under_a_name_of_its_own(
    run, tmp_path: Path
) -> None:
    inputs = [
        write_series(tmp_path / "in" / "a.ome.tif", ["left", "right"]),
        write_plate(tmp_path / "plate.zarr"),
    ]
    code, out, error = run(*inputs, "--output", tmp_path / "pairs")
    assert (code, error) == (0, "")
    expected = ["a-left", "a-right", "plate-A-1-0", "plate-A-1-1", "plate-B-2-0", "plate-B-2-1"]
    assert [line.split(":")[0] for line in out.splitlines()] == expected
    assert sorted(path.stem for path in (tmp_path / "pairs" / "high").iterdir()) == expected
    np.testing.assert_array_equal(
        read_image(tmp_path / "pairs" / "high" / "a-right.tif").data,
        read_image(inputs[0], "right").data,
    )


ONLY_GAUSSIAN = """
[degradation]
gaussian = 1.0
gaussian_noisy = 0.0
physical = 0.0
sigma = [0.9, 0.9]
jpeg = 0.0
rounded = 1.0
"""


def test_a_mixture_draws_what_its_configuration_says(run, grey: Path, tmp_path: Path) -> None:
    config = tmp_path / "only.toml"
    config.write_text(ONLY_GAUSSIAN)
    options = ("--protocol", "mixture", "--config", config)
    code, out, error = run(grey, "--output", tmp_path / "drawn", *options)
    assert (code, error) == (0, "")
    assert "grey.tif: drawn from the mixture, 30 × 35 and 60 × 70" in out
    assert run(grey, "--output", tmp_path / "known", "--sigma", 0.9)[0] == 0
    for kind in ("low", "high"):
        drawn, known = (
            read_image(tmp_path / name / kind / "grey.tif") for name in ("drawn", "known")
        )
        np.testing.assert_array_equal(drawn.data, known.data)
        assert drawn.pixel_size == known.pixel_size


def test_a_mixture_draws_anew_for_another_seed_and_the_same_for_the_same(
    run, tmp_path: Path
) -> None:
    sharp = np.random.default_rng(1).integers(0, 255, (160, 160, 3), np.uint8)
    write_image(tmp_path / "a.tif", Micrograph(sharp, "YXS"))

    def low(folder: str, seed: int) -> np.ndarray:
        options = ("--protocol", "mixture", "--seed", seed)
        assert run(tmp_path / "a.tif", "--output", tmp_path / folder, *options)[0] == 0
        return read_image(tmp_path / folder / "low" / "a.tif").data

    np.testing.assert_array_equal(low("one", 3), low("again", 3))
    assert not np.array_equal(low("one-more", 3), low("other", 4))


def test_options_of_other_protocols_are_refused_for_a_mixture(
    run, grey: Path, tmp_path: Path
) -> None:
    for options, told in (
        (("--protocol", "mixture", "--sigma", 1), "--sigma belongs to the Gaussian protocol"),
        (("--protocol", "mixture", "--defocus", 1), "--defocus belongs to the physical protocol"),
        (("--config", tmp_path / "a.toml"), "--config belongs to the mixture"),
        (("--protocol", "mixture", "--config", tmp_path / "none.toml"), "There is no file"),
    ):
        code, _, error = run(grey, "--output", tmp_path / "pairs", *options)
        assert code != 0
        assert told in error
        assert not (tmp_path / "pairs").exists()


def test_an_image_that_is_too_small_for_the_mixture_is_refused_in_one_sentence(
    run, tmp_path: Path
) -> None:
    write_image(tmp_path / "small.tif", Micrograph(np.zeros((40, 40), np.uint8), "YX"))
    code, _, error = run(
        tmp_path / "small.tif", "--output", tmp_path / "pairs", "--protocol", "mixture"
    )
    assert code != 0
    assert "too small for a blur that reaches" in error
    assert len(error.strip().splitlines()) == 1
