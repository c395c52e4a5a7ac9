"""One pair from start to end: checked, found, refined, judged, cut out."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from napari_mdeblurgan.pairs.affine import affine
from napari_mdeblurgan.pairs.channel_order import (
    NAMES_DIFFER,
    channel_fits,
    in_the_order_of,
    other_order,
    unlike_channels,
)
from napari_mdeblurgan.pairs.cutting import Channels, cut_pair, intensities, overlap_of
from napari_mdeblurgan.pairs.found import (
    SHARPER_IS_LOW,
    SWAPPED,
    TOO_LITTLE,
    look,
    look_at_the_same_size,
    misplaced,
    sharper_one_is_low,
)
from napari_mdeblurgan.pairs.magnification import check_scale, is_same, known, magnification
from napari_mdeblurgan.pairs.pair import (
    ImagePair,
    PairError,
    RegisteredPair,
    Registration,
    SwappedError,
)
from napari_mdeblurgan.pairs.refine import SMALLEST, seen
from napari_mdeblurgan.pairs.structure import plane, without_hot_pixels
from napari_mdeblurgan.restoration.arrays import as_array
from napari_mdeblurgan.storage import Micrograph
from napari_mdeblurgan.storage.lost_arrays import check_not_lost

UNCERTAIN = 0.25  # low-resolution pixels: a larger error is mentioned
_SHARE = 0.5  # of the high-magnification image: a smaller overlap is mentioned
_TINY = 48  # low-resolution pixels along an edge: a smaller overlap is mentioned
_SATURATED = 0.02
SAME_IMAGE = (
    "both are the same image, pixel by pixel, and nothing can be learned from that; take the sharp "
    "one by the stronger objective, or in focus."
)
SAME_SIZE = "Both images have pixels of the same size, as their registration shows."


def register_images(
    pair: ImagePair,
    *,
    scale: int = 2,
    objectives: tuple[float, float] | None = None,
    ratio: float | None = None,
) -> RegisteredPair:
    """Lay the high-magnification image of a pair on the low-magnification one, judge it, and cut
    out what both show.

    Parameters
    ----------
    pair : ImagePair
        The images.
    scale : {2, 4}
        Of the model that is to learn from it. Images whose pixels are of the same size are laid out
        as they are, at 1.
    objectives, ratio
        For images whose files say no pixel size, see `magnification`. Where the two do not fit so,
        but do with pixels of the same size, that is taken.

    Returns
    -------
    RegisteredPair
        Accepted or not: its registration says which, and why.

    Raises
    ------
    PairError
        If the images cannot make a pair: a result of this program as the sharp one, one image given
        twice, other axes, no contrast, swapped, no overlap to speak of, many more pixels than a
        model of `scale` makes.
    """
    if scale not in (2, 4):
        raise ValueError(f"scale must be 2 or 4, got {scale}")
    pair = replace(pair, low=_in_memory(pair.low, pair.name), high=_in_memory(pair.high, pair.name))
    if pair.high.restored:
        raise PairError(
            f"{pair.name}: the high-magnification image is a result of this program and no truth "
            "to learn from; take what the stronger objective has seen."
        )
    stored, pair = pair.high, replace(pair, high=in_the_order_of(pair.low, pair.high))
    given = magnification(pair, objectives, ratio)
    check_scale(given, scale, pair.name)
    low, high = _channels(pair.low, pair.name), _channels(pair.high, pair.name)
    if len(low.values) != len(high.values) or pair.low.rgb != pair.high.rgb:
        kinds = [_kind(image) for image in (pair.low, pair.high)]
        raise PairError(
            f"{pair.name}: one image is {kinds[0]}, the other {kinds[1]}; take both in the same "
            "way."
        )
    if np.array_equal(low.values, high.values):
        raise PairError(f"{pair.name}: {SAME_IMAGE}")
    high = _but_hot_pixels(high)
    planes = _plane(low, "low", pair.name), _plane(high, "high", pair.name)
    found = look(*planes, given)
    warnings: list[str] = []
    if (
        (found is None or found.reasons)
        and not is_same(given)
        and ratio is None
        and not known(pair)
    ):
        same = look_at_the_same_size(*planes)
        if same is not None:
            found, given = same, 1.0
            warnings.append(SAME_SIZE)
    if found is None:
        hint = misplaced(*planes, given)
        kind = SwappedError if hint == SWAPPED else PairError
        raise kind(f"{pair.name}: {hint or TOO_LITTLE}")
    fit = found.alignment.fit
    both = overlap_of(low.values, high, fit.transform, fit.blur)
    gain, offset = intensities(both)
    registration = Registration(
        transform=fit.transform,
        kind=found.alignment.kind,
        accepted=True,
        score=float(np.clip(found.evidence.correlation, 0, 1)),
        agreement=found.evidence.agreement,
        uniqueness=found.alignment.uniqueness,
        residual_px=fit.residual,
        blur_px=fit.blur,
        gain=gain,
        offset=offset,
        overlap=_overlap(fit.transform, low.values.shape[1:], high.values.shape[1:]),
    )
    reasons = found.reasons
    if not reasons and len(gain) > 1:
        fits = channel_fits(both)
        wrong = other_order(fits)
        if wrong and pair.high is not stored:
            wrong = NAMES_DIFFER
        reasons = tuple(filter(None, [wrong]))
        warnings += [] if pair.low.rgb or reasons else unlike_channels(fits, pair.low.channel_names)
    if not reasons and min(gain) <= 0:
        reasons = (
            "What is bright in one image is dark in the other; take both with the same contrast "
            "method.",
        )
    if not reasons and is_same(given) and sharper_one_is_low(*planes, found):
        reasons = (SHARPER_IS_LOW,)
    elif found.reasons and (hint := misplaced(*planes, given)):
        reasons = (hint, *reasons)
    swapped = reasons[:1] in ((SWAPPED,), (SHARPER_IS_LOW,))
    registration = replace(registration, accepted=not reasons, reasons=reasons, swapped=swapped)
    registered = cut_pair(pair, low.values, high, registration, 1 if is_same(given) else scale)
    if registered is None:
        kind = SwappedError if swapped else PairError
        apart = "the two images hardly overlap; take them closer together."
        raise kind(f"{pair.name}: {reasons[0] if reasons else apart}")
    warnings += _warnings(registered, pair)
    return replace(
        registered,
        registration=replace(registration, warnings=tuple(warnings)),
        truth=_digest(high.values),
        source=_digest(low.values),
    )


def _digest(values: np.ndarray) -> str:
    return hashlib.blake2b(values.data, digest_size=16).hexdigest()


def _in_memory(image: Micrograph, name: str) -> Micrograph:
    """The same with its pixels as numpy has them; those that are masked are NaN.

    Raises
    ------
    PairError
        If it is an array alone.
    """
    if not isinstance(image, Micrograph):
        raise PairError(
            f"{name}: this {type(image).__name__} does not say what its axes are; pass it as one "
            'that does, as in `Micrograph(array, "YX")`.'
        )
    source = as_array(image.data)
    pixels = np.asarray(source)
    check_not_lost(pixels, source)
    return replace(image, data=pixels)


def _channels(image: Micrograph, name: str) -> Channels:
    """The channels of one plane, as float32; what is not finite becomes the median.

    Raises
    ------
    PairError
        If it is a stack, or not of real numbers.
    """
    if image.axes not in ("YX", "YXS", "CYX"):
        raise PairError(
            f"{name}: {image.name or 'an image'} is a stack ({image.axes}); take one plane of it."
        )
    data = image.data
    if data.dtype.kind not in "buif":
        raise PairError(
            f"{name}: {image.name or 'an image'} has pixels of type {data.dtype}; save it with "
            "real numbers."
        )
    values = (
        np.moveaxis(data[..., :3], -1, 0) if image.rgb else data if data.ndim == 3 else data[None]
    )
    values = np.ascontiguousarray(values, np.float32)
    known = np.isfinite(values).all(axis=0)
    if not known.all():
        finite = values[np.isfinite(values)]
        values = np.where(
            np.isfinite(values), values, np.median(finite) if finite.size else 0
        ).astype(np.float32)
    return Channels(values, known)


def _but_hot_pixels(high: Channels) -> Channels:
    """The image to learn from, without its hot pixels."""
    return Channels(np.stack([without_hot_pixels(each) for each in high.values]), high.known)


def _kind(image: Micrograph) -> str:
    if image.rgb:
        return "colour"
    return "grey" if image.channels == 1 else f"of {image.channels} channels"


def _plane(image: Channels, side: str, name: str) -> np.ndarray:
    if min(image.values.shape[1:]) < SMALLEST:
        size = " × ".join(map(str, image.values.shape[1:]))
        raise PairError(f"{name}: the {side}-magnification image is too small ({size} pixels).")
    structure = plane(image.values)
    if not structure.any():
        raise PairError(
            f"{name}: the {side}-magnification image is empty: all its pixels have the same value."
        )
    return structure


def _overlap(transform: np.ndarray, low: tuple[int, ...], high: tuple[int, ...]) -> float:
    """Share of the high-magnification image that lies within the other."""
    step = max(1, max(high) // 256)
    grid = affine(np.eye(2) * step, np.zeros(2), np.zeros(2))
    where = slice(0, -(-high[0] // step)), slice(0, -(-high[1] // step))
    return float(seen(np.linalg.inv(transform) @ grid, where, low, -0.5).mean())


def _warnings(pair: RegisteredPair, images: ImagePair) -> list[str]:
    warnings = []
    registration = pair.registration
    if registration.accepted and registration.residual_px > UNCERTAIN:
        warnings.append(
            f"The place may be off by {registration.residual_px:.2g} low-resolution pixels."
        )
    if registration.overlap < _SHARE:
        warnings.append(
            f"Only {100 * registration.overlap:.0f} % of the high-magnification image lies within "
            "the other."
        )
    if min(pair.low.shape[1:]) < _TINY:
        size = " × ".join(map(str, pair.low.shape[1:]))
        warnings.append(f"The overlap is tiny: {size} low-resolution pixels.")
    for side, image, crop in (
        ("low", images.low, pair.low_crop),
        ("high", images.high, pair.high_crop),
    ):
        share = saturated(image, crop)
        if share > _SATURATED:
            warnings.append(
                f"{100 * share:.0f} % of the {side}-magnification image is saturated there; "
                "expose it less."
            )
    if registration.ratio < 0.75 * pair.scale:
        warnings.append(
            f"The high-magnification image has only {registration.ratio:.2g} pixels for one of the "
            f"other, too few to teach a ×{pair.scale} model its finest detail."
        )
    return warnings


def saturated(image: Micrograph, crop: tuple[slice, slice]) -> float:
    """Share of the pixels of a part that are at the camera's limit in any channel; 0 for floating
    point.

    The limit is what the type can hold, or the image's largest value where so many pixels have it
    that it can be nothing else.
    """
    data = image.data
    if data.dtype.kind not in "iu":
        return 0.0
    colours = (
        data[..., :3]
        if image.rgb
        else np.moveaxis(data, 0, -1)
        if data.ndim == 3
        else data[..., None]
    )
    largest = colours.max()
    at = (colours[crop] == largest).any(axis=-1)
    below = (colours[crop] == largest - 1).any(axis=-1)
    limited = largest == np.iinfo(data.dtype).max or at.sum() > 4 * below.sum() + 8
    return float(at.mean()) if limited else 0.0
