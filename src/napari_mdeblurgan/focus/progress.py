"""How far the work on a focus stack has come."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

from napari_mdeblurgan.restoration.measuring import told

Made = TypeVar("Made")


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


def counted(
    steps: Generator[Any, None, Made], words: str, total: int, begin: float, end: float
) -> Generator[FocusProgress, None, Made]:
    """Steps that say nothing, told as progress from `begin` to `end`; `total` is how many there are, about."""
    number = count(1)
    return told(steps, lambda _: FocusProgress(words, begin + (end - begin) * min(next(number) / max(total, 1), 1)))
