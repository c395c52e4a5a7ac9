"""The table of a batch as a page: one file, nothing outside it, and what is in it of strangers is
shown and never run.
"""

from __future__ import annotations

import base64
import hashlib
import html
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from napari_mdeblurgan import __version__
from napari_mdeblurgan.plain_text import for_metadata
from napari_mdeblurgan.trust.headline import SIGNS

if TYPE_CHECKING:
    from napari_mdeblurgan.batch.batch_table import SummaryRow

HEADINGS = (  # words, unit, what they mean
    ("File", "", "The image; the whole path is shown when the mouse rests on it"),
    ("Result", "", "In the folder of this page"),
    (
        "Blur",
        "σ, px",
        "Blur found in the image, in its pixels; of several channels the largest, as in the next "
        "columns",
    ),
    (
        "Noise",
        "% of range",
        "Standard deviation of the image's noise at half brightness, of the intensity range",
    ),
    (
        "Error",
        "±% of signal",
        "Nine of ten pixels outside the background are predicted to be as close to the truth",
    ),
    (
        "Differs",
        "% of pixels",
        "Where the result, blurred again, differs from the image by more than three times the "
        "noise",
    ),
    ("Verdict", "", "All of it in one line; it leads to the report"),
    ("Time", "s", "That the restoration took"),
)
FAILED_COLOUR = "#999999"
_STYLE = """
:root { color-scheme: light dark; --line: #ddd; --text: #222; --back: #fff; --dim: #666;
  --link: #0060a0; }
@media (prefers-color-scheme: dark) {
  :root { --line: #444; --text: #ddd; --back: #1c1c1c; --dim: #aaa; --link: #7cc0f0; } }
body { font: 15px/1.4 sans-serif; color: var(--text); background: var(--back); margin: 20px; }
h1 { font-size: 22px; margin: 0 0 2px; } p { margin: 4px 0 12px; }
p.dim, small { color: var(--dim); }
a { color: var(--link); } table { border-collapse: collapse; width: 100%; }
th { position: sticky; top: 0; background: var(--back); text-align: left; vertical-align: bottom; }
th button { all: unset; cursor: pointer; font-weight: bold; padding: 4px 0; }
th button:focus-visible { outline: 2px solid; }
th[aria-sort=ascending] button::after { content: " \\25B2"; }
th[aria-sort=descending] button::after { content: " \\25BC"; }
td, th { padding: 4px 12px 4px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td { overflow-wrap: anywhere; } td.n, th.n { text-align: right; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
span.s { color: #000; padding: 0 6px; margin-right: 6px; white-space: nowrap; }
@media print { th { position: static; } }
"""
SCRIPT = """
const table = document.querySelector("table"), body = table.tBodies[0],
  heads = [...table.tHead.rows[0].cells];
const worth = (row, at) => row.cells[at].dataset.v ?? row.cells[at].textContent;
heads.forEach((head, at) => head.firstElementChild.addEventListener("click", () => {
  const up = head.getAttribute("aria-sort") !== "ascending",
    numbers = head.classList.contains("n") || at === 6;
  heads.forEach((each) => each.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const sign = up ? 1 : -1;
  const rows = [...body.rows].sort((a, b) => {
    const [x, y] = [worth(a, at), worth(b, at)];
    if (x === "" || y === "") return (x === "") - (y === "");
    return sign * (numbers ? x - y : x.localeCompare(y, undefined, { numeric: true }));
  });
  body.append(...rows);
}));
"""


def page_of(rows: Sequence[SummaryRow], folder: Path) -> str:
    """The page.

    Parameters
    ----------
    rows : sequence of SummaryRow
        In the order in which they are shown first.
    folder : Path
        The output folder, to which all links lead.
    """
    title = _shown(f"Batch: {folder.name or folder}")
    where = common_folder(rows)
    script = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{script}'"
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>",
        f"<p>{_counted(rows)}</p>",
        f'<p class="dim">Images in {_shown(where)}. ' if where else '<p class="dim">',
        "The worst come first; press a heading to sort by it.</p>",
        f"<table>\n<thead><tr>{''.join(_headings())}</tr></thead>\n<tbody>",
        *(_row(row, where, number) for number, row in enumerate(rows)),
        "</tbody>\n</table>",
        f'<p class="dim"><small>napari-mdeblurgan {_shown(__version__)}</small></p>',
        f"<script>{SCRIPT}</script>\n</body>\n</html>\n",
    ]
    return "\n".join(parts)


def common_folder(rows: Sequence[SummaryRow]) -> str:
    """The folder that all files lie in; empty where there is none, or a layer is among them."""
    try:
        files = [row.file for row in rows if os.path.isabs(row.file)]  # noqa: PTH117
        folder = os.path.commonpath([os.path.dirname(file) for file in files])  # noqa: PTH120
    except ValueError:
        return ""
    return "" if folder == os.path.dirname(folder) else folder  # noqa: PTH120


def _headings() -> Iterator[str]:
    for at, (words, unit, about) in enumerate(HEADINGS):
        kind = ' class="n"' if at in (2, 3, 4, 5, 7) else ""
        below = f"<br><small>{html.escape(unit)}</small>" if unit else ""
        yield (
            f'<th{kind} scope="col" '
            f'title="{html.escape(about)}"><button>{words}</button>{below}</th>'
        )


def _row(row: SummaryRow, where: str, number: int) -> str:
    name = row.file[len(where) + 1 :] if where and row.file.startswith(where + os.sep) else row.file
    blur, noise, error, _, differing = row.figures
    cells = [
        f'<td title="{_shown(row.file)}">{_shown(name)}</td>',
        f"<td>{_link(row.result, row.result)}</td>",
        *(
            _figure(figure, digits)
            for figure, digits in zip((blur, noise, error, differing), (1, 1, 1, 2), strict=True)
        ),
        f'<td data-v="{number}">{_verdict(row)}</td>',
        _figure(row.seconds, 1),
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _verdict(row: SummaryRow) -> str:
    if row.reason:
        return (
            f'<span class="s" style="background:{FAILED_COLOUR}">failed</span>{_shown(row.reason)}'
        )
    if row.verdict is None:
        return _shown(row.words)
    sign, colour = SIGNS[row.verdict.level]
    words = _link(row.report, row.verdict.text) if row.report else _shown(row.verdict.text)
    return f'<span class="s" style="background:{colour}">{sign}</span>{words}'


def _figure(value: float | None, digits: int) -> str:
    if value is None:
        return '<td class="n" data-v=""></td>'
    return f'<td class="n" data-v="{value:.6g}">{value:.{digits}f}</td>'


def _link(path: str, words: str) -> str:
    """A link to a file beside the page; it begins with a dot, so that no name is taken for an
    address.
    """
    return f'<a href="./{quote(os.fsencode(path))}">{_shown(words)}</a>' if path else ""


def _counted(rows: Sequence[SummaryRow]) -> str:
    """How many there are of each level."""
    counts = Counter(row.level for row in rows)
    found = [f"{len(rows):,} image{'s' * (len(rows) != 1)}"]
    for level, (sign, colour) in SIGNS.items():
        if counts[level]:
            found.append(
                f'<span class="s" style="background:{colour}">{sign}</span>{counts[level]:,}'
            )
    if counts["failed"]:
        found.append(
            f'<span class="s" style="background:{FAILED_COLOUR}">failed</span>{counts["failed"]:,}'
        )
    if counts[""]:
        found.append(f"{counts['']:,} not assessed")
    return " &nbsp; ".join(found)


def _shown(text: str) -> str:
    return html.escape(for_metadata(text))
