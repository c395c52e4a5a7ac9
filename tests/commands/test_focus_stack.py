"""`mdeblurgan focus-stack`, from the outside: what it writes, what it says, how it ends."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_mdeblurgan.exclusive import claimed
from napari_mdeblurgan.focus import opening as focus_opening
from napari_mdeblurgan.storage import Micrograph, read_image, write_image
from tests.focus.test_stack import LEFT, RIGHT, inner, texture, two_halves
from tests.restoration.test_label_maps import cells

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(run: Run) -> Run:
    """``run(…)``: exit code, stdout and stderr of `mdeblurgan focus-stack …`."""
    return lambda *arguments: run("focus-stack", *arguments)


@pytest.fixture(scope="module")
def planes() -> np.ndarray:
    return (two_halves(texture()).clip(0, 1) * 250).astype(np.uint8)


def test_a_stack_becomes_one_image_with_its_pixel_size_and_heights_in_micrometres(
    run: Run, planes: np.ndarray, tmp_path: Path
) -> None:
    sizes = {"X": 0.5, "Y": 0.5, "Z": 2.0}
    write_image(tmp_path / "stack.ome.tif", Micrograph(planes, "ZYX", sizes, "µm"))
    outputs = [tmp_path / name for name in ("sharp.ome.tif", "height.tif", "sure.tif")]
    code, out, error = run(
        *(tmp_path / "stack.ome.tif", "--output", outputs[0]),
        *("--height", outputs[1], "--confidence", outputs[2], "--registered"),
    )
    assert (code, error) == (0, "")
    assert "sharp.ome.tif: 192 × 192 (YX)" in out
    sharp, height, sure = map(read_image, outputs)
    assert sharp.data.dtype == np.uint8
    assert sharp.pixel_size == pytest.approx({"X": 0.5, "Y": 0.5})
    left, right = inner(height.data)
    assert np.median(left) == pytest.approx(2 * LEFT, abs=0.2)
    assert np.median(right) == pytest.approx(2 * RIGHT, abs=0.2)
    assert height.pixel_size == pytest.approx({"X": 0.5, "Y": 0.5})
    assert 0 <= sure.data.min() <= sure.data.max() <= 1


def test_what_a_file_lacks_is_told(run: Run, planes: np.ndarray, tmp_path: Path) -> None:
    write_image(tmp_path / "stack.ome.zarr", Micrograph(planes, "ZYX"))
    shutil.rmtree(tmp_path / "stack.ome.zarr" / "0" / "c" / str(len(planes) - 1))
    code, _, error = run(
        *(tmp_path / "stack.ome.zarr", "--output", tmp_path / "sharp.tif", "--registered")
    )
    assert code == 0
    assert f"stores {len(planes) - 1} of its {len(planes)} planes" in error


def test_planes_in_files_of_their_own_are_one_stack(
    run: Run, planes: np.ndarray, tmp_path: Path
) -> None:
    files = [tmp_path / f"plane_{number}.png" for number in range(len(planes))]
    for file, plane in zip(files, planes, strict=True):
        write_image(file, Micrograph(plane, "YX"))
    height = tmp_path / "height.tif"
    options = ("--z-step", 3, "--registered", "--height", height)
    assert run(*files, "--output", tmp_path / "sharp.png", *options)[0] == 0
    assert np.median(inner(read_image(height).data)[1]) == pytest.approx(3 * RIGHT, abs=0.3)
    assert read_image(tmp_path / "sharp.png").data.shape == (192, 192)


def test_the_channel_with_most_detail_decides_for_all(
    run: Run, planes: np.ndarray, tmp_path: Path
) -> None:
    dull = np.full_like(planes, 100) + np.random.default_rng(0).integers(
        0, 9, planes.shape, np.uint8
    )
    image = Micrograph(np.stack([dull, planes], axis=1), "ZCYX", channel_names=("dull", "grains"))
    write_image(tmp_path / "stack.ome.tif", image)
    code, _, error = run(
        tmp_path / "stack.ome.tif", "--output", tmp_path / "sharp.ome.tif", "--registered"
    )
    assert code == 0
    assert "channel grains decides" in error
    sharp = read_image(tmp_path / "sharp.ome.tif")
    assert (sharp.axes, sharp.channel_names) == ("CYX", ("dull", "grains"))
    left, right = inner(sharp.data[1].astype(float))
    best = [inner(planes[plane].astype(float))[side] for side, plane in enumerate((LEFT, RIGHT))]
    assert max(abs(left - best[0]).mean(), abs(right - best[1]).mean()) < 2
    code, _, error = run(
        tmp_path / "stack.ome.tif",
        "--output",
        tmp_path / "b.ome.tif",
        "--registered",
        "--channel",
        "red",
    )
    assert code != 0
    assert "there are dull, grains" in error


@pytest.mark.parametrize(
    ("shape", "axes", "told"),
    [((5, 80, 80), "TYX", "through time, not through focus"), ((80, 80), "YX", "a single plane")],
)
def test_what_is_no_focus_stack_is_told_in_one_sentence(
    run: Run, shape: tuple[int, ...], axes: str, told: str, tmp_path: Path
) -> None:
    data = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    write_image(tmp_path / "no.ome.tif", Micrograph(data, axes))
    code, out, error = run(tmp_path / "no.ome.tif", "--output", tmp_path / "sharp.tif")
    assert code != 0
    assert told in error
    assert len(error.strip().splitlines()) == 1
    assert out == ""


def test_a_stack_of_label_maps_is_refused(run: Run, tmp_path: Path) -> None:
    write_image(tmp_path / "stack.ome.tif", Micrograph(np.stack([cells("uint16")] * 3), "ZYX"))
    code, _, error = run(tmp_path / "stack.ome.tif", "--output", tmp_path / "sharp.tif")
    assert code == 1
    assert "looks like a label map" in error
    assert not (tmp_path / "sharp.tif").exists()


def test_a_plane_that_there_is_not_is_wrong_use(
    run: Run, planes: np.ndarray, tmp_path: Path
) -> None:
    write_image(tmp_path / "stack.ome.tif", Micrograph(planes, "ZYX"))
    options = (tmp_path / "stack.ome.tif", "--output", tmp_path / "sharp.tif", "--reference", 99)
    code, _, error = run(*options)
    assert code == 2
    assert f"there is no plane 99; the planes are 0 to {len(planes) - 1}." in error


def test_a_channel_of_a_stack_without_channels_is_refused(
    run: Run, planes: np.ndarray, tmp_path: Path
) -> None:
    write_image(tmp_path / "stack.ome.tif", Micrograph(planes, "ZYX"))
    output = tmp_path / "sharp.tif"
    code, _, error = run(tmp_path / "stack.ome.tif", "--channel", "5", "--output", output)
    assert code == 2
    assert error == "mdeblurgan: this stack has no channels; leave out --channel.\n"
    assert not output.exists()


def test_nothing_is_replaced_unasked(run: Run, planes: np.ndarray, tmp_path: Path) -> None:
    write_image(tmp_path / "stack.ome.tif", Micrograph(planes, "ZYX"))
    (tmp_path / "there.tif").write_bytes(b"mine")
    code, _, error = run(tmp_path / "stack.ome.tif", "--output", tmp_path / "there.tif")
    assert code != 0
    assert "is there already" in error
    assert (tmp_path / "there.tif").read_bytes() == b"mine"
    assert (
        "input itself"
        in run(tmp_path / "stack.ome.tif", "--output", tmp_path / "stack.ome.tif", "--overwrite")[2]
    )
    write_image(tmp_path / "there.tif", Micrograph(planes[0], "YX"))
    assert "input itself" in run(tmp_path, "--output", tmp_path / "there.tif", "--overwrite")[2]


MAPS = ("sharp.ome.zarr", "height.ome.zarr", "sure.tif")


def on_disk(run: Run, source: Path, folder: Path, *options: object) -> tuple[list[Path], str]:
    """The files that were made tile by tile, and what was said."""
    outputs = [folder / name for name in MAPS]
    files = ("--output", outputs[0], "--height", outputs[1], "--confidence", outputs[2])
    code, out, error = run(source, *files, *options)
    assert code == 0, error
    assert sorted(path.name for path in folder.iterdir()) == sorted(MAPS)
    return outputs, out + error


def test_an_ome_zarr_is_made_tile_by_tile_and_is_what_is_made_in_memory(
    run: Run, planes: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_mdeblurgan.focus.focusing.FOCUS_TILE", 96)
    sizes = {"X": 0.5, "Y": 0.5, "Z": 2.0}
    two = np.stack([planes[:, :120], 255 - planes[:, :120]], axis=1)
    image = Micrograph(
        np.stack([two, two[::-1]], axis=0), "TZCYX", sizes, "µm", channel_names=("grains", "holes")
    )
    write_image(tmp_path / "stack.ome.zarr", image)
    (tmp_path / "out").mkdir()
    outputs, said = on_disk(
        run, tmp_path / "stack.ome.zarr", tmp_path / "out", "--registered", "--channel", "grains"
    )
    assert "sharp.ome.zarr: 2 × 2 × 120 × 192 (TCYX)" in said
    assert "channel grains decides" in said
    plain = [tmp_path / name for name in ("sharp.ome.tif", "height.tif", "sure.ome.tif")]
    files = ("--output", plain[0], "--height", plain[1], "--confidence", plain[2])
    assert run(tmp_path / "stack.ome.zarr", *files, "--registered", "--channel", "grains")[0] == 0
    for one, other in zip(map(read_image, outputs), map(read_image, plain), strict=True):
        assert (one.axes, one.channel_names) == (other.axes, other.channel_names)
        assert one.pixel_size == pytest.approx(other.pixel_size)
        np.testing.assert_allclose(one.data, other.data, rtol=1e-5, atol=1e-5)


def test_what_is_interrupted_leaves_nothing(
    run: Run, planes: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_mdeblurgan.focus.focus_operations import Choose

    monkeypatch.setattr("napari_mdeblurgan.focus.focusing.FOCUS_TILE", 64)
    write_image(tmp_path / "stack.ome.tif", Micrograph(planes, "ZYX"))
    (tmp_path / "out").mkdir()
    making, seen = Choose.work, []

    def interrupted(self: Choose, given: object) -> object:
        seen.append(sorted(path.name for path in (tmp_path / "out").iterdir()))
        if len(seen) == 3:
            raise KeyboardInterrupt
        return making(self, given)

    monkeypatch.setattr(Choose, "work", interrupted)
    code, _, error = run(
        tmp_path / "stack.ome.tif", "--output", tmp_path / "out" / "sharp.ome.zarr", "--registered"
    )
    assert (code, "interrupted" in error) == (130, True)
    assert "sharp.ome.zarr.partial" in seen[-1]
    assert "sharp.ome.zarr" not in seen[-1]
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("name", ["sharp.ome.zarr", "sharp.tif"])
def test_what_another_command_is_making_is_left_to_it(
    run: Run, planes: np.ndarray, tmp_path: Path, name: str
) -> None:
    write_image(tmp_path / "stack.ome.tif", Micrograph(planes, "ZYX"))
    given = (tmp_path / "stack.ome.tif", "--output", tmp_path / name, "--registered")
    with claimed(tmp_path / name):
        code, _, error = run(*given)
        assert (code, "is being made elsewhere" in error) == (1, True)
    assert run(*given)[0] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, "stack.ome.tif"]


def test_a_file_that_came_while_the_command_began_is_not_replaced(
    run: Run, planes: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(tmp_path / "stack.ome.tif", Micrograph(planes, "ZYX"))
    opened = focus_opening.open_stack

    def slowly(*given: Any) -> Micrograph:
        (tmp_path / "sharp.tif").write_bytes(b"of another command")
        return opened(*given)

    monkeypatch.setattr(focus_opening, "open_stack", slowly)
    code, _, error = run(tmp_path / "stack.ome.tif", "--output", tmp_path / "sharp.tif")
    assert (code, "sharp.tif is there already" in error) == (2, True)
    assert (tmp_path / "sharp.tif").read_bytes() == b"of another command"


def test_what_fails_on_the_way_leaves_nothing(run: Run, tmp_path: Path) -> None:
    different = np.stack([texture(128, seed) for seed in range(2)])
    write_image(tmp_path / "stack.ome.tif", Micrograph(different, "ZYX"))
    (tmp_path / "out").mkdir()
    code, _, error = run(
        tmp_path / "stack.ome.tif", "--output", tmp_path / "out" / "sharp.ome.zarr"
    )
    assert (code, "cannot be registered" in error) == (1, True)
    assert list((tmp_path / "out").iterdir()) == []


def test_an_ome_zarr_that_is_there_is_never_replaced(
    run: Run, planes: np.ndarray, tmp_path: Path
) -> None:
    write_image(tmp_path / "stack.ome.tif", Micrograph(planes, "ZYX"))
    write_image(tmp_path / "there.ome.zarr", Micrograph(planes[0], "YX"))
    code, _, error = run(
        tmp_path / "stack.ome.tif", "--output", tmp_path / "there.ome.zarr", "--overwrite"
    )
    assert (code, "is there already; remove it" in error) == (2, True)


def test_what_is_large_is_made_on_disk_and_written_from_there(
    run: Run, planes: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    colours = np.stack([planes, planes // 2, 255 - planes], axis=-1)[:, :100, :120]
    image = Micrograph(
        np.stack([colours, colours[::-1]]), "TZYXS", {"X": 0.5, "Y": 0.5, "Z": 2.0}, "µm"
    )
    write_image(tmp_path / "stack.ome.tif", image)
    (tmp_path / "out").mkdir()
    outputs = [tmp_path / "out" / name for name in ("sharp.ome.tif", "height.ome.tif")]
    plain = [tmp_path / name for name in ("sharp.ome.tif", "height.ome.tif")]
    files = tmp_path / "stack.ome.tif", "--registered", "--output"
    assert run(*files, plain[0], "--height", plain[1])[0] == 0
    monkeypatch.setattr("napari_mdeblurgan.focus.on_disk.STREAMED_BYTES", 1000)
    assert run(*files, outputs[0], "--height", outputs[1])[0] == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "height.ome.tif",
        "sharp.ome.tif",
    ]
    for one, other in zip(map(read_image, outputs), map(read_image, plain), strict=True):
        assert (one.axes, one.pixel_size) == (other.axes, pytest.approx(other.pixel_size))
        np.testing.assert_allclose(one.data, other.data, rtol=1e-5)
