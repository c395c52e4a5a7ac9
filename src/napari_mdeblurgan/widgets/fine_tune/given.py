"""What a row of the table was made of: kept, so that it can be swapped and registered anew. No Qt
in here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_mdeblurgan.pairs import ImagePair, Outcome, PairFiles, RegisteredPair


@dataclass(frozen=True, slots=True, eq=False)
class GivenPair:
    """Two images or files as the user gave them.

    Attributes
    ----------
    pair : ImagePair or PairFiles
        Which one is low, and which one is high.
    objectives : (float, float)
        Magnifications of the weaker and the stronger one.
    """

    pair: ImagePair | PairFiles
    objectives: tuple[float, float]

    @property
    def names(self) -> tuple[str, str]:
        """Of the low and of the high one: of layers, or of files and the images in them."""
        from napari_mdeblurgan.pairs import ImagePair

        if isinstance(self.pair, ImagePair):
            return self.pair.low.name or "low", self.pair.high.name or "high"
        files = (self.pair.low, self.pair.low_image), (self.pair.high, self.pair.high_image)
        low, high = (f"{path.name}, {image}" if image else path.name for path, image in files)
        if low == high:  # of two folders
            low, high = (
                f"{path.parent.name}/{name}"
                for (path, _), name in zip(files, (low, high), strict=True)
            )
        return low, high

    @property
    def images(self) -> frozenset[tuple[Path | str | None, str | None]]:
        """By what the two are known, whichever is low: files and the images in them, or layers."""
        from napari_mdeblurgan.pairs import ImagePair

        pair = self.pair
        if isinstance(pair, ImagePair):
            return frozenset({(pair.low.name, None), (pair.high.name, None)})
        return frozenset({(pair.low, pair.low_image), (pair.high, pair.high_image)})

    @property
    def swapped(self) -> GivenPair:
        """The same with low and high the other way round."""
        from napari_mdeblurgan.pairs import exchanged

        return replace(self, pair=exchanged(self.pair))


@dataclass(frozen=True, slots=True, eq=False)
class PairStep:
    """What became of one pair, and how many there are.

    Attributes
    ----------
    count : int
        Pairs that are registered together; of a focus stack, its planes so far.
    outcome : Outcome
        What became of it.
    given : GivenPair or None
        What it was made of; None for a plane of a stack.
    instead_of : str
        The name of the row whose place it takes, where that is another one's.
    """

    count: int
    outcome: Outcome
    given: GivenPair | None = None
    instead_of: str = ""


def sides(given: GivenPair | None, pair: RegisteredPair | None) -> tuple[str, str]:
    """What is blurred and what is sharp, in words for a picture; with names
    where they are known.
    """
    if given is not None:
        return f"low (blurred) {given.names[0]}", f"high (sharp) {given.names[1]}"
    if pair is not None and pair.stack:
        return "the plane (blurred)", "what is sharp in any plane"
    return "low (blurred)", "high (sharp)"


def all_of_folders(
    chosen: Sequence[GivenPair],
    others: Sequence[GivenPair | None],
    low: Path | None,
    high: Path | None,
) -> bool:
    """Whether these pairs are all that the table has of two folders, and at least one."""
    from napari_mdeblurgan.pairs import PairFiles

    def of_them(given: GivenPair | None) -> bool:
        pair = given.pair if given is not None else None
        if not isinstance(pair, PairFiles) or low is None or high is None:
            return False
        return pair.low.is_relative_to(low) and pair.high.is_relative_to(high)

    theirs = [each for each in others if of_them(each)]
    return bool(theirs) and all(any(each is one for one in chosen) for each in theirs)
