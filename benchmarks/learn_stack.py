"""How much does a focus stack teach? `python benchmarks/learn_stack.py PLANES OUTPUT [--minutes
10]`.

PLANES is a folder with the planes of a focus stack in colour, one file each, which lie on each
other. A model is fine-tuned by the command on the left two thirds of them, and judged by the
command on the right third, of which nothing was learned: each plane averaged 2 × 2, where another
one is clearly sharper, against that one. OUTPUT is a folder for the parts, the model and the
report.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import subprocess
from pathlib import Path

import numpy as np

from napari_mdeblurgan.storage import Micrograph, read_image, write_image

LEARNED = 2 / 3  # of the columns
GAP = 32  # columns between what is learned from and what is judged
ENDINGS = (".png", ".tif", ".tiff")


def cut(planes: Path, output: Path) -> tuple[Path, Path]:
    """Folders of the left two thirds and of the right third of every plane."""
    left, right = output / "left", output / "right"
    for folder in (left, right):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    for path in sorted(path for path in planes.iterdir() if path.suffix.lower() in ENDINGS):
        image = read_image(path)
        pixels = np.asarray(image.data)
        column = int(LEARNED * pixels.shape[1]) // 8 * 8
        for folder, part in ((left, pixels[:, :column]), (right, pixels[:, column + GAP :])):
            write_image(
                folder / f"{path.stem}.png", Micrograph(np.ascontiguousarray(part), image.axes)
            )
    description = (
        '[[set]]\nname = "right third"\nkind = "focus-series"\nimages = '
        '["*.png"]\nregistered = true\n'
    )
    (right / "real.toml").write_text(description, encoding="utf-8")
    return left, right


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("planes", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--base", default="rgb-x2")
    given = parser.parse_args()
    left, right = cut(given.planes, given.output)
    model = given.output / "learned.safetensors"
    learn = ["fine-tune", "--stack", left, "--registered", "--model", given.base, "--output", model]
    judge = [
        "evaluate",
        right,
        "--real",
        "--models",
        given.base,
        "--models",
        model,
        "--no-richardson-lucy",
        "--no-halve",
    ]
    for command in (
        [*learn, "--minutes", given.minutes, "--overwrite"],
        [*judge, "--output", given.output / "report"],
    ):
        subprocess.run(["mdeblurgan", *map(str, command)], check=True)
    with (given.output / "report" / "scores.csv").open(encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table):
            print(
                f"{row['image']:32} {row['method']:10} {float(row['psnr_db']):.2f} dB, SSIM "
                f"{float(row['ssim']):.4f}"
            )


if __name__ == "__main__":
    main()
