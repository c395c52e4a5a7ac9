"""Where a Gaussian ends and which one is closest to an objective, for all that blur by one or have
to know how far that looks.
"""

from __future__ import annotations

import math

REACH = 4  # standard deviations
AIRY_SIGMA = 0.21  # of λ / NA: that of the Gaussian closest to a point-spread function in focus


def gaussian_radius(sigma: float) -> int:
    """Pixels on each side of the central one that a Gaussian is cut to.

    Parameters
    ----------
    sigma : float
        Standard deviation in pixels, 0 or more.
    """
    return math.ceil(REACH * sigma)
