"""Whether the channels of two images belong together one by one, and not only their sum."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np

from napari_mdeblurgan.pairs.cutting import Overlap
from napari_mdeblurgan.pairs.refine import COARSE
from napari_mdeblurgan.pairs.structure import HighPass, correlation
from napari_mdeblurgan.storage import Micrograph

_CLEARLY = 0.1  # mean correlation: by so much another order must fit better
_ALIKE = 0.3  # correlation: a channel below it does not fit
_MOST = 5  # channels of which every order is tried
NAMES_DIFFER = (
    "The names of the channels are in another order in the two images, but what they show is not; "
    "put the names right, or save both without names."
)


def in_the_order_of(low: Micrograph, high: Micrograph) -> Micrograph:
    """The high-magnification image with its channels in the order of the other, as far as both name
    the same ones.
    """
    names, wanted = high.channel_names, low.channel_names
    one_by_one = high.axes == low.axes == "CYX" and len(set(names)) == len(names) == len(high.data)
    if names == wanted or not one_by_one or sorted(names) != sorted(wanted):
        return high
    return replace(
        high, data=high.data[[names.index(name) for name in wanted]], channel_names=wanted
    )


def channel_fits(both: Overlap) -> np.ndarray:
    """Correlations of structures, (channels, channels): of each channel of low, with each of
    high.
    """
    high_pass = HighPass(both.mask, COARSE)
    low, high = ([high_pass(each) for each in image] for image in (both.low, both.high))
    return np.array([[correlation(one, other) for other in high] for one in low])


def other_order(fits: np.ndarray) -> str:
    """The sentence on channels that fit clearly better in another order; empty where none do."""
    count = len(fits)
    if not 1 < count <= _MOST:
        return ""
    each = np.arange(count)
    best = max(permutations(range(count)), key=lambda order: fits[each, order].mean())
    if fits[each, best].mean() < fits[each, each].mean() + _CLEARLY:
        return ""
    moved = [n for n in each if best[n] != n]
    ours, theirs = (", ".join(str(n) for n in some) for some in (moved, [best[n] for n in moved]))
    return (
        f"The channels are in another order in the two images: {ours} of the low-magnification "
        f"image fit {theirs} of the other, counted from 0; save both in one order."
    )


def unlike_channels(fits: np.ndarray, names: tuple[str, ...]) -> list[str]:
    """A sentence for each channel that does not fit where others do."""
    own = np.diag(fits)
    return [
        f"Channel {names[n] if names else n} shows too little, or something else in the two images "
        f"(correlation {own[n]:.2f}); leave it out of both."
        for n in range(len(own))
        if own[n] < _ALIKE <= own.max()
    ]
