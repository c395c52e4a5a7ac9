"""Pairs of files that hold several images each: which image of one belongs to
which of the other.
"""

from __future__ import annotations

from collections.abc import Iterable

from napari_mdeblurgan.pairs.pair import Matched, PairError, PairFiles
from napari_mdeblurgan.storage import FileImage, listed_images


def image_pairs(pairs: Iterable[PairFiles], left_out: Iterable[str] = ()) -> Matched:
    """The pairs of images in pairs of files: those of one name, or else in their order where both
    files hold as many.

    Parameters
    ----------
    pairs : iterable of PairFiles
        Files, of which an image may be named.
    left_out : iterable of str
        What has been left out already.

    Raises
    ------
    PairError
        If no two images can be told to belong together.
    """
    found: list[PairFiles] = []
    sentences = list(left_out)
    for pair in pairs:
        low, high = (
            listed_images(pair.low, pair.low_image),
            listed_images(pair.high, pair.high_image),
        )
        if len(low) == len(high) == 1:
            found.append(_pair(pair.name, low[0], high[0]))
            continue
        matched = _matched(low, high)
        found += [_pair(f"{pair.name} {one.name}", one, other) for one, other in matched]
        sentences += _unmatched(pair, low, high, matched)
    if not found:
        raise PairError(sentences[0])
    return Matched(tuple(found), tuple(sentences))


def _matched(
    low: tuple[FileImage, ...], high: tuple[FileImage, ...]
) -> list[tuple[FileImage, FileImage]]:
    named = {each.name: each for each in high}
    return [(each, named[each.name]) for each in low if each.name in named] or (
        list(zip(low, high, strict=True)) if len(low) == len(high) else []
    )


def _unmatched(
    pair: PairFiles,
    low: tuple[FileImage, ...],
    high: tuple[FileImage, ...],
    matched: list[tuple[FileImage, FileImage]],
) -> list[str]:
    """A sentence for each image without a partner, or one for both files where there is no pair at
    all.
    """
    if not matched:
        return [
            f"{pair.low} holds {_count(low)} and {pair.high} {_count(high)}, and neither their "
            "names nor their order tell which belong together; save each as a file of its own."
        ]
    taken = {each for couple in matched for each in couple}
    sides = ((low, pair.high), (high, pair.low))
    return [
        f"{each} has no namesake in {other}."
        for side, other in sides
        for each in side
        if each not in taken
    ]


def _count(images: tuple[FileImage, ...]) -> str:
    return f"{len(images)} images" if len(images) > 1 else "1 image"


def _pair(name: str, low: FileImage, high: FileImage) -> PairFiles:
    return PairFiles(name, low.path, high.path, low.image, high.image)
