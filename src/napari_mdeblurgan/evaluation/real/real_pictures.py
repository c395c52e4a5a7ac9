"""The report's pictures: results side by side, and gains over the distance from focus."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.evaluation.real.cases import Case, cases
from napari_mdeblurgan.evaluation.real.contenders import Contender, on_grid
from napari_mdeblurgan.evaluation.real.gains import Gain, real_gains
from napari_mdeblurgan.evaluation.real.measures import linearly_fitted
from napari_mdeblurgan.evaluation.real.scoring import RealScore
from napari_mdeblurgan.evaluation.real.sets import RealSet
from napari_mdeblurgan.evaluation.report_figures import COLOURS, DPI, MARKERS, comparison_figure

CURVE = 3  # distances from focus that make a curve


def drawn(
    output: Path, group: Mapping[RealSet, Sequence[Contender]], scores: Sequence[RealScore]
) -> list[tuple[str, str]]:
    """Draw what a set comes to.

    Shown are the images of the median and of the smallest gain of the first model, and the gains
    over the distance from focus.

    Parameters
    ----------
    output : Path
        Folder of the report.
    group : mapping of RealSet to sequence of Contender
        Sets of one name, and what was compared on them.
    scores : sequence of RealScore
        Of them.

    Returns
    -------
    list of (str, str)
        File names and captions; empty where no model was judged.
    """
    names = {each.name for listed in group.values() for each in listed if each.channels is not None}
    found = real_gains(scores)
    of_models = [gain for gain in found if gain.score.method in names]
    if not of_models:
        return []
    judge = of_models[0].score.method
    own = sorted(
        (gain for gain in of_models if gain.score.method == judge), key=lambda gain: gain.psnr_db
    )
    wanted = {
        own[len(own) // 2].score.image: "is the median of the images",
        own[0].score.image: "is smallest",
    }
    slug = re.sub(r"[^a-z0-9]+", "-", own[0].score.set.lower()).strip("-")
    pictures = []
    distances = {gain.score.defocus for gain in found}
    if None not in distances and len(distances) >= CURVE:
        _over_distance(output / f"{slug}-gains.png", found)
        pictures.append(
            (f"{slug}-gains.png", "Gain in PSNR over bicubic enlargement, by distance from focus")
        )
    for real, listed in group.items():
        for case in cases(real, set(wanted)):
            if isinstance(case, Case):
                name = f"{slug}-{re.sub(r'[^A-Za-z0-9_.-]+', '-', Path(case.name).stem)}.png"
                title = _side_by_side(output / name, case, listed, scores)
                pictures.append(
                    (name, f"{title}: where {judge}'s gain over bicubic {wanted[case.name]}")
                )
    return pictures


def _side_by_side(
    path: Path, case: Case, listed: Sequence[Contender], scores: Sequence[RealScore]
) -> str:
    """Draw all results for one image, each fitted to the truth as it was
    judged; returns the title.
    """
    known = {score.method: score for score in scores if score.image == case.name}
    low, high = (0.0, 255.0) if case.colour else np.percentile(case.truth[case.judged], (0.1, 99.9))

    def shown(result: np.ndarray) -> np.ndarray:
        fitted = linearly_fitted(on_grid(result, case.truth.shape), case.truth, case.judged)
        return np.clip((fitted - low) / max(high - low, 1e-6), 0, 1)

    columns = [("input", shown(np.kron(case.image, np.ones(_factors(case)))), "")]
    for contender in listed:
        score = known.get(contender.name)
        if score is not None:
            figures = f"{score.psnr_db:.2f} dB / {score.ssim:.3f}"
            figures += "" if score.frc is None else f"\nFRC {score.frc:.3f}"
            columns.append(
                (contender.name, shown(contender.runs[score.setting](case.image)), figures)
            )
    truth = np.clip((case.truth - low) / max(high - low, 1e-6), 0, 1)
    columns.append(("truth", marked(truth, case), "PSNR / SSIM\ndark: not judged"))
    distance = "" if case.defocus is None else f", {case.defocus:+g} {case.unit}"
    title = f"{case.set_name}: {case.name}{distance}"
    comparison_figure(path, columns, title, case.judged)
    return title


def _factors(case: Case) -> tuple[int, ...]:
    factor = case.truth.shape[0] // case.image.shape[0]
    return (factor, factor, 1)[: case.image.ndim]


def marked(truth: np.ndarray, case: Case) -> np.ndarray:
    """The truth, dark where it is not judged."""
    return np.where(case.judged[..., None] if case.colour else case.judged, truth, 0.5 * truth)


def _over_distance(path: Path, found: Sequence[Gain]) -> None:
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.subplots()
    for index, method in enumerate(dict.fromkeys(gain.score.method for gain in found)):
        points = sorted(
            (gain.score.defocus, gain.psnr_db) for gain in found if gain.score.method == method
        )
        distances, db = zip(*points, strict=True)
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        axes.plot(distances, db, color=colour, marker=marker, markersize=5, label=method)
    axes.axhline(0, color="#666666", linewidth=1)
    unit = found[0].score.unit
    axes.set(
        xlabel=f"distance from focus ({unit})" if unit else "distance from focus",
        ylabel="gain in PSNR (dB)",
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    with replacing(path, make_folders=True) as file:
        figure.savefig(file, format="png", dpi=DPI)
