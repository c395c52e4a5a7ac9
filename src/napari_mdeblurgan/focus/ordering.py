"""In which order the planes of a stack lie in depth, where nobody knows it: neighbours are those
most alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

_BAND = (1.0, 4.0)  # pixels of the overview: what is finer or coarser is not compared


def depth_order(overviews: Sequence[np.ndarray]) -> list[int]:
    """The planes in order of depth, by how alike they are.

    Planes of neighbouring depth are blurred alike. Their order is that along the second eigenvector
    of the Laplacian of the matrix of likenesses (Atkins, Boman and Hendrickson 1998). Which end is
    the top, no image can tell: the given order decides. Of a thin specimen, which is blurred alike
    on both sides of the focus, the two sides come out mixed.

    Parameters
    ----------
    overviews : sequence of ndarray
        (y, x) float32, laid on each other, small; NaN where one shows nothing.

    Returns
    -------
    list of int
        Indices of the planes.
    """
    count = len(overviews)
    if count < 3:
        return list(range(count))
    from scipy.stats import spearmanr  # takes half a second to import

    seen = np.isfinite(overviews).all(axis=0)
    overviews = (
        [np.where(seen, each, each[seen].mean()) for each in overviews] if seen.any() else overviews
    )
    bands = [
        ndimage.gaussian_filter(each, _BAND[0]) - ndimage.gaussian_filter(each, _BAND[1])
        for each in overviews
    ]
    apart = 1 - np.corrcoef([each.ravel() for each in bands])
    near = np.exp(-apart / max(float(np.median(np.sort(apart, axis=1)[:, 1])), 1e-6))
    np.fill_diagonal(near, 0)
    _, vectors = np.linalg.eigh(np.diag(near.sum(axis=0)) - near)
    found = np.argsort(vectors[:, 1], kind="stable")
    backwards = spearmanr(np.argsort(found), np.arange(count)).statistic < 0
    return [int(each) for each in (found[::-1] if backwards else found)]
