"""Whether what was exported computes the same as the network that it was made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from napari_mdeblurgan.errors import ExportError
from napari_mdeblurgan.network.exact import exact_float32

if TYPE_CHECKING:
    from napari_mdeblurgan.model import Model

_TOLERANCE = 1e-4  # of the intensity window
SHAPES = ((1, 24, 40), (2, 64, 16))  # batch, y, x: other than what was exported with


def check_agreement(run: Callable[[np.ndarray], np.ndarray], model: Model, kind: str) -> None:
    """Run both on images of noise of several sizes.

    Parameters
    ----------
    run : callable
        From (batch, channels, y, x) float32 to the exported network's result.
    model : Model
        What was exported.
    kind : str
        What the export is called in the message.

    Raises
    ------
    ExportError
        If the two differ by more than 1e-4 anywhere, or in shape.
    """
    random = np.random.default_rng(0)
    for batch, height, width in SHAPES:
        image = random.random((batch, model.card.channels, height, width), np.float32)
        expected, found = run_network(model, image), run(image)
        if found.shape != expected.shape or not np.abs(found - expected).max() <= _TOLERANCE:
            raise ExportError(
                f"{model.card.name} as {kind} does not give what it gives in PyTorch, so it was "
                "not written; update torch and the libraries of the extra 'export'."
            )


def run_network(model: Model, image: np.ndarray) -> np.ndarray:
    """The network's result in float32 on the processor, (batch, channels, y, x) in and out."""
    import torch

    with exact_float32(), torch.inference_mode():
        return model.network(torch.from_numpy(image)).numpy()
