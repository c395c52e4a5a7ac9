"""napari's reader of what this program writes: a result opened again is the layers that were saved,
and what is known of them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.folders import anything_there

if TYPE_CHECKING:
    from napari_mdeblurgan.widgets.keep.layer_images import LayerTuple

    _Read = Callable[[Any], list[LayerTuple]]

IN_MEMORY_BYTES = 256 * 2**20
_PLUGIN, _BUILTINS = "napari-mdeblurgan", "napari"


def get_reader(path: Any) -> _Read | None:
    """A reader for an OME-TIFF or an OME-Zarr; of what other readers know better, one of those.

    It is for what this program has written. napari's list of readers names this one for every file
    of that kind, and every folder, and chosen there it is to read what it can: a single image of
    others, with its pixel size, names and colours, if it fits in memory or has a pyramid. Only
    metadata are looked at. Of files of microscopes it reads all images. Other folders, files of
    several images or of a large one, and files that are to become a stack, are handed on to the
    reader that napari has without this plugin; None where there is none.
    """
    if not isinstance(path, str | Path):
        return _of_others(path)
    if not anything_there(path):
        return None
    from napari_mdeblurgan.storage.formats import is_of_a_microscope
    from napari_mdeblurgan.storage.provenance import is_result, read_provenance

    file = Path(path)
    if is_of_a_microscope(file):
        return read_layers  # which says why, where it cannot
    ours = is_result(file) or bool(read_provenance(file))
    return read_layers if ours or not _is_for_others(file) else _of_others(path)


def read_layers(path: str | Path) -> list[LayerTuple]:
    """The layers of a file that `get_reader` has accepted."""
    from napari_mdeblurgan.widgets.keep.opened_layers import layers_in

    return layers_in(Path(path), IN_MEMORY_BYTES)


def _of_others(path: Any) -> _Read | None:
    """The reader of another plugin, napari's own first: napari proposes ours for every folder, and
    shows a traceback where it refuses.
    """
    from npe2 import PluginManager

    manager = PluginManager.instance()
    several = not isinstance(path, str | Path)
    paths = [str(each) for each in path] if several else [str(path)]
    others = [r for r in manager.iter_compatible_readers(paths) if r.plugin_name != _PLUGIN]
    for other in sorted(others, key=lambda reader: reader.plugin_name != _BUILTINS):
        found = other.exec(kwargs={"path": paths, "stack": several, "_registry": manager.commands})
        if found is not None:
            name = manager.get_manifest(other.plugin_name).display_name
            return partial(_read_by, name, partial(found, paths, stack=several))
    return None


def _read_by(name: str, read: Callable[[], list[LayerTuple]], path: Any) -> list[LayerTuple]:
    from napari.utils.notifications import show_info

    layers = read()
    file = Path(path if isinstance(path, str | Path) else path[0]).name
    if layers:
        show_info(
            f"{file} was opened by {name}: M-Deblurgan opens results, and single images that have "
            f"a pyramid or up to {IN_MEMORY_BYTES // 2**20} MB."
        )
    return layers


def _is_for_others(file: Path) -> bool:
    """Whether this is a folder that is no OME-Zarr, or a file of several images or one that is too
    large to be shown at once; what cannot be read is for this reader, which says why.
    """
    from napari_mdeblurgan.errors import MdeblurganError
    from napari_mdeblurgan.storage import images_in, open_image
    from napari_mdeblurgan.storage.listing import ZARR
    from napari_mdeblurgan.storage.ome_zarr.ome_zarr_images import is_image_folder

    if file.is_dir():
        return file.suffix.lower() != ZARR and not is_image_folder(file)
    try:
        return len(images_in(file)) > 1 or open_image(file).data.nbytes > IN_MEMORY_BYTES
    except MdeblurganError:
        return False
