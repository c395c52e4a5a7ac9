"""The report's tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from napari_mdeblurgan.degradation import Condition
from napari_mdeblurgan.evaluation.background import Background
from napari_mdeblurgan.evaluation.cost import Cost
from napari_mdeblurgan.evaluation.method_gains import Comparison
from napari_mdeblurgan.evaluation.methods import OURS, Method

NONE = "–"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1) -> str:
    """Markdown; the first `words` columns hold words, the others numbers."""
    marks = ["---" if index < words else "---:" for index in range(len(head))]
    cells = ([cell.replace("|", "\\|") for cell in row] for row in [head, marks, *rows])
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def bullets(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def mean(values: np.ndarray) -> float:
    """Of those that were measured; NaN where none was."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def number(value: float | None, digits: int, *, sign: bool = False, unit: str = "") -> str:
    if value is None or np.isnan(value):
        return NONE
    return f"{value:{'+' if sign else ''}.{digits}f}{unit}"


def methods(comparisons: Iterable[Comparison]) -> str:
    """What each method is."""
    found = {method.identity: method for comparison in comparisons for method in comparison.methods}
    rows = [(m.name, m.what, m.identity[:12] if m.parameters else NONE) for m in found.values()]
    return _table(["method", "what it is", "weights"], rows, words=3)


def scores_table(comparison: Comparison, conditions: Sequence[Condition]) -> str:
    """The paper's Table 1 for one protocol."""
    columns = [[condition] for condition in conditions]
    columns += [list(conditions)] if len(conditions) > 1 else []
    head = [
        "method",
        *(condition.label for condition in conditions),
        *(["mean"] if len(conditions) > 1 else []),
    ]
    best = [
        max(mean(comparison.values(m, "psnr_db", column)) for m in comparison.methods)
        for column in columns
    ]
    rows = []
    for method in comparison.methods:
        cells = []
        for column, highest in zip(columns, best, strict=True):
            db, one, many = (
                mean(comparison.values(method, measure, column))
                for measure in ("psnr_db", "ssim", "ms_ssim")
            )
            shown = number(db, 2)
            shown = f"**{shown}**" if db == highest else shown
            cells.append(f"{shown} / {number(one, 4)} / {number(many, 4)}")
        rows.append([method.name, *cells])
    return _table(head, rows)


def gains_table(comparison: Comparison, conditions: Sequence[Condition]) -> str:
    """How much better than each of the baselines, on average and on the worst image."""
    others = (each for each in comparison.networks if each.family != OURS)
    over = [comparison.methods[0], *comparison.family("richardson-lucy"), *others]
    head = [
        "gain",
        "measure",
        *(f"over {each.name}" for each in over),
        f"worst image, over {over[0].name}",
    ]
    rows = []
    for method in comparison.methods[1:]:
        for measure, words, digits, unit in (
            ("psnr_db", "PSNR", 2, " dB"),
            ("ssim", "SSIM", 4, ""),
        ):
            cells = [
                NONE
                if each is method
                else number(
                    mean(comparison.gains(method, each, measure, conditions)),
                    digits,
                    sign=True,
                    unit=unit,
                )
                for each in over
            ]
            lowest = float(comparison.gains(method, over[0], measure, conditions).min())
            rows.append([method.name, words, *cells, number(lowest, digits, sign=True, unit=unit)])
    return _table(head, rows, words=2)


def worst_table(comparison: Comparison, conditions: Sequence[Condition]) -> str:
    """The worst image of every network, and every result that is worse than bicubic."""
    return bullets(_worst(comparison, conditions, method) for method in comparison.networks)


def _worst(comparison: Comparison, conditions: Sequence[Condition], method: Method) -> str:
    gain = comparison.gains(method, comparison.methods[0], "psnr_db", conditions)
    similarity = comparison.gains(method, comparison.methods[0], "ssim", conditions)

    def place(image: int, condition: int) -> str:
        return f"`{comparison.images[image].name}` at {conditions[condition].label}"

    at = tuple(int(index) for index in np.unravel_index(int(gain.argmin()), gain.shape))
    text = f"**{method.name}**, worst: {place(*at)}, {number(gain[at], 2, sign=True, unit=' dB')}. "
    below = [
        (int(i), int(c)) for i, c in zip(*np.nonzero((gain < 0) | (similarity < 0)), strict=True)
    ]
    if not below:
        return text + f"None of its {gain.size} results is worse than bicubic, in PSNR or in SSIM."
    listed = (
        f"{place(*each)} ({number(gain[each], 2, sign=True, unit=' dB')}, "
        f"{number(similarity[each], 4, sign=True)})"
        for each in below
    )
    return (
        text + f"Worse than bicubic, in PSNR or in SSIM, {len(below)} of {gain.size}: "
        f"{'; '.join(listed)}."
    )


def backgrounds_table(found: Sequence[Background]) -> str:
    """Standard deviations of restored flat fields, over those of the input."""
    levels = sorted({each.level for each in found})
    inputs = {each.level: each.input_std for each in found}
    head = ["method", *(f"{100 * level:.0f} % of full scale" for level in levels)]
    rows = [["input, standard deviation", *(f"{inputs[level]:.5f}" for level in levels)]]
    ratios = {(each.method, each.level): each.ratio for each in found}
    rows += [
        [name, *(f"× {ratios[name, level]:.3f}" for level in levels)]
        for name in dict.fromkeys(e.method for e in found)
    ]
    return _table(head, rows)


def costs(found: Sequence[Cost]) -> str:
    """What each method costs."""
    head = [
        "method", "parameters", "GFLOP per output MPix", "seconds per output MPix",
        "peak memory per output MPix", "on",
    ]  # fmt: skip
    rows = [
        [
            each.method,
            f"{each.parameters:,}",
            number(each.gflop_per_mpix, 1),
            number(each.seconds_per_mpix, 2),
            number(each.peak_mib_per_mpix, 0, unit=" MiB"),
            each.device,
        ]
        for each in found
    ]
    return _table(head, rows)
