"""One page for the lab book: what was restored, how, and how far it can be trusted. One file,
nothing outside it.
"""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from napari_mdeblurgan import __version__
from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.before_after import comparison
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.plain_text import for_metadata
from napari_mdeblurgan.short_numbers import short
from napari_mdeblurgan.storage.pillow import PNG_LEVEL
from napari_mdeblurgan.trust.assess import Assessment
from napari_mdeblurgan.trust.consistency import NOTABLE
from napari_mdeblurgan.trust.domain import in_shares
from napari_mdeblurgan.trust.estimates import Estimate
from napari_mdeblurgan.trust.pictures import picture
from napari_mdeblurgan.trust.summary import UNCALIBRATED

SUFFIXES = (".html", ".htm")
STYLE = """
body { font: 15px/1.45 sans-serif; color: #222; max-width: 1080px; margin: 24px auto;
  padding: 0 16px; }
h1 { font-size: 24px; margin-bottom: 2px; } h2 { font-size: 18px; margin: 26px 0 6px; }
p.date { color: #666; margin-top: 0; }
p.said { background: #eef3f8; border-left: 5px solid #0072B2; padding: 10px 14px; }
table { border-collapse: collapse; }
td { padding: 3px 18px 3px 0; vertical-align: top; border-bottom: 1px solid #ddd; }
td:first-child { color: #555; white-space: nowrap; } td { overflow-wrap: anywhere; }
figure { display: inline-block; width: 49%; margin: 6px 0; vertical-align: top; }
figure.wide { width: 100%; }
img { max-width: 100%; } figcaption { font-size: 13px; color: #444; padding-right: 12px; }
@media print { body { margin: 0; } figure { break-inside: avoid; } }
"""
_LIMITS = (
    "The consistency map sees what contradicts the input; detail finer than the blur leaves no "
    "trace in the input and cannot be checked by it. The error bar is a prediction from "
    "restorations whose truth is known; for other images it can be wrong. The resolution after "
    "restoration says how fine the detail looks, not whether it was there."
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Report:
    """What a report shows.

    Attributes
    ----------
    source : str
        Name of the image.
    before, after : ndarray
        (y, x) or (y, x, 3 or 4): the plane that stands for the image, or a part of it, and its
        restoration.
    assessment : Assessment
    index : tuple of int
        Of that plane in the maps.
    settings : dict of str to str
        How the restoration was made, in the order in which it is shown.
    pixel_size : float or None
        Edge of a pixel of the image, in `unit`.
    unit : str
    date : str
        When the restoration was made.
    where : str
        Which part of the plane `before` and `after` are, in words; empty for all of it.
    """

    source: str
    before: np.ndarray
    after: np.ndarray
    assessment: Assessment
    index: tuple[int, ...]
    settings: dict[str, str]
    pixel_size: float | None = None
    unit: str = ""
    date: str = ""
    where: str = ""


def check_report_path(path: Path) -> None:
    """Make sure that a report can be meant to be written there.

    Raises
    ------
    FileError
        If the name does not end in .html.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise FileError(f"A report is a web page; let {path.name!r} end in .html.")


def write_report(path: str | Path, report: Report) -> None:
    """Write a report.

    Raises
    ------
    FileError
        If the name does not end in .html, or the file cannot be written.
    """
    check_report_path(Path(path))
    with replacing(path) as file:
        file.write(report_html(report).encode())


def report_html(report: Report) -> str:
    """The page."""
    title = f"How far can the restoration of {for_metadata(report.source)} be trusted?"
    found = report.assessment
    shown = f"A part that is rich in detail: {report.where}. " if report.where else ""
    shown += "Framed: the part with most detail, magnified below."
    pictures = [_figure("Before and after", shown, _before_after(report), wide=True)]
    for each in found.maps:
        if each.name != "weights":
            name = (
                f"{each.kind.title} ({UNCALIBRATED})"
                if each.name == "error" and not found.calibrated
                else each.kind.title
            )
            pictures.append(_figure(name, each.kind.about, picture(each, report.index)))
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f'<p class="date">{html.escape(report.date)}</p>',
        f'<p class="said">{html.escape(found.sentence)}</p>',
        *pictures,
        "<h2>Figures</h2>",
        _table(dict(figures_in_words(found, report.pixel_size, report.unit))),
        "<h2>How it was made</h2>",
        _table({**report.settings, "napari-mdeblurgan": __version__}),
        "<h2>What this cannot tell</h2>",
        f"<p>{html.escape(_LIMITS)}</p>",
    ]
    body = "\n".join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def figures_in_words(
    found: Assessment, pixel_size: float | None, unit: str
) -> Iterator[tuple[str, str]]:
    """What is measured of an image and its restoration: names and values.

    Parameters
    ----------
    found : Assessment
    pixel_size : float or None
        Edge of a pixel of the image, in `unit`.
    unit : str
        "µm", "nm", …
    """
    if found.consistency >= 0:
        share = f"{100 * found.inconsistent:.2f} % of the pixels above {NOTABLE:g} × the noise"
        yield "Consistency", f"{found.consistency:.2f} × the noise; {share}"
    if found.error is not None and found.large_error is not None:
        words = "" if found.calibrated else f" ({UNCALIBRATED})"
        bar = (
            f"±{short(found.error)} grey levels on average; ±{short(found.large_error)} or less "
            "in 95 % of the pixels"
        )
        yield "Error bar, 90 %", bar + words
    if found.signal_error is not None and found.signal_share is not None and found.calibrated:
        share = (
            f"±{short(100 * found.signal_share)} % of the signal, "
            f"±{short(found.signal_error)} grey levels on average"
        )
        yield "Error bar outside the background", share
    if found.disagreement is not None:
        yield (
            "Disagreement",
            f"{short(found.disagreement)} grey levels on average, between the 8 results, flipped "
            "and turned",
        )
    for number, estimate in enumerate(found.estimates):
        channel = f", channel {number}" if len(found.estimates) > 1 else ""
        for name, words in _figures_of(estimate, pixel_size, unit):
            yield name + channel, words


def _figures_of(
    estimate: Estimate, pixel_size: float | None, unit: str
) -> Iterator[tuple[str, str]]:
    seen = estimate.examination
    length = lambda pixels: _length(pixels, pixel_size, unit)  # noqa: E731
    yield (
        "Blur of the image",
        "not to be seen" if seen.blur_sigma_px is None else f"σ ≈ {length(seen.blur_sigma_px)}",
    )
    yield "Blur over the field", in_shares(seen.blur)
    yield "Blur between result and image", f"σ ≈ {length(estimate.psf.sigma_px)}"
    yield (
        "Noise at half brightness",
        f"{short(seen.noise_sigma)} grey levels, {100 * seen.noise_share:.1f} % of the intensity "
        "range",
    )
    if seen.lost:
        lost = math.sqrt(sum(each**2 for each in seen.lost) / len(seen.lost))
        yield (
            "Lost by JPEG compression",
            f"some {short(lost * estimate.window.span)} grey levels, {100 * lost:.1f} % of the "
            "intensity range",
        )
    yield "Saturated", f"{100 * seen.saturated:.2f} % of the pixels looked at"
    for name, period in (
        ("before", estimate.resolution_before),
        ("after", estimate.resolution_after),
    ):
        yield (
            f"Finest detail {name}",
            "none above the noise" if period is None else f"period of {length(period)}",
        )


def _length(pixels: float, pixel_size: float | None, unit: str) -> str:
    """In pixels of the image, and in its unit where that is known."""
    text = f"{pixels:.1f} px"
    return text if pixel_size is None else f"{text} = {short(pixels * pixel_size, 3)} {unit}"


def _before_after(report: Report) -> bytes:
    file = io.BytesIO()
    Image.fromarray(comparison(report.before, report.after)).save(
        file, format="PNG", compress_level=PNG_LEVEL
    )
    return file.getvalue()


def _figure(name: str, about: str, png: bytes, wide: bool = False) -> str:
    data = base64.b64encode(png).decode()
    caption = f"<figcaption><b>{html.escape(name)}.</b> {html.escape(about)}</figcaption>"
    kind = ' class="wide"' if wide else ""
    return (
        f'<figure{kind}><img alt="{html.escape(name)}" '
        f'src="data:image/png;base64,{data}">{caption}</figure>'
    )


def _table(rows: dict[str, str]) -> str:
    lines = (
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(for_metadata(text))}</td></tr>"
        for name, text in rows.items()
    )
    return "<table>\n" + "\n".join(lines) + "\n</table>"
