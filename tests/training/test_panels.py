"""Pictures of pieces side by side, with a word above each column."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from napari_mdeblurgan.training.validation import write_panels


@pytest.mark.parametrize("edge", [80, 160, 256])
def test_words_above_panels_are_an_eighth_of_a_column_high_and_fit_into_it(
    tmp_path: Path, edge: int
) -> None:
    words = ("blurred", "base model", "fine-tuned")
    image = torch.full((1, 1, edge, edge), 0.5)
    write_panels(tmp_path / "panels.png", [[image] * len(words)], words)
    drawn = np.asarray(Image.open(tmp_path / "panels.png"))[..., 0]
    band = drawn[: len(drawn) - edge]
    assert len(band) == 3 * (max(edge // 8, 10)) // 2 if edge < 256 else len(band) == 33
    for column in range(len(words)):
        lit = np.flatnonzero((band[:, column * edge : (column + 1) * edge] > 128).any(axis=0))
        assert lit.size
        assert lit[0] >= 2
        assert lit[-1] < edge - 1
