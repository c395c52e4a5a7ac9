"""JPEG compression told from pixels, and how soft it leaves a result."""

from __future__ import annotations

import io
from collections.abc import Callable

import dask.array as da
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration import plan as plan_module
from napari_mdeblurgan.restoration.engine import restore
from napari_mdeblurgan.restoration.jpeg import jpeg_softness, was_jpeg
from napari_mdeblurgan.restoration.plan import make_plan, planning
from napari_mdeblurgan.restoration.scan import open_scan
from napari_mdeblurgan.restoration.softness import chosen_softness
from napari_mdeblurgan.steps import finished
from napari_mdeblurgan.storage import Micrograph
from napari_mdeblurgan.storage.objective import Objective

Models = Callable[..., Model]
KINDS = pytest.mark.parametrize("colours", [0, 3])
QUALITIES = pytest.mark.parametrize("quality", [95, 85, 70, 50])


def micrograph(colours: int = 0, *, noise: float = 1.0, edge: int = 400) -> np.ndarray:
    """Soft grain with the noise of a camera: uint8."""
    random = np.random.default_rng(0)
    shape, blur = ((edge, edge + 30), (1.5, 1.5))
    if colours:
        shape, blur = (*shape, colours), (*blur, 0)
    grain = ndimage.gaussian_filter(random.normal(size=shape), blur)
    values = 120 + 40 * grain / grain.std() + noise * random.normal(size=shape)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def compressed(image: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


@KINDS
@QUALITIES
def test_a_compressed_image_is_known_wherever_it_was_cut(colours: int, quality: int) -> None:
    image = compressed(micrograph(colours), quality)
    for y, x in ((0, 0), (3, 5), (7, 1)):
        assert was_jpeg(image[y:, x:], rgb=bool(colours))


@KINDS
@pytest.mark.parametrize("noise", [0.0, 1.0, 4.0])
def test_other_images_are_not_taken_for_compressed_ones(colours: int, noise: float) -> None:
    assert not was_jpeg(micrograph(colours, noise=noise), rgb=bool(colours))


@KINDS
@QUALITIES
def test_one_that_was_averaged_since_is_as_good_as_another(colours: int, quality: int) -> None:
    image = compressed(micrograph(colours, edge=800), quality)
    blocks = image.reshape(400, 2, 415, 2, *image.shape[2:]).mean(axis=(1, 3))
    assert not was_jpeg(np.rint(blocks).astype(np.uint8), rgb=bool(colours))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((300, 300), np.uint8),
        np.full((300, 300), 255, np.uint8),
        np.zeros((5, 3), np.uint8),
        np.zeros((0, 40), np.uint8),
        micrograph().astype(np.uint16),
        micrograph().astype(np.float32),
        micrograph() > 120,
    ],
    ids=["black", "white", "tiny", "empty", "16 bits", "real", "bool"],
)
def test_what_cannot_be_or_shows_nothing_is_none(image: np.ndarray) -> None:
    assert not was_jpeg(image, rgb=False)


def test_greys_of_a_camera_with_lines_are_none() -> None:
    lines = micrograph().astype(int)
    lines[:, ::2] += 3
    assert not was_jpeg(np.clip(lines, 0, 255).astype(np.uint8), rgb=False)


def test_of_a_lazy_stack_four_places_are_read() -> None:
    plane, read = compressed(micrograph(edge=512)[:, :512], 80), []

    def block(block_info) -> np.ndarray:
        read.append(block_info)
        return plane[None]

    stack = da.map_blocks(
        block,
        chunks=((1,) * 20, (512,), (512,)),
        dtype=np.uint8,
        meta=np.empty((0, 0, 0), np.uint8),
    )
    assert was_jpeg(stack, rgb=False)
    assert len(read) <= 4


def test_a_stack_of_which_one_plane_was_not_compressed_is_known() -> None:
    kept = compressed(micrograph(), 80)
    stack = np.stack([micrograph(noise=2.0), *[kept] * 7])
    assert was_jpeg(stack, rgb=False)


@KINDS
def test_its_result_is_softer_by_pixels_of_the_image(colours: int) -> None:
    image = compressed(micrograph(colours), 85)
    softness = [jpeg_softness(image, factor, rgb=bool(colours)) for factor in (1, 2, 4)]
    assert softness == [0.45, 0.9, 1.8]
    assert jpeg_softness(micrograph(colours), 2, rgb=bool(colours)) == 0


def test_it_counts_where_the_optics_would_be_sharper() -> None:
    objective = Objective(0.75)
    sharper, softer = (chosen_softness("auto", objective, size, 0.5, 0.8) for size in (0.346, 0.1))
    assert (sharper.sigma, sharper.reason) == (0.8, "JPEG-compressed")
    assert softer == chosen_softness("auto", objective, 0.1)
    assert chosen_softness("auto", None, None, 0.5, 0.8).sigma == 0.8
    assert chosen_softness(0.0, None, None, 0.5, 0.8).sigma == 0


def test_a_plan_says_so_and_a_given_softness_is_kept(tiny_model: Models) -> None:
    image, card = compressed(micrograph(), 85), tiny_model().card
    assert str(make_plan(image, card).softness) == "softness 0.9 px (JPEG-compressed)"
    assert make_plan(image, card, softness=0.3).softness.sigma == 0.3
    assert make_plan(micrograph(), card).softness.sigma == card.softness
    lazy = da.from_array(image, chunks=100)
    assert finished(planning(lazy, card)).softness.sigma == 0.9
    assert make_plan(lazy, card).softness.sigma == card.softness  # no pixel is read


def test_the_result_is_that_of_the_softness(tiny_model: Models) -> None:
    image, model = compressed(micrograph(edge=120), 85), tiny_model()
    found = restore(image, model, device="cpu")
    np.testing.assert_array_equal(found, restore(image, model, softness=0.9, device="cpu"))
    assert (found != restore(image, model, softness=0, device="cpu")).any()


@pytest.mark.parametrize("kept", [True, False], ids=["this version", "an earlier one"])
def test_a_scan_is_gone_on_with_as_softly_as_it_was_begun(
    tiny_model: Models, tmp_path, monkeypatch: pytest.MonkeyPatch, *, kept: bool
) -> None:
    image = Micrograph(da.from_array(compressed(micrograph(), 85), chunks=200), "YX", name="a")
    model, path = tiny_model(), tmp_path / "a.zarr"
    with monkeypatch.context() as earlier:
        if not kept:  # it did not look for compression
            earlier.setattr(plan_module, "jpeg_softness", lambda *_, **__: 0.0)
        scan = open_scan(image, model, path, in_place=True, tile=64, device="cpu")
    steps = scan.steps()
    while sum(map(scan.is_done, scan.blocks)) < 2:
        next(steps)
    steps.close()
    before = scan.plan.softness
    assert before.sigma == (0.9 if kept else 0.0)
    again = open_scan(image, model, path, in_place=True, tile=64, device="cpu")
    assert len(again.missing()) < len(again.blocks)
    assert again.plan.softness == before
