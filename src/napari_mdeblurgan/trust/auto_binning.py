"""Images binned by as many pixels as each of them needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_mdeblurgan.restoration.binning import AUTO_BINNING, binned_micrograph, can_be_binned

if TYPE_CHECKING:
    from napari_mdeblurgan.model import ModelCard
    from napari_mdeblurgan.storage.micrograph import Micrograph

BINNED = "Averaged {0} × {0} first, as its blur is large beside its pixels."


def binned_as_wished(
    image: Micrograph, wish: int | str, card: Callable[[], ModelCard]
) -> Micrograph:
    """An image binned by a number of pixels, or by as many as it needs, which its remarks then
    tell.

    Parameters
    ----------
    image : Micrograph
        In memory or lazy, of which a few places are looked at.
    wish : int or "auto"
        As in `chosen_binning`.
    card : callable
        Gives the card of the model that is to restore it.

    Raises
    ------
    ImageError
        If the image has too few pixels for the number, or cannot be restored.
    """
    if wish != AUTO_BINNING:
        return binned_micrograph(image, int(wish))
    from napari_mdeblurgan.trust.domain import binning_for  # and with it torch

    options = {"rgb": image.rgb, "channel_axis": image.channel_axis}
    binning = binning_for(image.data, card(), **options)
    plane = [image.data.shape[image.axes.index(axis)] for axis in "YX"]
    if binning == 1 or not can_be_binned(plane, binning):
        return image
    averaged = binned_micrograph(image, binning)
    return replace(averaged, remarks=(*image.remarks, BINNED.format(binning)))
