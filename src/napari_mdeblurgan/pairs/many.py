"""Registers one pair after the other; a bad one is named and the rest goes on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from napari_mdeblurgan.errors import MdeblurganError
from napari_mdeblurgan.pairs.pair import (
    ImagePair,
    PairError,
    PairFiles,
    RegisteredPair,
    SwappedError,
)
from napari_mdeblurgan.pairs.register import register_images
from napari_mdeblurgan.storage import Micrograph, local_path, read_image
from napari_mdeblurgan.storage.provenance import is_result


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What became of one pair.

    Attributes
    ----------
    name : str
        Of the pair.
    pair : RegisteredPair or None
        Accepted or not; None if nothing could be made of it.
    error : str
        One sentence, if `pair` is None.
    swapped : bool
        Low and high are swapped: exchanged, see `exchanged`, they fit.
    """

    name: str
    pair: RegisteredPair | None
    error: str = ""
    swapped: bool = False

    @property
    def accepted(self) -> bool:
        """Whether it can be trained on."""
        return self.pair is not None and self.pair.accepted

    @property
    def problems(self) -> tuple[str, ...]:
        """All that there is to say about it, a sentence each."""
        return self.pair.registration.problems if self.pair is not None else (self.error,)


def read_pair(files: PairFiles) -> ImagePair:
    """Read the two images of a pair; axes of length 1 are left out.

    Raises
    ------
    FileError
        If one cannot be read.
    """
    low, high = (
        replace(_squeezed(read_image(path, image)), restored=is_result(local_path(path)))
        for path, image in ((files.low, files.low_image), (files.high, files.high_image))
    )
    return ImagePair(files.name, low, high)


def register_all(
    pairs: Sequence[PairFiles | ImagePair],
    *,
    scale: int = 2,
    objectives: tuple[float, float] | None = None,
    ratio: float | None = None,
) -> Iterator[Outcome]:
    """Register pairs one after the other and yield what became of each, in their order.

    Parameters
    ----------
    pairs : sequence of PairFiles or ImagePair
        Files are read when their turn comes.
    scale, objectives, ratio
        See `register_images`.

    Raises
    ------
    PairError
        If these are no pairs.
    """
    if not isinstance(pairs, Iterable):
        raise PairError(
            f"This {type(pairs).__name__} is no list of pairs; give one, such as the `pairs` of "
            "what `match_folders` returns."
        )
    for each in pairs:
        if not isinstance(each, PairFiles | ImagePair):
            raise PairError(
                f"This {type(each).__name__} is no pair; give `PairFiles` or `ImagePair`, such as "
                "the `pairs` of what `match_folders` returns."
            )
        try:
            images = read_pair(each) if isinstance(each, PairFiles) else each
            found = register_images(images, scale=scale, objectives=objectives, ratio=ratio)
        except MdeblurganError as error:
            yield Outcome(each.name, None, str(error), isinstance(error, SwappedError))
        else:
            yield Outcome(each.name, found, swapped=found.registration.swapped)


def _squeezed(image: Micrograph) -> Micrograph:
    """Without axes of length 1 before y and x."""
    leading = image.axes.removesuffix("S").removesuffix("YX")
    kept = [axis for axis, length in zip(leading, image.data.shape, strict=False) if length > 1]
    index = tuple(slice(None) if axis in kept else 0 for axis in leading)
    axes = "".join(kept) + image.axes[len(leading) :]
    names = image.channel_names if "C" in axes or len(image.channel_names) == 1 else ()
    return replace(image, data=image.data[index], axes=axes, channel_names=names)
