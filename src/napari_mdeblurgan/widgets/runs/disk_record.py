"""The record of a result that was made on disk: with it the file, opened again, is the layer that
was shown. No Qt in here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.storage.ome_zarr.ome_zarr_writing import keep_provenance
from napari_mdeblurgan.storage.provenance import entries_of, read_provenance, record_of
from napari_mdeblurgan.widgets.keep.layer_images import (
    METADATA_KEY,
    SHOWN_SOFTENED,
    layer_entry,
    placement_in,
)

if TYPE_CHECKING:
    from napari_mdeblurgan.storage.micrograph import Micrograph
    from napari_mdeblurgan.widgets.runs.to_disk import Saved

_OF_A_RUN = ("seconds", "date", "file")  # without them the same image gives the same file


def keep_record(
    made: Saved, source: Micrograph, told: Mapping[str, Any], trust: Mapping[str, Any] | None
) -> None:
    """Keep in the file of a result what its layer is called, how it looks, how soft it is shown,
    and what was found out about it.

    Parameters
    ----------
    made : Saved
        Which is whole.
    source : Micrograph
        What it was made from.
    told : mapping
        What else is to be said of how it was made.
    trust : mapping or None
        Of `trust.record`; None leaves what the file has.

    Raises
    ------
    FileError
        If the file may not be written to.
    """
    attributes = made.arguments
    axes = source.axes
    earlier = entries_of(read_provenance(made.path))
    kept = {
        name: value
        for name, value in attributes["metadata"][METADATA_KEY].items()
        if name not in _OF_A_RUN
    }
    placement = placement_in(attributes, len(axes.removesuffix("S")))
    entry = layer_entry(
        attributes, axes, {**kept, **told, SHOWN_SOFTENED: made.soft.softness.sigma}, placement
    )
    found = trust if trust is not None else next((each.get("trust") for each in earlier), None)
    entry["trust"] = found
    keep_provenance(made.path, record_of([entry]))
