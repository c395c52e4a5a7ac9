"""napari's writers of results: *File → Save Selected Layers…* keeps what **Save result…** keeps.

napari chooses a writer by the ending of the name alone, so layers that this program has not made
come here too. They are handed on to the writer that napari would have taken without this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_mdeblurgan.errors import FileError, MdeblurganError
from napari_mdeblurgan.folders import at_home, folder_there
from napari_mdeblurgan.widgets.keep.layer_images import LayerTuple, how_made

_PLUGIN = "napari-mdeblurgan"


def write_ome_tiff(path: str, layers: list[LayerTuple]) -> list[str]:
    """Write results as OME-TIFF; see `write_layers`."""
    from napari_mdeblurgan.trust.saving import OME_TIFF

    return _in_words(path, layers, OME_TIFF)


def write_ome_zarr(path: str, layers: list[LayerTuple]) -> list[str]:
    """Write results as OME-Zarr; see `write_layers`."""
    from napari_mdeblurgan.trust.saving import OME_ZARR

    return _in_words(path, layers, OME_ZARR)


def _in_words(path: str, layers: list[LayerTuple], usual: str) -> list[str]:
    """Write results; what goes wrong is no `ValueError`, which napari would take for "there is no
    such writer".
    """
    try:
        return write_layers(path, layers, usual)
    except MdeblurganError as error:
        raise OSError(str(error)) from None


def write_layers(path: str, layers: list[LayerTuple], usual: str) -> list[str]:
    """Write results, which are channels of one image if they are several, with those of their maps
    that are among the layers.

    Parameters
    ----------
    path : str
        Where to; without an ending it gets `usual`.
    layers : list of (data, attributes, kind)
        As napari hands them over.
    usual : str
        ".ome.tif" or ".ome.zarr".

    Returns
    -------
    list of str
        The files that were written.

    Raises
    ------
    FileError, ImageError
        In one sentence, if they cannot be written so.
    """
    if not any(how_made(layer) for layer in layers):
        return _handed_on(path, layers)
    others = [str(layer[1].get("name")) for layer in layers if not how_made(layer)]
    if others:
        raise FileError(
            f"{others[0]!r} is no result: save it by itself, and the results without it."
        )
    from napari_mdeblurgan.trust.saving import result_path
    from napari_mdeblurgan.widgets.keep.kept_result import kept_result, save_kept
    from napari_mdeblurgan.widgets.keep.waiting import saved_while_waiting

    place = result_path(path, usual)
    # napari's dialog has asked about a file of this very name, and about no folder
    agreed = place == at_home(path).absolute() and not folder_there(place)
    kept = kept_result(layers, place)
    return [
        str(each)
        for each in saved_while_waiting(
            lambda tell: save_kept(kept, place, replace=agreed, tell=tell), place
        )
    ]


def _handed_on(path: str, layers: Sequence[LayerTuple]) -> list[str]:
    """Let the writer do it that napari would have taken without this plugin: that of the longest
    ending; of a name without one the first, or for several layers that of folders.
    """
    from npe2 import PluginManager

    kinds = [layer[2] for layer in layers]
    writers = [
        w
        for w in PluginManager.instance().iter_compatible_writers(kinds)
        if w.plugin_name != _PLUGIN
    ]
    best, length = None, 0
    if not Path(path).suffix:
        best = next((w for w in writers if len(layers) == 1 or not w.filename_extensions), None)
        path += next(iter(best.filename_extensions), "") if best else ""
    for writer in writers:
        fitting = [
            len(ending)
            for ending in writer.filename_extensions
            if path.lower().endswith(ending.lower())
        ]
        if fitting and max(fitting) > length:
            best, length = writer, max(fitting)
    if best is None:
        other = "choose .tif" if len(layers) == 1 else "leave its ending out, for a folder of files"
        raise FileError(
            f"{path} cannot be written: only results of M-Deblurgan are saved so here, and no "
            f"other plugin does; {other}."
        )
    several = sum(each.max() for each in best.layer_type_constraints()) > 1
    arguments: tuple[Any, ...] = (path, list(layers)) if several else (path, *layers[0][:2])
    written = best.exec(args=arguments)
    return [written] if isinstance(written, str) else list(written or [])
