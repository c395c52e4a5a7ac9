"""What the network says of itself: the weight of each candidate, and how far off it thinks they
are.
"""

from __future__ import annotations

import functools
import math
import shutil
import tempfile
import threading
import weakref
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from napari_mdeblurgan.network import Network
from napari_mdeblurgan.restoration.arrays import read
from napari_mdeblurgan.restoration.fitting import fine_grid
from napari_mdeblurgan.restoration.inference import explanation, prepare
from napari_mdeblurgan.restoration.intensity import Window
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.restoration.tiling import Tile
from napari_mdeblurgan.restoration.walk import DoesNotFit, within

VALUES = 6  # three weights, three distances
_WEIGHTS = 3
_STORED = np.dtype(np.float16)
_PLENTY = 3  # times what the file and the result take


class Explanation:
    """Weights and distances of all tiles of a restoration, kept on the way; on the input's grid.

    Parameters
    ----------
    plan : RestorationPlan
        Of the restoration.
    """

    def __init__(self, plan: RestorationPlan) -> None:
        self._plan = plan
        size = [stop - start for start, stop in plan.region]
        self._values = np.full((*plan.leading, VALUES, *size), np.nan, _STORED)

    def keep(self, index: tuple[int, ...], tile: Tile, said: np.ndarray) -> None:
        """Take (y, x, 6), what was said of a tile of one image of the stack."""
        self._of(index, tile)[...] = np.moveaxis(said, -1, 0)

    def kept(self, index: tuple[int, ...], tile: Tile) -> np.ndarray:
        """(y, x, 6) float32: three weights and three distances, in windows, each of them in one
        piece of memory.
        """
        return np.moveaxis(self._of(index, tile).astype(np.float32), 0, -1)

    def _of(self, index: tuple[int, ...], tile: Tile) -> np.ndarray:
        """The place of a tile, (6, y, x)."""
        rows, columns = (
            slice(span.start - start, span.stop - start)
            for span, (start, _) in zip((tile.y, tile.x), self._plan.region, strict=True)
        )
        return self._values[index][:, rows, columns]


class ExplanationOnDisk:
    """The same in a file without a name, which is gone when nobody holds this any more: of a scan
    that is too large for memory.

    Parameters
    ----------
    plan : RestorationPlan
        Of the restoration.
    folder : Path
        On whose disk the file lies, where there is plenty of room.
    """

    def __init__(self, plan: RestorationPlan, folder: Path) -> None:
        self._plan = plan
        self._size = [stop - start for start, stop in plan.region]
        self._lock = threading.Lock()
        self._file: IO[bytes] | None = None
        pixels = math.prod((*plan.leading, *self._size))
        self._room = pixels * VALUES * _STORED.itemsize
        result = math.prod(plan.output_shape) * plan.dtype.itemsize
        with suppress(OSError):
            if shutil.disk_usage(folder).free > _PLENTY * (self._room + result):
                self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
                weakref.finalize(self, self._file.close)
                self._file.truncate(self._room)

    def keep(self, index: tuple[int, ...], tile: Tile, said: np.ndarray) -> None:
        """Take (y, x, 6), what was said of a tile of one image of the stack; nothing once the disk
        is full.
        """
        if self._file is None:
            return
        values = np.ascontiguousarray(said, dtype=_STORED)
        try:
            with self._lock:
                for line, place in zip(values, self._lines(index, tile), strict=True):
                    self._file.seek(place)
                    if self._file.write(line.data) != line.nbytes:
                        raise OSError("the disk is full")
        except OSError:
            self._file = None

    def kept(self, index: tuple[int, ...], tile: Tile) -> np.ndarray | None:
        """(y, x, 6) float32, as of `Explanation`; None where anything of the tile was not kept."""
        if self._file is None:
            return None
        lines = self._lines(index, tile)
        width = tile.x.stop - tile.x.start
        values = np.empty((len(lines), width, VALUES), _STORED)
        try:
            with self._lock:
                for line, place in zip(values, lines, strict=True):
                    self._file.seek(place)
                    line[...] = np.frombuffer(self._file.read(line.nbytes), _STORED).reshape(
                        line.shape
                    )
        except (OSError, ValueError):  # fewer than there should be
            return None
        weights = (values[..., number] != 0 for number in range(_WEIGHTS))
        known = functools.reduce(np.logical_or, weights)  # weights that were kept are not all 0
        return values.astype(np.float32) if known.all() else None

    def _lines(self, index: tuple[int, ...], tile: Tile) -> list[int]:
        """Where each line of a tile begins in the file."""
        plane = int(np.ravel_multi_index(index, self._plan.leading)) if index else 0
        (y0, _), (x0, _) = self._plan.region
        height, width = self._size
        return [
            ((plane * height + y - y0) * width + tile.x.start - x0) * VALUES * _STORED.itemsize
            for y in range(tile.y.start, tile.y.stop)
        ]


class ExplainedAnew:
    """The same where nothing was kept: the network is run once more, on four neighbouring tiles at
    a time where they fit.

    So the halo costs less. The last four are kept, so ask for tiles that lie close together.

    Parameters
    ----------
    image : array
        What was restored, in memory or lazy.
    plan : RestorationPlan
        Of the restoration.
    network : Network
        That restored it.
    kept : ExplanationOnDisk, optional
        What was kept of some tiles.
    """

    def __init__(
        self,
        image: Any,
        plan: RestorationPlan,
        network: Network,
        kept: ExplanationOnDisk | None = None,
    ) -> None:
        self._image, self._plan, self._network = image, plan, network
        self._on_disk = kept
        edges = [spans[0].stop - spans[0].start for spans in fine_grid(plan).spans]
        self._edges = [2 * edge for edge in edges] if plan.tile >= 2 * max(edges) else edges
        self._last: tuple[tuple[int, ...], Tile, np.ndarray] | None = None

    def kept(self, index: tuple[int, ...], tile: Tile) -> np.ndarray | None:
        """(y, x, 6) float32, as of `Explanation`; None if the network is to be asked."""
        return None if self._on_disk is None else self._on_disk.kept(index, tile)

    def anew(self, index: tuple[int, ...], tile: Tile, window: Window) -> np.ndarray:
        """(y, x, 6) float32, by the network; in one thread.

        Raises
        ------
        DoesNotFit
            If memory runs out even for the tile alone.
        """
        around = self._around(tile)
        if self._last is None or self._last[:2] != (index, around):
            try:
                self._last = index, around, self._of(index, around, window)
            except DoesNotFit:
                self._last = None
                return self._of(index, tile, window)
        return self._last[2][within(tile, around, 1)]

    def _of(self, index: tuple[int, ...], tile: Tile, window: Window) -> np.ndarray:
        block = read(self._image, (*index, tile.y.source, tile.x.source))
        return explained(block, tile, self._plan, window, self._network)

    def _around(self, tile: Tile) -> Tile:
        region = []
        for span, edge, (start, stop) in zip(
            (tile.y, tile.x), self._edges, self._plan.region, strict=True
        ):
            first = start + (span.start - start) // edge * edge
            region.append((first, min(first + edge, stop)))
        return self._plan.grid.tile_over((region[0], region[1]))


def explained(
    block: np.ndarray, tile: Tile, plan: RestorationPlan, window: Window, network: Network
) -> np.ndarray:
    """The same for one tile where nothing was kept: `block` is the tile's `source` part of one
    image.
    """
    said = explanation(network, prepare(block, tile, plan, window), plan)
    return said.astype(_STORED).astype(np.float32)
