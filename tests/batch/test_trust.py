"""Batches whose results are assessed: verdict, record and report of each, however it was made and
however often it was begun.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_mdeblurgan.batch import Batch, Success, open_batch
from napari_mdeblurgan.batch.manifest import MANIFEST, Manifest
from napari_mdeblurgan.batch.output_folder import WORK
from napari_mdeblurgan.model import load_model
from napari_mdeblurgan.pipeline import carry_out
from napari_mdeblurgan.request import Request
from napari_mdeblurgan.storage import Micrograph, open_image, read_image
from napari_mdeblurgan.storage.provenance import entries_of, read_provenance
from napari_mdeblurgan.trust.mapped import Mapped
from napari_mdeblurgan.trust.verdict import verdict_from

from .conftest import grey, names_in, write

LARGE = {"large_bytes": 1000, "tile": 64}
MAPS = ("a-error.tif", "a-consistency.tif", "a-defocus.tif", "a-choice.tif")


def told(batch: Batch) -> list[Success]:
    """What is said of the results of a batch that has not run yet."""
    return [step.news for step in batch.steps() if isinstance(step.news, Success)]


def trust_in(path: Path) -> dict:
    (entry,) = entries_of(read_provenance(path))
    return entry["trust"]


@pytest.mark.parametrize(
    ("form", "large"), [("ome-tiff", False), ("ome-tiff", True), ("ome-zarr", True)]
)
def test_a_result_is_assessed_and_keeps_its_verdict_and_its_report(
    settings, tmp_path: Path, form: str, large: bool
) -> None:
    source = write(tmp_path / "a.tif", grey(80, 90))
    with open_batch(
        [source], tmp_path / "out", settings(trust=True, format=form, **(LARGE if large else {}))
    ) as batch:
        (news,) = told(batch)
    assert news.verdict is not None
    kept = trust_in(news.output)
    assert kept["headline"] == {"level": news.verdict.level, "text": news.verdict.text}
    assert kept["date"] == ""
    page = (tmp_path / "out" / f"{news.output.name}.html").read_text()
    assert kept["sentence"].split(".")[0] in page
    (made,) = (record.made for record in Manifest(tmp_path / "out" / MANIFEST).records.values())
    assert made is not None
    assert verdict_from(made.trust) == news.verdict
    assert [each.name for each in (tmp_path / "out" / WORK).iterdir()] == ["lock"]
    if form == "ome-tiff":
        assert made.maps == MAPS
        images = [open_image(tmp_path / "out" / name) for name in MAPS]
        assert [each.data.shape for each in images] == [(160, 180), (80, 90), (80, 90), (80, 90)]
        assert all(each.data.dtype == np.float32 for each in images[:3])
        whole = open_image(news.output)
        assert whole.data.shape == (160, 180)


@pytest.mark.parametrize(
    ("form", "large"), [("ome-tiff", False), ("ome-tiff", True), ("ome-zarr", True)]
)
def test_a_result_that_cannot_be_assessed_is_there_and_says_why(
    settings, tmp_path: Path, form: str, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OSError("NAS is gone")

    monkeypatch.setattr(Mapped, "read", fails)
    source = write(tmp_path / "a.tif", grey(80, 90))
    wishes = settings(trust=True, format=form, **(LARGE if large else {}))
    with open_batch([source], tmp_path / "out", wishes) as batch:
        (news,) = told(batch)
        assert not batch.failures
    assert read_image(news.output).data.shape == (160, 180)
    assert news.verdict is None
    (made,) = (record.made for record in Manifest(tmp_path / "out" / MANIFEST).records.values())
    assert made is not None
    assert made.trust == {}
    assert news.warnings[-1] == "How far to trust it was not found out: NAS is gone."


def test_pixels_are_those_of_a_batch_without_an_assessment(restored, tmp_path: Path) -> None:
    source = write(tmp_path / "a.tif", grey(60, 50))
    (path,) = restored([source]).outputs
    before = read_image(path).data
    (path,) = restored([source], trust=True).outputs
    np.testing.assert_array_equal(read_image(path).data, before)
    assert trust_in(path)["headline"]["text"]


def test_an_assessed_batch_has_nothing_to_do_again_with_or_without_assessment(
    restored, tmp_path: Path
) -> None:
    source = write(tmp_path / "a.tif", grey(60, 50))
    restored([source], trust=True)
    for wish in (True, False):
        assert not restored([source], trust=wish).todo
    assert names_in(tmp_path / "out") == sorted(["a.ome.tif", "a.ome.tif.html", *MAPS])


@pytest.mark.parametrize("form", ["ome-tiff", "ome-zarr"])
def test_a_large_result_whose_assessment_was_cancelled_is_not_restored_again(
    settings, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_mdeblurgan.restoration.scan import Scan

    source = write(tmp_path / "a.tif", grey(150, 150))
    wishes = settings(format=form, trust=True, **LARGE)
    with open_batch([source], tmp_path / "out", wishes) as batch:
        steps = batch.steps()
        while next(steps).fraction < 0.75:
            pass
        steps.close()
    assert not names_in(tmp_path / "out")
    monkeypatch.setattr(Scan, "steps", None)
    with open_batch([source], tmp_path / "out", wishes) as batch:
        (news,) = told(batch)
    assert trust_in(news.output)["headline"]["text"] == news.verdict.text


def test_progress_goes_forward_over_restoration_and_assessment(settings, tmp_path: Path) -> None:
    source = write(tmp_path / "a.tif", grey(100, 100))
    with open_batch([source], tmp_path / "out", settings(trust=True, **LARGE)) as batch:
        fractions = [step.fraction for step in batch.steps()]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


def test_a_report_from_elsewhere_is_not_replaced_unless_that_is_wished(
    restored, tmp_path: Path
) -> None:
    source = write(tmp_path / "a.tif", grey(60, 50))
    (tmp_path / "out").mkdir()
    page = tmp_path / "out" / "a.ome.tif.html"
    page.write_text("mine")
    (failure,) = restored([source], trust=True).failures
    assert failure.reason.startswith(f"{page} is there already, from elsewhere")
    assert page.read_text() == "mine"
    assert not restored([source], trust=True, overwrite=True).failures
    assert page.read_text() != "mine"


def test_the_report_goes_with_the_result_that_it_was_on(restored, tmp_path: Path) -> None:
    source = write(tmp_path / "a.tif", grey(60, 50))
    restored([source], trust=True)
    write(source, grey(70, 50))
    restored([source])
    assert names_in(tmp_path / "out") == ["a.ome.tif"]


def test_a_result_and_its_report_that_lack_but_their_names_get_them(
    settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_mdeblurgan.batch.output_folder import OutputFolder

    source = write(tmp_path / "a.tif", grey(60, 50))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with (
        monkeypatch.context() as patch,
        open_batch([source], tmp_path / "out", settings(trust=True)) as batch,
    ):
        patch.setattr(OutputFolder, "place_report", killed)
        with pytest.raises(KeyboardInterrupt):
            told(batch)
    assert not names_in(tmp_path / "out")
    with open_batch([source], tmp_path / "out", settings(trust=True)) as batch:
        assert not batch.todo
    assert names_in(tmp_path / "out") == sorted(["a.ome.tif", "a.ome.tif.html", *MAPS])


@pytest.mark.parametrize("large", [False, True])
def test_maps_beside_a_result_are_those_that_a_single_restoration_writes(
    settings, tmp_path: Path, large: bool
) -> None:
    source = write(tmp_path / "a.tif", grey(80, 90), pixel_size={"Y": 0.5, "X": 0.25}, unit="µm")
    wishes = settings(trust=True, **(LARGE if large else {}))
    with open_batch([source], tmp_path / "out", wishes) as batch:
        told(batch)
    model = load_model(wishes.grey_model)
    single = tmp_path / "single" / "a.ome.tif"
    single.parent.mkdir()
    options = {"device": "cpu", "precision": "float32"}
    for _ in carry_out(
        open_image(source), model, Request(output=single, options=options, maps=True)
    ):
        pass
    assert names_in(single.parent) == sorted(["a.ome.tif", *MAPS])
    for name in MAPS:
        made, other = open_image(tmp_path / "out" / name), open_image(single.with_name(name))
        assert made.data.dtype == other.data.dtype
        assert made.place == other.place
        np.testing.assert_allclose(
            np.asarray(made.data), np.asarray(other.data), rtol=1e-3, atol=1e-3
        )


def test_maps_from_elsewhere_are_not_replaced_unless_that_is_wished(
    restored, tmp_path: Path
) -> None:
    source = write(tmp_path / "a.tif", grey(60, 50))
    theirs = write(tmp_path / "out" / MAPS[0], grey(9, 9))
    before = theirs.read_bytes()
    (failure,) = restored([source], trust=True).failures
    assert failure.reason.startswith(f"{theirs} is there already, from elsewhere")
    assert theirs.read_bytes() == before
    assert not restored([source]).failures
    assert theirs.read_bytes() == before
    assert not restored([source], trust=True, overwrite=True).failures
    assert theirs.read_bytes() != before


def test_maps_are_no_images_of_the_next_batch_in_the_same_folder(restored, tmp_path: Path) -> None:
    write(tmp_path / "out" / "a.png", grey(60, 50).astype(np.uint8))
    first = restored([tmp_path / "out"], trust=True)
    again = restored([tmp_path / "out"], trust=True)
    assert (
        [item.output for item in again.items]
        == [item.output for item in first.items]
        == ["a.ome.tif"]
    )
    assert set(MAPS) <= set(names_in(tmp_path / "out"))


@pytest.mark.parametrize("form", ["tiff", "png"])
def test_only_ome_tiff_has_maps_beside_it(restored, tmp_path: Path, form: str) -> None:
    source = write(tmp_path / "a.tif", grey(60, 50))
    (path,) = restored([source], trust=True, format=form).outputs
    assert names_in(tmp_path / "out") == [path.name, f"{path.name}.html"]


def test_layers_are_assessed_too(restored, tmp_path: Path) -> None:
    layer = Micrograph(grey(2, 50, 40), "ZYX", name="layer")
    (path,) = restored([layer], trust=True).outputs
    assert trust_in(path)["headline"]["text"]
