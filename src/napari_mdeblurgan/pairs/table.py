"""What became of pairs, as a table and as pictures in a folder."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.pairs.affine import moved
from napari_mdeblurgan.pairs.many import Outcome
from napari_mdeblurgan.pairs.overlay import checkerboard, magenta_green
from napari_mdeblurgan.pairs.pair import RegisteredPair
from napari_mdeblurgan.plain_text import for_metadata, for_spreadsheet
from napari_mdeblurgan.storage import Micrograph, write_image

PAIR_COLUMNS = {
    "pair": "its name",
    "accepted": "yes, no, or failed",
    "score": "correlation of the structures, 0 to 1",
    "agreement": "share of the parts that fit on their own, 0 to 1",
    "uncertainty_px": "estimated error at the corners, low-resolution pixels",
    "blur_px": "σ by which the low-magnification image is more blurred, low-resolution pixels",
    "ratio": "high-resolution pixels for one low-resolution pixel",
    "rotation_deg": "of the high-magnification image against the other",
    "centre_y": "of the high-magnification image in the low-magnification one, its pixels",
    "centre_x": "of the high-magnification image in the low-magnification one, its pixels",
    "overlap": "share of the high-magnification image within the other",
    "size": "y × x of the part that both show, low-resolution pixels",
    "gain": "low = gain · high + offset, for each channel",
    "offset": "see gain",
    "problems": "all that there is to say",
}


def row(outcome: Outcome) -> tuple[str, ...]:
    """A row of the table, one text for each of `PAIR_COLUMNS`."""
    pair = outcome.pair
    if pair is None:
        return (outcome.name, "failed", *[""] * (len(PAIR_COLUMNS) - 3), outcome.error)
    found = pair.registration
    y, x = moved(np.linalg.inv(found.transform), (np.array(pair.high_shape) - 1) / 2)
    return (
        outcome.name,
        "yes" if found.accepted else "no",
        f"{found.score:.3f}",
        f"{found.agreement:.2f}",
        f"{found.residual_px:.3f}",
        f"{found.blur_px:.2f}",
        f"{found.ratio:.4f}",
        f"{found.rotation_degrees:.2f}",
        f"{y:.1f}",
        f"{x:.1f}",
        f"{found.overlap:.2f}",
        " × ".join(map(str, pair.low.shape[1:])),
        " ".join(f"{value:.4g}" for value in found.gain),
        " ".join(f"{value:.4g}" for value in found.offset),
        " ".join(found.problems),
    )


def write_table(path: Path, outcomes: Iterable[Outcome]) -> None:
    """Write the table as CSV (UTF-8), whole or not at all.

    Raises
    ------
    FileError
        If it cannot be written.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        [
            tuple(PAIR_COLUMNS),
            *(
                tuple(for_metadata(for_spreadsheet(cell)) for cell in row(outcome))
                for outcome in outcomes
            ),
        ]
    )
    with replacing(path) as file:
        file.write(
            text.getvalue().encode("utf-8-sig")
        )  # so that a spreadsheet sees that it is UTF-8


def printed(outcomes: Sequence[Outcome]) -> list[str]:
    """The table as lines of text: what matters most, then the problems beneath each."""
    shown = (
        "pair",
        "accepted",
        "score",
        "agreement",
        "uncertainty_px",
        "blur_px",
        "ratio",
        "rotation_deg",
        "overlap",
    )
    at = [list(PAIR_COLUMNS).index(column) for column in shown]
    rows = [shown, *(tuple(row(outcome)[number] for number in at) for outcome in outcomes)]
    widths = [max(len(each[number]) for each in rows) for number in range(len(shown))]
    lines = []
    for number, each in enumerate(rows):
        cells = [
            text.ljust(width) if not at else text.rjust(width)
            for at, (text, width) in enumerate(zip(each, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
        if number:
            lines += [f"    {problem}" for problem in outcomes[number - 1].problems]
    return lines


def overlay_stems(names: Sequence[str]) -> list[str]:
    """Names of pairs as beginnings of file names: allowed on every system, and no two the same,
    whatever the case.
    """
    stems: list[str] = []
    taken: set[str] = set()
    for name in names:
        plain = stem = re.sub(r"[^\w. +\-()]+", "_", name).strip(" .") or "pair"
        number = 2
        while stem.casefold() in taken:
            stem, number = f"{plain}-{number}", number + 1
        taken.add(stem.casefold())
        stems.append(stem)
    return stems


def write_overlays(folder: Path, pair: RegisteredPair, stem: str) -> tuple[Path, Path]:
    """Write the two overlays of a pair as PNG files whose names begin with `stem`, see
    `overlay_stems`.

    Raises
    ------
    FileError
        If they cannot be written.
    """
    paths = folder / f"{stem}.magenta-green.png", folder / f"{stem}.checkerboard.png"
    for path, draw in zip(paths, (magenta_green, checkerboard), strict=True):
        write_image(path, Micrograph(draw(pair), "YXS"))
    return paths
