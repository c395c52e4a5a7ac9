"""What the network said of a scan is kept beside it; where it was not, the network is run again."""

from __future__ import annotations

import errno
import gc
import io
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration import fitting
from napari_mdeblurgan.restoration.scan import Scan, open_scan
from napari_mdeblurgan.restoration.tiling import Tile
from napari_mdeblurgan.steps import finished
from napari_mdeblurgan.storage import Micrograph
from napari_mdeblurgan.trust import explanation
from napari_mdeblurgan.trust.assess import Assessment
from napari_mdeblurgan.trust.stored import assess_stored_steps

Models = Callable[..., Model]


@pytest.fixture
def plane(monkeypatch: pytest.MonkeyPatch) -> Micrograph:
    """Of several tiles, for the network and for the maps."""
    monkeypatch.setattr(fitting, "LARGEST_TILE", 64)
    data = np.random.default_rng(0).integers(0, 256, (2, 110, 150), dtype=np.uint8)
    return Micrograph(data, "ZYX", {"X": 0.5, "Y": 0.5}, "µm", name="cells")


def scan_of(plane: Micrograph, model: Model, folder: Path) -> Scan:
    return open_scan(plane, model, folder / "a.ome.zarr", tile=64)


def assessed(plane: Micrograph, scan: Scan, model: Model, **more: Any) -> Assessment:
    shutil.rmtree(scan.path / "trust", ignore_errors=True)
    return finished(assess_stored_steps(plane, scan.path, scan.plan, model, **more))


def read_all(found: Assessment) -> Assessment:
    """With its maps in memory, as they will be gone from the disk."""
    maps = tuple(replace(each, data=np.asarray(each.data), coarser=()) for each in found.maps)
    return replace(found, maps=maps)


def same(one: Assessment, other: Assessment) -> None:
    for a, b in zip(one.maps, other.maps, strict=True):
        found, expected = np.asarray(a.data), np.asarray(b.data)
        if a.name == "choice":
            assert (found != expected).mean() < 1e-3
        else:
            np.testing.assert_allclose(found, expected, rtol=2e-3)
    assert one.sentence == other.sentence


def test_what_the_network_said_is_kept_and_it_is_not_run_again(
    tiny_model: Models, plane: Micrograph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model()
    scan = scan_of(plane, model, tmp_path)
    said = explanation.ExplanationOnDisk(scan.plan, tmp_path)
    finished(scan.steps(said.keep))
    assert [path.name for path in tmp_path.iterdir()] == ["a.ome.zarr"]
    with monkeypatch.context() as patched:
        patched.setattr(explanation, "explained", lambda *_: pytest.fail("it was run again"))
        found = read_all(assessed(plane, scan, model, explanation=said))
    same(found, assessed(plane, scan, model))
    file = said._file
    del said
    gc.collect()
    assert file is not None
    assert file.closed


class Full(io.BytesIO):
    """A file on a disk that is full."""

    def write(self, _: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("why", ["interrupted", "disk full", "little room"])
def test_where_it_was_not_kept_the_network_is_run_again(
    why: str,
    tiny_model: Models,
    plane: Micrograph,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, kept, anew = tiny_model(), [], []
    scan = scan_of(plane, model, tmp_path)
    with monkeypatch.context() as patched:
        if why == "little room":
            usage = shutil.disk_usage(tmp_path)._replace(free=10)
            patched.setattr(shutil, "disk_usage", lambda _: usage)
        said = explanation.ExplanationOnDisk(scan.plan, tmp_path)

    def keep(index: tuple[int, ...], tile: Tile, told: np.ndarray) -> None:
        kept.append(tile)
        if why == "interrupted" and len(kept) > 1:
            return
        said.keep(index, tile, told)
        if why == "disk full" and said._file is not None:
            monkeypatch.setattr(said, "_file", Full())

    finished(scan.steps(keep))
    explained = explanation.explained

    def counted(*arguments: Any) -> np.ndarray:
        anew.append(arguments[1])
        return explained(*arguments)

    monkeypatch.setattr(explanation, "explained", counted)
    found = read_all(assessed(plane, scan, model, explanation=said))
    some = len(anew)
    same(found, assessed(plane, scan, model))
    all_of_them = len(anew) - some
    assert 0 < some <= all_of_them
    assert (some < all_of_them) == (why == "interrupted")
