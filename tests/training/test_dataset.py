"""Drawing patches: what a patch depends on, where it comes from, what may be done to it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from napari_mdeblurgan.degradation import Mixture
from napari_mdeblurgan.errors import MdeblurganError
from napari_mdeblurgan.training.data.dataset import (
    Patches,
    PatchSampler,
    WeightedImages,
    open_folder,
    read_sharp,
)

PLAIN = Mixture(gaussian_noisy=0, physical=0, jpeg=0)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


@pytest.fixture(scope="module")
def sampler() -> PatchSampler:
    images = (noise(3, 90, 120), noise(3, 300, 200, seed=1))
    return PatchSampler(
        (WeightedImages("noise", images), WeightedImages("more", images[:1], 2.0)), size=16, batch=4
    )


def same(one: Patches, other: Patches) -> bool:
    assert one.known is other.known is None  # a sharp image is the truth everywhere
    return all(torch.equal(a, b) for a, b in zip(one[:4], other[:4], strict=True))


def test_8_bits_are_divided_by_255_and_more_bits_by_their_range(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 51], [102, 204]], np.uint8)).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "b.tif", np.array([[100, 200], [300, 500]], np.uint16))
    assert read_sharp(tmp_path / "a.png").ravel().tolist() == pytest.approx([0, 0.2, 0.4, 0.8])
    assert read_sharp(tmp_path / "b.tif").ravel().tolist() == pytest.approx([0, 0.25, 0.5, 1])


def test_patches_fit_each_other(sampler: PatchSampler) -> None:
    patches = next(sampler.batches())
    assert patches.blurred.shape == patches.sharp_low.shape == (4, 3, 16, 16)
    assert patches.sharp.shape == (4, 3, 32, 32)
    for images in patches[:4]:
        assert images.dtype == torch.float32
        assert images.is_contiguous()
        assert -1e-3 <= images.min() <= images.max() <= 1.2


def test_a_batch_depends_on_the_seed_and_its_number_alone(sampler: PatchSampler) -> None:
    first, second = itertools.islice(sampler.batches(), 2)
    assert same(next(sampler.batches(1)), second)
    assert not same(first, second)
    assert not same(first, next(replace(sampler, seed=1).batches()))


@pytest.mark.parametrize("world", [2, 4])
def test_the_parts_of_all_processes_make_up_the_batch_of_one(
    sampler: PatchSampler, world: int
) -> None:
    parts = [replace(sampler, shard=(rank, world)).draw(3) for rank in range(world)]
    assert same(
        Patches(*(torch.cat(images) for images in zip(*(part[:4] for part in parts), strict=True))),
        sampler.draw(3),
    )


def test_a_batch_that_cannot_be_shared_evenly_is_refused(sampler: PatchSampler) -> None:
    with pytest.raises(MdeblurganError, match="multiple of 3"):
        replace(sampler, shard=(0, 3))


def test_a_sampler_without_images_is_refused() -> None:
    with pytest.raises(MdeblurganError, match="no images"):
        PatchSampler((WeightedImages("none", ()),))


def test_a_patch_may_be_larger_than_the_image() -> None:
    small = WeightedImages("small", (noise(1, 20, 25),))
    assert next(PatchSampler((small,), size=32, batch=2).batches()).sharp.shape == (2, 1, 64, 64)


def test_sources_are_drawn_by_their_weights() -> None:
    """Told apart by their grain: one is rough, the other smooth."""
    rough, smooth = (
        noise(1, 200, 200),
        np.repeat(np.repeat(noise(1, 20, 20), 10, axis=1), 10, axis=2),
    )
    sources = (WeightedImages("rough", (rough,), 3.0), WeightedImages("smooth", (smooth,), 1.0))
    sharp = PatchSampler(sources, size=16, batch=80, mixture=PLAIN).draw(0).sharp
    grain = (sharp[..., 1:] - sharp[..., :-1]).abs().mean(dim=(1, 2, 3)) / sharp.std(dim=(1, 2, 3))
    assert 0.6 < float((grain > 0.5).float().mean()) < 0.9


def test_of_several_draws_the_richest_is_taken() -> None:
    """A quarter of the image shows something; one place at random would be blank more often than
    not.
    """
    image = np.zeros((1, 400, 400), np.float32)
    image[:, 100:300, 100:300] = noise(1, 200, 200)
    sharp = (
        PatchSampler((WeightedImages("spot", (image,)),), size=16, batch=80, mixture=PLAIN)
        .draw(0)
        .sharp
    )
    assert float((sharp.std(dim=(1, 2, 3)) < 1e-3).float().mean()) < 0.3


def test_an_image_that_shows_nothing_does_not_stop_the_drawing() -> None:
    blank = WeightedImages("blank", (np.full((1, 100, 100), 0.5, np.float32),))
    assert (
        float(
            PatchSampler((blank,), size=16, batch=2, mixture=PLAIN)
            .draw(0)
            .sharp.std(dim=(1, 2, 3))
            .max()
        )
        < 1e-3
    )


def test_some_patches_are_averaged_from_twice_the_field_of_a_large_image() -> None:
    """White noise loses half its standard deviation by that."""
    large = WeightedImages("large", (noise(1, 300, 300),))
    sharp = PatchSampler((large,), size=16, batch=120, mixture=PLAIN).draw(0).sharp
    step = (sharp - sharp.mean(dim=(2, 3), keepdim=True)).flatten(1)
    flatness = (
        step.pow(4).mean(dim=1) / step.pow(2).mean(dim=1).square()
    )  # kurtosis: 1.8 if uniform, 2.7 of a mean of four
    assert 0.1 < float((flatness > 2.25).float().mean()) < 0.3


def test_images_are_flipped_and_turned() -> None:
    ramp = np.broadcast_to(np.linspace(0, 1, 200, dtype=np.float32), (1, 200, 200))
    sharp = (
        PatchSampler((WeightedImages("ramp", (ramp,)),), size=16, batch=60, mixture=PLAIN)
        .draw(0)
        .sharp
    )
    along_y = (sharp[..., -1, 16] - sharp[..., 0, 16]).ravel()
    along_x = (sharp[..., 16, -1] - sharp[..., 16, 0]).ravel()
    for slope in (along_y, along_x):
        assert float(slope.min()) < -0.005
        assert float(slope.max()) > 0.005


def test_colours_are_shuffled() -> None:
    image = np.zeros((3, 200, 200), np.float32)
    image[0] = noise(200, 200)
    sharp = (
        PatchSampler((WeightedImages("red", (image,)),), size=16, batch=40, mixture=PLAIN)
        .draw(0)
        .sharp
    )
    assert set(sharp.std(dim=(2, 3)).argmax(dim=1).tolist()) == {0, 1, 2}


def test_patches_are_the_same_whether_images_are_held_in_memory_or_not(tmp_path: Path) -> None:
    for name in "ab":
        Image.fromarray((noise(90, 100, 3) * 255).astype(np.uint8)).save(tmp_path / f"{name}.png")
    held, reread = (open_folder(tmp_path, 3, memory_bytes=budget).training for budget in (10**8, 0))
    assert same(
        PatchSampler(held, size=16, batch=3).draw(5), PatchSampler(reread, size=16, batch=3).draw(5)
    )
