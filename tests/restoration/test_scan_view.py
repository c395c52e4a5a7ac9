"""What is shown of a scan on its way: done parts from the result, the rest from the source, at
every level.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import dask.array as da
import numpy as np
import pytest

from napari_mdeblurgan.restoration.scan import Scan, open_scan
from napari_mdeblurgan.restoration.scan_view import SourceView, levels_over
from napari_mdeblurgan.storage.micrograph import Micrograph
from napari_mdeblurgan.storage.pyramid import halved

if TYPE_CHECKING:
    from napari_mdeblurgan.model import Model

TILE = 512


def begun(
    image: np.ndarray, model: Model, folder: Path, blocks: int, monkeypatch: pytest.MonkeyPatch
) -> Scan:
    """A scan of which so many blocks, or a few more, are done."""
    monkeypatch.setattr("napari_mdeblurgan.restoration.scan.fitting_batch", lambda *_: 1)
    scan = open_scan(Micrograph(image, "YX"), model, folder / "a.ome.zarr", tile=TILE, device="cpu")
    steps = scan.steps()
    for _ in steps:  # some tell only that time passes
        if sum(map(scan.is_done, scan.blocks)) >= blocks:
            break
    steps.close()
    return scan


@pytest.mark.parametrize("lazy", [False, True])
def test_each_level_shows_done_blocks_of_the_result_and_elsewhere_the_source(
    tiny_model: Callable[..., Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lazy: bool
) -> None:
    image = np.random.default_rng(0).integers(1, 255, (1100, 1300)).astype(np.uint8)
    scan = begun(image, tiny_model(1), tmp_path, 1, monkeypatch)
    view = SourceView(
        da.from_array(image, chunks=200) if lazy else image, (), scan.plan, scan.levels
    )
    done = np.zeros(image.shape, bool)
    for block in scan.blocks:
        if scan.is_done(block):
            (y0, y1), (x0, x1) = block.region
            done[y0:y1, x0:x1] = True
    assert 0 < done.mean() < 1
    enlarged = [image.repeat(2, 0).repeat(2, 1), image, halved(image)]
    there = [done.repeat(2, 0).repeat(2, 1), done, done[::2, ::2]]
    for shown, made, source, known in zip(
        levels_over(scan, view), scan.levels, enlarged, there, strict=True
    ):
        np.testing.assert_array_equal(np.asarray(shown), np.where(known, np.asarray(made), source))


def test_a_coarse_level_is_read_from_the_pyramid_of_the_source(
    tiny_model: Callable[..., Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.random.default_rng(0).integers(1, 255, (1100, 1300)).astype(np.uint8)
    scan = begun(image, tiny_model(1), tmp_path, 0, monkeypatch)
    coarser = np.full((550, 650), 7, np.uint8)
    *_, shown = levels_over(scan, SourceView(image, [coarser], scan.plan, scan.levels))
    assert (np.asarray(shown) == 7).all()


def test_what_stands_in_at_once_is_the_source_in_memory_and_grey_for_one_on_disk_until_that_is_read(
    tiny_model: Callable[..., Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.random.default_rng(0).integers(1, 255, (1100, 1300)).astype(np.uint8)
    scan = begun(image, tiny_model(1), tmp_path, 0, monkeypatch)
    spans = (range(100, 300), range(40, 90))
    expected = image[50:150, 20:45].repeat(2, 0).repeat(2, 1)
    np.testing.assert_array_equal(
        SourceView(image, (), scan.plan, scan.levels).at_once(0, spans), expected
    )
    on_disk = SourceView(da.from_array(image, chunks=200), (), scan.plan, scan.levels)
    assert len(np.unique(on_disk.at_once(0, spans))) == 1
    assert on_disk.at_once(0, spans).all()
    on_disk.prepare(())
    rough = on_disk.at_once(0, spans).astype(float)
    assert np.corrcoef(rough.ravel(), expected.ravel())[0, 1] > 0.3
