"""Fine-tuning on pairs of one objective: what is learned, judged and then made by default has the
image's own pixels.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from scipy.ndimage import gaussian_filter

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.errors import ModelError, TrainingError
from napari_mdeblurgan.fine_tuning.outcome import conclude
from napari_mdeblurgan.fine_tuning.pairs import tuning_pairs
from napari_mdeblurgan.fine_tuning.scores import restored_box
from napari_mdeblurgan.fine_tuning.tuning import open_fine_tuning
from napari_mdeblurgan.model import read_card
from napari_mdeblurgan.network import Generator
from napari_mdeblurgan.network.block_threads import OneByOne
from napari_mdeblurgan.restoration.plan import make_plan
from napari_mdeblurgan.training.data.dataset import Patches
from napari_mdeblurgan.training.losses.objectives import GeneratorObjective
from napari_mdeblurgan.training.losses.terms import GeneratorLoss, LossConfig
from tests.fine_tuning.conftest import make_pair
from tests.fine_tuning.kept_outcome import read_outcome

EXACT: dict[str, Any] = {"precision": "float32", "device": "cpu"}


def same_pixels(**options: Any) -> Any:
    """A pair of one objective: the sharp image, and the same blurred, on the same pixels."""
    made = make_pair(**options)
    high = made.high[:, : made.low.shape[1], : made.low.shape[2]]
    low = gaussian_filter(high, (0, 1.5, 1.5))
    found = replace(made.registration, transform=np.eye(3))
    valid = np.ones(high.shape[1:], bool)
    return replace(
        made, low=low, high=high, valid=valid, scale=1, high_crop=made.low_crop, registration=found
    )


def tuned(begun: Any, **options: Any) -> Any:
    tuning = open_fine_tuning(begun([same_pixels(edge=152)], **options))
    for _ in tuning.steps():
        pass
    return tuning, conclude(tuning)


def test_what_is_compared_with_the_truth_is_the_result_averaged_to_its_pixels() -> None:
    torch.manual_seed(0)
    network = Generator(channels=1, width=2)
    for weights in network.parameters():
        torch.nn.init.normal_(weights, std=0.1)
    images = torch.rand(2, 1, 32, 32)
    truth = torch.rand(2, 1, 32, 32)
    loss = GeneratorLoss(LossConfig(pixel="mse", ssim_share=0.0))
    objective = GeneratorObjective(network, None)
    terms, output = objective(
        Patches(images, truth, truth),
        loss,
        1e-6,
        False,
        lambda: torch.autocast("cpu", enabled=False),
        OneByOne(),
    )
    expected = torch.nn.functional.avg_pool2d(network(images), 2)
    torch.testing.assert_close(output, expected.detach())
    border = loss.config.border
    errors = (expected - truth)[..., border:-border, border:-border].square().mean()
    torch.testing.assert_close(terms["output"], loss.config.output * errors)


def test_it_learns_scores_and_restores_at_the_images_own_pixels(begun) -> None:
    tuning, outcome = tuned(begun, steps=60, batch=4, learning_rate=0.005, averaging=0.9)
    assert outcome.methods[0].name == "blurred image"
    assert outcome.methods[2].psnr_db > outcome.methods[1].psnr_db + 0.5
    assert outcome.methods[2].psnr_db > outcome.methods[0].psnr_db + 0.5
    assert read_outcome(tuning.folder) == outcome
    model = load_model(outcome.path)
    assert model.card.output_scale == 1
    assert model.card.scale == 2
    assert "for the image's own pixels" in model.card.description
    assert model.card.scores["held_out_blurred_psnr_db"] == round(outcome.methods[0].psnr_db, 2)
    image = tuning.pairs[0].low[0]
    by_default = restore(image, model, **EXACT)
    assert by_default.shape == image.shape
    np.testing.assert_array_equal(by_default, restore(image, model, output_scale=1, **EXACT))
    box = tuning.split.held_out[0]
    seen = restored_box(model.network, tuning.pairs[0], box)
    part = torch.from_numpy(np.ascontiguousarray(image[box.spans]))[None, None]
    with torch.inference_mode():
        averaged = torch.nn.functional.avg_pool2d(model.network(part), 2).clamp(0, 1)
    np.testing.assert_allclose(seen, averaged[0].numpy(), atol=1e-5)


def test_a_model_that_is_worse_than_the_blurred_image_says_so(begun) -> None:
    pair = same_pixels()
    sharp = replace(pair, low=pair.high + 0.002 * np.sin(np.arange(pair.high.shape[-1])))
    outcome = conclude(open_fine_tuning(begun([sharp], minutes=0.0)))
    plain_db, _, tuned_db = (method.psnr_db for method in outcome.methods)
    assert tuned_db < plain_db
    assert outcome.notes[-1] == (
        f"the blurred image is nearer to the truth ({plain_db:.2f} dB) than what the new "
        f"model makes ({tuned_db:.2f} dB): train longer, or leave such images as they are"
    )


def test_of_such_a_model_more_pixels_can_be_asked_for_and_it_is_said_that_they_were_not_trained(
    begun,
) -> None:
    _, outcome = tuned(begun, steps=1)
    model = load_model(outcome.path)
    image = np.random.default_rng(0).random((40, 48)).astype(np.float32)
    with pytest.warns(
        UserWarning,
        match="tuned was fine-tuned for results with the image's own pixels; at ×2 it was not",
    ):
        twice = restore(image, model, output_scale=2, **EXACT)
    assert twice.shape == (80, 96)
    assert not make_plan(image, model.card, **EXACT).warnings


def test_it_goes_on_at_the_same_pixels(begun) -> None:
    folder = begun([same_pixels()], steps=2, name="parted")
    first = open_fine_tuning(folder)
    next(first.steps())
    assert open_fine_tuning(folder).output_scale == 1


def test_what_is_learned_at_twice_the_pixels_has_a_card_that_older_versions_can_read(begun) -> None:
    tuning = open_fine_tuning(begun(steps=1))
    list(tuning.steps())
    outcome = conclude(tuning)
    with safe_open(outcome.path, "np") as file:
        assert "output_scale" not in json.loads(file.metadata()["mdeblurgan"])
    assert read_card(outcome.path).output_scale is None
    assert outcome.methods[0].name == "bicubic"


def test_pairs_of_the_same_pixels_and_others_are_not_learned_from_together(tiny_model) -> None:
    card = tiny_model(1).card
    two = make_pair("x5 and x10")
    for other, kind in (
        (two, "a pair by two objectives"),
        (replace(two, stack="pollen"), "a plane of a focus stack"),
    ):
        with pytest.raises(TrainingError) as refused:
            tuning_pairs([same_pixels(name="confocal"), other], card)
        assert str(refused.value) == (
            f"Both images of confocal have pixels of the same size, but x5 and x10 is {kind}, from "
            "which ×2 is learned: one model cannot learn both, so make two, each from images of "
            "one kind."
        )


def test_pairs_that_do_not_fit_the_model_are_still_refused(begun, tiny_model) -> None:
    from napari_mdeblurgan.fine_tuning.pairs import output_scale

    planes = tuning_pairs([same_pixels()], tiny_model(1).card)
    assert output_scale(planes, tiny_model(1, 4).card) == 1
    with pytest.raises(ModelError, match="choose a model that fits"):
        output_scale(planes, tiny_model(3).card)
