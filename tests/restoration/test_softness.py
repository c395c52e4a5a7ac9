"""How soft a result is to be: what "auto" means, and that every route gives the
same soft result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_mdeblurgan.errors import FileError, ImageError
from napari_mdeblurgan.model import Model, load_model, model_path, read_card, save_model
from napari_mdeblurgan.restoration.binning import binned_micrograph
from napari_mdeblurgan.restoration.engine import restore
from napari_mdeblurgan.restoration.micrographs import plan_micrograph, with_known
from napari_mdeblurgan.restoration.plan import make_plan
from napari_mdeblurgan.restoration.scan import open_scan
from napari_mdeblurgan.restoration.softness import chosen_softness
from napari_mdeblurgan.steps import finished
from napari_mdeblurgan.storage import Micrograph, read_image
from napari_mdeblurgan.storage.objective import Objective
from napari_mdeblurgan.training.recipe import SOFTNESS

Models = Callable[..., Model]
IMAGE = np.random.default_rng(0).normal(size=(150, 170)).astype(np.float32)
EXACT = {"precision": "float32", "window": (0, 1)}
KNOWN = {"objective": Objective(0.5, 0.53), "pixel_size_um": 0.325}


def with_softness(bare: Model, softness: float, folder: Path) -> Model:
    """The same model with this softness in its card."""
    save_model(bare.network, replace(bare.card, softness=softness), folder / "soft.safetensors")
    return load_model(folder / "soft.safetensors")


@pytest.mark.parametrize(
    ("aperture", "wavelength_um", "pixel_um", "expected"),
    [
        (0.15, 0.53, 1.3, 0.571),
        (0.5, 0.53, 0.325, 0.685),
        (1.4, 0.53, 0.065, 1.223),
        (0.5, None, 0.325, 0.711),
    ],
)
def test_auto_is_0_21_wavelengths_over_aperture(
    aperture: float, wavelength_um: float | None, pixel_um: float, expected: float
) -> None:
    chosen = chosen_softness("auto", Objective(aperture, wavelength_um), pixel_um)
    assert chosen.sigma == pytest.approx(expected, abs=1e-3)
    assert f"NA {aperture:g}" in chosen.reason


def test_where_nothing_is_known_auto_is_the_prior() -> None:
    assert chosen_softness("auto") == chosen_softness("auto", None, 0.5)
    assert chosen_softness("auto", Objective(0.5)).sigma == 0
    assert (chosen_softness("auto").sigma, chosen_softness("auto").reason) == (
        0.0,
        "objective not known",
    )
    assert chosen_softness("auto", unknown=0.5).sigma == 0.5
    assert chosen_softness("auto", None, 0.5).reason == "objective not known"
    assert chosen_softness("auto", Objective(0.5)).reason == "pixel size not known"
    assert chosen_softness("auto", Objective(0.5), 0.5, unknown=0.5).sigma == pytest.approx(
        0.462, abs=1e-3
    )
    assert chosen_softness(1.2, Objective(0.5), 0.3, unknown=0.5).sigma == 1.2


def test_a_model_tells_how_soft_its_results_are_where_nothing_is_known(
    tiny_model: Models, tmp_path: Path
) -> None:
    bare = tiny_model()
    soft = with_softness(bare, 0.7, tmp_path)
    for given, expected in (({}, 0.7), ({"softness": 0}, 0.0), (KNOWN, 0.685)):
        found = restore(IMAGE, soft, **EXACT, **given)
        np.testing.assert_array_equal(found, restore(IMAGE, bare, softness=expected, **EXACT))


def test_of_an_averaged_image_it_is_a_fifth_more_where_nothing_is_known(
    tiny_model: Models, tmp_path: Path
) -> None:
    bare = tiny_model()
    soft = with_softness(bare, 0.5, tmp_path)
    for given, expected in (({}, 0.6), ({"softness": 0.5}, 0.5), (KNOWN, 0.685)):
        found = restore(IMAGE, soft, binning=2, **EXACT, **given)
        bare_result = restore(IMAGE, bare, binning=2, softness=expected, **EXACT)
        np.testing.assert_array_equal(found, bare_result)
        halved = binned_micrograph(Micrograph(IMAGE, "YX"), 2)
        assert plan_micrograph(halved, soft.card, **given).softness.sigma == expected
    told = with_known(halved, {"objective": Objective(0.5)})
    assert told["binning"] == 2, "the pixel size is not known"
    assert "binning" not in with_known(halved, {"softness": 0}), "scans of it go on as before"


def test_bundled_models_which_know_no_objective_soften_a_little() -> None:
    assert [read_card(model_path(name)).softness for name in ("gray-x2", "rgb-x2")] == [
        SOFTNESS,
        SOFTNESS,
    ]


@pytest.mark.parametrize("wanted", [-0.1, 9, float("nan"), "soft", None, True])
def test_an_impossible_softness_is_refused_in_a_sentence(
    tiny_model: Models, wanted: object
) -> None:
    with pytest.raises(ImageError, match=r"softness.*give 0 to 8"):
        restore(IMAGE, tiny_model(), softness=wanted)


@pytest.mark.parametrize(
    ("aperture", "wavelength_um"),
    [(0, None), (1.8, None), (float("nan"), None), (0.5, -1.0), (0.5, 530), (0.5, float("nan"))],
)
def test_an_impossible_objective_is_refused(aperture: float, wavelength_um: float | None) -> None:
    with pytest.raises(ImageError, match="impossible"):
        Objective(aperture, wavelength_um)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_soft_result_is_the_bare_one_blurred(tiny_model: Models, channels: int) -> None:
    model = tiny_model(channels)
    image = IMAGE if channels == 1 else np.stack([IMAGE, IMAGE[::-1], -IMAGE], axis=-1)
    unclipped = EXACT | {"window": (-1, 1)}
    bare = restore(image, model, softness=0, **unclipped)
    soft = restore(image, model, softness=1.5, **unclipped)
    expected = gaussian_filter(bare, (1.5, 1.5, 0)[: bare.ndim], truncate=4)
    inside = (slice(12, -12), slice(12, -12))
    np.testing.assert_allclose(soft[inside], expected[inside], rtol=0, atol=2e-5 * np.ptp(bare))
    assert soft.std() < 0.8 * bare.std()


@pytest.mark.parametrize("softness", [0.6, 3.5])
def test_tiled_equals_whole(tiny_model: Models, softness: float) -> None:
    whole = restore(IMAGE, tiny_model(), tile=4096, softness=softness, **EXACT)
    tiled = restore(IMAGE, tiny_model(), tile=64, softness=softness, **EXACT)
    lazy = restore(
        da.from_array(IMAGE, chunks=60), tiny_model(), tile=64, softness=softness, **EXACT
    )
    for other in (tiled, lazy.compute(scheduler="synchronous")):
        np.testing.assert_allclose(other, whole, rtol=0, atol=1e-5 * np.ptp(whole))


def test_a_region_equals_the_same_part_of_the_whole(tiny_model: Models) -> None:
    whole = restore(IMAGE, tiny_model(), softness=2, **EXACT)
    part = restore(IMAGE, tiny_model(), softness=2, region=((37, 120), (61, 165)), **EXACT)
    np.testing.assert_allclose(part, whole[74:240, 122:330], rtol=0, atol=1e-5 * np.ptp(whole))


def test_a_scan_on_disk_is_as_soft_and_another_softness_is_another_job(
    tiny_model: Models, tmp_path: Path
) -> None:
    source = Micrograph(da.from_array(IMAGE, chunks=100), "YX", {"X": 0.3, "Y": 0.3}, "µm")
    made = open_scan(source, tiny_model(), tmp_path / "a.zarr", softness=1.2, tile=64, **EXACT)
    assert made.plan.softness.sigma == 1.2
    pixels = read_image(finished(made.steps())).data
    whole = restore(IMAGE, tiny_model(), softness=1.2, **EXACT)
    np.testing.assert_allclose(pixels, whole, rtol=0, atol=1e-5 * np.ptp(whole))
    with pytest.raises(FileError, match=r"a\.zarr"):
        open_scan(source, tiny_model(), tmp_path / "a.zarr", softness=0.5, tile=64, **EXACT)


def test_what_the_file_tells_of_the_objective_is_used(tiny_model: Models) -> None:
    image = Micrograph(IMAGE, "YX", {"X": 650, "Y": 650}, "nm", objective=Objective(0.3, 0.5))
    plan = plan_micrograph(image, tiny_model().card)
    assert plan.softness.sigma == pytest.approx(0.21 * 0.5 / (0.3 * 0.65), abs=1e-3)
    assert "softness 0.54 px (objective of NA 0.3" in plan.described
    assert plan_micrograph(image, tiny_model().card, softness=0).softness.sigma == 0
    own = plan_micrograph(image, tiny_model().card, objective=Objective(0.6, 0.5))
    assert own.softness.sigma == pytest.approx(plan.softness.sigma / 2, abs=1e-3)


def test_a_model_that_was_fine_tuned_makes_results_as_sharp_as_its_pairs_whatever_the_objective(
    tiny_model: Models,
) -> None:
    card = replace(tiny_model().card, softness=0.0, scores={"fine_tuned_from": "gray-x2"})
    image = Micrograph(IMAGE, "YX", {"X": 65, "Y": 65}, "nm", objective=Objective(1.4, 0.5))
    assert plan_micrograph(image, tiny_model().card).softness.sigma > 1
    assert plan_micrograph(image, card).softness.sigma == 0
    assert plan_micrograph(image, card).softness.reason == "learned from pairs"
    assert plan_micrograph(image, card, softness=0.8).softness.sigma == 0.8
    assert make_plan(IMAGE, card).softness.sigma == 0


def test_the_halo_grows_by_whole_steps_of_the_grid(tiny_model: Models) -> None:
    card = tiny_model().card
    bare, soft = (
        make_plan(np.zeros((40, 40), np.uint8), card, softness=s, window=(0, 1)) for s in (0, 2.5)
    )
    assert soft.halo - bare.halo == 8
