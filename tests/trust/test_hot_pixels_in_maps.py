"""Hot pixels say nothing of the specimen: what is found out about a result is as without them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_mdeblurgan import load_model
from napari_mdeblurgan.restoration.engine import restore_steps
from napari_mdeblurgan.restoration.plan import make_plan
from napari_mdeblurgan.steps import finished
from napari_mdeblurgan.trust.assess import Assessment, assess

HOT = ((30, 40), (31, 40), (32, 41), (90, 100), (120, 20), (150, 150))


def assessed(image: np.ndarray) -> Assessment:
    model = load_model("gray-x2")
    plan = make_plan(image, model.card, device="cpu", precision="float32", window=(400, 1600))
    restored = finished(restore_steps(image, plan, model))
    return assess(image, restored, plan, model)


@pytest.mark.parametrize("kind", ["uint16", "float32"])
def test_maps_have_no_number_at_hot_pixels_and_are_as_without_them_elsewhere(kind: str) -> None:
    random = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(random.normal(size=(192, 192)), 2.5)
    image = (1000 + 150 * smooth / smooth.std() + random.normal(0, 10, smooth.shape)).astype(kind)
    spoilt = image.copy()
    for y, x in HOT:
        spoilt[y, x] = 65_000
    clean, hot = assessed(image), assessed(spoilt)
    assert hot.consistency == pytest.approx(clean.consistency, rel=0.1)
    assert hot.inconsistent < 0.02
    assert hot.error == pytest.approx(clean.error, rel=0.1)
    for name, factor, rim in (("consistency", 1, 4), ("defocus", 1, 0), ("error", 2, 0)):
        of_clean, of_hot = (found.map(name) for found in (clean, hot))
        assert of_clean is not None
        assert of_hot is not None
        blank = np.zeros(of_hot.data.shape, bool)
        for y, x in HOT:
            blank[factor * y : factor * (y + 1), factor * x : factor * (x + 1)] = True
        assert np.isnan(of_hot.data[blank]).all()
        near = ndimage.maximum_filter(blank, 2 * rim + 1)
        assert np.isfinite(of_hot.data[~near & np.isfinite(of_clean.data)]).all()
