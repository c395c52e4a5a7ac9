"""How far the work is: a bar on a terminal, a line now and then where the
output goes into a pipe.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from itertools import chain
from typing import Protocol, TypeVar

from napari_mdeblurgan.interruption import heeded
from napari_mdeblurgan.steps import Returning, percent


class ShownStep(Protocol):
    """Where the work is."""

    @property
    def done(self) -> int:
        """Of `total`."""
        ...

    @property
    def total(self) -> int:
        """What is to be done in all; above 0."""
        ...


S = TypeVar("S", bound=ShownStep)
R = TypeVar("R")


def with_progress(
    steps: Generator[S, None, R], *, unit: str, every: float, at: Callable[[S], str] = lambda _: ""
) -> R:
    """Carry out `steps` to their end, and give what they return.

    Parameters
    ----------
    steps : generator
        The work.
    unit : str
        Of `done`.
    every : float
        Share of the work from one line to the next.
    at : callable
        What a step is about; empty if nothing is to be said of it.
    """
    if sys.stderr.isatty():
        return _with_bar(steps, unit, at)
    start, next_line = time.perf_counter(), every
    returning = Returning(steps)
    for step in heeded(returning):
        share = step.done / step.total
        if share >= next_line or step.done == step.total:
            next_line = share + every
            line = f"{percent(share):>5}, {time.perf_counter() - start:.0f} s"
            print(": ".join(filter(None, (line, at(step)))), flush=True)
    return returning.result


def _with_bar(steps: Generator[S, None, R], unit: str, at: Callable[[S], str]) -> R:
    from tqdm import tqdm

    returning = Returning(steps)
    for first in returning:  # without any there is no bar
        with tqdm(unit=unit, unit_scale=True, leave=False, dynamic_ncols=True) as bar:
            for step in chain([first], heeded(returning)):
                bar.total = step.total
                bar.set_postfix_str(at(step), refresh=False)
                bar.update(step.done - bar.n)
    return returning.result
