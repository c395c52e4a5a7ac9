"""The bundled micrographs: small, readable, attributed, honestly described."""

from __future__ import annotations

import numpy as np
import pytest

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.samples import SAMPLES, sample_path
from napari_mdeblurgan.storage import read_image


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_what_it_says_it_is(name: str) -> None:
    image = read_image(sample_path(name))
    assert SAMPLES[name].name == name
    assert image.rgb == SAMPLES[name].rgb
    assert image.data.dtype == (np.uint16 if name == "nuclei" else np.uint8)
    assert ("Z" in image.axes) == SAMPLES[name].stack
    assert max(image.data.shape) <= 640
    assert image.pixel_size == {}


def test_there_is_one_in_colour_and_one_in_grey() -> None:
    assert {sample.rgb for sample in SAMPLES.values()} == {True, False}


def test_every_sample_is_attributed() -> None:
    attribution = sample_path("nuclei").with_name("ATTRIBUTION.md").read_text(encoding="utf-8")
    for sample in SAMPLES.values():
        assert f"`{sample.file}`" in attribution


def test_an_unknown_sample_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(FileError, match=r"'moon'.*leaf_epidermis, nuclei, smear, smear_stack"):
        sample_path("moon")


def test_the_stack_is_sharp_in_its_tenth_plane_and_lies_on_itself() -> None:
    stack = read_image(sample_path("smear_stack")).data
    assert len(stack) == 19
    detail = [np.abs(np.diff(plane.astype(float))).mean() for plane in stack]
    assert int(np.argmax(detail)) == 9
    corners = [
        np.corrcoef(stack[9][part].ravel(), stack[6][part].ravel())[0, 1]
        for part in (np.s_[:80, :80], np.s_[-80:, -80:])
    ]
    assert min(corners) > 0.8
