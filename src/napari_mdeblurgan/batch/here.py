"""The results of a batch made in this process, in three stages that work at the same time: the next
image is read and planned, one is in the network, or several small ones, and the last one is
written.

What is large is made alone: it is written while it grows.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from napari_mdeblurgan import stopping
from napari_mdeblurgan.batch.batch_recipe import Recipe
from napari_mdeblurgan.batch.item import (
    Advanced,
    BatchStep,
    Begun,
    Ended,
    Item,
    Product,
    Refusal,
    is_full,
)
from napari_mdeblurgan.batch.making import (
    check_result_place,
    counted,
    known_product,
    make_result,
    refused,
    with_maps,
    without_verdict,
)
from napari_mdeblurgan.batch.output_folder import OutputFolder
from napari_mdeblurgan.batch.planned import has_changed
from napari_mdeblurgan.errors import Unassessed, need_torch
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.pipeline import (
    PipelineSteps,
    Ready,
    ResultInMemory,
    keeping,
    making,
    readying,
)
from napari_mdeblurgan.request import Request
from napari_mdeblurgan.restoration.lanes import Lane, small_lanes
from napari_mdeblurgan.restoration.room import ASSESSED_BYTES
from napari_mdeblurgan.restoration.tile_size import tiles_at_a_time
from napari_mdeblurgan.steps import finished, map_steps
from napari_mdeblurgan.stopping import Attended, Stopped, heeding
from napari_mdeblurgan.storage import Micrograph

BESIDE_OTHERS_BYTES = 64 * 2**20  # of an image, its result and its maps: three are in memory
BEHIND = 1  # results that are written while the next image is in the network


def make_here(
    items: list[Item], recipe: Recipe, folder: OutputFolder
) -> Generator[BatchStep, None, None]:
    """Make the results in this process, in the order of the images; closing the generator ends the
    work.

    Work on an image begins before the one before it has ended: that one is being written.

    Raises
    ------
    NoTorch
        Before any of them, if PyTorch cannot be used.
    """
    if items:
        need_torch()  # else every image of them would fail
        with ExitStack() as lasting:
            yield from _Line(recipe, folder, lasting).steps(items)


@dataclass(frozen=True, slots=True)
class _Small:
    """A small image that is about to go through the network, and what is to become of it."""

    ready: Ready
    model: Model
    request: Request
    known: Product

    @property
    def apart(self) -> bool:
        """Whether others go through beside it."""
        plan = self.ready.planned.plan
        return tiles_at_a_time(plan.grid.edge, plan.device, plan.precision) > 1


@dataclass(frozen=True, slots=True)
class _Opened:
    """An image as far as it was read ahead.

    Attributes
    ----------
    item : Item
        As the image was when it was read.
    content : Micrograph, _Small or Exception
        A large one, which is not read yet; a small one, ready; or why there is none.
    image : Micrograph or None
        A small one as it was opened.
    there : bool
        Whether there was anything to open.
    """

    item: Item
    content: Micrograph | _Small | Exception
    image: Micrograph | None = None
    there: bool = True


@dataclass(slots=True)
class _Turn:
    """An image that is next, and what hinders its result, once that was looked at."""

    item: Item
    reading: Future[_Opened]
    looked: bool = False
    trouble: Exception | None = None


@dataclass(frozen=True, slots=True)
class _Through:
    """A small image that has been through the network."""

    small: _Small
    restored: ResultInMemory
    product: Product


class _Line:
    """The three stages, a thread for each."""

    def __init__(self, recipe: Recipe, folder: OutputFolder, lasting: ExitStack) -> None:
        self.recipe, self.folder = recipe, folder
        self.coming: Iterator[Item] = iter(())
        self.turn: _Turn | None = None
        self.writing: deque[tuple[Item, Future[Product | Exception]]] = deque()
        lasting.callback(self._tidy)
        self.passing: deque[tuple[Item, Future[_Through | Exception]]] = deque()
        self.lanes: dict[bool, tuple[Lane, ...]] = {}
        self.apart, self.turns = False, 0
        self.open_lanes = lasting.enter_context(ExitStack())
        self.reader, self.writer = (
            lasting.enter_context(ThreadPoolExecutor(1, name)) for name in ("opening", "keeping")
        )
        self.attended = Attended()
        lasting.callback(self.attended.stop)
        self.news: SimpleQueue[Advanced | None] = SimpleQueue()

    def steps(self, items: Sequence[Item]) -> Iterator[BatchStep]:
        """All images, each through all stages."""
        self.coming = iter(items)
        self._ahead()
        while (turn := self.turn) is not None:
            yield Begun(turn.item)
            opened = yield from self._opened(turn)
            match turn.trouble or opened.content:
                case Exception() as trouble:
                    self._ahead()
                    yield from self._through(0)  # outcomes come in the order of the images
                    self._keep(opened.item, trouble)
                case _Small() as small:
                    lane, lanes = yield from self._free_lane(small.apart)
                    passing = self._begin(lane.thread, self._passed, lane, opened.item, small)
                    self.passing.append((opened.item, passing))
                    self._ahead()
                    yield from self._through(lanes - 1)
                case image:
                    yield from self._through(0)
                    yield from self._ended(0)
                    yield from self._large(opened.item, image)
                    self._ahead()
            yield from self._ended(BEHIND)
        yield from self._through(0)
        yield from self._ended(0)

    def _ahead(self) -> None:
        """Begin to read the next image."""
        item = next(self.coming, None)
        self.turn = None
        if item is not None:
            self.turn = _Turn(item, self._begin(self.reader, self._read, item))

    def _free_lane(self, apart: bool) -> Generator[BatchStep, None, tuple[Lane, int]]:
        """A lane that no image is in, of those for small images or the only one; and how many there
        are.
        """
        if apart != self.apart:
            yield from self._through(0)
            self.apart = apart
        if apart not in self.lanes:
            new = small_lanes() if apart else [Lane()]
            self.lanes[apart] = tuple(self.open_lanes.enter_context(lane) for lane in new)
        lanes = self.lanes[apart]
        self.turns += 1
        return lanes[self.turns % len(lanes)], len(lanes)

    def _through(self, left: int) -> Iterator[BatchStep]:
        """Wait until no more than so many images are in the network."""
        while len(self.passing) > left:
            yield from self._waited(self.passing[0][1])
            self._hand_on()

    def _hand_on(self) -> None:
        """Have those written that have been through the network."""
        while self.passing and self.passing[0][1].done():
            item, passing = self.passing.popleft()
            self._keep(item, passing.result())

    def _begin(
        self, thread: ThreadPoolExecutor, work: Callable[..., Any], *given: Any
    ) -> Future[Any]:
        """Begin a piece of work in a thread; its end is news."""
        future = self.attended.begin(thread, work, *given)
        future.add_done_callback(lambda _: self.news.put(None))
        return future

    def _opened(self, turn: _Turn) -> Generator[BatchStep, None, _Opened]:
        """The image whose turn it is; read anew if it has changed since that began."""
        opened: _Opened = yield from self._waited(turn.reading)
        if has_changed(opened.item):
            turn.reading = self._begin(self.reader, self._read, turn.item)
            turn.looked = False
            opened = yield from self._waited(turn.reading)
        self._look(turn)
        return opened

    def _look(self, turn: _Turn) -> None:
        """Make the folder for a small result once its image was read, and see whether it can be
        written.
        """
        if turn.looked or not turn.reading.done():
            return
        turn.looked, turn.trouble, opened = True, None, turn.reading.result()
        if not opened.there or isinstance(opened.content, Micrograph):
            return
        try:
            place = self.folder.prepare(opened.item.output)
            if opened.image is not None:
                check_result_place(place, opened.image)
        except Exception as error:
            turn.trouble = error

    def _keep(self, item: Item, what: _Through | Exception) -> None:
        """Have a result written, once those before it are."""
        self.writing.append((item, self._begin(self.writer, self._kept, what)))

    def _large(self, item: Item, image: Micrograph) -> Iterator[BatchStep]:
        """Make a result that is large, with nothing else beside it."""
        place = self.folder.workplace(item.output)
        outcome: Product | Refusal
        try:
            self.folder.prepare(item.output)
            steps = make_result(image, self.recipe, place, item.job)
            outcome = yield from map_steps(steps, partial(Advanced, item))
        except Exception as error:
            outcome = refused(error, item, place, self.folder)
        yield Ended(item, outcome)

    def _waited(self, future: Future[Any]) -> Generator[BatchStep, None, Any]:
        """What a piece of work gives; until then all that is news, results that were written
        included.
        """
        while not future.done():
            self._hand_on()
            if self.writing and self.writing[0][1].done():
                yield from self._ended(len(self.writing) - 1)
                continue
            if self.turn is not None and future is not self.turn.reading:
                self._look(self.turn)
            yield from self._next()
        yield from self._told()
        return future.result()

    def _ended(self, left: int) -> Iterator[BatchStep]:
        """Wait until no more than so many results are left to be written."""
        while len(self.writing) > left:
            item, future = self.writing[0]
            while not future.done():
                yield from self._next()
            yield from self._told()
            self.writing.popleft()
            made = future.result()
            if isinstance(made, Exception):
                place = self.folder.workplace(item.output)
                yield Ended(item, refused(made, item, place, self.folder))
            else:
                yield Ended(item, made)

    def _next(self) -> Iterator[BatchStep]:
        """Wait for one piece of news, at most for a heartbeat."""
        try:
            step = self.news.get(timeout=stopping.HEARTBEAT_S)
        except Empty:
            yield Advanced()
        else:
            if step is not None:
                yield step

    def _told(self) -> Iterator[BatchStep]:
        """All news that there is."""
        while not self.news.empty():
            step = self.news.get()
            if step is not None:
                yield step

    def _tidy(self) -> None:
        """Remove what was written when the work ended and nobody has taken."""
        for item, _ in self.writing:
            self.folder.tidy(item.output)

    # ---- the stages, in threads of their own

    def _read(self, waiting: Item) -> _Opened:
        item, image, there = waiting, None, False
        try:
            item, there = waiting.looked_at(self.recipe), True
            image = self.recipe.opened(item.source)
            if not _is_small(image, self.recipe):
                return _Opened(item, image)
            place = self.folder.workplace(item.output)
            model = self.recipe.model_for(image).load()
            request = self.recipe.request(place, place, item.job)
            with closing(readying(image, model, request)) as steps:
                ready = finished(heeding(steps))
        except Stopped:
            raise
        except Exception as error:
            return _Opened(item, error, image, there)
        small = _Small(ready, model, request, known_product(place, image, self.recipe))
        return _Opened(item, small, image)

    def _passed(self, lane: Lane, item: Item, small: _Small) -> _Through | Exception:
        through: list[ResultInMemory] = []

        def steps() -> PipelineSteps:
            yield small.ready.planned
            through.append((yield from making(small.ready, small.model, small.request)))
            return small.ready.planned.plan, through[0].found

        counting = counted(steps(), self.recipe, _place(small), small.known)
        try:
            with (
                lane.at_work(),
                closing(map_steps(counting, partial(self._tell, item))) as telling,
            ):
                product = finished(heeding(telling))
        except Stopped:
            raise
        except Exception as error:
            return error
        return _Through(small, through[0], product)

    def _tell(self, item: Item, progress: Any) -> None:
        self.news.put(Advanced(item, progress))

    def _kept(self, what: _Through | Exception) -> Product | Exception:
        if isinstance(what, Exception):
            return what
        small = what.small
        try:
            for _ in keeping(small.ready, what.restored, small.model, small.request):
                pass
            return with_maps(what.product, _place(small))
        except Unassessed as error:
            return error if is_full(error) else without_verdict(what.product, error)
        except Exception as error:
            return error


def _place(small: _Small) -> Path:
    return small.request.output


def _is_small(image: Micrograph, recipe: Recipe) -> bool:
    """Whether an image goes through the stages beside others."""
    if recipe.blockwise(image):
        return False
    pixels = math.prod(image.data.shape) // (image.data.shape[-1] if image.rgb else 1)
    made = int(image.data.nbytes) * (1 + recipe.factor_for(image) ** 2)
    return made + (pixels * ASSESSED_BYTES if recipe.trust else 0) <= BESIDE_OTHERS_BYTES
