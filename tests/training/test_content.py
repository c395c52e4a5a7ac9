"""Images too large for memory: what of them is read, and where patches are drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_mdeblurgan.degradation import Mixture
from napari_mdeblurgan.restoration.intensity import spots
from napari_mdeblurgan.training.data import content, image_store
from napari_mdeblurgan.training.data.dataset import PatchSampler, open_folder

PLAIN = Mixture(gaussian_noisy=0, physical=0, jpeg=0)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape, dtype=np.float32)


@pytest.fixture
def scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a scan that counts as large; all but its right quarter is blank."""
    monkeypatch.setattr(image_store, "SMALL_BYTES", 10_000)
    values = np.zeros((768, 1024), np.uint8)
    values[:, 768:] = (noise(768, 256) * 255).astype(np.uint8)
    tifffile.imwrite(tmp_path / "scan.tif", values, tile=(128, 128), compression="zlib")
    return tmp_path


def test_of_a_large_image_only_pieces_are_read(scan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (source,) = open_folder(scan, 1).training
    read: list[int] = []

    def counted(path: Path, piece: object) -> np.ndarray:
        array = image_store.computed(path, piece)
        read.append(array.size)
        return array

    monkeypatch.setattr("napari_mdeblurgan.training.data.sharp_image.computed", counted)
    PatchSampler((source,), size=16, batch=12, mixture=PLAIN).draw(0)
    assert source.images[0].shape == (1, 768, 1024)
    assert max(read) <= (2 * (32 + 2 * 24)) ** 2
    looked_at = sum(size == content.PROBE_EDGE**2 for size in read)
    assert looked_at == content.PROBES**2  # once, not for every patch
    assert len(read) <= looked_at + 3 * 12


def test_patches_of_a_large_image_lie_where_it_shows_something(scan: Path) -> None:
    sampler = PatchSampler(open_folder(scan, 1).training, size=16, batch=40, mixture=PLAIN)
    assert float((sampler.draw(0).sharp.std(dim=(1, 2, 3)) < 1e-3).float().mean()) < 0.1


def test_a_large_image_that_shows_something_in_few_places_is_not_taken_for_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_store, "SMALL_BYTES", 10_000)
    values = np.zeros((3000, 3000), np.uint16)
    at = slice(780, 1000)
    values[at, at] = (1000 * noise(220, 220)).astype(np.uint16)
    assert not any(values[spot].any() for spot in spots(values.shape, 2))
    tifffile.imwrite(tmp_path / "scan.tif", values, tile=(512, 512), compression="zlib")
    (source,) = open_folder(tmp_path, 1).training
    patch = source.images[0][:, at, at]
    assert 0.2 < float(patch.std()) < 0.4


def test_places_lie_within_the_image_and_all_over_it_where_nothing_is_known() -> None:
    random = np.random.default_rng(0)
    places = np.array(
        [content.rich_place(np.zeros((3, 2)), (100, 300), 100, random) for _ in range(200)]
    )
    assert set(places[:, 0]) == {0}
    assert places[:, 1].min() == 0
    assert places[:, 1].max() == 200
