"""A run whose small files were changed by another program, or lost what was in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.training.config import ConfigError, TrainingConfig
from napari_mdeblurgan.training.metrics_table import Metrics, read_metrics
from napari_mdeblurgan.training.run import open_run

Make = Callable[..., TrainingConfig]


@pytest.mark.parametrize(
    "content",
    [b"", b"null", b"[" * 9999, b'{"training": 3, "validation": []}', b'{"training": []}', b"\xff"],
)
def test_a_damaged_list_of_images_is_told_in_one_sentence_and_overwrite_begins_anew(
    sharp_folder: Path, tmp_path: Path, tiny_config: Make, content: bytes
) -> None:
    open_run(sharp_folder, tmp_path / "run", tiny_config()).close()
    (tmp_path / "run" / "images.json").write_bytes(content)
    with pytest.raises(FileError, match=r"images\.json cannot be read .*--overwrite") as refused:
        open_run(sharp_folder, tmp_path / "run")
    assert "\n" not in str(refused.value)
    open_run(sharp_folder, tmp_path / "run", tiny_config(), overwrite=True).close()


def test_a_configuration_that_is_empty_is_refused_in_one_sentence(
    sharp_folder: Path, tmp_path: Path, tiny_config: Make
) -> None:
    open_run(sharp_folder, tmp_path / "run", tiny_config()).close()
    (tmp_path / "run" / "config.toml").write_bytes(b"")
    with pytest.raises(ConfigError, match="= 'auto', not 'grey'; ask for the same"):
        open_run(sharp_folder, tmp_path / "run")


@pytest.mark.parametrize(
    "content",
    [
        b"step;epoch;loss\n3;0,75;1,5\n",
        "step,epoch,loss\n3,0.75,1.5\n".encode("utf-16"),
        b"step,epoch,loss\n3,0.75,high\n",
        b"step,epoch,loss\n3," + b"7" * 200_000 + b"\n",
        b"\n",
    ],
)
def test_a_table_that_another_program_saved_otherwise_is_refused_and_stays(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "metrics.csv"
    path.write_bytes(content)
    with pytest.raises(FileError, match="is not the table of a training any more") as refused:
        Metrics(path, 4).restore({"sums": {}, "counts": {}}, 3)
    assert "\n" not in str(refused.value)
    assert path.read_bytes() == content


def test_a_table_that_another_program_saved_with_a_mark_of_utf_8_is_gone_on_with(
    tmp_path: Path,
) -> None:
    path = tmp_path / "metrics.csv"
    assert read_metrics(path) == []
    path.write_text("step,epoch,loss\n3,0.75,1.5\n", encoding="utf-8-sig")
    Metrics(path, 4).restore({"sums": {}, "counts": {}}, 3)
    assert path.read_text(encoding="utf-8").split() == ["step,epoch,loss", "3.0,0.75,1.5"]
    assert read_metrics(path) == [{"step": 3, "epoch": 0.75, "loss": 1.5}]
