"""What holds for the whole of an image and of its restoration, estimated once from a few places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_mdeblurgan.restoration.arrays import read
from napari_mdeblurgan.restoration.fitting import on_result
from napari_mdeblurgan.restoration.intensity import Window
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.stopping import look_up
from napari_mdeblurgan.trust.domain import Examination
from napari_mdeblurgan.trust.empty_areas import without_empty
from napari_mdeblurgan.trust.pieces import without_gaps
from napari_mdeblurgan.trust.psf import PointSpread, estimate_psf
from napari_mdeblurgan.trust.resolution import resolution_px
from napari_mdeblurgan.trust.samples import SamplePlace, normalised, rich_places


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """What holds for the whole image, or for one of its channels.

    Attributes
    ----------
    window : Window
    examination : Examination
        Of the input, noise included.
    psf : PointSpread
        From the restored image back to the input.
    resolution_before, resolution_after : float or None
        Period of the finest detail, in pixels of the input.
    """

    window: Window
    examination: Examination
    psf: PointSpread
    resolution_before: float | None
    resolution_after: float | None


def estimate_whole(
    image: Any,
    restored: Any,
    plan: RestorationPlan,
    window: Window,
    examination: Examination,
    channel: int | None = None,
) -> Estimate:
    """From a few places of an image and of its restoration, or of one channel, to what holds for
    all of it.
    """
    image = without_empty(image, examination.empty, rgb=plan.rgb)
    places = rich_places(image, plan, window, channel)
    blurred = [normalised(place, image, plan, window) for place in places]
    result = [_in_result(place, restored, plan, window) for place in places]
    for of_image, of_result in zip(blurred, result, strict=True):
        of_result[on_result(~np.isfinite(of_image), plan.factor)] = np.nan
    whole = [
        at
        for at, (b, r) in enumerate(zip(blurred, result, strict=True))
        if np.isfinite(b).all() and np.isfinite(r).all()
    ]
    used = whole or range(len(places))  # dead pixels all over the image leave none whole
    if not used:
        return Estimate(window, examination, PointSpread(np.ones((1, 1)), plan.factor), None, None)
    known = [blurred[at].mean(axis=-1) for at in used]
    fine = [without_gaps(result[at]).mean(axis=-1) for at in used]
    filled = [without_gaps(blurred[at]) for at in used]
    sigma = [examination.noise.sigma(part).mean(axis=-1) for part in filled]
    look_up()
    after = resolution_px(fine)
    return Estimate(
        window=window,
        examination=examination,
        psf=estimate_psf(fine, known, sigma, plan.factor, examination.blur.largest_px),
        resolution_before=resolution_px([part.mean(axis=-1) for part in filled]),
        resolution_after=None if after is None else after / plan.factor,
    )


def _in_result(
    place: SamplePlace, restored: Any, plan: RestorationPlan, window: Window
) -> np.ndarray:
    """The same place in the restored image: (y, x, colours) float32 in windows, NaN where it has no
    number.
    """
    f = plan.factor
    area = (
        slice((part.start - start) * f, (part.stop - start) * f)
        for part, (start, _) in zip((place.y, place.x), plan.region, strict=True)
    )
    block = read(restored, (*place.index, *area))
    return window.normalise_finite(plan.seen(block))
