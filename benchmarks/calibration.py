"""Is the error bar right? `python benchmarks/calibration.py DATA [--output DIR] [--disagreement]
[--limit N] [--jpeg QUALITY]`.

DATA has the subfolders rgb/ and grey/ of sharp images that no model was trained on and no error bar
fitted to. The middle 512² pixels of each are blurred in six ways, restored by the bundled models
and assessed; then the predicted error bar is compared with the true absolute error: rank
correlation over cells of 8 × 8 pixels, and the share of the pixels within the interval that should
hold 90 %. DIR gets calibration.csv, calibration.md and calibration.png.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.degradation import GAUSSIAN, PHYSICAL
from napari_mdeblurgan.degradation.processing import after_jpeg
from napari_mdeblurgan.evaluation.images import find_images
from napari_mdeblurgan.evaluation.protocol import degraded
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration.plan import make_plan
from napari_mdeblurgan.trust.assess import assess
from napari_mdeblurgan.trust.calibrating import BarScore, score_bar
from napari_mdeblurgan.trust.trust_plan import AssessmentOptions

MODELS = {"rgb": "rgb-x2", "grey": "gray-x2"}
CONDITIONS = (*GAUSSIAN, *PHYSICAL)
EDGE, BORDER = 512, 16
BINS = np.geomspace(3e-4, 1, 24)  # of half-widths in windows
COLOURS = {"rgb": "#D55E00", "grey": "#0072B2"}
NAMES = {"rgb": "colour", "grey": "grey"}

Row = tuple[str, str, str, BarScore]


def main() -> None:
    """Judge and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--output", type=Path, default=Path("calibration"))
    parser.add_argument(
        "--disagreement",
        action="store_true",
        help="with the eight orientations: nine times as long",
    )
    parser.add_argument("--limit", type=int, help="images of each kind")
    parser.add_argument("--jpeg", type=int, help="compress the blurred images at this quality")
    wishes = parser.parse_args()
    rows: list[Row] = []
    counts = {
        kind: np.zeros((2, len(BINS) + 1)) for kind in MODELS
    }  # pixels, and those within the interval
    for kind, name in MODELS.items():
        model = load_model(name)
        for image, condition, width, error in _judged(wishes.data / kind, model, wishes):
            rows.append((kind, image, condition, score_bar(width, error)))
            place = np.digitize(width, BINS).ravel()
            for line, value in enumerate((np.ones_like(width), error <= width)):
                counts[kind][line] += np.bincount(place, np.ravel(value), len(BINS) + 1)
            print(f"{kind} {image}, {condition}: {rows[-1][3]}", flush=True)
    wishes.output.mkdir(parents=True, exist_ok=True)
    with (wishes.output / "calibration.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ("kind", "image", "condition", "spearman", "covered", "half_width", "error")
        )
        writer.writerows(
            (*row[:3], row[3].spearman, row[3].covered, row[3].width, row[3].error) for row in rows
        )
    text = table(rows)
    (wishes.output / "calibration.md").write_text(text, encoding="utf-8")
    print(text)
    draw(rows, counts, wishes.output / "calibration.png")


def _judged(
    folder: Path, model: Model, wishes: argparse.Namespace
) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    """Image, condition, half-widths and absolute errors in windows."""
    for image in find_images(folder)[0][: wishes.limit]:
        whole = image.read(model.card.scale)
        height, width = (min(n, EDGE) // 2 * 2 for n in whole.shape[:2])
        y, x = (whole.shape[0] - height) // 2, (whole.shape[1] - width) // 2
        sharp = np.ascontiguousarray(whole[y : y + height, x : x + width])
        for condition in CONDITIONS:
            low, truth = degraded(sharp, condition, model.card.scale)
            levels = np.rint(low * 255).astype(np.uint8)
            if wishes.jpeg is not None:
                levels = after_jpeg(levels, wishes.jpeg)
            plan = make_plan(levels, model.card)
            restored = restore(levels, model)
            found = assess(
                levels, restored, plan, model, AssessmentOptions(disagreement=wishes.disagreement)
            ).map("error")
            if found is None:
                raise SystemExit(
                    f"There is no calibration for {model.card.name}: run "
                    "scripts/calibrate_trust.py first."
                )
            (window,) = plan.windows or ()
            error = np.abs(np.atleast_3d(restored) - np.atleast_3d(truth) * 255.0).mean(axis=-1)
            inner = (slice(BORDER, -BORDER),) * 2
            yield (
                image.path.stem,
                condition.label,
                found.data[inner] / window.span,
                error[inner] / window.span,
            )


def table(rows: list[Row]) -> str:
    """Means by kind of image, in all and by condition, as Markdown."""
    lines = [
        "| images | blur | n | rank correlation | within the 90 % interval | images from … to "
        "(10–90 %) |",
        "|---|---|--:|--:|--:|---|",
    ]
    for kind in MODELS:
        of_kind = [row for row in rows if row[0] == kind]
        for label in ("all", *(condition.label for condition in CONDITIONS)):
            found = [row[3] for row in of_kind if label in ("all", row[2])]
            if not found:
                continue
            covered = [each.covered for each in found]
            low, high = np.quantile(covered, (0.1, 0.9))
            figures = (
                f"{np.mean([each.spearman for each in found]):.2f} "
                f"| {100 * np.mean(covered):.1f} % | {100 * low:.0f} % … {100 * high:.0f} %"
            )
            bold = "**" if label == "all" else ""
            lines.append(f"| {NAMES[kind]} | {bold}{label}{bold} | {len(found)} | {figures} |")
    return "\n".join(lines) + "\n"


def draw(rows: list[Row], counts: dict[str, np.ndarray], path: Path) -> None:
    """Share within the interval against the predicted bar, and three figures for every image."""
    figure = Figure(figsize=(10.5, 3.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for kind, colour in COLOURS.items():
        pixels, within = counts[kind]
        enough = np.flatnonzero(pixels[1:-1] > 2000)
        centres = np.sqrt(BINS[1:] * BINS[:-1])[enough]
        left.plot(
            100 * centres,
            100 * (within / np.maximum(pixels, 1))[enough + 1],
            "o-",
            color=colour,
            label=NAMES[kind],
        )
        found = [row[3] for row in rows if row[0] == kind]
        bars, errors = (
            [100 * getattr(each, name) for each in found] for name in ("width", "error")
        )
        middle.plot(bars, errors, ".", color=colour, alpha=0.6, label=NAMES[kind])
        right.plot(
            [100 * j.covered for j in found],
            [j.spearman for j in found],
            ".",
            color=colour,
            alpha=0.6,
        )
    left.axhspan(88, 92, color="0.9", zorder=0)
    left.set(
        xscale="log",
        ylim=(60, 100),
        xlabel="predicted bar [% of the range]",
        ylabel="pixels within it [%]",
    )
    left.set_title("All pixels: does it hold 90 %?", fontsize=10)
    middle.set(
        xscale="log",
        yscale="log",
        xlabel="mean predicted bar [% of the range]",
        ylabel="true mean error [%]",
    )
    middle.set_title("Every image: is a wide bar a large error?", fontsize=10)
    right.axvspan(88, 92, color="0.9", zorder=0)
    right.axhline(0.6, color="0.6", linewidth=1)
    right.set(
        xlabel="pixels within the bar [%]", ylabel="rank correlation, 8 × 8 cells", ylim=(-0.1, 1)
    )
    right.set_title("Every image: both figures", fontsize=10)
    middle.set_yticks([0.5, 1, 2, 5], ["0.5", "1", "2", "5"])
    for axes in (left, middle):
        axes.set_xticks([1, 2, 5, 10], ["1", "2", "5", "10"])
        axes.legend(frameon=False)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_formatter(NullFormatter())
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    main()
