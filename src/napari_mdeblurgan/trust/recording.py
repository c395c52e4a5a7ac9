"""What is kept of an assessment of a micrograph: the report on it, and its part of the record of
how a result was made.
"""

from __future__ import annotations

import datetime
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.atomic import in_words
from napari_mdeblurgan.errors import MdeblurganError, Unassessed, in_short
from napari_mdeblurgan.restoration.made import provenance_of
from napari_mdeblurgan.storage.provenance import record_of
from napari_mdeblurgan.trust.made_with import settings_of
from napari_mdeblurgan.trust.record import trust_record

if TYPE_CHECKING:
    from napari_mdeblurgan.model import ModelCard
    from napari_mdeblurgan.restoration.plan import RestorationPlan
    from napari_mdeblurgan.storage import Micrograph
    from napari_mdeblurgan.trust.assess import Assessment

log = logging.getLogger(__name__)


def write_report_of(
    path: Path,
    before: Micrograph,
    after: Micrograph,
    plan: RestorationPlan,
    assessment: Assessment,
    settings: dict[str, str],
) -> None:
    """Write a report on a micrograph: of a stack, on its middle plane; of a large plane, with a
    part of it.
    """
    from napari_mdeblurgan.before_after import middle_index
    from napari_mdeblurgan.trust.excerpt import excerpt
    from napari_mdeblurgan.trust.report import Report, write_report

    index = middle_index(before)
    shown = excerpt(before.data, after.data, index, plan.region)
    sizes, unit = before.physical()
    report = Report(
        source=before.name or path.stem,
        before=shown.before,
        after=shown.after,
        where=shown.where,
        assessment=assessment,
        index=index,
        settings=settings,
        pixel_size=sizes.get("X"),
        unit=unit or "",
        date=today(),
    )
    write_report(path, report)


def today() -> str:
    """When something is assessed or reported, for people."""
    return datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")


def whole_record(
    image: Micrograph,
    plan: RestorationPlan,
    card: ModelCard,
    found: Assessment | None,
    ensemble: bool,
    dated: bool,
) -> dict[str, Any]:
    """How a result was made and what was found out about it, as its file keeps it; with the date of
    that if it is to be `dated`.
    """
    binning = image.binning
    entry = {"made": provenance_of(plan, card, image.name, ensemble=ensemble, binning=binning)}
    if found is not None:
        (sizes, unit), date = image.physical(), today() if dated else ""
        described, softness = settings_of(plan, card, ensemble, binning), plan.softness.sigma
        entry["trust"] = trust_record(found, described, softness, sizes.get("X"), unit or "", date)
    return record_of([entry])


def unassessed(output: Path, trouble: Exception) -> Unassessed:
    """What is raised where a result was written that could not be assessed."""
    why = _reason(output, trouble)
    return Unassessed(f"{output} is whole, but how far to trust it was not found out: {why}.", why)


def _reason(output: Path, trouble: Exception) -> str:
    from napari_mdeblurgan.restoration.out_of_memory import is_out_of_memory

    if isinstance(trouble, OSError):
        return in_words(trouble)
    if isinstance(trouble, MdeblurganError):
        return str(trouble).rstrip(".")
    if is_out_of_memory(trouble):
        mend = "" if output.suffix == ".zarr" else "; restore it to an OME-Zarr, which takes less"
        return f"there was too little memory for it{mend}"
    log.error("assessing %s failed", output, exc_info=trouble)
    return f"there is an error in this program ({in_short(trouble)})"
