"""TorchScript: what it computes; that it is never loaded by the package itself."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import napari_mdeblurgan
from napari_mdeblurgan.export.agreement import run_network
from napari_mdeblurgan.export.torchscript import torchscript_content
from napari_mdeblurgan.model import Model

PACKAGE = Path(napari_mdeblurgan.__file__).parent


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_it_gives_what_the_network_gives_at_any_size(tiny_model: Callable[..., Model]) -> None:
    import torch

    model = tiny_model(3, 4)
    content = torchscript_content(model)
    assert f"{PACKAGE}/".encode() not in content
    loaded = torch.jit.load(io.BytesIO(content))
    for shape in ((1, 3, 8, 8), (2, 3, 40, 96)):
        image = np.random.default_rng(0).random(shape, np.float32)
        with torch.inference_mode():
            found = loaded(torch.from_numpy(image)).numpy()
        np.testing.assert_allclose(found, run_network(model, image), rtol=0, atol=1e-5)


def test_the_package_loads_neither_torchscript_nor_pickles() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    for call in ("jit.load(", "pickle.load", "torch.package"):
        assert call not in text
