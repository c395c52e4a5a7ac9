"""The table of a batch: what became of every image of an output folder, the worst first, for a
spreadsheet and as a page.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_mdeblurgan.batch.manifest import MadeEntry, Manifest
from napari_mdeblurgan.batch.output_folder import OutputFolder, report_name
from napari_mdeblurgan.plain_text import for_metadata, for_spreadsheet
from napari_mdeblurgan.trust.headline import LEVELS, SIGNS
from napari_mdeblurgan.trust.verdict import Verdict, verdict_from

TABLE, PAGE = "mdeblurgan-batch.csv", "mdeblurgan-batch.html"
SUMMARY_COLUMNS = {
    "file": "the image",
    "result": "in the output folder",
    "report": "on how far to trust it, in the output folder",
    "blur_px": "σ of the image's blur, in its pixels; of several channels the largest, as in the "
    "next three",
    "noise_percent": "σ of the image's noise at half brightness, of the intensity range",
    "error_percent": "± of the signal, for nine of ten pixels outside the background",
    "error_grey_levels": "the same in grey levels; where no background can be told, over the "
    "whole image",
    "differing_percent": "of the pixels in which the result differs from the image",
    "verdict": "good, caution, poor, failed, or empty where nothing was assessed",
    "words": "the verdict in words, or why it failed",
    "seconds": "that it took",
}
_FAILED = "failed"
_Figures = tuple[float | None, float | None, float | None, float | None, float | None]
_UNASSESSED = "not assessed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryRow:
    """What became of an image.

    Attributes
    ----------
    file : str
        The image, as the manifest knows it.
    result, report : str
        Names in the output folder, with "/" between parts; empty where there is none.
    verdict : Verdict or None
        Where the result was assessed.
    reason : str
        Why it failed; empty where it did not.
    seconds : float or None
        That it took.
    """

    file: str
    result: str = ""
    report: str = ""
    verdict: Verdict | None = None
    reason: str = ""
    seconds: float | None = None

    @property
    def level(self) -> str:
        """Of the verdict; "failed" if there is no result, and empty where it was not assessed."""
        if self.reason:
            return _FAILED
        return self.verdict.level if self.verdict else ""

    @property
    def words(self) -> str:
        """The verdict with its sign, or why there is none."""
        if self.reason:
            return f"{_FAILED}: {self.reason}"
        return (
            f"{SIGNS[self.verdict.level][0]} {self.verdict.text}" if self.verdict else _UNASSESSED
        )

    @property
    def figures(self) -> _Figures:
        """Blur in px, noise and error in percent, error in grey levels, what differs in percent;
        None where one is not known.
        """
        if self.verdict is None:
            return None, None, None, None, None
        found = self.verdict
        error = _percent(found.error), found.error_levels
        return found.blur_px, _percent(found.noise), *error, _percent(found.inconsistent)

    @property
    def badness(self) -> tuple[int, float, float]:
        """What rows are sorted by; the worst has the least."""
        ranks = [_FAILED, *reversed(LEVELS), ""]
        _, _, error, _, differing = self.figures
        return ranks.index(self.level), -(error or 0.0), -(differing or 0.0)


def rows_of(manifest: Manifest, folder: Path, images: Iterable[str] = ()) -> list[SummaryRow]:
    """A row for every result that is there, and for every image that failed last; the worst first.

    Parameters
    ----------
    manifest : Manifest
        Of the folder.
    folder : Path
        The output folder.
    images : iterable of str
        Keys of images that are known to be there. One that failed and is gone since is left out.
    """
    rows, known = [], set(images)
    for (file, output), record in manifest.records.items():
        last = record.last
        if isinstance(last, MadeEntry):
            if not os.path.lexists(folder / output):
                continue
            page = report_name(output)
            report = page if last.trust and (folder / page).is_file() else ""
            seconds = float(last.seconds) if isinstance(last.seconds, int | float) else None
            rows.append(
                SummaryRow(
                    file=file,
                    result=output,
                    report=report,
                    verdict=verdict_from(last.trust),
                    seconds=seconds if seconds is not None and math.isfinite(seconds) else None,
                )
            )
        elif file in known or os.path.lexists(file) or file.endswith("]"):
            rows.append(SummaryRow(file=file, reason=str(last.reason) or _FAILED))
    return sorted(rows, key=lambda row: (row.badness, row.file))


def table_text(rows: Sequence[SummaryRow]) -> str:
    """The table as CSV; no cell is one that a spreadsheet computes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(SUMMARY_COLUMNS)
    writer.writerows([for_spreadsheet(for_metadata(cell)) for cell in _cells(row)] for row in rows)
    return text.getvalue()


def write_summary(folder: OutputFolder, images: Iterable[str] = ()) -> Path | None:
    """Write table and page of an output folder; where the page is, None if there is nothing to
    tell.

    Parameters
    ----------
    folder : OutputFolder
        With its manifest.
    images : iterable of str
        As for `rows_of`.

    Raises
    ------
    FileError
        If one of them cannot be written, or its name is that of a link.
    """
    from napari_mdeblurgan.batch.summary_page import page_of

    rows = rows_of(folder.manifest, folder.path, images)
    if not rows:
        return None
    folder.write(
        TABLE, table_text(rows).encode("utf-8-sig")
    )  # so that a spreadsheet sees that it is UTF-8
    return folder.write(PAGE, page_of(rows, folder.path).encode())


def _cells(row: SummaryRow) -> Iterator[str]:
    yield from (row.file, row.result, row.report)
    for figure, digits in zip(row.figures, (2, 2, 2, 2, 3), strict=True):
        yield "" if figure is None else f"{figure:.{digits}f}"
    yield row.level
    yield row.reason or row.words
    yield "" if row.seconds is None else f"{row.seconds:.1f}"


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
