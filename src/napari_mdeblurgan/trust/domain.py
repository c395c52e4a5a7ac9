"""Is an image one of those that a model has learned to restore? Looked at before any work is done, and said in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_mdeblurgan.model import ModelCard
from napari_mdeblurgan.restoration.intensity import Window, bounds
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.trust.blur import LARGEST_PX, blur_fit, measure_blur
from napari_mdeblurgan.trust.error_bar import Calibration
from napari_mdeblurgan.trust.noise import Noise, measure_noise
from napari_mdeblurgan.trust.samples import Place, normalised, rich_places

SHARP_PX = 0.45
SATURATED = 0.002
NOISE_SLACK = 1.2  # times the largest noise learned: what an estimate may be off by
BINS = (2, 3, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What an image is like, as far as it can be told without restoring it.

    Attributes
    ----------
    blur_sigma_px : float or None
        Standard deviation of the Gaussian that would blur as much, in pixels; None if there is nothing to see it by.
    noise : Noise
        In windows.
    noise_sigma : float
        Standard deviation of the noise at half brightness, in grey levels.
    noise_share : float
        The same in windows.
    saturated : float
        Share of the pixels looked at that are as bright as can be shown.
    ceiling : float
        The brightest that the camera can show, in windows.
    fits : bool
        Whether the image is in the model's domain.
    sentence : str
        That it is, or why it is not and what to do.
    """

    blur_sigma_px: float | None
    noise: Noise
    noise_sigma: float
    noise_share: float
    saturated: float
    ceiling: float
    fits: bool
    sentence: str


def examine(
    image: Any,
    plan: RestorationPlan,
    window: Window,
    card: ModelCard,
    calibration: Calibration | None = None,
    channel: int | None = None,
) -> Examination:
    """Look at a few places of an image, or of one of its channels.

    Parameters
    ----------
    image : array
        What the plan was made for; a lazy one is read at these places alone.
    plan : RestorationPlan
        From `make_plan`.
    window : Window
        Of the image, or of the channel.
    card : ModelCard
        Of the model that is to restore it.
    calibration : Calibration, optional
        Of the model; without it nothing is said of how much noise is too much.
    channel : int, optional
        Number of its window of intensity.
    """
    places = rich_places(image, plan, channel)
    parts = [normalised(place, image, plan, window) for place in places]
    span = float(window.high) - float(window.low) or 1.0
    step = 1 / span if plan.dtype.kind in "iu" else 0.0
    noise = measure_noise(parts, step)
    whole = [part.mean(axis=-1) for part in parts if np.isfinite(part).all()]
    blur = measure_blur(whole, noise.typical)
    saturated, ceiling = _saturation(image, places, plan, window)
    fits, sentence = judge(card, blur, noise.typical, saturated, calibration.noise_limit if calibration else None)
    return Examination(
        blur_sigma_px=blur,
        noise=noise,
        noise_sigma=noise.typical * span,
        noise_share=noise.typical,
        saturated=saturated,
        ceiling=ceiling,
        fits=fits,
        sentence=sentence,
    )


def judge(
    card: ModelCard, blur: float | None, noise: float, saturated: float, noise_limit: float | None
) -> tuple[bool, str]:
    """Whether an image fits a model, and the sentence that says so or says why not and what to do.

    Parameters
    ----------
    card : ModelCard
        Of the model.
    blur : float or None
        Standard deviation in pixels.
    noise, noise_limit : float, float or None
        Standard deviation in windows, and the largest that the model learned.
    saturated : float
        Share of the pixels.
    """
    if blur is None:
        return False, "There is too little detail above the noise to tell how blurred this image is: judge by eye."
    found = f"blur σ ≈ {_blur(blur)}"
    if card.blur_sigma_px is not None:
        low, high = card.blur_sigma_px
        learned = f"{card.name} learned {low:g}–{high:g} px"
        if blur > high + blur_fit().error_px:
            return (
                False,
                f"This image is more blurred than the model knows: {found}; {learned}. {_less_blur(blur, high)}",
            )
        found += f" ({learned})"
    if noise_limit is not None and noise > NOISE_SLACK * noise_limit:
        return False, (
            f"This image is noisier than the model knows: noise {noise:.0%} of the intensity range; {card.name} learned up to "
            f"{noise_limit:.0%}. Average several exposures, or bin the image 2×2 first."
        )
    if saturated > SATURATED:
        return False, (
            f"{saturated:.1%} of the pixels looked at are saturated: what was there cannot be restored. Expose less if you can. "
            f"Otherwise, {found}, noise {noise:.1%} of the intensity range."
        )
    if blur < SHARP_PX:
        return True, f"This image is already sharp: {found}. Expect more pixels, not more detail."
    if card.blur_sigma_px is None:
        return (
            True,
            f"What blur {card.name} learned is not on its card; this image: {found}, noise {noise:.1%} of its range.",
        )
    return True, f"This image is in the model's domain: {found}, noise {noise:.1%} of the intensity range."


def _blur(blur: float) -> str:
    return f"{blur:.1f} px" if blur < LARGEST_PX else f"{LARGEST_PX:.0f} px or more"


def _less_blur(blur: float, high: float) -> str:
    binning = next((n for n in BINS if blur / n <= high), None) if blur < LARGEST_PX else None
    advice = f"Bin it {binning}×{binning} first" if binning else "Take a sharper image"
    return f"{advice}, use a model for stronger blur, or fine-tune one on such images."


def _saturation(image: Any, places: Sequence[Place], plan: RestorationPlan, window: Window) -> tuple[float, float]:
    """Share of saturated pixels, and the ceiling in windows.

    The ceiling is the largest value of the type, or the largest there is where a good many pixels have it, as with 12 bits of 16.
    """
    if plan.dtype.kind not in "iu" or not places:
        return 0.0, float("inf")
    parts = [place.read(image, plan) for place in places]
    top = max(int(part.max()) for part in parts)
    share = float(np.mean([(part == top).mean() for part in parts]))
    largest = bounds(plan.dtype)[1]
    if top == largest or (share > SATURATED and top > window.low and top.bit_count() == top.bit_length()):
        return share, float(window.normalise(np.array([top], plan.dtype))[0])
    return 0.0, float("inf")
