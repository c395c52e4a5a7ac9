"""Draw the layers of the package and who imports whom: `python docs/layers_figure.py`, from the
root of the repository.

An arrow that another way downwards says already is left out.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch

sys.path.insert(0, str(Path(__file__).parents[1]))

from scripts.layers import LAYERS, arrows, module_files

PICTURE = Path(__file__).parent / "images" / "layers.svg"
WHAT = {
    "errors": "what is told in a sentence",
    "network": "generator, U-Net, reach",
    "storage": "files, geometry",
    "model": "load, save, list",
    "degradation": "blur, noise, optics",
    "restoration": "plan, tiles, results",
    "trust": "error bar, maps, report",
    "pairs": "registration",
    "training": "recipe, steps, checkpoints",
    "focus": "focus stacks",
    "fine_tuning": "pairs, stacks → model",
    "batch": "many files, cluster",
    "evaluation": "judge, real and simulated",
    "export": "ONNX, bioimage.io",
    "widgets": "the only part with Qt and napari",
    "commands": "mdeblurgan …",
}
BOX, GAP, STEP = 2.3, 0.35, 1.25


def needed(found: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The arrows between parts that no chain of other arrows stands for."""
    below: dict[str, set[str]] = {}
    for line in LAYERS:
        for part in line:
            own = {other for one, other in found if one == part}
            below[part] = own.union(*(below[other] for other in own)) if own else set()
    return {
        (part, other)
        for part, other in found
        if not any(other in below[between] for one, between in found if one == part)
    }


def main() -> None:
    """Draw, save."""
    figure, axes = plt.subplots(figsize=(11, 12))
    places = {}
    for rank, line in enumerate(LAYERS):
        for number, part in enumerate(line):
            x = (number - (len(line) - 1) / 2) * (BOX + GAP)
            places[part] = (x, rank * STEP)
            colour = "#f4d7c8" if part == "widgets" else "#dce8f2"
            axes.add_patch(
                FancyBboxPatch(
                    (x - BOX / 2, rank * STEP - 0.3),
                    BOX,
                    0.6,
                    boxstyle="round,pad=0.03",
                    fc=colour,
                    ec="#456",
                    lw=0.8,
                    zorder=2,
                )
            )
            axes.text(
                x,
                rank * STEP + 0.1,
                part,
                ha="center",
                va="center",
                fontsize=10,
                weight="bold",
                zorder=3,
            )
            axes.text(
                x,
                rank * STEP - 0.16,
                WHAT.get(part, ""),
                ha="center",
                va="center",
                fontsize=6.5,
                zorder=3,
            )
    for part, other in needed(arrows(module_files())):
        (x0, y0), (x1, y1) = places[part], places[other]
        axes.annotate(
            "",
            (x1, y1 + 0.34),
            (x0, y0 - 0.34),
            arrowprops={
                "arrowstyle": "-|>",
                "color": "#456",
                "lw": 0.7,
                "alpha": 0.7,
                "shrinkA": 0,
                "shrinkB": 0,
            },
            zorder=1,
        )
    axes.set_xlim(-6.8, 6.8)
    axes.set_ylim(-0.6, (len(LAYERS) - 1) * STEP + 0.6)
    axes.axis("off")
    plt.rcParams["svg.hashsalt"] = "layers"
    figure.savefig(PICTURE, bbox_inches="tight", metadata={"Date": None})


if __name__ == "__main__":
    main()
