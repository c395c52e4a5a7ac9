"""How far the work on a focus stack has come."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

from napari_mdeblurgan.steps import map_steps
from napari_mdeblurgan.stopping import look_up, portion

_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True)
class FocusProgress:
    """How far the work has come.

    Attributes
    ----------
    words : str
        What is being done, for the user.
    fraction : float
        0 at the start, 1 at the end.
    """

    words: str
    fraction: float

    @property
    def done(self) -> int:
        """The same in per cent."""
        return int(100 * self.fraction)

    @property
    def total(self) -> int:
        """All of it in per cent."""
        return 100

    def within(self, begin: float, end: float) -> FocusProgress:
        """The same as a part of more work."""
        return FocusProgress(self.words, begin + (end - begin) * self.fraction)


def counted_steps(
    steps: Generator[Any, None, _Made], words: str, total: int, begin: float, end: float
) -> Generator[FocusProgress, None, _Made]:
    """Steps that say nothing, told as progress from `begin` to `end`; `total` is how many there
    are, about.
    """
    number = count(1)
    return map_steps(
        steps,
        lambda _: FocusProgress(
            words, begin + (end - begin) * min(next(number) / max(total, 1), 1)
        ),
    )


def attended(steps: Generator[Any, None, _Made], total: int) -> _Made:
    """Carry out steps that say nothing in one go, which can be stopped between them; `total` is how
    many there are, about.
    """
    for number in count():
        look_up()
        begin, end = (min(at / total, 1) for at in (number, number + 1))
        with portion(begin, end):
            try:
                next(steps)
            except StopIteration as ended:
                return ended.value  # type: ignore[no-any-return]
    raise AssertionError
