"""Is this image in the model's domain? One sentence, with the two numbers and what to do."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from napari_mdeblurgan.model import ModelCard, model_path, read_card
from napari_mdeblurgan.restoration.plan import make_plan
from napari_mdeblurgan.trust import defocus, domain
from napari_mdeblurgan.trust.defocus import FieldBlur, field_blur, sampled_sigmas
from napari_mdeblurgan.trust.domain import (
    Examination,
    binning_for,
    examine,
    examine_all,
    judge_domain,
)
from napari_mdeblurgan.trust.noise import Noise

CARD = read_card(model_path("gray-x2"))
KNOWING = replace(CARD, blur_sigma_px=(0.2, 2.4))
UNKNOWN = replace(CARD, blur_sigma_px=None)


def of(*sigmas: float, card: ModelCard = KNOWING) -> FieldBlur:
    return field_blur(np.array(sigmas, np.float32), card)


@pytest.mark.parametrize(
    ("blur", "noise", "saturated", "fits", "words"),
    [
        (
            1.3,
            0.01,
            0.0,
            True,
            "This image is one that the model knows: blur σ ≈ 1.3 px (gray-x2 learned 0.2–2.4 px)",
        ),
        (4.1, 0.01, 0.0, False, "blur σ ≈ 4.1 px; gray-x2 learned 0.2–2.4 px. Bin it 2×2 first"),
        (5.5, 0.01, 0.0, False, "Bin it 3×3 first"),
        (6.0, 0.01, 0.0, False, "blur σ ≈ 6 px or more"),
        (0.2, 0.01, 0.0, True, "already sharp: blur σ ≈ 0.2 px"),
        (1.3, 0.30, 0.0, False, "noise 30 % of the intensity range; gray-x2 learned up to 10 %"),
        (1.3, 0.01, 0.05, False, "5.0 % of the pixels looked at are saturated"),
        (np.nan, 0.01, 0.0, False, "too little detail above the noise"),
    ],
)
def test_the_sentence_names_what_was_found_and_what_was_learned(
    blur: float, noise: float, saturated: float, fits: bool, words: str
) -> None:
    found, sentence = judge_domain(KNOWING, of(blur, blur, blur), noise, saturated, 0.1)
    assert found is fits
    assert words in sentence


def test_a_card_that_says_nothing_of_blur_is_no_reason_to_refuse() -> None:
    fits, sentence = judge_domain(UNKNOWN, of(3.0, card=UNKNOWN), 0.01, 0.0, None)
    assert fits
    assert "is not on its card" in sentence
    assert "blur σ ≈ 3.0 px" in sentence


def test_the_sentence_tells_how_much_of_the_field_is_blurred_and_what_to_do() -> None:
    fits, sentence = judge_domain(
        KNOWING, of(5.0, 5.0, 4.0, 4.0, 4.0, 1.0, 1.0, 1.0, 0.2, np.nan), 0.01, 0.0, 0.1
    )
    assert not fits
    assert sentence.startswith(
        "50 % of the field is blurred beyond what the model knows: blur σ ≈ 4.0 px; gray-x2 learned"
    )
    assert "30 % within what it learned, 10 % already sharp, 10 % cannot be judged" in sentence
    assert "take a focus stack" in sentence


def test_what_is_blurred_beyond_it_in_a_small_part_alone_is_told_and_no_reason_to_refuse() -> None:
    fits, sentence = judge_domain(KNOWING, of(*[1.0] * 18, 5.0, np.nan), 0.01, 0.0, 0.1)
    assert fits
    assert sentence.endswith(
        "Of the field: 90 % within what the model learned, 5 % blurred beyond it, 5 % cannot be "
        "judged."
    )


def test_a_model_that_learned_the_strongest_blur_that_can_be_told_has_its_bounds_too() -> None:
    knowing = replace(CARD, blur_sigma_px=(0.2, 6.0))
    assert of(5.9, card=knowing).beyond == 0
    assert of(6.0, card=knowing).beyond == 1


def test_where_most_of_the_field_is_soft_halving_is_advised() -> None:
    soft = of(*[2.3] * 7, *[1.0] * 3)
    assert soft.halves
    assert (
        "halve it first (Halve first, or --bin 2)" in judge_domain(KNOWING, soft, 0.01, 0.0, 0.1)[1]
    )
    for other in (of(*[2.3] * 5, *[1.0] * 5), of(*[1.5] * 10), of(np.nan)):
        assert not other.halves
        assert "--bin" not in judge_domain(KNOWING, other, 0.01, 0.0, 0.1)[1]


def knowing_models(monkeypatch: pytest.MonkeyPatch, **blurs: tuple[float, float] | None) -> None:
    """As if there were models of these names, and no others."""
    cards = [
        replace(KNOWING, name=name.replace("_", "-"), blur_sigma_px=blur)
        for name, blur in blurs.items()
    ]
    monkeypatch.setattr(domain, "list_models", lambda: cards)


def test_a_model_that_knows_so_strong_a_blur_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    all_blurred, part = of(*[4.0] * 10), of(*[4.0] * 5, *[1.0] * 5)
    for others in ({}, {"weak": (0.2, 3.9)}, {"silent": None}):
        knowing_models(monkeypatch, gray_x2=(0.2, 2.4), **others)
        sentence = judge_domain(KNOWING, all_blurred, 0.01, 0.0, 0.1)[1]
        assert "Bin it 2×2 first (--bin 2), use a model for stronger blur, or" in sentence
        assert "bright: take a focus stack" in judge_domain(KNOWING, part, 0.01, 0.0, 0.1)[1]
    knowing_models(monkeypatch, gray_x2=(0.2, 2.4), gray_x2_strong=(0.2, 6.0), mine=(0.2, 6.0))
    sentence = judge_domain(KNOWING, all_blurred, 0.01, 0.0, 0.1)[1]
    assert sentence.endswith("Choose the model gray-x2-strong, or bin it 2×2 first (--bin 2).")
    sentence = judge_domain(KNOWING, part, 0.01, 0.0, 0.1)[1]
    assert "bright: choose the model gray-x2-strong, take a focus stack, or" in sentence
    for unlike in ({"channels": 3}, {"scale": 4}):
        card = replace(KNOWING, **unlike)
        assert "Choose the model" not in judge_domain(card, all_blurred, 0.01, 0.0, 0.1)[1]
    assert (
        "Take a sharper image, or bin it 4×4" in judge_domain(KNOWING, of(6.0), 0.01, 0.0, 0.1)[1]
    )


def test_a_model_for_strong_blur_advises_to_halve_only_what_is_soft_in_focus() -> None:
    soft, strong = of(*[2.3] * 10), replace(KNOWING, blur_sigma_px=(0.2, 6.0))
    assert "pixels: halve it first (Halve first" in judge_domain(KNOWING, soft, 0.01, 0.0, 0.1)[1]
    sentence = judge_domain(strong, soft, 0.01, 0.0, 0.1)[1]
    assert "pixels: if its specimen looks so in focus, too, halve it first" in sentence


def test_what_is_advised_of_a_binned_image_is_said_of_the_image_before() -> None:
    assert "--bin" not in judge_domain(KNOWING, of(*[2.3] * 10), 0.01, 0.0, 0.1, binning=2)[1]
    assert "(--bin 4)" in judge_domain(KNOWING, of(*[4.4] * 10), 0.01, 0.0, 0.1, binning=2)[1]


def examined(image: np.ndarray, card: ModelCard = KNOWING) -> Examination:
    plan = make_plan(image, card)
    return examine(image, plan, plan.windows[0], card)


def test_blur_is_read_off_an_image(scene, blurred) -> None:
    for sigma in (1.2, 2.0, 4.0):
        found = examined(
            np.rint(blurred(scene(512), sigma, 0.004) * 255).clip(0, 255).astype(np.uint8)
        )
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


@pytest.mark.parametrize(
    ("scale", "dtype"), [(16, np.uint16), (1, np.float32), (1 / 4095, np.float32)]
)
def test_saturation_is_seen_of_bits_that_are_shifted_up_and_of_real_numbers(
    scene, blurred, scale: float, dtype: type
) -> None:
    greys = (blurred(scene(256), 1.2, 0.01) * 1.6 * 4095).round()
    over = (np.minimum(greys, 4095) * scale).astype(dtype)
    assert examined(over).saturated == pytest.approx((greys >= 4095).mean(), abs=0.05)
    assert "saturated" in examined(over).sentence
    assert examined((greys * scale / 2).clip(0).astype(dtype)).saturated == 0


def test_flat_and_tiny_images_can_be_looked_at() -> None:
    for shape in ((2, 2), (20, 300), (200, 200)):
        assert examined(np.full(shape, 7, np.uint8)).blur_sigma_px is None


@pytest.mark.parametrize(("sigma", "advised"), [(0.7, 1), (3.5, 2), (5.5, 3)])
def test_an_image_is_to_be_binned_if_its_blur_is_much_larger_than_its_pixels(
    scene, blurred, sigma, advised
) -> None:
    image = np.rint(blurred(scene(512), sigma, 0.003) * 255).clip(0, 255).astype(np.uint8)
    assert binning_for(image, KNOWING) == advised


def compressed(image: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=80)
    return np.asarray(Image.open(file))


@pytest.mark.parametrize("kind", ["dirt", "JPEG", "noise"])
def test_a_field_out_of_focus_is_not_sharp_for_what_the_camera_adds(
    scene, blurred, kind: str
) -> None:
    image = (
        np.rint(blurred(scene(512), 5.0, 0.02 if kind == "noise" else 0.002) * 255)
        .clip(0, 255)
        .astype(np.uint8)
    )
    if kind == "dirt":
        for y, x in np.random.default_rng(0).integers(2, 254, (20, 2)):
            image[y - 1 : y + 1, x - 1 : x + 1] //= 4
    found = examined(compressed(image) if kind == "JPEG" else image)
    assert not found.fits
    assert "more blurred than the model knows" in found.sentence
    assert found.blur.beyond > 0.9 * found.blur.judged


def test_half_a_field_out_of_focus_is_half_of_the_field(scene, blurred) -> None:
    halves = [
        blurred(scene(512), sigma, 0.004)[:, part]
        for sigma, part in ((1.0, slice(128)), (5.0, slice(128, 256)))
    ]
    found = examined(np.rint(np.concatenate(halves, axis=1) * 255).clip(0, 255).astype(np.uint8))
    assert found.blur.beyond == pytest.approx(0.5, abs=0.15)
    assert found.blur.within == pytest.approx(0.5, abs=0.15)
    assert "of the field is blurred beyond what the model knows" in found.sentence


def test_of_a_large_plane_no_more_is_read_than_some_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(0).integers(0, 256, (4000, 4000), dtype=np.uint8)
    plan, read = make_plan(image, CARD), []
    whole = defocus.read
    monkeypatch.setattr(
        defocus,
        "read",
        lambda array, index: read.append(whole(array, index).size) or whole(array, index),
    )
    found = sampled_sigmas(image, plan, plan.windows[0], Noise((1e-4,), (0.0,)))
    assert found.size == (defocus.DEFOCUS_SAMPLES * defocus.SAMPLE_BLOCKS) ** 2
    assert sum(read) < 0.2 * image.size


@pytest.mark.parametrize(
    ("sigma", "binning", "advised"),
    [(1.0, 1, 1), (4.0, 1, 2), (5.5, 1, 3), (12.0, 1, 4), (4.0, 2, 4)],
)
def test_so_much_binning_is_advised_as_the_sentence_names(
    scene, blurred, sigma: float, binning: int, advised: int
) -> None:
    image = np.rint(blurred(scene(768), sigma, 0.002) * 255).clip(0, 255).astype(np.uint8)
    card = read_card(model_path("gray-x2"))
    (found,) = examine_all(image, make_plan(image, card), card, binning)
    assert found.advised_binning == advised
    assert (f"(--bin {advised})" in found.sentence) == (advised > 1)
