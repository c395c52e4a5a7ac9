"""The report on real blur: one web page, nothing outside it."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from napari_mdeblurgan import __version__
from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.evaluation.real.contenders import BICUBIC
from napari_mdeblurgan.evaluation.real.gains import MEASURES, Gain, mean_gain, real_gains
from napari_mdeblurgan.evaluation.real.judge import RealEvaluation
from napari_mdeblurgan.evaluation.real.scoring import RealScore
from napari_mdeblurgan.evaluation.tables import NONE, number
from napari_mdeblurgan.plain_text import for_utf8
from napari_mdeblurgan.trust.report import STYLE

REAL_PAGE = "report.html"
MORE_STYLE = """
body { max-width: 1400px; } th { text-align: right; padding: 3px 18px 3px 0;
  border-bottom: 2px solid #999; }
td { text-align: right; } th:first-child, td:first-child { text-align: left; }
td.less { color: #B00020; }
"""
_DIGITS = {"psnr_db": 2, "ssim": 4, "gmsd": 4, "frc": 3, "frc_limit": 3}
LESS = '<td class="less">'
_TITLES = {
    "psnr_db": "PSNR",
    "ssim": "SSIM",
    "gmsd": "GMSD (less is better)",
    "frc": "FRC",
    "frc_limit": "FRC limit",
}
_HOW = (
    "Every image shows a place of which there is a sharper image: the truth. None of them was "
    "trained on. The truth was laid on the image, which was never resampled. They are compared "
    "where the truth is clearly sharper, after a linear fit of the grey values. Of a focus series "
    "methods get the plane binned 2 × 2 and the truth keeps its pixels, unless the set says "
    "otherwise; of images of equal pixels they get the image, and their results are reduced to "
    "its pixels.",
    "PSNR in dB; SSIM with Gaussian weights of 1.5 pixels; GMSD, the deviation of gradient "
    "similarity; FRC, the mean Fourier ring correlation with the truth over all frequencies: two "
    "exposures share no noise, so it counts only detail that is true. FRC limit: the frequency "
    "from which it is below 1/7, as a share of the limit of the truth's pixels.",
    "Unsharp masking and Richardson-Lucy are shown with the setting out of nine that comes "
    "closest to the truth. Nobody who does not have the truth can choose it: it is the most that "
    "they can do, not what they do in use.",
)


def write_page(path: Path, evaluation: RealEvaluation) -> None:
    """Write the report as a web page; the pictures, which are looked for beside it, become part of
    it.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    with replacing(path, make_folders=True) as file:
        file.write(for_utf8(page(path.parent, evaluation)).encode())


def page(folder: Path, evaluation: RealEvaluation) -> str:
    """The page's text."""
    title = f"Real blur: {evaluation.folder}"
    models = ", ".join(
        f"{name} ({model.card.weights_sha256[:12]})" for name, model in evaluation.models
    )
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f'<p class="date">napari-mdeblurgan {html.escape(__version__)}; models: '
        f"{html.escape(models)}; networks ran on: "
        f"{html.escape(evaluation.device)}</p>",
        *(f"<p>{html.escape(note)}</p>" for note in evaluation.notes),
    ]
    for name in dict.fromkeys(score.set for score in evaluation.scores):
        scores = [score for score in evaluation.scores if score.set == name]
        parts += [f"<h2>{html.escape(name)}</h2>", *_of_set(scores)]
        parts += [
            _picture(folder / file, caption) for file, caption in evaluation.pictures.get(name, [])
        ]
    parts += ["<h2>How it was measured</h2>", *(f"<p>{html.escape(text)}</p>" for text in _HOW)]
    body = "\n".join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}{MORE_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _of_set(scores: Sequence[RealScore]) -> Iterator[str]:
    found = real_gains(scores)
    base = [score for score in scores if score.method == BICUBIC]
    shares = [score.judged for score in base]
    count = f"{len(base)} image{'s' if len(base) != 1 else ''}"
    yield (
        f"<p>{count}; {100 * min(shares):.0f} to {100 * max(shares):.0f} % of the field is judged. "
        "Gains are over bicubic enlargement.</p>"
    )
    head = ["", *_TITLES.values(), "worst image, PSNR"]
    rows = [[BICUBIC, *(_mean(base, measure) for measure in MEASURES), ""]]
    rows += [
        _row(method, [g for g in found if g.score.method == method]) for method in _methods(found)
    ]
    yield _table(head, rows)
    yield "<p>Gain in PSNR and SSIM by image:</p>"
    yield _table(
        ["image", "judged", "bicubic, PSNR", *_methods(found)],
        [_by_image(score, found) for score in base],
    )


def _methods(found: Iterable[Gain]) -> list[str]:
    return list(dict.fromkeys(gain.score.method for gain in found))


def _mean(scores: Sequence[RealScore], measure: str) -> str:
    values = [value for score in scores if (value := getattr(score, measure)) is not None]
    return number(float(np.mean(values)) if values else None, _DIGITS[measure])


def _row(method: str, own: Sequence[Gain]) -> list[str]:
    worst = min(own, key=lambda gain: gain.psnr_db)
    cells = [number(mean_gain(own, measure), _DIGITS[measure], sign=True) for measure in MEASURES]
    return [method, *cells, f"{number(worst.psnr_db, 2, sign=True)} ({worst.score.image})"]


def _by_image(base: RealScore, found: Sequence[Gain]) -> list[str]:
    at = "" if base.defocus is None else f"{base.defocus:+g} {base.unit}: "
    cells = {
        gain.score.method: f"{number(gain.psnr_db, 2, sign=True)} / "
        f"{number(gain.ssim, 3, sign=True)}"
        for gain in found
        if gain.score.image_id == base.image_id
    }
    return [
        f"{at}{base.image}",
        f"{100 * base.judged:.0f} %",
        number(base.psnr_db, 2),
        *(cells.get(method, NONE) for method in _methods(found)),
    ]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column holds words; what is worse than bicubic in PSNR is red."""
    lines = ["<tr>" + "".join(f"<th>{html.escape(cell)}</th>" for cell in head) + "</tr>"]
    for row in rows:
        cells = (f"{LESS if _is_less(cell) else '<td>'}{html.escape(cell)}</td>" for cell in row)
        lines.append("<tr>" + "".join(cells) + "</tr>")
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def _is_less(cell: str) -> bool:
    return cell.startswith("-") and " / " in cell


def _picture(path: Path, caption: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    text = html.escape(caption)
    return (
        f'<figure class="wide"><img alt="{text}" '
        f'src="data:image/png;base64,{data}"><figcaption>{text}</figcaption></figure>'
    )
