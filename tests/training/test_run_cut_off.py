"""A run that was cut off, or overtaken by another one, before its first step."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.errors import TrainingError
from napari_mdeblurgan.exclusive import Lock, locked
from napari_mdeblurgan.training.config import TrainingConfig
from napari_mdeblurgan.training.run import open_run

Make = Callable[..., TrainingConfig]


def test_a_run_cut_off_while_it_is_begun_is_begun_by_the_same_words(
    sharp_folder: Path, tmp_path: Path, tiny_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, config, written = tmp_path / "run", tiny_config(), []

    @contextmanager
    def cut_off(path: Path, **options: bool) -> Iterator[BinaryIO]:
        if written:
            raise KeyboardInterrupt
        with replacing(path, **options) as file:
            yield file
        written.append(path)

    with monkeypatch.context() as patch:
        patch.setattr("napari_mdeblurgan.training.run_folder.replacing", cut_off)
        with pytest.raises(KeyboardInterrupt):
            open_run(sharp_folder, run, config)
    assert len([each for each in run.iterdir() if not each.name.startswith(".")]) == 1
    open_run(str(sharp_folder), str(run), config).close()
    assert {"config.toml", "images.json"} <= {each.name for each in run.iterdir()}
    listed = json.loads((run / "images.json").read_text(encoding="utf-8"))
    assert len(listed["training"]) + len(listed["validation"]) == 3


def test_a_run_that_was_begun_by_another_process_meanwhile_is_left_as_it_is(
    sharp_folder: Path, tmp_path: Path, tiny_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, config = tmp_path / "run", tiny_config()

    def overtaken(*where: Any) -> Lock:
        patch.undo()
        open_run(sharp_folder, run, config).close()
        return locked(*where)

    with monkeypatch.context() as patch:
        patch.setattr("napari_mdeblurgan.training.run.locked", overtaken)
        with pytest.raises(TrainingError, match="Another training was begun in"):
            open_run(sharp_folder, run, tiny_config(model={"name": "other"}))
    assert 'name = "my-model"' in (run / "config.toml").read_text(encoding="utf-8")
    open_run(sharp_folder, run, config).close()
