"""Results made softer or sharper after they were made, on a thread of their own. No Qt in here.

What the network gave is kept beside what is shown. Of a result in memory the shown pixels are
written anew, what is on the canvas first; one that lies on disk stays as it is there, and what is
read of it is blurred on the way.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from napari_mdeblurgan.widgets.layers.axes import put_back
from napari_mdeblurgan.widgets.runs.known_optics import KnownOptics

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_mdeblurgan.restoration.softened_result import SoftLevels, WindowOf
    from napari_mdeblurgan.restoration.softness import Softness
    from napari_mdeblurgan.restoration.tiling import Region
    from napari_mdeblurgan.widgets.runs.outline import Outline

_TILE = 512
SHOW_S = 0.25  # between two looks at what is not yet done

log = logging.getLogger(__name__)


@dataclass(eq=False)
class SoftResult:
    """A result, and how soft it is shown.

    Attributes
    ----------
    bare : ndarray or SoftLevels
        What the network gave, with its axes in the order of an image: in memory or on disk.
    rgb : bool
        Whether the last axis holds colours.
    order : tuple of int
        The axes of its layer in the order of an image.
    optics : KnownOptics
        What its image tells of them.
    unknown : float or Softness
        Its softness in pixels where the objective is not known.
    softness : Softness
        That is wanted.
    shown : ndarray or None
        Of a result in memory: what its layer shows, in the order of an image. `bare` itself as long
        as nothing was blurred.
    auto : bool
        Whether the softness is the one that is known.
    settled : Softness or None
        That all of it has by now.
    problem : str
        Why it cannot be made softer, if so.
    outline : Outline or None
        Of a result on disk: the shape in its box that its layer shows; None for all of it.
    windows : callable or None
        Of a result in memory, see `hot_windows`.
    """

    bare: np.ndarray | SoftLevels
    rgb: bool
    order: tuple[int, ...]
    optics: KnownOptics
    unknown: float | Softness
    softness: Softness
    shown: np.ndarray | None = None
    auto: bool = True
    settled: Softness | None = None
    problem: str = ""
    outline: Outline | None = None
    windows: WindowOf | None = None

    def cut(self, levels: Sequence[Any]) -> list[Any]:
        """Levels of a result on disk as its layer shows them, with the axes of that."""
        shown = levels if self.outline is None else self.outline.over_lazy(levels)
        return [put_back(level, self.order) for level in shown]

    @property
    def pixels(self) -> Any:
        """What its layer shows, in memory."""
        return None if self.shown is None else put_back(self.shown, self.order)


KNOWN_SOFT: WeakKeyDictionary[Image, SoftResult] = (
    WeakKeyDictionary()
)  # beyond the life of one dock widget


class Seen(NamedTuple):
    """What of a result is on the canvas.

    Attributes
    ----------
    plane : tuple of int
        Index of the axes before y and x.
    region : ((y0, y1), (x0, x1))
        In pixels of the result.
    parts : tuple of (int, tuple of slice or int)
        Of a result on disk, what is read of which of its levels.
    """

    plane: tuple[int, ...]
    region: Region
    parts: tuple[tuple[int, tuple[Any, ...]], ...] = ()


class Done(NamedTuple):
    """Some of a result is as soft as was wanted.

    Attributes
    ----------
    result : SoftResult
    softness : Softness
        That was wanted.
    whole : bool
        Whether all of it is.
    problem : str
        Why there will be no more of it, if so.
    """

    result: SoftResult
    softness: Softness
    whole: bool
    problem: str = ""


class Softener:
    """Blurs results on a thread; the last value that was asked for wins.

    Parameters
    ----------
    on_change : callable
        Called with `Done` on that thread when there is something new to be shown.
    """

    def __init__(self, on_change: Callable[[Done], None]) -> None:
        self._on_change = on_change
        self._asked: dict[
            SoftResult, tuple[int, Softness, Generator[bool]]
        ] = {}  # with the steps that are done
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    def ask(self, result: SoftResult, seen: Seen | None) -> None:
        """Make a result as soft as it is wanted now; what is seen of it comes first."""
        result.problem = ""
        with self._changed:
            self._asked[result] = 0, result.softness, _steps(result, result.softness.sigma, seen)
            self._changed.notify()
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._work, name="mdeblurgan-softness", daemon=True
            )
            self._thread.start()

    def is_at(self, result: SoftResult) -> bool:
        """Whether more of a result is to come."""
        with self._changed:
            return result in self._asked

    def close(self) -> None:
        """End the work after the part that is being worked on; does not wait for it."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._asked or self._closed)
                if self._closed:
                    return
                result = min(
                    self._asked, key=lambda each: self._asked[each][0]
                )  # all that are seen, before the rest
                count, softness, steps = self._asked[result]
            tell, whole, problem = False, False, ""
            try:
                tell = next(steps)
            except StopIteration:
                whole = True
            except MemoryError:
                problem = (
                    "There is not enough memory to show the result softer; close other images."
                )
            except Exception as error:
                log.exception("a result could not be softened")
                problem = (
                    f"The result cannot be shown softer ({type(error).__name__}: {error}); "
                    "see the log."
                )
            with self._changed:
                current = self._asked.get(result)
                if self._closed or current is None or current[2] is not steps:
                    continue  # something else is wanted by now
                result.settled, result.problem = softness if whole else None, problem
                if whole or problem:
                    del self._asked[result]
                else:
                    self._asked[result] = count + 1, softness, steps
            if tell or whole or problem:
                self._on_change(Done(result, softness, whole, problem))


def _steps(result: SoftResult, sigma: float, seen: Seen | None) -> Generator[bool]:
    """Blur piece by piece; yields whether there is enough new to be shown."""
    from napari_mdeblurgan.restoration.softened_result import softened_part

    bare = result.bare
    if not isinstance(bare, np.ndarray):
        for level, index in seen.parts if seen is not None else ():
            bare.prepare(sigma, level, index)
            yield False
        bare.sigma = sigma
        return
    if result.shown is None or result.shown is bare:
        result.shown = bare.copy()
    shown, at = result.shown, time.monotonic()
    for index, y, x, last in _pieces(bare, result.rgb, seen):
        place: tuple[int | slice, ...] = (*index, slice(y.start, y.stop), slice(x.start, x.stop))
        shown[place] = softened_part(
            bare, index, y, x, sigma, rgb=result.rgb, windows=result.windows
        )
        tell = last or time.monotonic() - at > SHOW_S
        at = time.monotonic() if tell else at
        yield tell


def _pieces(
    data: np.ndarray, rgb: bool, seen: Seen | None
) -> Iterator[tuple[tuple[int, ...], range, range, bool]]:
    """Index, rows and columns of parts of a stack, what is seen first; and whether that is done
    with this part.
    """
    leading = data.shape[: data.ndim - (3 if rgb else 2)]
    height, width = data.shape[len(leading) : len(leading) + 2]
    if seen is not None:
        (y0, y1), (x0, x1) = seen.region
        tiles = list(_tiles((y0, y1), (x0, x1)))
        for number, (y, x) in enumerate(tiles, 1):
            yield seen.plane, y, x, number == len(tiles)
    planes = list(np.ndindex(*leading))
    for index in sorted(planes, key=lambda each: seen is not None and each != seen.plane):
        for y, x in _tiles((0, height), (0, width)):
            yield index, y, x, False


def _tiles(rows: tuple[int, int], columns: tuple[int, int]) -> Iterator[tuple[range, range]]:
    for y in range(*rows, _TILE):
        for x in range(*columns, _TILE):
            yield range(y, min(y + _TILE, rows[1])), range(x, min(x + _TILE, columns[1]))


def of_layer(layer: Image | None) -> SoftResult | None:
    """What is known of how soft a layer is shown; None where it is no such result, or its pixels
    were replaced since.
    """
    found = KNOWN_SOFT.get(layer) if layer is not None else None
    if found is None or layer is None or not isinstance(found.bare, np.ndarray):
        return found
    ours = (found.bare, found.shown)
    return (
        found
        if any(each is not None and np.may_share_memory(layer.data, each) for each in ours)
        else None
    )
