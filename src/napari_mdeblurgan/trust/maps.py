"""The maps of an assessment: what each is called, which grid it lies on, what its numbers mean and
how they are shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.trust.blur import LARGEST_PX
from napari_mdeblurgan.trust.choice import LEGEND

if TYPE_CHECKING:
    from napari_mdeblurgan.restoration.plan import RestorationPlan


@dataclass(frozen=True, slots=True)
class MapKind:
    """What is the same for all maps of one name.

    Attributes
    ----------
    title : str
        What a person calls it.
    about : str
        A sentence on how to read it.
    unit : str
        Of the numbers; empty for labels and plain numbers.
    finer : bool
        On the result's grid; else on the input's.
    dtype : str
    last_axis : tuple of int
        Sizes of axes after y and x.
    colormap : str
        A perceptually even one that the colour-blind can read; empty for labels.
    limits : (float, float) or None
        Contrast limits that mean the same for every image; None: from the data.
    reduction : str
        What stands for several pixels where it is shown smaller: their "mean", the "largest" or the
        "first".
    """

    title: str
    about: str
    unit: str = ""
    finer: bool = False
    dtype: str = "float32"
    last_axis: tuple[int, ...] = ()
    colormap: str = "viridis"
    limits: tuple[float, float] | None = None
    reduction: str = "mean"


MAPS = {
    "error": MapKind(
        "Error bar",
        "Nine of ten pixels lie within this many grey levels of the truth, as far as can be "
        "predicted.",
        unit="grey levels",
        finer=True,
        colormap="magma",
    ),
    "consistency": MapKind(
        "Consistency",
        "The restored image, blurred again, against the input, in units of the noise: 1 is what "
        "noise gives; above 3 something was added, lost or moved.",
        unit="× noise",
        colormap="inferno",
        limits=(0.0, 6.0),
        reduction="largest",
    ),
    "defocus": MapKind(
        "Defocus",
        "How blurred the image is there: the σ of the Gaussian that would blur as much, in pixels "
        "of the image. Nothing is said where there is too little detail to tell.",
        unit="px",
        colormap="cividis",
        limits=(0.0, LARGEST_PX),
    ),
    "disagreement": MapKind(
        "Disagreement",
        "How far the results of the image, flipped and turned in eight ways, lie apart: standard "
        "deviation.",
        unit="grey levels",
        finer=True,
        colormap="viridis",
    ),
    "choice": MapKind(
        "Estimate used",
        "Which estimate counts most in what super-resolution started from: "
        + ", ".join(f"{number} {name}" for number, name in LEGEND.items() if number)
        + ".",
        dtype="uint8",
        colormap="",
        reduction="first",
    ),
    "weights": MapKind(
        "Weights",
        "With what weight each candidate was passed on; they sum to 1, and can be negative or "
        "above 1.",
        last_axis=(3,),
        colormap="cividis",
        limits=(-1.0, 2.0),
    ),
}


@dataclass(frozen=True, slots=True, eq=False)
class TrustMap:
    """A map that was made.

    Attributes
    ----------
    name : str
        Key of `MAPS`.
    data : array
        (..., y, x) of the plan's region, on the input's or the result's grid.
    coarser : tuple of array
        Of a map on disk, the levels of its pyramid after the first, each half as large along y and
        x.
    """

    name: str
    data: Any = field(repr=False)
    coarser: tuple[Any, ...] = field(default=(), repr=False)

    @property
    def kind(self) -> MapKind:
        """What it is."""
        return MAPS[self.name]


def map_factor(name: str, plan: RestorationPlan) -> int:
    """Pixels of a map for one of the image, along y and x."""
    return plan.factor if MAPS[name].finer else 1


def map_shape(name: str, plan: RestorationPlan) -> tuple[int, ...]:
    """Shape of a map of a plan's result."""
    area = ((stop - start) * map_factor(name, plan) for start, stop in plan.region)
    return (*plan.leading, *area, *MAPS[name].last_axis)
