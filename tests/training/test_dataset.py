"""Reading sharp micrographs and drawing patches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from napari_mdeblurgan.training.dataset import PatchSampler, Source, as_grey, read_sharp, read_sources


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for name in ("leaf-0.png", "leaf-1.png", "blood-0.png"):
        Image.fromarray(random.integers(0, 256, (90, 120, 3), dtype=np.uint8)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not an image")
    return tmp_path


def test_8_bits_are_divided_by_255_and_more_bits_by_their_range(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 51], [102, 204]], np.uint8)).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "b.tif", np.array([[100, 200], [300, 500]], np.uint16))
    assert read_sharp(tmp_path / "a.png").ravel().tolist() == pytest.approx([0, 0.2, 0.4, 0.8])
    assert read_sharp(tmp_path / "b.tif").ravel().tolist() == pytest.approx([0, 0.25, 0.5, 1])


def test_files_are_grouped_by_the_word_before_the_hyphen(folder: Path) -> None:
    sources = {source.name: source for source in read_sources(folder, {"leaf": 3})}
    assert {name: len(source.images) for name, source in sources.items()} == {"leaf": 2, "blood": 1}
    assert (sources["leaf"].weight, sources["blood"].weight) == (3, 1)
    assert sources["leaf"].images[0].shape == (3, 90, 120)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no image files"):
        read_sources(tmp_path)


def test_channels_of_colour_images_serve_as_grey_ones(folder: Path) -> None:
    grey = as_grey(read_sources(folder), share=0.5)
    assert {len(source.images) for source in grey} == {6, 3}
    assert {source.weight for source in grey} == {0.5}
    assert grey[0].images[0].shape == (1, 90, 120)


def test_patches_fit_each_other_and_are_the_same_for_the_same_seed(folder: Path) -> None:
    sampler = PatchSampler(tuple(read_sources(folder)), size=16, batch=3)
    first, second = next(sampler.batches()), next(sampler.batches(1))
    assert first.blurred.shape == first.sharp_low.shape == (3, 3, 16, 16)
    assert first.sharp.shape == (3, 3, 32, 32)
    assert 0 <= first.blurred.min() <= first.blurred.max() <= 1
    again = sampler.batches()
    for mine, other in zip((first, second), again, strict=False):
        assert all(torch.equal(a, b) for a, b in zip(mine, other, strict=True))
    assert not torch.equal(first.blurred, second.blurred)


def test_a_patch_may_be_larger_than_the_image() -> None:
    small = Source("small", (np.random.default_rng(0).random((1, 20, 25)).astype(np.float32),), 1.0)
    assert next(PatchSampler((small,), size=32, batch=2).batches()).sharp.shape == (2, 1, 64, 64)


def test_of_several_draws_the_richest_is_taken() -> None:
    image = np.zeros((1, 400, 400), np.float32)
    image[:, 100:300, 100:300] = np.random.default_rng(0).random((1, 200, 200))
    batches = PatchSampler((Source("spot", (image,), 1.0),), size=16, batch=40, noisy=0).batches()
    empty = float((next(batches).sharp.std(dim=(1, 2, 3)) < 1e-3).float().mean())
    assert empty < 0.45
