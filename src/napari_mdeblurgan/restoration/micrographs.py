"""Micrographs through the network: the plan for one, and what of its description the result has."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.restoration.plan import RestorationPlan, planning
from napari_mdeblurgan.restoration.softness import AUTO
from napari_mdeblurgan.steps import finished

if TYPE_CHECKING:
    from napari_mdeblurgan.model import ModelCard
    from napari_mdeblurgan.storage import Micrograph


def plan_micrograph(image: Micrograph, card: ModelCard, **wishes: Any) -> RestorationPlan:
    """All of `planning_micrograph` in one go."""
    return finished(planning_micrograph(image, card, **wishes))


def planning_micrograph(
    image: Micrograph, card: ModelCard, **wishes: Any
) -> Generator[float, None, RestorationPlan]:
    """The plan for an image, with a window of intensity for each of its channels, and what is to be
    said of it.

    Yields as `planning` does.

    Parameters
    ----------
    image : Micrograph
        In memory or lazy.
    card : ModelCard
        The model's.
    **wishes
        As in `planning`.

    Raises
    ------
    ImageError
        In one sentence, if the image cannot be restored.
    """
    return (
        yield from planning(image.data, card, remarks=image.remarks, **with_known(image, wishes))
    )


def with_known(image: Micrograph, wishes: Mapping[str, Any]) -> dict[str, Any]:
    """The user's options for `make_plan`, and what the image tells of what they leave open."""
    told: dict[str, Any] = {"rgb": image.rgb, "channel_axis": image.channel_axis}
    if image.objective is not None or wishes.get("objective") is not None:
        told |= {"objective": image.objective, "pixel_size_um": image.pixel_size_um}
    told |= dict(wishes)
    unknown = told.get("objective") is None or told.get("pixel_size_um") is None
    if image.binning > 1 and unknown and told.get("softness", AUTO) == AUTO:
        told["binning"] = image.binning
    return told


def restored_micrograph(image: Micrograph, data: Any, plan: RestorationPlan) -> Micrograph:
    """The result of an image: all that is known of it, with finer pixels along X and Y, where they
    lie in space.

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
