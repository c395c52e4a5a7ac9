"""Folders that may not be written to are told before any work, by commands of one
image and of many.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from napari_mdeblurgan.storage import Micrograph, write_image

COMMANDS = {
    "restore": ("in/a.tif", "out/b.tif"),
    "focus-stack": ("in/stack.tif", "--output", "out/b.tif"),
    "simulate": ("in/a.tif", "--output", "out"),
    "demo": ("--output", "out"),
    "export": ("tiny-1-x2", "out/a.onnx"),
    "evaluate": ("in", "--output", "out"),
    "train": ("in", "--output", "out"),
    "pairs": ("--low", "in", "--high", "in", "--output", "out"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_that_may_not_be_written_to_is_wrong_use(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models_folder: Path, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("in", "out"):
        Path(folder).mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (3, 64, 64), np.uint8)
    write_image("in/a.tif", Micrograph(noise[0], "YX"))
    write_image("in/stack.tif", Micrograph(noise, "ZYX"))
    may = os.access
    monkeypatch.setattr(
        "os.access",
        lambda path, mode: may(path, mode) and not (mode & os.W_OK and Path(path).name == "out"),
    )
    code, out, error = run(command, *COMMANDS[command])
    assert (code, out) == (2, ""), error
    assert "may not be written to; choose another" in error
    assert error.count("\n") == 1
    assert not list(Path("out").iterdir())
