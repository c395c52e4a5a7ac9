"""From images to what can be judged: an input, the truth on the grid of its own or twice the
pixels, and where it counts.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_mdeblurgan.before_after import middle_plane
from napari_mdeblurgan.errors import ImageError, MdeblurganError
from napari_mdeblurgan.evaluation.real.measures import greyed
from napari_mdeblurgan.evaluation.real.sets import RealImage, RealSet
from napari_mdeblurgan.evaluation.real.sharpest import CLEARLY, local_energy
from napari_mdeblurgan.focus import plane_registration
from napari_mdeblurgan.pairs.affine import corners, moved, reduction
from napari_mdeblurgan.pairs.magnification import pixel_size_um
from napari_mdeblurgan.restoration.binning import block_means
from napari_mdeblurgan.restoration.colourless import is_colourless
from napari_mdeblurgan.storage import open_image

CASE_BORDER = 8  # pixels of the truth that are left out on every side
LEAST_JUDGED = 0.01  # of the field: less says nothing about it
_WHOLE = 4  # edges are multiples of it, so that an image can be halved twice
_SMALLEST = 64
LARGEST_RATIO = 4.0
EQUAL = (
    1.05  # pixels of the sharper image for one of the other: up to here they are held to be equal
)
_STILL = 0.05  # pixels: what moves by less at every corner is left as it is


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One image to be restored, and what it is compared with.

    Attributes
    ----------
    set_name, name : str
        Of the set, and of the image's file.
    defocus : float or None
        Distance from focus, where it is known.
    unit : str
        Of the distance.
    image : ndarray
        (y, x) or (y, x, 3), in the type of the file: what methods are given.
    truth : ndarray
        (factor · y, factor · x) or with colours, float32, in units of the file; `factor` is 2, or 1
        for images of equal pixels.
    judged : ndarray
        bool, (y, x) of the truth.
    peak : float
        Range of grey values that errors are measured against.
    """

    set_name: str
    name: str
    defocus: float | None
    unit: str
    image: np.ndarray
    truth: np.ndarray
    judged: np.ndarray
    peak: float

    @property
    def colour(self) -> bool:
        """Whether the image is RGB."""
        return self.image.ndim == 3

    @property
    def share(self) -> float:
        """Share of the field that is judged."""
        return float(self.judged.mean())


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An image that cannot be judged by.

    Attributes
    ----------
    name : str
        Of the image's file.
    why : str
        The rest of a sentence, with its full stop.
    """

    name: str
    why: str


def cases(real: RealSet, only: Collection[str] | None = None) -> Iterator[Case | LeftOut]:
    """What can be judged in a set: one case for each image, or why there is none.

    Parameters
    ----------
    real : RealSet
        From `find_sets`.
    only : collection of str, optional
        Names of images; the others are passed over.

    Raises
    ------
    MdeblurganError
        If an image cannot be read.
    """
    yield from _of_series(real, only) if real.truth is None else _of_pairs(real, real.truth, only)


def count(real: RealSet) -> int:
    """How many of them there are."""
    return len(real.images) - (real.truth is None and real.description.in_focus is not None)


def read_plane(path: Path) -> np.ndarray:
    """One image: (y, x), or (y, x, 3) where its colours differ; of a stack the middle plane.

    Raises
    ------
    MdeblurganError
        If it cannot be read or is too small.
    """
    data = np.asarray(middle_plane(open_image(path)))
    if data.ndim == 3:
        data = data[..., 0] if is_colourless(data) else data[..., :3]
    if min(data.shape[:2]) < _SMALLEST:
        raise ImageError(
            f"{path} has {data.shape[0]} × {data.shape[1]} pixels, too few to be judged by."
        )
    if data.dtype.kind not in "uif" or not np.isfinite(data).all():
        raise ImageError(f"{path} has values that are no finite numbers; take it out of the set.")
    return np.ascontiguousarray(data)


def binned_by_camera(image: np.ndarray, factor: int = 2) -> np.ndarray:
    """Means over blocks of factor × factor pixels, in the image's own type, as a camera would bin
    them.
    """
    return block_means(image, binning=factor, y=0)


@dataclass(frozen=True, slots=True, eq=False)
class _Series:
    """The planes of a focus series, laid on each other."""

    planes: tuple[np.ndarray, ...]
    energies: tuple[np.ndarray, ...]  # (y, x) of each plane
    places: tuple[np.ndarray | None, ...]  # from the pixels of each to those of the reference
    reference: int


@functools.lru_cache(maxsize=1)
def _laid_on_each_other(
    files: tuple[tuple[Path, int], ...], focus: int | None, *, registered: bool
) -> _Series:
    """Read planes and find how they lie; kept, for one series is often judged in several ways.

    Parameters
    ----------
    files : tuple of (Path, int)
        Of the planes, and when they were changed.
    focus : int or None
        Which of them is in focus; None for the one with most energy.
    registered : bool
        Whether they lie on each other already.
    """
    planes = [read_plane(path) for path, _ in files]
    if len({plane.ndim for plane in planes}) > 1:
        planes = [greyed(plane).astype(plane.dtype) for plane in planes]
    energies = [local_energy(plane) for plane in planes]
    strengths = [float(energy.mean()) for energy in energies]
    reference = int(np.argmax(strengths)) if focus is None else focus
    places = (
        [np.eye(3)] * len(planes)
        if registered
        else plane_registration.series(planes, strengths, reference)
    )
    return _Series(tuple(planes), tuple(energies), tuple(places), reference)


def _of_series(real: RealSet, only: Collection[str] | None) -> Iterator[Case | LeftOut]:
    description = real.description
    numbers = [each.number for each in real.images]
    known = description.in_focus is not None
    focus = numbers.index(description.in_focus) if known else None
    files = tuple((each.path, each.path.stat().st_mtime_ns) for each in real.images)
    found = _laid_on_each_other(files, focus, registered=description.registered)
    for index, each in enumerate(real.images):
        if (known and index == found.reference) or (only is not None and each.name not in only):
            continue
        place = found.places[index]
        if place is None:
            yield LeftOut(each.name, "it shows no place of the others that stands out.")
            continue
        others = (
            [found.reference]
            if known
            else [other for other in range(len(numbers)) if other != index]
        )
        there = {
            other: np.linalg.inv(at) @ place
            for other in others
            if (at := found.places[other]) is not None
        }
        truth, judged = _sharpest(index, found, there, known=known)
        case = _case(
            real,
            each,
            _distance(each, numbers[found.reference]),
            found.planes[index],
            truth,
            judged,
        )
        if case.share < LEAST_JUDGED:
            yield LeftOut(each.name, "hardly any other plane is clearly sharper anywhere.")
        else:
            yield case


def _sharpest(
    index: int, found: _Series, there: dict[int, np.ndarray], *, known: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The sharpest of other planes at every place of one, and where it is clearly sharper; anywhere
    if that is `known`.
    """
    plane = found.planes[index]
    shape = plane.shape[0], plane.shape[1]
    best = np.full(shape, -1.0)
    truth = np.zeros(plane.shape, np.float32)
    for other, transform in there.items():
        sharper, energy = found.planes[other].astype(np.float32), found.energies[other]
        seen = np.ones(shape, bool)
        if sharper.shape != plane.shape or not _still(transform, shape):
            seen = plane_registration.shown_pixels(
                transform, shape, (sharper.shape[0], sharper.shape[1])
            )
            energy = plane_registration.resampled(energy, transform, shape).astype(np.float64)
            sharper = plane_registration.resampled(sharper, transform, shape)
        better = seen & (energy > best)
        best[better] = energy[better]
        truth[better] = sharper[better]
    return truth, best >= 0 if known else best > CLEARLY * found.energies[index]


def _still(transform: np.ndarray, shape: tuple[int, int]) -> bool:
    return bool(np.abs(moved(transform, corners(shape)) - corners(shape)).max() < _STILL)


def _distance(image: RealImage, focus: float | None) -> float | None:
    return None if image.number is None or focus is None else image.number - focus


def _of_pairs(
    real: RealSet, truth_path: Path, only: Collection[str] | None
) -> Iterator[Case | LeftOut]:
    description = real.description
    whole = read_plane(truth_path)
    for each in real.images:
        if only is not None and each.name not in only:
            continue
        image, other = read_plane(each.path), whole
        if image.ndim != other.ndim:
            image, other = (
                greyed(one).astype(one.dtype) if one.ndim == 3 else one for one in (image, other)
            )
        try:
            ratio = (
                _ratio(each.path, truth_path) if description.ratio is None else description.ratio
            )
            truth, judged = _on_grid(image, other, ratio, registered=description.registered)
        except MdeblurganError as error:
            yield LeftOut(each.name, str(error))
            continue
        case = _case(real, each, each.number, image, truth, judged)
        if case.share < LEAST_JUDGED:
            yield LeftOut(each.name, "the two images hardly overlap.")
        else:
            yield case


def _ratio(path: Path, sharper: Path) -> float:
    """Pixels of the sharper image for one of the other, by the pixel sizes that the files say; 1
    where they say none.

    Raises
    ------
    ImageError
        If it is none that can be judged by.
    """
    sizes = [pixel_size_um(open_image(each)) for each in (path, sharper)]
    if sizes[0] is None or sizes[1] is None:
        return 1.0
    ratio = sizes[0] / sizes[1]
    if not 1 / EQUAL <= ratio <= LARGEST_RATIO:
        raise ImageError(
            f"its pixels are {ratio:.3g} times those of the sharper image; 1 to {LARGEST_RATIO:g} "
            "can be used."
        )
    return max(ratio, 1.0)


def _on_grid(
    image: np.ndarray, sharper: np.ndarray, ratio: float, *, registered: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The sharper image of a pair on the pixels of the other, or on twice as many if it has more;
    and where it shows anything.
    """
    factor = 1 if ratio <= EQUAL else 2
    shape = image.shape[0] * factor, image.shape[1] * factor
    if registered:
        if sharper.shape[:2] != shape:
            sizes = [" × ".join(map(str, each)) for each in (sharper.shape[:2], shape)]
            raise ImageError(
                f"the sharper image has {sizes[0]} pixels where {sizes[1]} belong to it; say "
                "registered = false."
            )
        return sharper.astype(np.float32), np.ones(shape, bool)
    transform = plane_registration.onto(image, sharper, ratio=ratio) @ reduction(factor)
    return (
        plane_registration.resampled(sharper, transform, shape),
        plane_registration.shown_pixels(transform, shape, (sharper.shape[0], sharper.shape[1])),
    )


def _case(
    real: RealSet,
    image: RealImage,
    distance: float | None,
    plane: np.ndarray,
    truth: np.ndarray,
    judged: np.ndarray,
) -> Case:
    description = real.description
    binning = 2 if (real.truth is None if description.binned is None else description.binned) else 1
    height, width = (length // _WHOLE * _WHOLE for length in plane.shape[:2])
    factor = truth.shape[0] // plane.shape[0]
    part = slice(0, height * factor), slice(0, width * factor)
    inner = np.zeros((height * factor, width * factor), bool)
    inner[CASE_BORDER:-CASE_BORDER, CASE_BORDER:-CASE_BORDER] = True
    kept = truth[part]
    return Case(
        set_name=real.name,
        name=image.name,
        defocus=distance if description.unit else None,
        unit=description.unit,
        image=binned_by_camera(plane[:height, :width], binning)
        if binning > 1
        else plane[:height, :width],
        truth=kept,
        judged=judged[part] & inner,
        peak=255.0
        if plane.dtype == np.uint8
        else float(np.subtract(*np.percentile(kept, (99.9, 0.1)))),
    )
