"""Work step by step: generators that yield how far it is and return what was made."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any, Generic, TypeVar

import numpy as np

_Step = TypeVar("_Step")
_Told = TypeVar("_Told")
_Result = TypeVar("_Result")


def numpy_defaults() -> np.errstate:
    """Within, numpy does about numbers that a type does not hold what it does of itself, whatever
    the caller has told it: those that are too small count as 0.
    """
    return np.errstate(divide="warn", over="warn", under="ignore", invalid="warn")


class Returning(Iterator[_Step], Generic[_Step, _Result]):
    """Steps for a loop, which keeps what they return; in each, `numpy_defaults` hold.

    Parameters
    ----------
    steps : generator
        Is not closed where the loop is left.

    Attributes
    ----------
    result
        What they returned; only there once the loop came to their end.
    """

    result: _Result

    def __init__(self, steps: Generator[_Step, Any, _Result]) -> None:
        self._steps = steps

    def __next__(self) -> _Step:
        try:
            with numpy_defaults():
                return next(self._steps)
        except StopIteration as end:
            if not hasattr(self, "result"):  # steps that have ended return None when asked again
                self.result = end.value
            raise


def finished(steps: Generator[Any, None, _Result]) -> _Result:
    """Go through all steps; what they return in the end."""
    returning = Returning(steps)
    for _ in returning:
        pass
    return returning.result


def map_steps(
    steps: Generator[_Step, None, _Result], say: Callable[[_Step], _Told]
) -> Generator[_Told, None, _Result]:
    """The same steps, each told in another way; closing it closes them."""
    returning = Returning(steps)
    with closing(steps):
        for step in returning:
            yield say(step)
    return returning.result


def percent(fraction: float) -> str:
    """How much is done, from 0 to 1; all of it only if it is."""
    return f"{min(round(100 * fraction), 100 if fraction == 1 else 99)} %"
