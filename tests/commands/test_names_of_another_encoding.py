"""Names of files that are no UTF-8, as those of old file servers and archives."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_mdeblurgan.evaluation.images import find_images

pytestmark = pytest.mark.skipif(
    sys.platform in ("darwin", "win32"), reason="there are no such names there"
)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three sharp images called so."""
    (tmp_path / "sharp").mkdir()
    random = np.random.default_rng(0)
    for number in range(3):
        name = os.fsdecode(f"ä{number}.png".encode("latin-1"))
        Image.fromarray(random.integers(0, 255, (96, 96), np.uint8)).save(tmp_path / "sharp" / name)
    return tmp_path / "sharp"


def test_pairs_are_simulated(run: Run, folder: Path, tmp_path: Path) -> None:
    code, _, error = run("simulate", folder, "--output", tmp_path / "pairs")
    assert (code, error) == (0, "")
    assert len(list((tmp_path / "pairs" / "low").iterdir())) == 3


def test_a_model_is_trained(run: Run, folder: Path, tmp_path: Path) -> None:
    config, output = tmp_path / "small.toml", tmp_path / "run"
    config.write_text("[network]\nwidth = 2\n[data]\npatch = 24\nbatch = 1\n")
    code, *_ = run("train", folder, "--output", output, "--config", config, "--steps", 1)
    assert code == 0
    images = json.loads((output / "images.json").read_text(encoding="utf-8"))
    assert images["training"]
    assert set(images["training"]) < {rf"\udce4{number}.png" for number in range(3)}


def test_an_evaluation_has_names_that_its_tables_can_hold(folder: Path) -> None:
    names = [image.name for image in find_images(folder)[0]]
    assert names == [rf"\udce4{number}.png" for number in range(3)]
