"""Micrographs through the network: the plan for one, and what of its description the result has."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.restoration.plan import RestorationPlan, make_plan

if TYPE_CHECKING:
    from napari_mdeblurgan.model import ModelCard
    from napari_mdeblurgan.storage import Micrograph


def plan_micrograph(image: Micrograph, card: ModelCard, **wishes: Any) -> RestorationPlan:
    """The plan for an image, with a window of intensity for each of its channels, and what is to be said of it.

    Parameters
    ----------
    image : Micrograph
        In memory or lazy.
    card : ModelCard
        The model's.
    **wishes
        As in `make_plan`.

    Raises
    ------
    ImageError
        In one sentence, if the image cannot be restored.
    """
    plan = make_plan(image.data, card, **with_known(image, wishes))
    return dataclasses.replace(plan, warnings=(*image.remarks, *plan.warnings)) if image.remarks else plan


def with_known(image: Micrograph, wishes: Mapping[str, Any]) -> dict[str, Any]:
    """The user's options for `make_plan`, and what the image tells of what they leave open."""
    told: dict[str, Any] = {"rgb": image.rgb, "channel_axis": image.channel_axis}
    if image.objective is not None or wishes.get("objective") is not None:
        told |= {"objective": image.objective, "pixel_size_um": image.pixel_size_um}
    return told | dict(wishes)


def restored_micrograph(image: Micrograph, data: Any, plan: RestorationPlan) -> Micrograph:
    """The result of an image: all that is known of it, with finer pixels along X and Y, where they lie in space.

    Parameters
    ----------
    image : Micrograph
        That was restored.
    data : array
        The result's pixels.
    plan : RestorationPlan
        By which it was.
    """
    frame = image.frame(plan.factor, plan.origin)
    return dataclasses.replace(image, data=data, objective=None, restored=True, **frame)
