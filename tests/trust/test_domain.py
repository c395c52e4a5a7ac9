"""Is this image in the model's domain? One sentence, with the two numbers and what to do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_mdeblurgan.model import ModelCard, model_path, read_card
from napari_mdeblurgan.restoration.plan import make_plan
from napari_mdeblurgan.trust.domain import Examination, examine, judge

CARD = read_card(model_path("gray-x2"))
UNKNOWN = replace(CARD, blur_sigma_px=None)


@pytest.mark.parametrize(
    ("blur", "noise", "saturated", "fits", "words"),
    [
        (1.3, 0.01, 0.0, True, "in the model's domain: blur σ ≈ 1.3 px (gray-x2 learned 0.2–2.4 px)"),
        (4.1, 0.01, 0.0, False, "blur σ ≈ 4.1 px; gray-x2 learned 0.2–2.4 px. Bin it 2×2 first"),
        (5.5, 0.01, 0.0, False, "Bin it 3×3 first"),
        (6.0, 0.01, 0.0, False, "blur σ ≈ 6 px or more"),
        (0.2, 0.01, 0.0, True, "already sharp: blur σ ≈ 0.2 px"),
        (1.3, 0.30, 0.0, False, "noise 30% of the intensity range; gray-x2 learned up to 10%"),
        (1.3, 0.01, 0.05, False, "5.0% of the pixels looked at are saturated"),
        (None, 0.01, 0.0, False, "too little detail above the noise"),
    ],
)
def test_the_sentence_names_what_was_found_and_what_was_learned(
    blur: float | None, noise: float, saturated: float, fits: bool, words: str
) -> None:
    found, sentence = judge(CARD, blur, noise, saturated, 0.1)
    assert found is fits
    assert words in sentence


def test_a_card_that_says_nothing_of_blur_is_no_reason_to_refuse() -> None:
    fits, sentence = judge(UNKNOWN, 3.0, 0.01, 0.0, None)
    assert fits
    assert "is not on its card" in sentence
    assert "blur σ ≈ 3.0 px" in sentence


def examined(image: np.ndarray, card: ModelCard = CARD) -> Examination:
    plan = make_plan(image, card)
    return examine(image, plan, plan.windows[0], card)


def test_blur_is_read_off_an_image(scene, blurred) -> None:
    for sigma in (1.2, 2.0, 4.0):
        found = examined(np.rint(blurred(scene(512), sigma, 0.004) * 255).clip(0, 255).astype(np.uint8))
        assert found.blur_sigma_px == pytest.approx(sigma, abs=0.7)
        assert found.fits == (sigma < 2.4)


def test_noise_is_told_in_grey_levels_whatever_the_type(scene, blurred) -> None:
    image = blurred(scene(256), 1.2, 0.02)
    for scale in (255, 4000):
        found = examined((image * scale).clip(0, None).astype(np.uint16))
        assert found.noise_sigma == pytest.approx(0.02 * scale, rel=0.25)


def test_saturation_is_seen_for_8_12_and_16_bits(scene, blurred) -> None:
    image = blurred(scene(256), 1.2, 0.01)
    for top, dtype in ((255, np.uint8), (4095, np.uint16), (65535, np.uint16)):
        over = np.minimum(image * 1.6 * top, top).astype(dtype)
        assert examined(over).saturated == pytest.approx((over == top).mean(), abs=0.05)
        assert "saturated" in examined(over).sentence
        assert examined((image * 0.9 * top).clip(0, top).astype(dtype)).saturated == 0


def test_flat_and_tiny_images_can_be_looked_at() -> None:
    for shape in ((2, 2), (20, 300), (200, 200)):
        assert examined(np.full(shape, 7, np.uint8)).blur_sigma_px is None
