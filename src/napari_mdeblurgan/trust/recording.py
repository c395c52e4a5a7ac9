"""The report on an assessment of a micrograph."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_mdeblurgan.restoration.plan import RestorationPlan
    from napari_mdeblurgan.storage import Micrograph
    from napari_mdeblurgan.trust.assess import Assessment


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
