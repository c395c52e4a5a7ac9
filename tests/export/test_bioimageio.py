"""bioimage.io packages: its own library accepts and runs them; what they tell; the way back."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from napari_mdeblurgan.errors import ExportError
from napari_mdeblurgan.export import package
from napari_mdeblurgan.export.description import Author, Files, description, package_name
from napari_mdeblurgan.export.importing import import_package
from napari_mdeblurgan.export.libraries import FOR_PACKAGES, check_installed, check_together
from napari_mdeblurgan.model import Model, load_model


def why_not() -> str:
    """Why packages cannot be made here; empty if they can."""
    try:
        check_installed((*FOR_PACKAGES, "bioimageio.core"))
        check_together()
    except ExportError as error:
        return str(error)
    return ""


needs_bioimageio = pytest.mark.skipif(bool(why_not()), reason=why_not())


@pytest.fixture(scope="module")
def model(carded_model: Model) -> Model:
    return carded_model


@pytest.fixture(scope="module")
def exported(exported_package: Path) -> Path:
    return exported_package


@needs_bioimageio
def test_bioimageio_s_own_test_of_the_package_passes(exported: Path) -> None:
    from bioimageio.core import test_model as run_test

    summary = run_test(str(exported))
    tried = {
        str(part)
        for detail in summary.details
        for part in detail.loc
        if detail.loc[:1] == ("weights",)
    }
    assert {"onnx", "torchscript"} <= tried
    failures = [
        f"{detail.name}: {error.msg}" for detail in summary.details for error in detail.errors
    ]
    assert (summary.status, failures) == ("passed", [])


@needs_bioimageio
def test_bioimageio_restores_an_image_in_tiles_as_the_plugin_does(
    exported: Path, model: Model
) -> None:
    """In what lies farther from the edge than the halo, where both see the same."""
    from bioimageio.core import create_prediction_pipeline
    from bioimageio.core.digest_spec import create_sample_for_model
    from bioimageio.spec import load_model_description

    from napari_mdeblurgan import restore

    rows, columns = np.mgrid[:240, :264]
    image = (1000 + 500 * np.sin(rows / 5) * np.cos(columns / 7)).astype(np.float32)
    described = load_model_description(str(exported))
    with create_prediction_pipeline(described, weight_format="onnx") as pipeline:
        sample = create_sample_for_model(described, inputs={"input": image[None, None]})
        found = (
            pipeline.predict_sample_with_blocking(sample, ns=5)
            .members["output"]
            .data.to_numpy()[0, 0]
        )
    low, high = np.percentile(image, (0.1, 99.9))
    expected = restore(image, model, window=(low, high), device="cpu", precision="float32")
    inside = (slice(180, -180),) * 2
    np.testing.assert_allclose(
        (found * (high - low) + low)[inside], expected[inside], atol=1e-3 * (high - low)
    )


@needs_bioimageio
def test_the_package_has_all_that_belongs_to_it(exported: Path, model: Model) -> None:
    with zipfile.ZipFile(exported) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    said = yaml.safe_load(content["bioimageio.yaml"])
    assert [each["name"] for each in said["authors"]] == ["Ada Lovelace", "Grace Hopper"]
    assert said["license"] == "CC-BY-4.0"
    assert said["cite"][0]["doi"] == "10.1155/2021/6493130"
    assert "napari-mdeblurgan" in said["cite"][1]["text"]
    picture = Image.open(io.BytesIO(content[said["covers"][0]["source"]]))
    assert picture.width == 2 * picture.height
    assert len(content["cover.png"]) < 500_000
    text = content["README.md"].decode()
    for words in (
        "percentiles 0.1 and 99.9",
        "psnr_db: 30.5",
        "by image, nuclei: 31",
        "σ from 0.5 to 2",
        "BBBC039v1",
        "CC0",
    ):
        assert words in text
    assert not any(
        f"{folder}/".encode() in each
        for each in content.values()
        for folder in (Path.cwd(), Path.home())
    )


@needs_bioimageio
def test_what_was_exported_can_be_imported(
    exported: Path, model: Model, models_folder: Path
) -> None:
    name, path = import_package(exported)
    assert (name, path) == (model.card.name, models_folder / f"{model.card.name}.safetensors")
    back = load_model(name)
    assert back.card.weights_sha256 == model.card.weights_sha256
    assert back.card == model.card
    image = np.random.default_rng(0).random((1, 1, 32, 32), np.float32)
    from napari_mdeblurgan.export.agreement import run_network

    np.testing.assert_array_equal(run_network(back, image), run_network(model, image))


def test_sizes_halo_and_window_are_the_network_s(model: Model) -> None:
    said = description(model, Files(safetensors="a.safetensors"), (Author("Ada"),), "MIT")
    (before,), (after,) = said["inputs"], said["outputs"]
    halo = model.network.halo
    for axis in before["axes"][2:]:
        assert axis["size"]["step"] == 8
        assert axis["size"]["min"] % 8 == 0
        assert axis["size"]["min"] > 2 * halo
    assert [(axis["scale"], axis["halo"]) for axis in after["axes"][2:]] == [(0.5, 2 * halo)] * 2
    window = before["preprocessing"][0]["kwargs"]
    assert (window["min_percentile"], window["max_percentile"]) == (0.1, 99.9)
    assert window["axes"] == ["channel", "y", "x"]


def test_a_name_is_made_fit_for_bioimageio() -> None:
    assert package_name("rgb-x2 σ=2 (mine)") == "M-Deblurgan rgb-x2 --2 (mine)"


@pytest.mark.parametrize(
    ("authors", "licence", "words"),
    [
        ((), "MIT", "at least one"),
        (("Ada",), "MIT", r"`Author\(name, affiliation\)`, not as 'Ada'"),
        ((Author("Ada"),), "", "no licence in its card"),
        ((Author("Ada"),), "My own", "'My own' is no SPDX identifier"),
    ],
)
@needs_bioimageio
def test_a_package_that_lacks_something_is_not_written(
    tiny_model, tmp_path: Path, monkeypatch, authors, licence: str, words: str
) -> None:
    monkeypatch.setattr(package, "onnx_content", lambda model: b"onnx")
    monkeypatch.setattr(package, "torchscript_content", lambda model: b"torchscript")
    with pytest.raises(ExportError, match=words):
        package.export_package(tiny_model(1), tmp_path / "a.zip", authors, licence)
    assert not (tmp_path / "a.zip").exists()
