"""Where an image is sharp: local energy of the Laplacian of a Gaussian, and the truth that a focus
series holds.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from napari_mdeblurgan.evaluation.real.measures import greyed

_FINE = 1.5  # pixels: σ of the Laplacian of a Gaussian
_AROUND = 10.0  # pixels: σ of the Gaussian that its energy is averaged with
CLEARLY = 2.0  # times the energy


def local_energy(image: np.ndarray) -> np.ndarray:
    """Energy of the detail around every pixel; (y, x) or (y, x, colours) to (y, x) float64."""
    return ndimage.gaussian_filter(ndimage.gaussian_laplace(greyed(image), _FINE) ** 2, _AROUND)
