"""Training pairs out of a focus stack: its planes are the blurred images, and what is sharp in any
of them is the truth.

A plane is learned from where it is out of focus and the all-in-focus image is not. To have a truth
of more pixels than the input, the input is the plane averaged over blocks, as a camera of larger
pixels would take it, but as noisy as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.fine_tuning.held_out import SMALLEST_PATCH
from napari_mdeblurgan.focus import followed, most_detailed
from napari_mdeblurgan.focus.energy import energies
from napari_mdeblurgan.focus.opening import open_stack, plane_files
from napari_mdeblurgan.focus.plane_registration import by_colour, channels_first, resampled
from napari_mdeblurgan.focus.stack import all_in_focus_steps
from napari_mdeblurgan.pairs.affine import corners, moved, reduction
from napari_mdeblurgan.pairs.many import Outcome
from napari_mdeblurgan.pairs.matching import unique
from napari_mdeblurgan.pairs.pair import MULTIPLE, RegisteredPair, Registration
from napari_mdeblurgan.pairs.structure import correlation
from napari_mdeblurgan.pairs.structure import plane as structure
from napari_mdeblurgan.restoration.binning import block_means
from napari_mdeblurgan.restoration.measuring import measured_windows
from napari_mdeblurgan.steps import finished
from napari_mdeblurgan.stopping import heeding, look_up
from napari_mdeblurgan.storage import Micrograph, open_image
from napari_mdeblurgan.storage.provenance import is_result
from napari_mdeblurgan.trust.noise import measure_noise

_SURE = 0.5  # confidence from which the all-in-focus image is held to be true
# times the energy of the detail, by which the truth is sharper than a plane that is out of focus
_CLEARLY = 1.25
_AROUND = 10.0  # pixels: σ of the Gaussian by which confidence and energy are averaged
_LEAST_SHARE = 0.005  # of a plane's field: where less is out of focus, nothing is learned from it
LEAST_SHARP = 0.01  # of the field: where less is sharp in any plane, there is no truth
_STILL = 0.05  # pixels: what moves by less at every corner is taken as it is
_COARSE = 8  # pixels along an edge that are one where brightness is compared
_EDGE = 4  # pixels at the edge of a plane that was moved, of which a spline knows nothing good
MOST_PLANES = 16  # of a stack; of more, evenly spaced ones are learned from
_LARGEST = 3072  # pixels along an edge; of a larger field the middle is learned from


@dataclass(frozen=True, slots=True, eq=False)
class _Truth:
    """What a stack holds, on the pixels of the reference plane.

    Attributes
    ----------
    name : str
        Of the stack.
    image : ndarray
        (channels, y, x) float32: the all-in-focus image in its own units.
    sure : ndarray
        (y, x) float32, 0 to 1: confidence, averaged.
    places : dict of int to tuple of ndarray
        For each plane that has one, and for each channel or colour: (3, 3), from its pixels to
        these.
    """

    name: str
    image: np.ndarray
    sure: np.ndarray
    places: dict[int, tuple[np.ndarray, ...]]


def stack_pairs(
    name: str, stack: Micrograph, *, scale: int = 2, registered: bool = False, ordered: bool = True
) -> list[Outcome]:
    """Make training pairs of the planes of a focus stack.

    Parameters
    ----------
    name : str
        Of the stack.
    stack : Micrograph
        Axes "ZYX", "ZYXS" (a fourth sample is left out) or "ZCYX"; see `focus.opening.open_stack`.
        Of several channels the one with most detail decides what is sharp.
    scale : {2, 4}
        Of the model that is to learn from it.
    registered : bool
        Whether the planes lie on each other already.
    ordered : bool
        Whether they come in the order of their depth.

    Returns
    -------
    list of Outcome
        What became of each plane, in their order.

    Raises
    ------
    ImageError
        In one sentence, if it is no focus stack that can be learned from.
    """
    if stack.restored:
        raise ImageError(
            f"{name} is a result of this program and no truth to learn from; take what the "
            "microscope has seen."
        )
    with _named(name):
        by_channel = _channels(name, stack)
        truth = _truth(name, by_channel, registered=registered, ordered=ordered)
        outcomes = list(_outcomes(by_channel, truth, scale))
    if not any(outcome.pair is not None for outcome in outcomes):
        raise ImageError(
            f"{name}: hardly any plane is clearly less sharp than another one anywhere, so there "
            "is nothing to learn from; take planes farther from focus."
        )
    return outcomes


def read_stack(path: Path) -> Micrograph:
    """A focus stack of a file or of a folder of planes, and whether it is a result of this program;
    see `open_stack`.

    Raises
    ------
    ImageError
        In one sentence, if that is no focus stack.
    FileError
        If something cannot be read.
    """
    with _named(path.name):
        restored = any(is_result(file) for file in plane_files([path]))
        return replace(open_stack([path]), restored=restored)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """What is wrong with an image is said with its name: there may be several."""
    try:
        yield
    except ImageError as error:
        if str(error).startswith(name):
            raise
        raise ImageError(f"{name}: {error}") from error


def stack_paths(paths: Sequence[Path]) -> list[Path]:
    """Files and folders of one stack each: of a folder of stacks its files, of a folder of planes
    the folder.

    Raises
    ------
    ImageError
        If a folder has no image in it.
    FileError
        If something cannot be read.
    """
    found: list[Path] = []
    for path in paths:
        files = plane_files([path])
        found += files if "Z" in open_image(files[0]).axes else [path]
    return found


def stack_names(paths: Sequence[Path]) -> list[str]:
    """What the stacks of files and folders are called: as these are, with a number behind those
    that come again.
    """
    return unique(
        [re.sub(r"\.ome$", "", path.stem if path.suffix else path.name) for path in paths]
    )


def _channels(name: str, stack: Micrograph) -> list[list[np.ndarray]]:
    """The planes of each channel in memory: (y, x), or one list of (y, x, 3); of a large field the
    middle.
    """
    if stack.axes not in ("ZYX", "ZYXS", "ZCYX"):
        raise ImageError(
            f"{name} has the axes {stack.axes}; save one stack through focus of it, with or "
            "without channels."
        )
    y = int("C" in stack.axes)
    planes = []
    for plane in stack.data:
        look_up()
        first = [max(0, (length - _LARGEST) // 2) for length in plane.shape[y : y + 2]]
        middle = tuple(slice(start, start + _LARGEST) for start in first)
        planes.append(np.asarray(plane[(slice(None),) * y + middle]))
    if "C" in stack.axes:
        return [[plane[number] for plane in planes] for number in range(len(planes[0]))]
    return [[plane[..., :3] if stack.rgb else plane for plane in planes]]


def _truth(
    name: str, by_channel: Sequence[Sequence[np.ndarray]], *, registered: bool, ordered: bool
) -> _Truth:
    decides = most_detailed(by_channel) if len(by_channel) > 1 else 0
    planes = by_channel[decides]
    steps = all_in_focus_steps(planes, registered=registered, ordered=ordered)
    found = finished(heeding(steps))
    joint = {index: place for index, place in enumerate(found.transforms) if place is not None}
    colours = planes[0].shape[-1] if planes[0].ndim == 3 else len(by_channel)
    places = {index: (place,) * colours for index, place in joint.items()}
    if planes[0].ndim == 3 and not registered:
        places = by_colour(planes, joint, found.image)
    sure = ndimage.gaussian_filter(found.confidence, _AROUND)
    if (sure >= _SURE).mean() < LEAST_SHARP:
        raise ImageError(
            f"{name}: nothing is sharp in any plane, so there is no truth to learn from; take "
            "planes nearer to focus."
        )
    images = [
        found.image if number == decides else followed(found, each)
        for number, each in enumerate(by_channel)
    ]
    return _Truth(name, np.concatenate([channels_first(image) for image in images]), sure, places)


def _common(truth: _Truth, shapes: Sequence[tuple[int, ...]]) -> tuple[slice, slice]:
    """The part of the reference that all planes show."""
    first, last = np.zeros(2), np.array(truth.sure.shape) - 1.0
    for index, (place, *_) in truth.places.items():
        own = corners(shapes[index])
        there = moved(place, own)
        edge = 0 if _still(place, own) else _EDGE
        first = np.maximum(first, np.stack([there[[0, 1], 0], there[[0, 3], 1]]).max(axis=1) + edge)
        last = np.minimum(last, np.stack([there[[2, 3], 0], there[[1, 2], 1]]).min(axis=1) - edge)
    start, stop = np.ceil(first - _STILL).astype(int), np.floor(last + _STILL).astype(int) + 1
    return slice(int(start[0]), int(stop[0])), slice(int(start[1]), int(stop[1]))


def _still(transform: np.ndarray, points: np.ndarray) -> bool:
    return bool(np.abs(moved(transform, points) - points).max() < _STILL)


def _outcomes(
    by_channel: Sequence[Sequence[np.ndarray]], truth: _Truth, scale: int
) -> Iterator[Outcome]:
    """What becomes of each plane."""
    shapes = [plane.shape[:2] for plane in by_channel[0]]
    box = _common(truth, shapes)
    size = _size(truth, box, shapes, scale)
    pairs = {}
    for index, (place, *_) in truth.places.items():
        look_up()
        planes = [each[index] for each in by_channel]
        pairs[index] = _pair(index, planes, _part(box, place, size, shapes[index]), truth, scale)
    rich = [index for index, pair in pairs.items() if pair.valid.mean() >= _LEAST_SHARE]
    kept = {rich[round(at)] for at in np.linspace(0, len(rich) - 1, min(len(rich), MOST_PLANES))}
    for index in range(len(shapes)):
        name = f"{truth.name}, plane {index + 1}"
        if index not in truth.places:
            yield Outcome(name, None, "It shows no place of the other planes and is left out.")
        elif index not in rich:
            yield Outcome(
                name,
                None,
                "Hardly any other plane is clearly sharper anywhere; nothing is learned from it.",
            )
        elif index not in kept:
            yield Outcome(
                name,
                None,
                f"The stack has more planes than the {MOST_PLANES} that are learned from.",
            )
        else:
            yield Outcome(name, pairs[index])


def _size(
    truth: _Truth, box: tuple[slice, slice], shapes: Sequence[tuple[int, ...]], scale: int
) -> tuple[int, int]:
    """(y, x) of the part of each plane that is learned from, multiples of what
    the network needs.
    """
    common = [max(0, span.stop - span.start) for span in box]
    own = zip(*(shapes[index] for index in truth.places), strict=True)
    whole = MULTIPLE * scale
    y, x = (min(length, *each) // whole * whole for length, each in zip(common, own, strict=True))
    least = SMALLEST_PATCH * scale
    if min(y, x) < least or max(y, x) < 3 * least:
        raise ImageError(
            f"{truth.name}: the planes share {common[0]} × {common[1]} pixels, too few to learn "
            f"from one end and judge by the other; {least} × {3 * least} are needed."
        )
    return y, x


def _part(
    box: tuple[slice, slice], place: np.ndarray, size: tuple[int, int], shape: tuple[int, ...]
) -> tuple[slice, slice]:
    """The part of a plane that, but for its magnification, shows what the parts
    of the others show.
    """
    middle = np.array([(span.start + span.stop - 1) / 2 for span in box])
    first = moved(np.linalg.inv(place), middle) - (np.array(size) - 1) / 2
    y, x = (
        int(np.clip(round(at), 0, n - length))
        for at, n, length in zip(first, shape, size, strict=True)
    )
    return slice(y, y + size[0]), slice(x, x + size[1])


def _laid(image: np.ndarray, place: np.ndarray, part: tuple[slice, slice]) -> np.ndarray:
    """(y, x) of the reference on the pixels of a part of a plane; float32."""
    if _still(place, corners(image.shape)) and all(
        n >= span.stop for n, span in zip(image.shape, part, strict=True)
    ):
        return image[part]
    start = np.eye(3)
    start[:2, 2] = [span.start for span in part]
    return resampled(
        image, place @ start, (part[0].stop - part[0].start, part[1].stop - part[1].start)
    )


def _pair(
    index: int, planes: Sequence[np.ndarray], part: tuple[slice, slice], truth: _Truth, scale: int
) -> RegisteredPair:
    """One plane, (y, x) or (y, x, 3) of each channel, as a camera of larger pixels would take it,
    and what is true of it.
    """
    rgb = planes[0].ndim == 3
    windows = [
        window for plane in planes for window in measured_windows(plane, rgb) * (3 if rgb else 1)
    ]
    seen = np.concatenate([channels_first(plane[part]) for plane in planes])
    places = truth.places[index]
    laid = [_laid(image, place, part) for image, place in zip(truth.image, places, strict=True)]
    gains = [_gain(*each) for each in zip(laid, seen, strict=True)]
    own = np.stack([window.normalise(image) for image, window in zip(seen, windows, strict=True)])
    high = np.stack(
        [
            window.normalise(gain * image)
            for image, gain, window in zip(laid, gains, windows, strict=True)
        ]
    )
    sure = _laid(truth.sure, places[0], part)
    valid = (sure >= _SURE) & (_energy(high) > _CLEARLY * _energy(own))
    steps = [
        1 / ((window.high - window.low) or 1) if planes[0].dtype.kind in "ui" else 0.0
        for window in windows
    ]
    low = coarser(own.astype(np.float32), scale, steps=steps, seed=index)
    shape = low.shape[1], low.shape[2]
    found = Registration(
        transform=np.linalg.inv(reduction(scale)),
        kind="similarity",
        accepted=True,
        score=_alike(low, high, valid, scale),
        agreement=1.0,
        uniqueness=np.inf,
        residual_px=0.0,
        blur_px=0.0,
        gain=tuple(gains),
        offset=(0.0,) * len(gains),
        overlap=1.0,
        warnings=(
            f"{100 * valid.mean():.0f} % of its field is clearly sharper in other planes and is "
            "learned from.",
        ),
    )
    return RegisteredPair(
        name=f"{truth.name}, plane {index + 1}",
        low=low,
        high=np.ascontiguousarray(high, np.float32),
        valid=valid,
        scale=scale,
        rgb=rgb,
        windows=tuple(windows),
        low_crop=(slice(0, shape[0]), slice(0, shape[1])),
        high_crop=part,
        low_shape=shape,
        high_shape=(truth.sure.shape[0], truth.sure.shape[1]),
        registration=found,
        stack=truth.name,
    )


def _gain(truth: np.ndarray, plane: np.ndarray) -> float:
    """By which the truth is made as bright as a plane: least squares of what is left at an eighth
    of the pixels.
    """
    one, other = (
        block_means(each.astype(np.float64), binning=_COARSE, y=0) for each in (truth, plane)
    )
    power = float((one**2).sum())
    gain = float((one * other).sum()) / power if power > 0 else 1.0
    return gain if gain > 0 else 1.0


def _energy(image: np.ndarray) -> np.ndarray:
    """Energy of the fine detail around every pixel of (channels, y, x), all channels together,
    beyond what is noise; (y, x).
    """
    found = np.zeros(image.shape[1:], np.float32)
    for channel in image:
        plane = channel.astype(np.float32)
        variance = measure_noise([plane[..., None]]).typical ** 2
        found += ndimage.gaussian_filter(energies(plane, variance)[0][0], _AROUND)
    return found


def coarser(plane: np.ndarray, factor: int, *, steps: Sequence[float], seed: int) -> np.ndarray:
    """A plane as a camera would take it whose pixels are larger, but as noisy as it is.

    Means over blocks have less noise. What is lacking is measured in both, as a straight line over
    brightness, and added.

    Parameters
    ----------
    plane : ndarray
        (channels, y, x) float32, normalised; y and x multiples of `factor`.
    factor : int
        Pixels along an edge that become one.
    steps : sequence of float
        Of each channel, between neighbouring grey levels; 0 for real numbers.
    seed : int
        Of the noise that is added.

    Returns
    -------
    ndarray
        (channels, y / factor, x / factor) float32.
    """
    means = block_means(plane, binning=factor, y=1)
    random = np.random.default_rng(seed)
    for channel, fine, step in zip(means, plane, steps, strict=True):
        before, after = (
            measure_noise([each[..., None]], least)
            for each, least in ((fine, step), (channel, 0.0))
        )
        lacking = np.maximum(
            before.sigma(channel[..., None]) ** 2 - after.sigma(channel[..., None]) ** 2, 0
        )[..., 0]
        channel += np.sqrt(lacking) * random.standard_normal(channel.shape, np.float32)
    return means


def _alike(low: np.ndarray, high: np.ndarray, valid: np.ndarray, scale: int) -> float:
    """Correlation of the structures of a plane and its truth, 0 to 1, where it is learned from."""
    sharp = block_means(high, binning=scale, y=1)
    there = block_means(valid, binning=scale, y=0)
    return max(0.0, correlation(structure(low) * there, structure(sharp) * there))
