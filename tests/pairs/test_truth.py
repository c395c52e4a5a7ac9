"""What this program has made is no truth to learn from, whatever file it lies in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_mdeblurgan.cli import app
from napari_mdeblurgan.pairs import PairFiles, register_all
from napari_mdeblurgan.storage import Micrograph, open_image, read_image, write_image
from napari_mdeblurgan.storage.provenance import is_result

if TYPE_CHECKING:
    from napari_mdeblurgan.model import Model

SUFFIXES = (".tif", ".ome.tif", ".png", ".ome.zarr")


@pytest.fixture
def low(tmp_path: Path) -> Path:
    """An image of the weaker objective, in a folder of its own."""
    (tmp_path / "low").mkdir()
    image = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    write_image(tmp_path / "low" / "field.tif", Micrograph(image, "YX"))
    return tmp_path / "low" / "field.tif"


@pytest.fixture
def model(tmp_path: Path, tiny_model: Callable[..., Model]) -> str:
    from napari_mdeblurgan.model import save_model

    made = tiny_model(1)
    save_model(made.network, made.card, tmp_path / "tiny.safetensors")
    return str(tmp_path / "tiny.safetensors")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_was_restored_is_refused_as_truth(
    low: Path, model: str, tmp_path: Path, suffix: str
) -> None:
    sharp = tmp_path / f"sharp{suffix}"
    done = CliRunner().invoke(app, ["restore", str(low), str(sharp), "--model", model])
    assert done.exit_code == 0, done.output
    assert is_result(sharp)
    (outcome,) = register_all([PairFiles("field", low, sharp)])
    assert outcome.pair is None
    assert outcome.error.startswith(
        "field: the high-magnification image is a result of this program"
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_was_only_written_is_no_result(tmp_path: Path, suffix: str) -> None:
    write_image(tmp_path / f"field{suffix}", Micrograph(np.zeros((16, 16), np.uint8), "YX"))
    assert not is_result(tmp_path / f"field{suffix}")
    assert read_image(tmp_path / f"field{suffix}").restored is False


def test_the_mark_survives_being_written_from_an_ome_zarr_part_by_part(tmp_path: Path) -> None:
    from napari_mdeblurgan.batch.making import write_from_zarr

    write_image(
        tmp_path / "grown.ome.zarr", Micrograph(np.ones((32, 32), np.uint8), "YX", restored=True)
    )
    write_from_zarr(tmp_path / "grown.ome.zarr", tmp_path / "result.ome.tif", "result")
    assert is_result(tmp_path / "result.ome.tif")


def test_a_lazy_result_streamed_into_tiff_is_marked(tmp_path: Path) -> None:
    from napari_mdeblurgan.storage.tiff.tiff_stream import stream_tiff

    write_image(tmp_path / "field.tif", Micrograph(np.ones((64, 64), np.uint8), "YX"))
    stream_tiff(
        tmp_path / "big.ome.tif",
        replace(open_image(tmp_path / "field.tif"), restored=True),
        ome=True,
    )
    assert is_result(tmp_path / "big.ome.tif")


def test_a_damaged_or_missing_file_is_no_result(tmp_path: Path) -> None:
    (tmp_path / "bad.tif").write_bytes(b"II*")
    assert not is_result(tmp_path / "bad.tif")
    assert not is_result(tmp_path / "gone.png")


@pytest.mark.parametrize("command", [["fine-tune", "--output", "m", "--steps", "1"], ["pairs"]])
def test_the_commands_refuse_results_named_as_truth(
    low: Path, model: str, tmp_path: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "high").mkdir()
    CliRunner().invoke(
        app, ["restore", str(low), str(tmp_path / "high" / "field.tif"), "--model", model]
    )
    name, *options = command
    chosen = ["--model", model] if name == "fine-tune" else []
    done = CliRunner().invoke(app, [name, "--low", "low", "--high", "high", *chosen, *options])
    assert done.exit_code != 0
    assert "is a result of this program" in done.output
    assert "Traceback" not in done.output
