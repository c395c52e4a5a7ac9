"""Lazy pixels read into memory, in threads of their own.

dask keeps a pool of threads for the whole process. A process that is forked inherits the pool but
not its threads, and waits for them for ever; so every reading here brings its own and ends them.

What runs a graph is given as a function: at a name dask imports all of distributed first, to see
whether there is a cluster.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import dask
import numpy as np
from dask import threaded

from napari_mdeblurgan.storage.micrograph import Micrograph


@contextmanager
def _threads() -> Iterator[dict[str, Any]]:
    with ThreadPoolExecutor(os.cpu_count() or 1, "reading") as pool:
        yield {"scheduler": threaded.get, "pool": pool}


def read_parts(parts: tuple[Any, ...]) -> tuple[Any, ...]:
    """Several parts of images at once, each as numpy has it."""
    with _threads() as options:
        return dask.compute(*parts, **options)


def loaded(data: Any) -> np.ndarray:
    """An image in memory, C-contiguous; a lazy one is read part by part, each into its place."""
    if not hasattr(data, "dask"):
        return np.ascontiguousarray(data)
    import dask.array as da  # takes half a second

    pixels = np.empty(data.shape, data.dtype)
    with _threads() as options:
        da.store(data, pixels, lock=False, **options)
    return pixels


def whole(image: Micrograph) -> Micrograph:
    """The image with its pixels in memory."""
    return image if isinstance(image.data, np.ndarray) else replace(image, data=loaded(image.data))
