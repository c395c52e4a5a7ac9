"""What is settled before a restoration is assessed: what holds for the whole, from a few places of
it.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.restoration.checking import check_made_for
from napari_mdeblurgan.restoration.measuring import measured_windows
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.restoration.progress import Progress
from napari_mdeblurgan.steps import map_steps
from napari_mdeblurgan.stopping import attending
from napari_mdeblurgan.trust.domain import Examination, examine_all
from napari_mdeblurgan.trust.error_bar import ErrorCalibration, error_calibration
from napari_mdeblurgan.trust.estimates import Estimate, estimate_whole
from napari_mdeblurgan.trust.maps import MAPS

if TYPE_CHECKING:
    from napari_mdeblurgan.model import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessmentOptions:
    """What is to be assessed beyond what costs little.

    Attributes
    ----------
    disagreement : bool
        Restore everything eight times, flipped and turned: eight times the cost of the restoration.
    weights : bool
        Keep the weights of the candidates as well.
    """

    disagreement: bool = False
    weights: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustPlan:
    """All that is settled before the maps are made.

    Attributes
    ----------
    restoration : RestorationPlan
        That the result came from, with its windows.
    estimates : tuple of Estimate
        One, or one for each channel that has a window of its own.
    calibration : ErrorCalibration or None
        Of the error bar; without one there is none.
    maps : tuple of str
        Names of the maps, keys of `MAPS`.
    """

    restoration: RestorationPlan
    estimates: tuple[Estimate, ...]
    calibration: ErrorCalibration | None
    maps: tuple[str, ...]

    def estimate(self, index: tuple[int, ...]) -> Estimate:
        """Of the image at `index` of the leading axes."""
        return self.estimates[self.restoration.window_number(index)]


def planning_trust(
    image: Any, restored: Any, plan: RestorationPlan, model: Model, *more: Any
) -> Generator[Progress, None, TrustPlan]:
    """`plan_trust` with a sign of life every half second; closing it ends the work."""
    work = partial(plan_trust, image, restored, plan, model, *more)
    start = Progress(
        0, int(np.prod(plan.output_shape[: len(plan.leading) + 2], dtype=np.int64)), 0.0
    )
    return (yield from map_steps(attending(work), lambda _: start))


def plan_trust(
    image: Any,
    restored: Any,
    plan: RestorationPlan,
    model: Model,
    wishes: AssessmentOptions | None = None,
    examinations: tuple[Examination, ...] | None = None,
) -> TrustPlan:
    """Estimate from a few places what holds for the whole, and settle what will be made.

    Parameters
    ----------
    image, restored : array
        What `plan` was made for, and its result; lazy ones are read at these places alone.
    plan : RestorationPlan
        From `make_plan`.
    model : Model
        That restored the image.
    wishes : AssessmentOptions, optional
        Beyond what costs little.
    examinations : tuple of Examination, optional
        Of the image, one for each window, if it was looked at before.

    Raises
    ------
    ImageError
        If the restored image is no result of the plan, or the plan is for another image.
    ModelError
        If the plan was made for another kind of model.
    """
    if tuple(image.shape) != plan.shape:
        raise ImageError(
            f"The plan was made for an image of shape {plan.shape}, not for {tuple(image.shape)}; "
            "assess the image that it was made for."
        )
    check_made_for(plan, model)
    wishes = wishes or AssessmentOptions()
    if tuple(restored.shape) != plan.output_shape:
        raise ImageError(
            f"An image of shape {tuple(restored.shape)} is no result of this plan, which gives "
            f"{plan.output_shape}; assess the image that it was made for."
        )
    windows = plan.windows or measured_windows(image, plan.rgb, plan.window_axes)
    calibration = error_calibration(model.card, plan.factor)
    channels = range(len(windows)) if plan.window_axes else (None,)
    if examinations is None:
        examinations = examine_all(image, plan, model.card)
    estimates = tuple(
        estimate_whole(image, restored, plan, window, examination, channel)
        for window, examination, channel in zip(windows, examinations, channels, strict=True)
    )
    speaks = model.network.explains
    made = {
        "consistency": True,
        "defocus": True,
        "error": calibration is not None,
        "disagreement": wishes.disagreement,
        "choice": speaks,
        "weights": speaks and wishes.weights,
    }
    return TrustPlan(
        restoration=plan,
        estimates=estimates,
        calibration=calibration,
        maps=tuple(name for name in MAPS if made[name]),
    )
