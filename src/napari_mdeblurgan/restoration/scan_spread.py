"""What a scan keeps that is the mean of eight orientations: how far the eight lie apart, as a map within the result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.restoration.ensemble import Ensemble, ensemble_of_tile
from napari_mdeblurgan.restoration.fitting import tiles_that_fit, within
from napari_mdeblurgan.restoration.inference import network_on
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.restoration.tiling import Tile
from napari_mdeblurgan.storage.map_places import maps_path
from napari_mdeblurgan.storage.micrograph import Micrograph
from napari_mdeblurgan.storage.ome_zarr_chunks import told
from napari_mdeblurgan.storage.ome_zarr_writing import OmeZarrWriter, create_ome_zarr

if TYPE_CHECKING:
    from napari_mdeblurgan.model import Model


def create_spread(source: Micrograph, result: Path, plan: RestorationPlan, job: str) -> OmeZarrWriter | None:
    """Begin the map, or go on with it; None if it is whole.

    Parameters
    ----------
    source : Micrograph
        What is restored.
    result : Path
        The OME-Zarr of the result, on its way.
    plan : RestorationPlan
        Of the scan.
    job : str
        The scan's.

    Raises
    ------
    FileError
        If it cannot be written there.
    """
    path = maps_path(result, "disagreement")
    if path.exists():
        return None
    with told(path):
        path.parent.mkdir(exist_ok=True)
    return create_ome_zarr(
        path,
        plan.output_shape[: len(plan.leading) + 2],
        source.axes.removesuffix("S"),
        np.float32,
        chunk=plan.tile_step * plan.factor,
        **source.frame(plan.factor, plan.origin),
        name=f"{source.name} disagreement".strip(),
        job=job,
    )


def ensemble_block(index: tuple[int, ...], tile: Tile, image: Any, plan: RestorationPlan, model: Model) -> Ensemble:
    """The mean of the eight orientations of a tile, in the image's type, and their spread in grey levels.

    Raises
    ------
    FileError
        If the image cannot be read.
    OutOfMemory
        If not even the smallest tile fits.
    """
    network, window = network_on(model, plan.device), plan.window(index, plan.windows or ())

    def work(part: Tile) -> Ensemble:
        return ensemble_of_tile(image, index, part, plan, window, network)

    parts = list(tiles_that_fit(plan, work, [tile]))
    if len(parts) == 1:
        return parts[0][1]
    size = tuple((span.stop - span.start) * plan.factor for span in (tile.y, tile.x))
    whole = Ensemble(np.empty((*size, *plan.colours), plan.dtype), np.empty(size, np.float32))
    for part, made in parts:
        place = within(part, tile, plan.factor)
        whole.mean[place], whole.spread[place] = made
    return whole
