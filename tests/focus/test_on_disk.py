"""Focus stacks that are put together on disk: what is held in memory does not grow with them."""

from __future__ import annotations

import shutil
import tracemalloc
from pathlib import Path

import dask.array as da
import numpy as np
import pytest

from napari_mdeblurgan.focus.on_disk import Target, in_focus_on_disk_steps
from napari_mdeblurgan.focus.plane_parts import reduced_plane
from napari_mdeblurgan.pairs.search import reduced
from napari_mdeblurgan.steps import finished
from napari_mdeblurgan.storage import Micrograph, open_image

EDGE, COUNT = 1024, 2
BOUND = 8_000_000  # bytes: less than the stack has, and than its image and maps


@pytest.fixture
def stack(tmp_path: Path) -> np.ndarray:
    """(planes, y, x) float32 in a file that is mapped; stripes that are sharp in another plane in
    each half.
    """
    planes = np.memmap(tmp_path / "stack", np.float32, "w+", shape=(COUNT, EDGE, EDGE))
    planes[...] = np.random.default_rng(0).normal(0.5, 0.01, planes.shape)
    for number, plane in enumerate(planes):
        plane[:, number * EDGE // COUNT : (number + 1) * EDGE // COUNT : 6] = 1
    return planes


def test_memory_holds_neither_the_stack_nor_what_is_made_of_it(
    stack: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_mdeblurgan.storage.pyramid.COARSEST_EDGE", 128)
    small = {
        "focusing.FOCUS_TILE": 160,
        "focusing.FOCUS_REACH": 16,
        "looking.MIDDLE_EDGE": 256,
        "plane_parts.READ_AT_ONCE": 2**16,
    }
    for name, value in small.items():
        monkeypatch.setattr(f"napari_mdeblurgan.focus.{name}", value)
    paths = {name: tmp_path / f"{name}.ome.zarr" for name in ("image", "height", "confidence")}
    assert min(stack.nbytes, EDGE**2 * (4 + 4 + 4)) > BOUND

    def put_together(planes: np.ndarray) -> None:
        like = Micrograph(planes[0], "YX")
        targets = {name: Target(path=path, like=like) for name, path in paths.items()}
        finished(in_focus_on_disk_steps(planes, (), targets, registered=True))

    put_together(stack[:, :256, :256])  # imports what is needed
    for path in paths.values():
        shutil.rmtree(path)
    tracemalloc.start()
    put_together(stack)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < BOUND
    height = np.asarray(open_image(paths["height"]).data)
    halves = [np.median(height[:, part]) for part in np.array_split(np.arange(EDGE), COUNT)]
    assert halves == pytest.approx([0, 1], abs=0.2)
    image = np.asarray(open_image(paths["image"]).data)
    assert (image[::64, : EDGE // 2 - 6 : 6] > 0.9).all()  # beside the edge both planes are mixed
    assert (image[::64, EDGE // 2 + 6 :: 6] > 0.9).all()


@pytest.mark.parametrize("colours", [(), (3,)])
@pytest.mark.parametrize("factor", [1, 3, 4, 7])
def test_a_plane_is_made_smaller_part_by_part_as_it_would_be_in_one(
    factor: int, colours: tuple[int, ...]
) -> None:
    plane = np.random.default_rng(1).integers(0, 60_000, (101, 133, *colours), np.uint16)
    lazy = da.from_array(plane, chunks=(17, 40, *colours))
    planes = np.moveaxis(np.atleast_3d(plane), -1, 0)
    expected = np.stack([reduced(each.astype(np.float32), factor) for each in planes], axis=-1)
    for each in (plane, lazy):
        found = reduced_plane(each, factor)
        np.testing.assert_allclose(np.atleast_3d(found), expected, rtol=1e-5)
        assert found.dtype == np.float32
