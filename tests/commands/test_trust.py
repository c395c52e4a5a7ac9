"""`mdeblurgan restore --trust --report --ensemble`, from the outside."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from napari_mdeblurgan.model import Model
from napari_mdeblurgan.storage import Micrograph, read_image, write_image
from napari_mdeblurgan.storage.map_places import map_path, maps_path
from napari_mdeblurgan.storage.provenance import entries_of, read_provenance

pytestmark = pytest.mark.usefixtures("tiny_defaults")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    data = np.random.default_rng(0).integers(100, 4000, (3, 2, 40, 48)).astype(np.uint16)
    image = Micrograph(data, "ZCYX", {"X": 0.5, "Y": 0.5, "Z": 1.0}, "µm", ("DAPI", "GFP"))
    write_image(tmp_path / "cells <1>.ome.tif", image)
    return tmp_path / "cells <1>.ome.tif"


def test_maps_are_written_beside_the_output_with_axes_and_pixel_sizes(
    run: Run, stack: Path, tmp_path: Path
) -> None:
    code, out, error = run(
        "restore", stack, tmp_path / "sharp.ome.tif", "--trust", "--device", "cpu"
    )
    assert (code, error) == (0, "")
    error_map, consistency = (
        read_image(tmp_path / f"sharp-{name}.tif") for name in ("error", "consistency")
    )
    assert error_map.data.shape == (3, 2, 80, 96)
    assert consistency.data.shape == (3, 2, 40, 48)
    assert error_map.pixel_size["X"] == pytest.approx(0.25)
    assert consistency.pixel_size["X"] == pytest.approx(0.5)
    assert set(np.unique(read_image(tmp_path / "sharp-choice.tif").data)) <= {1, 2, 3}
    assert not (tmp_path / "sharp-disagreement.tif").exists()
    assert "Channel 1:" in out.splitlines()[-1]


@pytest.mark.parametrize("ending", [".ome.tif", ".ome.zarr"])
def test_the_result_keeps_how_it_was_made_and_how_far_it_can_be_trusted(
    run: Run, stack: Path, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"sharp{ending}"
    arguments = ("--trust", "--device", "cpu", "--bin", "2")
    code, out, _ = run("restore", stack, path, *arguments)
    assert code == 0
    (entry,) = entries_of(read_provenance(path))
    assert entry["made"]["source"] == "cells <1>"
    assert entry["made"]["binning"] == 2
    assert entry["made"]["model"].startswith("tiny")
    assert entry["trust"]["sentence"] == out.splitlines()[-1]
    assert entry["trust"]["settings"]["Model"].startswith(entry["made"]["model"])
    assert entry["trust"]["numbers"]["consistency"] > 0


def test_a_report_is_one_file_with_all_in_it(
    run: Run, stack: Path, tmp_path: Path, tiny_model: Callable[..., Model]
) -> None:
    code, out, _ = run(
        "restore",
        stack,
        tmp_path / "sharp.tif",
        "--report",
        tmp_path / "page.html",
        "--device",
        "cpu",
    )
    assert code == 0
    assert "page.html" in out
    page = (tmp_path / "page.html").read_text()
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert page.count("data:image/png;base64,") == 5
    assert "cells &lt;1&gt;" in page
    assert "<1>" not in page
    assert tiny_model().card.weights_sha256 in page
    assert "px = " in page
    assert not (tmp_path / "sharp-error.tif").exists()


def test_the_mean_of_eight_orientations_is_another_result_with_its_disagreement(
    run: Run, stack: Path, tmp_path: Path
) -> None:
    arguments = ("--device", "cpu", "--precision", "float32")
    assert run("restore", stack, tmp_path / "one.tif", *arguments)[0] == 0
    assert (
        run("restore", stack, tmp_path / "eight.tif", "--ensemble", "--trust", *arguments)[0] == 0
    )
    one, eight = (
        read_image(tmp_path / f"{name}.tif").data.astype(float) for name in ("one", "eight")
    )
    spread = read_image(tmp_path / "eight-disagreement.tif").data
    assert spread.shape == one.shape
    assert 0 < np.abs(one - eight).mean() < 3 * spread.mean()


@pytest.mark.parametrize("taken", ["sharp-error.tif", "page.html"])
def test_nothing_is_overwritten_unasked(run: Run, stack: Path, tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_text("mine")
    code, _, error = run(
        "restore", stack, tmp_path / "sharp.tif", "--trust", "--report", tmp_path / "page.html"
    )
    assert code == 2
    assert taken in error
    assert (tmp_path / taken).read_text() == "mine"
    assert not (tmp_path / "sharp.tif").exists()


def test_a_report_that_is_no_page_is_refused_before_any_work(
    run: Run, stack: Path, tmp_path: Path
) -> None:
    code, _, error = run(
        "restore", stack, tmp_path / "sharp.tif", "--report", tmp_path / "page.pdf"
    )
    assert (code, error.count("\n")) == (2, 1)
    assert "end in .html" in error


def test_names_of_the_maps() -> None:
    assert map_path(Path("a/sharp.ome.tif"), "error") == Path("a/sharp-error.tif")
    assert map_path(Path("s.1.png"), "choice") == Path("s.1-choice.tif")


def test_whether_the_image_fits_the_model_is_said_before_it_is_restored(
    run: Run, stack: Path, tmp_path: Path
) -> None:
    _, out, _ = run("restore", stack, tmp_path / "sharp.tif", "--trust", "--device", "cpu")
    lines = out.splitlines()
    first = next(number for number, line in enumerate(lines) if "%," in line)
    assert [line for line in lines[:first] if line.startswith("channel ")] == lines[1:3]


def test_an_ome_zarr_is_made_block_by_block_with_its_maps_within(
    run: Run, stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("--device", "cpu", "--precision", "float32", "--trust", "--ensemble")
    assert run("restore", stack, tmp_path / "sharp.tif", *arguments)[0] == 0
    monkeypatch.setattr(
        "napari_mdeblurgan.storage.read_image", lambda _: pytest.fail("the image was read whole")
    )
    path, page, picture = (tmp_path / name for name in ("sharp.ome.zarr", "page.html", "both.png"))
    code, out, error = run(
        "restore", stack, path, *arguments, "--report", page, "--compare", picture
    )
    assert (code, error) == (0, "")
    monkeypatch.undo()
    for name, tolerance in (
        ("error", 0.1),
        ("consistency", 0.02),
        ("choice", 0),
        ("disagreement", 0.1),
    ):
        one, other = read_image(tmp_path / f"sharp-{name}.tif"), read_image(maps_path(path, name))
        assert one.axes == other.axes
        assert one.pixel_size["X"] == pytest.approx(other.pixel_size["X"])
        far = np.abs(np.nan_to_num(one.data.astype(float) - other.data)) > tolerance * np.nanmean(
            one.data
        )
        assert far.mean() < 0.01
    np.testing.assert_allclose(
        read_image(path).data.astype(int),
        read_image(tmp_path / "sharp.tif").data.astype(int),
        atol=40,
    )
    assert page.read_text().count("data:image/png;base64,") == 6
    assert read_image(picture).axes == "YXS"
    assert str(maps_path(path, "disagreement")) in out
    assert "the noise" in out


def test_the_same_command_goes_on_with_an_assessment_and_another_one_is_refused(
    run: Run, stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, arguments = tmp_path / "sharp.ome.zarr", ("--device", "cpu", "--trust")
    with monkeypatch.context() as patched:
        patched.setattr("napari_mdeblurgan.trust.stored.StoredMaps.finish", _interrupted)
        code, _, error = run("restore", stack, path, *arguments)
    assert (code, "interrupted" in error) == (130, True)
    assert read_image(path).data.shape == (3, 2, 80, 96)
    assert not maps_path(path, "error").exists()
    with monkeypatch.context() as patched:
        patched.setattr(
            "napari_mdeblurgan.restoration.scan.opening",
            lambda *_, **__: pytest.fail("restored again"),
        )
        assert run("restore", stack, path, *arguments)[0] == 0
    assert maps_path(path, "error").exists()
    code, _, error = run("restore", stack, path, *arguments, "--tile", 64)
    assert (code, "is there already" in error) == (1, True)
    assert run("restore", stack, path, "--device", "cpu")[0] == 2


def _interrupted(_: object) -> None:
    raise KeyboardInterrupt


def test_what_does_not_fit_in_memory_is_said_before_it_is_read(
    run: Run, stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_mdeblurgan.restoration.room.SHARE_OF_FREE", 0)
    code, _, error = run("restore", stack, tmp_path / "sharp.tif")
    assert (code, error.count("\n")) == (1, 1)
    assert "let it end in .ome.zarr" in error
    assert run("restore", stack, tmp_path / "sharp.ome.zarr", "--device", "cpu")[0] == 0


def test_a_report_that_cannot_be_written_is_said_before_any_work(
    run: Run, stack: Path, tmp_path: Path
) -> None:
    missing = tmp_path / "none" / "page.html"
    code, out, error = run("restore", stack, tmp_path / "sharp.tif", "--report", missing)
    assert (code, out) == (2, "")
    assert f"there is no folder {tmp_path / 'none'}; make it first" in error
    assert not (tmp_path / "sharp.tif").exists()


def test_an_ome_zarr_is_made_by_one_command_at_a_time(
    run: Run, stack: Path, tmp_path: Path
) -> None:
    with FileLock(tmp_path / "sharp.ome.zarr.lock"):
        code, _, error = run("restore", stack, tmp_path / "sharp.ome.zarr", "--device", "cpu")
    assert code == 1
    assert "is being made elsewhere, by another command or window; wait" in error
    assert run("restore", stack, tmp_path / "sharp.ome.zarr", "--device", "cpu")[0] == 0
    assert not (tmp_path / "sharp.ome.zarr.lock").exists()
