"""What a scan keeps that is the mean of eight orientations: how far the eight lie apart, as a map
within the result.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_mdeblurgan.atomic import writing_errors
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.storage.map_places import maps_path
from napari_mdeblurgan.storage.micrograph import Micrograph
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_writing import OmeZarrWriter, create_ome_zarr


def create_spread(
    source: Micrograph, result: Path, plan: RestorationPlan, job: str
) -> OmeZarrWriter | None:
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
    with writing_errors(path):
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
