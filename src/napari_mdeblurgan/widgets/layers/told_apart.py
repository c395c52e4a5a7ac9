"""Entries of a drop-down that offers layers by their names."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import TypeVar

_Entry = TypeVar("_Entry")


def told_apart(entries: Iterable[tuple[str, _Entry]]) -> list[tuple[str, _Entry]]:
    """Entries as (words, value), with a number after words that are there already.

    A drop-down of magicgui keeps its entries by their words. While a layer is given the name of
    another one both have it, until napari numbers one of them.
    """
    told: dict[str, _Entry] = {}
    for words, value in entries:
        numbered = (f"{words} [{number}]" for number in count(1))
        told[words if words not in told else next(w for w in numbered if w not in told)] = value
    return list(told.items())
