"""Trust in the dock widget: assessing a job's result, the maps as layers, the report. Qt only where
a file name is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import psutil

from napari_mdeblurgan.storage.geometry import unit_of_length
from napari_mdeblurgan.widgets.layers.axes import arranged, put_back
from napari_mdeblurgan.widgets.layers.origin import is_map
from napari_mdeblurgan.widgets.runs import cut
from napari_mdeblurgan.widgets.runs.job import Noted

if TYPE_CHECKING:
    from napari.layers import Image, Layer

    from napari_mdeblurgan.model import Model
    from napari_mdeblurgan.restoration.plan import RestorationPlan
    from napari_mdeblurgan.restoration.softness import Softness
    from napari_mdeblurgan.trust.assess import Assessment
    from napari_mdeblurgan.trust.domain import Examination
    from napari_mdeblurgan.trust.maps import TrustMap
    from napari_mdeblurgan.widgets.runs.job import Job

TRUST_TIP = (
    "Also find out how far the result can be trusted: an error bar, a check against the image and "
    "which estimate was used, which Trust maps shows, and a line that sums it up. On the CPU it "
    "takes up to two thirds as long again."
)
ENSEMBLE_TIP = (
    "Restore the image eight times, flipped and turned, and take the average: a little better, "
    "and eight times as long. With Trust, one more map tells where the eight disagree, because "
    "the network was guessing. Previews are made once."
)
REPORT_TIP = (
    "Save a page for the lab book: pictures, maps, figures, settings and model in one file."
)
CHECKING = "Finding out how far the result can be trusted…"
NO_ROOM = (
    "There was too little memory to find out how far the result can be trusted: "
    "tick Save to disk, or restore a part of the image."
)
SAMPLED_PLANES = 8
SHARE_OF_MEMORY = 0.5
OVER_GREY = {"blending": "additive"}  # dark is nothing to see, so what is below stays in view
OVER_COLOURS = {
    "blending": "translucent_no_depth",
    "opacity": 0.85,
}  # on what is bright nothing could be added, nor on colours, which the bar does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusted:
    """An assessment with what a report on it needs.

    Attributes
    ----------
    assessment : Assessment
    layers : tuple of dict
        Arguments of the layers that show the maps, with "data" and "kind", see
        `map_layers.add_map`.
    source : str
        Name of the restored layer.
    order : tuple of int
        Its axes in the order of the image.
    image : array
        What was restored, shared with its layer.
    region : ((int, int), (int, int))
        Start and stop along y and x of the part that was restored.
    settings : dict of str to str
    softness : Softness
        Of the result that was assessed.
    pixel_size, unit
        Of the source layer; None and "" where they are pixels.
    date : str
    binning : int
        By how many pixels the image was averaged first.
    """

    assessment: Assessment
    layers: tuple[dict[str, Any], ...]
    source: str
    order: tuple[int, ...]
    image: Any
    region: tuple[tuple[int, int], tuple[int, int]]
    settings: dict[str, str]
    softness: Softness
    pixel_size: float | None
    unit: str
    date: str
    binning: int = 1


# ---- within a job, on its thread


def fits_in_memory(job: Job) -> bool:
    """Whether there is room for the maps beside the result."""
    from napari_mdeblurgan.restoration.room import ASSESSED_BYTES

    pixels = job.values // (job.data.shape[-1] if job.rgb else 1)
    return pixels * ASSESSED_BYTES < SHARE_OF_MEMORY * psutil.virtual_memory().available


def noted_of(examinations: Sequence[Examination], *, at_once: bool) -> Noted:
    """What is to be known of an image: of several channels, the sentences on those that do not fit
    the model.
    """
    odd = [(number, each.sentence) for number, each in enumerate(examinations) if not each.fits]
    words = (
        examinations[0].sentence
        if examinations and (len(examinations) == 1 or not odd)
        else " ".join(f"Channel {number}: {sentence}" for number, sentence in odd)
    )
    return Noted(
        words,
        min((each.advised_binning for each in examinations), default=1),
        next((each.stronger for each in examinations if each.stronger), None),
        at_once,
    )


def trusted(
    job: Job,
    image: Any,
    plan: RestorationPlan,
    model: Model,
    softness: Softness,
    assessment: Assessment,
    path: Path | None = None,
) -> Trusted:
    """The assessment of a job's result, as soft as it is shown, by the plan that it was made by;
    `path` is that of the result, if it is on disk, where its maps are kept within it.
    """
    from napari_mdeblurgan.trust.made_with import settings_of
    from napari_mdeblurgan.trust.recording import today

    left = (cut.cut_maps if path is None else cut.cut_maps_on_disk)(assessment, plan, job)
    plan, (pixel_size, unit) = cut.narrowed(plan, job), _physical(job)
    return Trusted(
        assessment=left,
        layers=tuple(_layer(each, job, path) for each in left.maps),
        source=job.source,
        order=job.placement.order,
        image=image,
        region=plan.region,
        settings=settings_of(plan, model.card, job.ensemble, job.binning, softness),
        softness=softness,
        pixel_size=pixel_size,
        unit=unit,
        date=today(),
        binning=job.binning,
    )


def _layer(made: TrustMap, job: Job, path: Path | None) -> dict[str, Any]:
    """Arguments of the layer that shows a map, but for its place, which is that of its result;
    `path` is that of the result, if it is on disk.
    """
    from napari_mdeblurgan.trust.choice import LEGEND

    kind, part = made.kind, job.part.name if job.part is not None else ""
    levels = [put_back(level, job.placement.order) for level in (made.data, *made.coarser)]
    arguments: dict[str, Any] = {
        "kind": "image" if kind.colormap else "labels",
        "order": job.placement.order,
        "data": levels if made.coarser else levels[0],
        "multiscale": bool(made.coarser),
        "name": f"{job.source} [{', '.join(filter(None, (kind.title.lower(), kind.unit, part)))}]",
        "metadata": {
            "mdeblurgan": {
                "map": made.name,
                "about": kind.about,
                "unit": kind.unit,
                "source": job.source,
                "file": str(path or ""),
            }
        },
    }
    if kind.colormap:
        return (
            arguments
            | {"colormap": kind.colormap, "contrast_limits": _limits(made), "rgb": False}
            | (OVER_GREY if _is_grey(job) else OVER_COLOURS)
        )
    return arguments | {
        "opacity": 0.5,
        "features": {"index": list(LEGEND), "candidate": list(LEGEND.values())},
    }


def _is_grey(job: Job) -> bool:
    """Whether the result is shown from black to white."""
    return not job.rgb and getattr(job.look.get("colormap"), "name", "gray") == "gray"


def _limits(made: TrustMap) -> tuple[float, float]:
    """The kind's own, or from nothing to nearly the largest of a sample."""
    from napari_mdeblurgan.restoration.arrays import read

    if made.kind.limits is not None:
        return made.kind.limits
    level = (made.data, *made.coarser)[-1]
    planes = int(np.prod(level.shape[:-2], dtype=np.int64))
    chosen = np.unique(
        np.linspace(0, planes - 1, min(planes, SAMPLED_PLANES)).round().astype(np.int64)
    )
    step = max(1, round((level.shape[-2] * level.shape[-1] * len(chosen) / 1e6) ** 0.5))
    values = np.stack(
        [read(level, np.unravel_index(n, level.shape[:-2]))[::step, ::step] for n in chosen]
    )
    values = values[np.isfinite(values)]
    high = float(np.percentile(values, 99.5)) if values.size else 1.0
    return 0.0, high if high > 0 else 1.0


def _physical(job: Job) -> tuple[float | None, str]:
    placement, x = job.placement, job.placement.order[-1]
    unit = f"{placement.units[x]:~}" if placement.units else ""
    if unit in ("", "px", "pixel"):
        return None, ""
    return float(placement.scale[x]), unit_of_length(unit) or unit


# ---- in the viewer, on the main thread

KNOWN_TRUST: WeakKeyDictionary[Image, Trusted] = (
    WeakKeyDictionary()
)  # by results, beyond the life of one dock widget


def maps_of(result: Image | None) -> dict[str, Any]:
    """The arrays of a result's maps by name, with the axes of the image; empty where none were
    made, or nobody knows.
    """
    found = None if result is None else KNOWN_TRUST.get(result)
    return {} if found is None else {each.name: each.data for each in found.assessment.maps}


def shows_choice(layers: Iterable[Layer]) -> bool:
    """Whether a layer of the choice is seen."""
    return any(
        layer.visible and is_map(layer) and layer.metadata["mdeblurgan"]["map"] == "choice"
        for layer in layers
    )


def legend() -> str:
    """The colours of the choice, as HTML."""
    from napari_mdeblurgan.trust.choice import LEGEND
    from napari_mdeblurgan.trust.pictures import CHOICE_COLOURS

    candidates = ((CHOICE_COLOURS[number], name) for number, name in LEGEND.items() if number)
    return "Choice: " + " ".join(
        f'<nobr><span style="color:{colour}">\u25a0</span>\u00a0{name}</nobr>'
        for colour, name in candidates
    )


def save_report(path: Path, trusted: Trusted, result: Any) -> None:
    """Write the report on a result; of a stack, on its middle plane.

    Raises
    ------
    FileError
        If it cannot be written there.
    """
    from napari_mdeblurgan.trust.excerpt import excerpt
    from napari_mdeblurgan.trust.report import Report, write_report

    axes = trusted.assessment.maps[0].data.ndim - 2
    index = tuple(length // 2 for length in trusted.image.shape[:axes])
    shown = excerpt(trusted.image, arranged(result, trusted.order), index, trusted.region)
    report = Report(
        source=trusted.source,
        before=shown.before,
        after=shown.after,
        where=shown.where,
        assessment=trusted.assessment,
        index=index,
        settings=trusted.settings,
        pixel_size=trusted.pixel_size,
        unit=trusted.unit,
        date=trusted.date,
    )
    write_report(path, report)


def record(trusted: Trusted) -> dict[str, Any]:
    """What a layer, and with it a file, keeps of an assessment."""
    from napari_mdeblurgan.trust.record import trust_record

    found = trusted.assessment
    sigma = trusted.softness.sigma
    return trust_record(
        found, trusted.settings, sigma, trusted.pixel_size, trusted.unit, trusted.date
    )


def as_shown(trusted: Trusted, result: Layer) -> Trusted:
    """An assessment that says so where its result is shown softer or sharper by now than it was
    assessed.
    """
    from napari_mdeblurgan.trust.record import found_for

    made = result.metadata["mdeblurgan"]
    sigma, reason = made.get("softness", 0.0), made.get("softness_reason", "")
    assessed = trusted.softness
    if sigma == assessed.sigma:
        return trusted
    words = found_for(assessed.sigma, sigma)
    settings = {
        **trusted.settings,
        "Softness": f"{sigma:.2g} px ({reason})",
        "Assessed with": str(assessed),
    }
    assessment = replace(trusted.assessment, sentence=f"{words}{trusted.assessment.sentence}")
    return replace(trusted, assessment=assessment, settings=settings)


def ask_for_report_path(parent: Any, usual: str) -> Path | None:
    """Let the user say where the report is to be saved, if not at the usual place; None if they
    would rather not.
    """
    from qtpy.QtWidgets import QFileDialog

    chosen, _ = QFileDialog.getSaveFileName(parent, "Save report", usual, "Web page (*.html)")
    if not chosen:
        return None
    path = Path(chosen)
    return path if path.suffix.lower() in (".html", ".htm") else path.with_name(path.name + ".html")
