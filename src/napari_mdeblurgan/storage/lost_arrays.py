"""Arrays of zarr whose store is gone: zarr does not say so, but gives the fill value for every
pixel.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.errors import FileError

if TYPE_CHECKING:
    import zarr

_SECONDS, _MOST = 1.0, 100  # so long an array that was there is taken to be; so many are kept
_there: dict[tuple[int, str], float] = {}  # when arrays were seen last, by their stores and paths


def check_not_lost(pixels: np.ndarray, source: Any) -> None:
    """Where the pixels of a part are all the same, make sure that what they were read from is still
    there; else it is.

    Parameters
    ----------
    pixels : ndarray
        As they were read.
    source : array
        What they were read from: a zarr array, or one of dask that is made of such; of any other
        nothing is asked.

    Raises
    ------
    FileError
        If a zarr array is no longer in its store.
    """
    if "zarr" not in sys.modules or not is_of_one_value(pixels):
        return
    import zarr

    for array in _made_of(source):
        if isinstance(array, zarr.Array) and not _is_there(array):
            raise FileError(
                f"The zarr array {array.store_path} is no longer there; put it back and start "
                "again."
            )


def is_of_one_value(pixels: np.ndarray) -> bool:
    """Whether pixels are all the same, as they are where an array is gone."""
    pixels = np.asarray(pixels)
    return (
        pixels.size > 0
        and bool(pixels.flat[0] == pixels.flat[-1])
        and bool((pixels == pixels.flat[0]).all())
    )


def _is_there(array: zarr.Array) -> bool:
    """Whether an array is in its store, as it was less than a second ago, or anything else is where
    it was: others may keep what it is elsewhere.
    """
    import zarr
    from zarr.storage import LocalStore

    key, now = (id(array.store), array.path), time.monotonic()
    if now - _there.get(key, -math.inf) < _SECONDS:
        return True
    mode: Any = "r" if array.store.read_only else "r+"
    kind: Any = array.metadata.zarr_format
    try:
        zarr.open_array(array.store, path=array.path, mode=mode, zarr_format=kind)
    except FileNotFoundError:
        if not (isinstance(array.store, LocalStore) and (array.store.root / array.path).is_dir()):
            return False
    if len(_there) > _MOST:
        _there.clear()
    _there[key] = now
    return True


def _made_of(source: Any) -> Iterator[Any]:
    """An array, or what one of dask takes its pixels from."""
    if not hasattr(source, "dask"):
        yield source
        return
    for layer in source.dask.cull(set(_flat(source.__dask_keys__()))).layers.values():
        if hasattr(layer, "indices"):  # a layer that is not written out: what it hands to each task
            yield from (given for given, axes in layer.indices if axes is None)
        elif len(layer) == 1:
            (node,) = layer.values()
            yield getattr(node, "value", node)


def _flat(keys: Any) -> Iterator[Any]:
    if not isinstance(keys, list):
        yield keys
        return
    for each in keys:
        yield from _flat(each)
