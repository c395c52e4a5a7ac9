"""Is an image one of those that a model has learned to restore? Looked at before any work is done,
and said in a sentence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_mdeblurgan.model import ModelCard, list_models
from napari_mdeblurgan.restoration.intensity import Window, bounds
from napari_mdeblurgan.restoration.jpeg import was_jpeg
from napari_mdeblurgan.restoration.measuring import measured_windows
from napari_mdeblurgan.restoration.plan import RestorationPlan, make_plan
from napari_mdeblurgan.restoration.read_in_turn import read_in_turn
from napari_mdeblurgan.stopping import look_up
from napari_mdeblurgan.trust.blur import LARGEST_PX
from napari_mdeblurgan.trust.compression import compression_loss
from napari_mdeblurgan.trust.defocus import FieldBlur, field_blur, sampled_sigmas
from napari_mdeblurgan.trust.empty_areas import empty_level, without_empty
from napari_mdeblurgan.trust.error_bar import ErrorCalibration, error_calibration
from napari_mdeblurgan.trust.noise import Noise, measure_coarse_noise, measure_noise
from napari_mdeblurgan.trust.samples import SamplePlace, grey, normalised, rich_places
from napari_mdeblurgan.trust.spectrum import nothing_finer

_SATURATED = 0.002
NINE_OF_TEN = 1.645  # standard deviations of a Gaussian, to both sides
NOISE_SLACK = 1.2  # times the largest noise learned: what an estimate may be off by
BINS = (2, 3, 4)
SOME, NEARLY_ALL = 0.1, 0.95  # of what can be judged
_MOST = 0.5
_FEW = 0.005
HALVE = (
    " Most of it shows nothing finer than two of its pixels: {}halve it first (Halve first, or "
    "--bin 2); the result then has the pixels that the image has."
)
IF_SOFT = "if its specimen looks so in focus, too, "
KNOWS_STRONG_PX = 4.0  # a model that learned so much takes what is soft for blur


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What an image is like, as far as it can be told without restoring it.

    Attributes
    ----------
    blur : FieldBlur
        How much of the field is blurred, and how much.
    noise : Noise
        In windows.
    grey_noise : Noise
        Of the mean of the colours, as coarser structures meet it; see `measure_coarse_noise`.
    noise_sigma : float
        Standard deviation of the noise at half brightness, in grey levels.
    noise_share : float
        The same in windows.
    saturated : float
        Share of the pixels looked at that are as bright as can be shown.
    ceiling : float
        The brightest that the camera can show, in windows.
    fits : bool
        Whether the image is one that the model knows.
    sentence : str
        That it is, or why it is not and what to do.
    stronger : str or None
        Name of a model that knows such strong a blur where this one does not, see `stronger_model`.
    advised_binning : int
        By how many of its pixels along y and x the image is better binned first; 1 for not at all.
    empty : float or None
        The value of areas where no picture was taken, see `empty_level`.
    lost : tuple of float
        Standard deviation of what compression has taken from each colour, in windows, see
        `compression_loss`; empty where it has taken nothing.
    """

    blur: FieldBlur
    noise: Noise
    grey_noise: Noise
    noise_sigma: float
    noise_share: float
    saturated: float
    ceiling: float
    fits: bool
    sentence: str
    stronger: str | None = None
    advised_binning: int = 1
    empty: float | None = None
    lost: tuple[float, ...] = ()

    @property
    def unsure(self) -> Noise:
        """The noise, with what compression has taken from the image."""
        return self.noise.with_more(self.lost) if self.lost else self.noise

    @property
    def lost_width(self) -> float:
        """What nine of ten errors by compression stay below, in windows."""
        return NINE_OF_TEN * math.sqrt(np.mean(np.square(self.lost))) if self.lost else 0.0

    @property
    def blur_sigma_px(self) -> float | None:
        """Median over the field of the Gaussian-equivalent σ, in pixels; None if there is nothing
        to see it by.
        """
        return self.blur.sigma_px


def examine(
    image: Any,
    plan: RestorationPlan,
    window: Window,
    card: ModelCard,
    calibration: ErrorCalibration | None = None,
    channel: int | None = None,
    binning: int = 1,
) -> Examination:
    """Look at a few places of an image, or of one of its channels, and at the blur over its field.

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
    calibration : ErrorCalibration, optional
        Of the model; without it nothing is said of how much noise is too much.
    channel : int, optional
        Number of its window of intensity.
    binning : int
        By how many pixels along y and x the image was binned before.
    """
    pixels, empty = image, empty_level(image, plan, channel)
    image = without_empty(image, empty, rgb=plan.rgb)
    places = rich_places(image, plan, window, channel)
    parts = [normalised(place, image, plan, window) for place in places]
    greys = [grey(part) for part in parts]
    span = float(window.high) - float(window.low) or 1.0
    step = 1 / span if plan.dtype.kind in "iu" else 0.0
    look_up()
    noise = measure_noise(parts, step)
    look_up()
    grey_noise = measure_coarse_noise(greys, step)
    blur = field_blur(sampled_sigmas(image, plan, window, grey_noise, channel), card)
    if nothing_finer(greys):
        blur = replace(blur, halves=True)
    lost: tuple[float, ...] = ()
    if was_jpeg(pixels, rgb=plan.rgb):
        taken = compression_loss([place.read(pixels, plan) for place in places])
        lost = tuple(each / span for each in taken)
    saturated, ceiling = _saturation(image, places, plan, window)
    noise_limit = calibration.noise_limit if calibration else None
    fits, sentence = judge_domain(card, blur, noise.typical, saturated, noise_limit, binning)
    return Examination(
        blur=blur,
        noise=noise,
        lost=lost,
        grey_noise=grey_noise,
        noise_sigma=noise.typical * span,
        noise_share=noise.typical,
        saturated=saturated,
        ceiling=ceiling,
        fits=fits,
        sentence=sentence,
        stronger=stronger_model(card, blur),
        advised_binning=advised_binning(card, blur, binning),
        empty=empty,
    )


def examine_all(
    image: Any, plan: RestorationPlan, card: ModelCard, binning: int = 1, *, calibrated: bool = True
) -> tuple[Examination, ...]:
    """Examine an image once for each of its windows of intensity; see `examine`, which need not be
    `calibrated`.
    """
    image = read_in_turn(image)
    windows = plan.windows or measured_windows(image, plan.rgb, plan.window_axes)
    calibration = error_calibration(card) if calibrated else None
    return tuple(
        examine(
            image, plan, window, card, calibration, number if plan.window_axes else None, binning
        )
        for number, window in enumerate(windows)
    )


def binning_for(image: Any, card: ModelCard, **options: Any) -> int:
    """By how many pixels along y and x an image, in all of its channels, is better binned before a
    model restores it; 1 for not at all.

    Parameters
    ----------
    image : array
        (..., y, x), or (..., y, x, 3 or 4) for a model for colours.
    card : ModelCard
        Of the model.
    **options
        For `make_plan`: ``rgb``, ``channel_axis``.
    """
    plan = make_plan(image, card, in_memory=False, **options)
    found = examine_all(image, plan, card, calibrated=False)
    return min(each.advised_binning for each in found)


def judge_domain(
    card: ModelCard,
    blur: FieldBlur,
    noise: float,
    saturated: float,
    noise_limit: float | None,
    binning: int = 1,
) -> tuple[bool, str]:
    """Whether an image fits a model, and the sentence that says so or says why not and what to do.

    Parameters
    ----------
    card : ModelCard
        Of the model.
    blur : FieldBlur
        Of the image.
    noise, noise_limit : float, float or None
        Standard deviation in windows, and the largest that the model learned.
    saturated : float
        Share of the pixels.
    binning : int
        By how many pixels the image was binned before: it is not advised to be halved once more,
        and what is advised is said of the image before.
    """
    fits, sentence = _judged(card, blur, noise, saturated, noise_limit, binning)
    if blur.halves and binning == 1 and "--bin" not in sentence:
        strong = card.blur_sigma_px is not None and card.blur_sigma_px[1] >= KNOWS_STRONG_PX
        sentence += HALVE.format(IF_SOFT if strong else "")
    return fits, sentence


def _judged(
    card: ModelCard,
    blur: FieldBlur,
    noise: float,
    saturated: float,
    noise_limit: float | None,
    binning: int,
) -> tuple[bool, str]:
    """The same, before it is said that the image can be halved."""
    if blur.sigma_px is None:
        return (
            False,
            "There is too little detail above the noise to tell how blurred this image is: judge "
            "by eye.",
        )
    found = f"blur σ ≈ {_pixels(blur.sigma_px)}"
    if card.blur_sigma_px is not None:
        low, high = card.blur_sigma_px
        learned = f"{card.name} learned {low:g}–{high:g} px"
        if (beyond_px := _beyond_px(blur)) is not None:
            return False, _too_blurred(card, blur, beyond_px, learned, binning)
        found += f" ({learned})"
    if noise_limit is not None and noise > NOISE_SLACK * noise_limit:
        return False, (
            f"This image is noisier than the model knows: noise {100 * noise:.0f} % of the "
            f"intensity range; {card.name} learned up to {100 * noise_limit:.0f} %. Average "
            "several exposures, or bin the image 2×2 first."
        )
    if saturated > _SATURATED:
        return False, (
            f"{100 * saturated:.1f} % of the pixels looked at are saturated: what was there cannot "
            f"be restored. Expose less if you can. Otherwise, {found}, noise {100 * noise:.1f} % "
            "of the intensity range."
        )
    if blur.sharp > _MOST * blur.judged:
        return (
            True,
            f"This image is already sharp: {found}. Expect more pixels, not more "
            f"detail.{_shares(blur)}",
        )
    if card.blur_sigma_px is None:
        return (
            True,
            f"What blur {card.name} learned is not on its card; this image: {found}, noise "
            f"{100 * noise:.1f} % of its range.",
        )
    return True, (
        f"This image is one that the model knows: {found}, noise {100 * noise:.1f} % of the "
        f"intensity range.{_shares(blur)}"
    )


def _too_blurred(
    card: ModelCard, blur: FieldBlur, beyond_px: float, learned: str, binning: int
) -> str:
    """What to do with an image of which a part, or all, is blurred beyond what
    the model learned.
    """
    there = f"blur σ ≈ {_pixels(beyond_px)}"
    if blur.beyond >= NEARLY_ALL * blur.judged:
        return (
            f"This image is more blurred than the model knows: {there}; {learned}. "
            f"{_less_blur(card, blur, beyond_px, binning)}"
        )
    rest = _listed(
        (blur.within, "within what it learned"),
        (blur.sharp, "already sharp"),
        (blur.unknown, "cannot be judged"),
    )
    stronger = stronger_model(card, blur)
    other = f"choose the model {stronger}, " if stronger else ""
    return (
        f"{100 * blur.beyond:.0f} % of the field is blurred beyond what the model knows: {there}; "
        f"{learned}. The rest: {rest}. Do not trust the result where the defocus map is bright: "
        f"{other}take a focus stack, or use an objective of smaller aperture."
    )


def _shares(blur: FieldBlur) -> str:
    """How much of the field is otherwise than the most of it; empty if hardly anything is."""
    most = max(blur.within, blur.sharp, blur.beyond, blur.unknown)
    return "" if most > 1 - _FEW else f" Of the field: {in_shares(blur)}."


def in_shares(blur: FieldBlur) -> str:
    """How much of the field is how blurred, beginning with what is within what
    the model learned.
    """
    return _listed(
        (blur.within, "within what the model learned"),
        (blur.sharp, "already sharp"),
        (blur.beyond, "blurred beyond it"),
        (blur.unknown, "cannot be judged"),
    )


def _listed(*parts: tuple[float, str]) -> str:
    return (
        ", ".join(f"{100 * share:.0f} % {words}" for share, words in parts if share >= _FEW)
        or "nothing"
    )


def _pixels(blur: float) -> str:
    return f"{blur:.1f} px" if blur < LARGEST_PX else f"{LARGEST_PX:.0f} px or more"


def _less_blur(card: ModelCard, blur: FieldBlur, beyond_px: float, binning: int) -> str:
    """What to do about an image that is more blurred than the model knows."""
    edge = advised_binning(card, blur, binning)
    advice = f"in it {edge}×{edge} first (--bin {edge})"
    if stronger := stronger_model(card, blur):
        return f"Choose the model {stronger}, or b{advice}."
    advice = f"B{advice}" if _enough(card, beyond_px) else f"Take a sharper image, or b{advice}"
    return f"{advice}, use a model for stronger blur, or fine-tune one on such images."


def advised_binning(card: ModelCard, blur: FieldBlur, binning: int = 1) -> int:
    """By how many pixels along y and x an image is better binned before a model restores it; 1 for
    not at all. Arguments are as in `judge_domain`.
    """
    beyond_px = _beyond_px(blur)
    if beyond_px is not None and blur.beyond >= NEARLY_ALL * blur.judged:
        return (_enough(card, beyond_px) or BINS[-1]) * binning
    return 2 if blur.halves and binning == 1 else 1


def _enough(card: ModelCard, beyond_px: float) -> int | None:
    """The least binning by which a blur becomes one that the model knows; None where none does."""
    high = (card.blur_sigma_px or (0.0, math.inf))[1]
    return next((n for n in BINS if beyond_px < LARGEST_PX and beyond_px / n <= high), None)


def _beyond_px(blur: FieldBlur) -> float | None:
    """The σ of what is blurred beyond what the model learned, where that is so much of a field that
    it does not fit; else None.
    """
    return blur.beyond_px if blur.beyond >= SOME * blur.judged else None


def stronger_model(card: ModelCard, blur: FieldBlur) -> str | None:
    """Name of another model that knows the blur of a field which is beyond what a model learned.

    Parameters
    ----------
    card : ModelCard
        Of the model.
    blur : FieldBlur
        Of the image, by that model.

    Returns
    -------
    str or None
        A model of the same channels and scale, bundled ones first; None if the model knows enough,
        or no other does.
    """
    beyond_px = _beyond_px(blur)
    if beyond_px is None:
        return None
    fitting = (
        each.name
        for each in list_models()
        if (each.channels, each.scale) == (card.channels, card.scale)
        and each.blur_sigma_px is not None
        and beyond_px < each.blur_sigma_px[1]
    )
    return next(fitting, None)


def _saturation(
    image: Any, places: Sequence[SamplePlace], plan: RestorationPlan, window: Window
) -> tuple[float, float]:
    """Share of saturated pixels, and the ceiling in windows.

    The ceiling is the largest value of the type, or the largest there is where a good many pixels
    have it and a camera may end there, as with 12 bits of 16.
    """
    if plan.dtype.kind == "b" or not places:
        return 0.0, float("inf")
    parts = [place.read(image, plan) for place in places]
    known = [part[np.isfinite(part)] for part in parts]
    top = max((part.max().item() for part in known if part.size), default=0)
    share = float(np.mean([(part == top).mean() for part in parts]))
    if top == bounds(plan.dtype)[1] or (
        share > _SATURATED and top > window.low and _ends_there(float(top))
    ):
        return share, float(window.normalise(np.array([top], plan.dtype))[0])
    return 0.0, float("inf")


def _ends_there(top: float) -> bool:
    """Whether a camera may show nothing brighter: all of its bits are set, also where they are
    shifted up to fill 16, and where greys were made real numbers, up to 1 or not.
    """
    if not top.is_integer() or top < 1:
        return False
    bits = int(top)
    lowest = bits & -bits
    return (bits + lowest).bit_count() == 1 and (lowest == 1 or bits // lowest >= 255)
