"""napari's reader of what this program writes: a result opened again is the layers that were saved,
and what is known of them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.folders import anything_there

if TYPE_CHECKING:
    from napari_mdeblurgan.widgets.keep.layer_images import LayerTuple

IN_MEMORY_BYTES = 256 * 2**20


def get_reader(path: Any) -> Callable[[Any], list[LayerTuple]] | None:
    """A reader for an OME-TIFF or an OME-Zarr; None for what other readers know better.

    It is for what this program has written. napari's list of readers names this one for every file
    of that kind, and every folder, and chosen there it is to read what it can: a single image of
    others, with its pixel size, names and colours, if it fits in memory or has a pyramid. Only
    metadata are looked at. Of files of microscopes it reads all images. Files that are to become a
    stack are left to others.
    """
    if not isinstance(path, str | Path) or not anything_there(path):
        return None
    from napari_mdeblurgan.storage.formats import is_of_a_microscope
    from napari_mdeblurgan.storage.provenance import is_result, read_provenance

    file = Path(path)
    if is_of_a_microscope(file):
        return read_layers  # which says why, where it cannot
    ours = is_result(file) or bool(read_provenance(file))
    return read_layers if ours or _is_one_image(file) else None


def read_layers(path: str | Path) -> list[LayerTuple]:
    """The layers of a file that `get_reader` has accepted."""
    from napari_mdeblurgan.widgets.keep.opened_layers import layers_in

    return layers_in(Path(path), IN_MEMORY_BYTES)


def _is_one_image(file: Path) -> bool:
    """Whether a file of others holds a single image that can be shown at once."""
    from napari_mdeblurgan.errors import MdeblurganError
    from napari_mdeblurgan.storage import images_in, open_image

    try:
        return len(images_in(file)) == 1 and (
            file.is_dir() or open_image(file).data.nbytes <= IN_MEMORY_BYTES
        )
    except MdeblurganError:
        return False
