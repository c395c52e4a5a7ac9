"""One run of the widget: what was chosen, copied when the button was pressed, and what comes of it.
No Qt in here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.restoration.output_scale import output_factor
from napari_mdeblurgan.steps import percent
from napari_mdeblurgan.widgets.layers.axes import is_natural, part_of
from napari_mdeblurgan.widgets.layers.placement import Placement, enlarged
from napari_mdeblurgan.widgets.runs.halving import in_pixels
from napari_mdeblurgan.widgets.runs.known_optics import Microscope

if TYPE_CHECKING:
    from napari_mdeblurgan.model import Model, ModelCard
    from napari_mdeblurgan.pipeline import Looking
    from napari_mdeblurgan.restoration.plan import RestorationPlan
    from napari_mdeblurgan.restoration.softness import Softness
    from napari_mdeblurgan.restoration.tiling import Region
    from napari_mdeblurgan.widgets.deblur.only_here.shape_parts import ShapePart
    from napari_mdeblurgan.widgets.layers.cuts import Cuts
    from napari_mdeblurgan.widgets.runs.soft_results import SoftResult
    from napari_mdeblurgan.widgets.runs.trust import Trusted

LOOKING = "Looking at the image…"
MEASURING = "Measuring the intensities…"
SEEN_THROUGH = (
    "translucent_no_depth"  # a blending, which is drawn like an opaque one but where nothing is
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to restore, and how the result is shown.

    Attributes
    ----------
    source : str
        The source layer's name.
    data : array
        (..., y, x) or (..., y, x, 3 or 4): numpy, dask or zarr, at full resolution.
    coarser : tuple of array
        Of a layer with a pyramid, the other levels, for who looks at the result while it is made.
    rgb : bool
        Whether the last axis is colour.
    planes : tuple of slice
        Which planes to restore: a start and stop for each axis before y and x, or `slice(None)` for
        all of it.
    window_axes : tuple of int
        Axes before y and x whose entries have an intensity window each; none: one window for the
        whole.
    region : ((y0, y1), (x0, x1)), optional
        Restore this part alone, in pixels of the source.
    part : ShapePart, optional
        The shape that it is restored for, whose box the region is.
    preview : bool
        Whether the result is a passing look.
    trust : bool
        Whether to find out how far the result can be trusted.
    ensemble : bool
        Whether the result is to be the mean of eight orientations.
    model, device, precision : str
        Names, as `load_model` and `make_plan` take them.
    tile_memory_mb : int
        What a tile may take, in MiB; 0 leaves it to the device.
    binning : int
        By how many pixels along y and x the image is averaged first; 1 for not at all. See
        `averaged`, which does it.
    output_scale : int, optional
        1 for as many pixels as the image, averaged or not, has; by default as many as the model was
        trained for.
    original : array, optional
        The layer's data, where `data` are averaged already.
    placement : Placement
        The source layer's; in its `order` are the axes of `data`.
    look : dict
        Attributes that the result takes from the source layer, see `appearance_of`.
    cuts : Cuts, optional
        The planes that the source layer is cut along in 3-D.
    folder : Path, optional
        Where on disk the result is made; by default it is made in memory.
    seen : (tuple of int, ((y0, y1), (x0, x1))), optional
        Which of its planes is looked at, counted from the first one, and which region of that in
        pixels of the source: on disk that is done first.
    file : str, optional
        What the source layer was opened from, which may tell of the objective.
    microscope : Microscope
        What the user says of it.
    """

    source: str
    data: Any
    coarser: tuple[Any, ...] = ()
    rgb: bool
    planes: tuple[slice, ...] = ()
    window_axes: tuple[int, ...] = ()
    region: Region | None = None
    part: ShapePart | None = None
    preview: bool = False
    trust: bool = False
    ensemble: bool = False
    binning: int = 1
    output_scale: int | None = None
    original: Any = None
    model: str
    device: str = "auto"
    precision: str = "auto"
    tile_memory_mb: int = 0
    placement: Placement
    look: dict[str, Any]
    cuts: Cuts | None = None
    folder: Path | None = None
    seen: tuple[tuple[int, ...], Region] | None = None
    file: str | None = None
    microscope: Microscope = field(default_factory=Microscope)

    @property
    def is_part(self) -> bool:
        """Whether it is not the whole image that is restored."""
        return self.region is not None or any(span != slice(None) for span in self.planes)

    @property
    def first_plane(self) -> tuple[int, ...]:
        """Where along the axes before y and x the part begins that is restored."""
        return tuple(span.start or 0 for span in self.planes) or (0,) * (
            len(self.placement.scale) - 2
        )

    @property
    def options(self) -> dict[str, Any]:
        """For `planning`, of the part that is restored: its intensity windows are those of the
        whole image, so that it equals a cut-out of the full result; or of all of those entries of
        the window axes that are restored.
        """
        whole = [
            span if axis in self.window_axes else slice(None)
            for axis, span in enumerate(self.planes)
        ]
        return {
            "rgb": self.rgb,
            "region": self.region,
            "device": self.device,
            "precision": self.precision,
            "channel_axis": self.window_axes,
            # what is made is the bare network's result, and what is shown of it is made softer
            "softness": 0,
            "whole": part_of(self.data, whole),
        } | ({} if self.output_scale is None else {"output_scale": self.output_scale})

    @property
    def identity(self) -> str:
        """What tells the image from every other, also in another process; of one in memory all of
        it is looked at.
        """
        from napari_mdeblurgan.restoration.binning import binning_in_words
        from napari_mdeblurgan.restoration.scan_job import source_identity

        order = self.placement.order
        identity = source_identity(self.data if self.original is None else self.original)
        averaged_by = f" {binning_in_words(self.binning)}" if self.binning > 1 else ""
        return identity + ("" if is_natural(order) else f" {order}") + averaged_by

    def factor(self, card: ModelCard) -> int:
        """Pixels of the result for one of the image as it is restored, along y and x."""
        return output_factor(self.output_scale, card)

    @property
    def values(self) -> int:
        """How many values of the image, as `data` has it, are restored, colours
        counted one by one.
        """
        shape = list(self.data.shape)
        for axis, span in enumerate(self.planes):
            shape[axis] = len(range(*span.indices(shape[axis])))
        for axis, (start, stop) in enumerate(self.region or (), len(self.placement.scale) - 2):
            shape[axis] = stop - start
        return math.prod(shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A result, the attributes of the layer that it becomes, see `add_layer`, and how soft it is
    shown.
    """

    data: np.ndarray
    soft: SoftResult
    arguments: dict[str, Any]
    preview: bool
    device: str
    seconds: float
    warnings: tuple[str, ...] = ()
    trusted: Trusted | None = None


@dataclass(frozen=True, slots=True)
class JobFailed:
    """Why there is no result, in one sentence."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Noted:
    """What is to be known of an image that is restored.

    Attributes
    ----------
    sentence : str
        One or a few.
    advised_binning : int
        By how many of its pixels along y and x the image, in all of its channels, is better
        averaged first; 1 for not at all.
    stronger_model : str or None
        Name of a model that knows the blur of one of the channels, which this one does not.
    at_once : bool
        It is said while the image is restored, and not only when its result is there.
    """

    sentence: str
    advised_binning: int
    stronger_model: str | None
    at_once: bool


def looking_in_words(step: Looking) -> str:
    """What is told while the image is looked at, and while its intensities are measured."""
    if step.measured is None:
        return LOOKING
    return f"{MEASURING} {percent(step.measured)}" if step.measured else MEASURING


def layer_arguments(
    job: Job, plan: RestorationPlan, model: Model, seconds: float, softness: Softness
) -> dict[str, Any]:
    """Attributes of the result's layer: it lies on its source, looks like it, and knows how it was
    made.
    """
    placement = enlarged(job.placement, plan.factor, (*job.first_plane, *plan.origin))
    suffix = "preview" if job.preview else result_suffix(job, plan.factor)
    hides = (
        job.part is not None and job.part.outline is not None
    )  # where it is empty, if it is drawn as opaque
    return {
        "name": f"{job.source} [{suffix}]",
        "metadata": {"mdeblurgan": _provenance(job, plan, model, seconds) | noted(softness)},
        **placement.layer_arguments(),
        **job.look,
        **(job.cuts.arguments(placement) if job.cuts else {}),
        **({"blending": SEEN_THROUGH} if hides and job.look.get("blending") == "opaque" else {}),
    }


def result_suffix(job: Job, factor: int) -> str:
    """What was done to the image, in the name of its result."""
    region = "" if job.part is None else f", {job.part.name}"
    first = {1: "", 2: "halved, "}.get(job.binning, f"averaged {job.binning} × {job.binning}, ")
    return f"{first}sharp ×{factor}{region}"


def noted(softness: Softness) -> dict[str, Any]:
    """A softness as a result's metadata tell it."""
    return {"softness": softness.sigma, "softness_reason": softness.reason}


def _provenance(job: Job, plan: RestorationPlan, model: Model, seconds: float) -> dict[str, Any]:
    """How the result was made, in plain values; regions are in pixels of the source."""
    from napari_mdeblurgan.restoration.made import provenance_of

    made = provenance_of(
        plan, model.card, job.source, ensemble=job.ensemble, binning=job.binning, seconds=seconds
    )
    if job.part is not None:
        made |= {"part": job.part.name, "outline": job.part.told(job.binning)}
    return made | {
        "slices": [(span.start, span.stop) for span in job.planes]
        if job.is_part and job.planes
        else None,
        "region": in_pixels(job.region, job.binning),
        "preview": job.preview,
    }
