"""Assessments of micrographs: the record that a result's file keeps, and the report."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_mdeblurgan.model import ModelCard
    from napari_mdeblurgan.restoration.plan import RestorationPlan
    from napari_mdeblurgan.storage import Micrograph
    from napari_mdeblurgan.trust.assess import Assessment


def record_entry(
    image: Micrograph,
    plan: RestorationPlan,
    card: ModelCard,
    found: Assessment | None,
    *,
    ensemble: bool = False,
    binning: int = 1,
    date: str | None = None,
) -> dict[str, Any]:
    """How a result of `image` was made and what was found out about it, as its file keeps it; see `storage.provenance`.

    Parameters
    ----------
    image : Micrograph
        That was restored.
    plan : RestorationPlan
        By which it was.
    card : ModelCard
        Of the model.
    found : Assessment or None
        Of the result, if it was assessed.
    ensemble, binning
        As for `provenance_of`.
    date : str, optional
        When it was assessed: now, if not given. An empty one keeps the bytes of a result the same at any time.
    """
    from napari_mdeblurgan.restoration.made import provenance_of
    from napari_mdeblurgan.trust.record import trust_record
    from napari_mdeblurgan.trust.settings import settings_of

    entry = {"made": provenance_of(plan, card, image.name, ensemble=ensemble, binning=binning)}
    if found is not None:
        sizes, unit = image.physical()
        described = settings_of(plan, card, ensemble, binning)
        softness = plan.softness.sigma
        entry["trust"] = trust_record(
            found, described, softness, sizes.get("X"), unit or "", _today() if date is None else date
        )
    return entry


def write_report_of(
    path: Path,
    before: Micrograph,
    after: Micrograph,
    plan: RestorationPlan,
    assessment: Assessment,
    settings: dict[str, str],
) -> None:
    """Write a report on a micrograph: of a stack, on its middle plane; of a large plane, with a part of it."""
    from napari_mdeblurgan.comparison import middle_index
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
        date=_today(),
    )
    write_report(path, report)


def _today() -> str:
    """When a report is made."""
    return datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
