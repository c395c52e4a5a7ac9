"""All in focus on scenes whose truth is known, beside other ways: `python benchmarks/focus.py
FOLDER`.

FOLDER holds sharp micrographs, which become the texture of scenes with slopes and steps. Every
plane is blurred by its distance from each place's height, moved, enlarged and given noise of 2 %.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from focus_methods import WAYS
from scipy import ndimage

from napari_mdeblurgan.evaluation.images import find_images
from napari_mdeblurgan.evaluation.metrics import psnr
from napari_mdeblurgan.focus import all_in_focus

PLANES, PER_PLANE, NOISE, EDGE = 9, 0.9, 0.02, 512


def scene(sharp: np.ndarray, form: str, seed: int, *, moved: bool = True):
    """Stack (planes, y, x), truth, heights, and the transforms of planes."""
    random = np.random.default_rng(seed)
    height, width = sharp.shape[:2]
    y, x = np.mgrid[:height, :width] / max(height, width)
    last = PLANES - 1
    if form == "slope":
        level = last * (0.15 + 0.7 * (0.6 * x + 0.4 * y))
    elif form == "steps":
        level = np.where(x > 0.5, 6.0, 2.0) + np.where(y > 0.5, 1.0, 0.0)
    else:
        level = last * (
            0.2
            + 0.6 * ndimage.zoom(random.random((4, 4)), (height / 4, width / 4), order=3).clip(0, 1)
        )
    widths = np.concatenate(([0], np.geomspace(0.35, PER_PLANE * last, 16)))
    blurs = np.stack(
        [
            sharp if not s else ndimage.gaussian_filter(sharp, (s, s, 0)[: sharp.ndim])
            for s in widths
        ]
    )
    stack, transforms = [], []
    for plane in range(PLANES):
        wanted = PER_PLANE * np.abs(plane - level)
        at = np.interp(wanted, widths, np.arange(len(widths)))
        low = np.floor(at).astype(int).clip(0, len(widths) - 2)
        part = (at - low).reshape(at.shape + (1,) * (sharp.ndim - 2))
        index = low.reshape(part.shape)[None]
        one, two = (np.take_along_axis(blurs, index + k, axis=0)[0] for k in (0, 1))
        image = one + part * (two - one)
        matrix = np.eye(3)
        if moved and plane != PLANES // 2:
            enlarged = 1 + 0.006 * (plane - PLANES // 2)
            matrix[:2, :2] *= enlarged
            matrix[:2, 2] = (
                random.uniform(-4, 4, 2) - (enlarged - 1) * np.array([height, width]) / 2
            )
            channels = np.moveaxis(np.atleast_3d(image), -1, 0)
            image = np.stack(
                [
                    ndimage.affine_transform(
                        c, matrix[:2, :2], matrix[:2, 2], order=3, mode="reflect"
                    )
                    for c in channels
                ],
                -1,
            ).reshape(image.shape)
        transforms.append(matrix)
        stack.append(image + NOISE * random.standard_normal(image.shape))
    return np.stack(stack).astype(np.float32), level.astype(np.float32), transforms


def main() -> None:
    """Print a line for every scene."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=3)
    wishes = parser.parse_args()
    images = find_images(wishes.folder)[0]
    picked = [images[round(i)] for i in np.linspace(0, len(images) - 1, wishes.images)]
    for image in picked:
        sharp = image.read(4)[:EDGE, :EDGE]
        for form in ("slope", "steps", "hills"):
            for moved in (False, True):
                stack, level, transforms = scene(sharp, form, 1, moved=moved)
                start = time.perf_counter()
                found = all_in_focus(stack, registered=not moved, reference=PLANES // 2)
                seconds = time.perf_counter() - start
                inner = slice(24, -24), slice(24, -24)
                grey = sharp.mean(-1) if sharp.ndim == 3 else sharp
                energy = ndimage.gaussian_filter(ndimage.gaussian_laplace(grey, 1.2) ** 2, 2.5)[
                    inner
                ]
                textured = energy > 4 * NOISE**2 * 0.06
                off = np.abs(found.height - level)[inner]
                line = f"{image.name[:24]:24} {form:6} {'moved' if moved else 'still':5} "
                best = max(psnr(plane[inner], sharp[inner]) for plane in stack)
                own = psnr(found.image[inner], sharp[inner])
                line += f"best plane {best:5.2f}  ours {own:5.2f} "
                if not moved:
                    line += " ".join(
                        f"{name} {psnr(way(stack)[inner], sharp[inner]):5.2f}"
                        for name, way in WAYS.items()
                    )
                line += (
                    f" within a plane {100 * (off[textured] <= 1).mean():5.1f} % of "
                    f"{100 * textured.mean():3.0f} %"
                )
                line += (
                    "  confident right "
                    f"{100 * (off[found.confidence[inner] > 0.5] <= 1).mean():5.1f} %"
                )
                if moved:
                    corners = np.array(
                        [(0, 0, 1), (0, EDGE - 1, 1), (EDGE - 1, EDGE - 1, 1)], float
                    ).T
                    errors = [
                        np.abs(((found.transforms[i] - t) @ corners)[:2]).max()
                        if found.transforms[i] is not None
                        else np.nan
                        for i, t in enumerate(transforms)
                    ]
                    line += f"  places {np.nanmax(errors):.2f} px"
                print(
                    line,
                    f" {seconds / PLANES / (sharp.shape[0] * sharp.shape[1] / 1e6):.2f} s/MP",
                    flush=True,
                )


if __name__ == "__main__":
    main()
