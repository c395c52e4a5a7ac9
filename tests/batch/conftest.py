"""Small images, tiny models, and batches that are run to their end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_mdeblurgan.batch import Batch, BatchSettings, open_batch
from napari_mdeblurgan.batch.batch_table import PAGE, TABLE
from napari_mdeblurgan.batch.manifest import MANIFEST
from napari_mdeblurgan.model import Model, save_model
from napari_mdeblurgan.storage import Micrograph, write_image

LARGE = {"large_bytes": 1000, "tile": 64}


@pytest.fixture
def settings(tiny_model: Callable[..., Model], models_folder: Path) -> Callable[..., BatchSettings]:
    """``settings(**wishes)``: those of a batch with tiny models, on the processor, in float32."""
    names = {}
    for channels in (1, 3):
        model = tiny_model(channels)
        names[channels] = f"tiny-{channels}-x2"
        save_model(model.network, model.card, models_folder / f"{names[channels]}.safetensors")

    def make(**wishes: object) -> BatchSettings:
        defaults = {
            "rgb_model": names[3],
            "grey_model": names[1],
            "device": "cpu",
            "precision": "float32",
        }
        return BatchSettings(**(defaults | wishes))

    return make


@pytest.fixture
def restored(settings: Callable[..., BatchSettings], tmp_path: Path) -> Callable[..., Batch]:
    """``restored([inputs], **wishes)``: a batch into ``tmp_path / "out"`` that
    has come to its end.
    """

    def run(inputs: object, **wishes: object) -> Batch:
        with open_batch(inputs, tmp_path / "out", settings(**wishes)) as batch:
            for _ in batch.steps():
                pass
        return batch

    return run


def grey(*shape: int, seed: int = 0) -> np.ndarray:
    """Noise, uint16."""
    return np.random.default_rng(seed).integers(100, 4000, shape).astype(np.uint16)


def write(path: Path, data: np.ndarray | None = None, **description: object) -> Path:
    """A file with an image, by default a small grey one, and folders for it."""
    data = grey(24, 28, seed=len(path.name)) if data is None else data
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, Micrograph(data, **({"axes": "YX"} | description)))
    return path


def names_in(folder: Path) -> list[str]:
    """The files in a folder that a user sees, the batch's own and hidden ones left out."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    own = (MANIFEST, TABLE, PAGE)
    return sorted(
        p.as_posix() for p in found if not p.parts[0].startswith(".") and p.name not in own
    )


def reasons(batch: Batch) -> str:
    return " ".join(failure.reason for failure in batch.failures)
