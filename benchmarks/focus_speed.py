"""How long does a plane of a focus stack take? `python benchmarks/focus_speed.py [--planes 9]
[--edge 1024] [--colour]`.

A scene of two slopes is blurred plane by plane, moved and enlarged, with noise of 2 %, and put
together by `all_in_focus`. Printed are seconds for each plane and megapixel: by the clock, and of
the processor, which others who use the machine do not lengthen; then the latter by step.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future
from typing import Any

import numpy as np
from scipy.ndimage import affine_transform, gaussian_filter

from napari_mdeblurgan.focus import all_in_focus, focusing, looking
from napari_mdeblurgan.focus import plane_registration as registering
from napari_mdeblurgan.focus import sharpest_plane as choice
from napari_mdeblurgan.restoration import crew

BLUR = 0.9  # pixels of σ for each plane of distance
MOVED, ENLARGED, NOISE = (
    2.0,
    0.003,
    0.02,
)  # pixels, share and standard deviation, from plane to plane and in each
STEPS = {  # function and what it does; each is a part of none of the others
    "details_steps": "detail and noise of every plane",
    "series_steps": "laying planes on each other",
    "overviews_steps": "brightness and order",
    "planes_steps": "moving the planes",
    "energies": "measuring detail",
    "shares_steps": "dividing it among the planes",
    "aligned_steps": "bringing the choice in line with edges",
    "heights": "heights and confidence",
    "filled": "carrying heights on",
    "fused_steps": "putting the planes together",
}


def made_stack(planes: int, edge: int, *, colour: bool) -> np.ndarray:
    """(planes, y, x) or (planes, y, x, 3) uint8."""
    random = np.random.default_rng(0)
    sharp = gaussian_filter(random.random((edge, edge)), 1) + 4 * gaussian_filter(
        random.random((edge, edge)), 8
    )
    sharp = (sharp - sharp.min()) / np.ptp(sharp)
    height = np.abs(np.linspace(1 - planes, planes - 1, edge))[None]  # of every column, in planes
    levels = [
        gaussian_filter(sharp, BLUR * distance) if distance else sharp for distance in range(planes)
    ]
    made = []
    for number in range(planes):
        distance = np.abs(height - number)
        below = np.minimum(distance.astype(int), planes - 1)
        part = distance - below
        rows = np.arange(edge)[:, None]
        columns = np.arange(edge)[None]
        blurred = np.stack(levels)[below, rows, columns] * (1 - part)
        blurred = (
            blurred + np.stack(levels)[np.minimum(below + 1, planes - 1), rows, columns] * part
        )
        scale = 1 + ENLARGED * (number - planes // 2)
        shift = MOVED * random.uniform(-1, 1, 2) + (1 - scale) * (edge - 1) / 2
        plane = affine_transform(blurred, np.eye(2) * scale, shift, order=3, mode="mirror")
        plane = plane[..., None] * (0.7, 0.9, 0.5) if colour else plane
        noisy = 0.1 + 0.8 * plane + NOISE * random.standard_normal(plane.shape)
        made.append((255 * noisy.clip(0, 1)).round().astype(np.uint8))
    return np.stack(made)


def one_after_the_other(
    work: Callable[[Any], Any], items: Iterable[Any]
) -> Generator[Any, None, None]:
    """Instead of `side_by_side`."""
    for each in items:
        yield work(each)


class Here(Executor):
    """Instead of threads: all is done when it is handed in."""

    def __init__(self, *_: Any) -> None: ...

    def submit(self, work: Callable[..., Any], /, *given: Any, **options: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(work(*given, **options))
        return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--planes", type=int, default=9)
    parser.add_argument("--edge", type=int, default=1024)
    parser.add_argument("--colour", action="store_true")
    given = parser.parse_args()
    planes = made_stack(given.planes, given.edge, colour=given.colour)
    megapixels = given.planes * given.edge**2 / 1e6
    wall, processor = time.perf_counter(), time.process_time()
    all_in_focus(planes)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    print(
        f"{wall / megapixels:.3f} s by the clock, {processor / megapixels:.3f} s of the processor"
    )
    for module in (
        choice,
        focusing,
        looking,
        registering,
    ):  # what other threads do would not be seen
        module.side_by_side = one_after_the_other
    crew.ThreadPoolExecutor = Here  # type: ignore[misc, assignment]
    profile = cProfile.Profile(time.process_time)
    profile.runcall(all_in_focus, planes)
    found = {
        name: cumulative
        for (_, _, name), (_, _, _, cumulative, _) in pstats.Stats(profile).stats.items()
    }  # type: ignore[attr-defined]
    for name, words in STEPS.items():
        print(f"{found.get(name, 0.0) / megapixels:8.3f} s  {words}")


if __name__ == "__main__":
    main()
