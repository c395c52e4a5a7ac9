"""A batch from its beginning to its end: what comes out, and what happens when something goes
wrong.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import tifffile

from napari_mdeblurgan import pipeline, stopping
from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.batch import BatchSettings, Failure, Success, making, open_batch
from napari_mdeblurgan.batch.item import refusal
from napari_mdeblurgan.batch.manifest import MANIFEST, Manifest
from napari_mdeblurgan.batch.output_folder import WORK, OutputFolder
from napari_mdeblurgan.errors import FileError, MdeblurganError
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration import room
from napari_mdeblurgan.restoration.engine import restore
from napari_mdeblurgan.stopping import Stopped
from napari_mdeblurgan.storage import Micrograph, read_image
from napari_mdeblurgan.storage.provenance import entries_of, read_provenance
from napari_mdeblurgan.storage.tiff import tiff_writing

from .conftest import LARGE, grey, names_in, reasons, write


def test_results_are_those_of_restore_with_everything_that_is_known_of_the_images(
    restored, tmp_path: Path, tiny_model: Callable[..., Model]
) -> None:
    data = np.stack([grey(3, 20, 24), 10 * grey(3, 20, 24, seed=1)], axis=1)
    write(
        tmp_path / "in" / "stack.ome.tif",
        data,
        axes="ZCYX",
        pixel_size={"X": 0.5, "Y": 0.4, "Z": 2.0},
        unit="µm",
        channel_names=("DAPI", "GFP"),
    )
    write(tmp_path / "in" / "colour.png", grey(20, 24, 3).astype(np.uint8), axes="YXS")
    batch = restored([tmp_path / "in"])
    assert batch.outputs == [
        tmp_path / "out" / name for name in ("colour.ome.tif", "stack.ome.tif")
    ]
    stack = read_image(tmp_path / "out" / "stack.ome.tif")
    assert (stack.axes, stack.unit, stack.channel_names, stack.name) == (
        "ZCYX",
        "µm",
        ("DAPI", "GFP"),
        "stack",
    )
    assert stack.pixel_size == pytest.approx({"X": 0.25, "Y": 0.2, "Z": 2.0})
    expected = restore(data, tiny_model(1), channel_axis=1, device="cpu", precision="float32")
    np.testing.assert_array_equal(stack.data, expected)
    assert read_image(tmp_path / "out" / "colour.ome.tif").data.shape == (40, 48, 3)


@pytest.mark.parametrize(
    ("form", "suffix"), [("tiff", ".tif"), ("png", ".png"), ("ome-zarr", ".ome.zarr")]
)
def test_results_come_in_the_format_that_is_wanted(
    restored, tmp_path: Path, form: str, suffix: str
) -> None:
    source = write(tmp_path / "a.tif", grey(20, 24).astype(np.uint8))
    assert restored([source], format=form).outputs == [tmp_path / "out" / f"a{suffix}"]
    assert read_image(tmp_path / "out" / f"a{suffix}").data.shape == (40, 48)


def test_writing_a_large_result_ends_when_the_work_does(
    settings: Callable[..., BatchSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, ended = threading.Event(), []

    def endless(place: Path, image: Micrograph) -> None:
        began.set()
        try:
            while True:
                image.data.compute()
        except Stopped:
            ended.append(place)
            raise

    monkeypatch.setattr(making, "write_image", endless)
    monkeypatch.setattr(stopping, "HEARTBEAT_S", 0.02)
    source = write(tmp_path / "a.tif", grey(150, 100))
    with open_batch([source], tmp_path / "out", settings(**LARGE)) as batch:
        steps = batch.steps()
        while not began.is_set():
            next(steps)
        steps.close()
    assert [place.name for place in ended] == ["a.ome.tif"]
    assert not (tmp_path / "out" / "a.ome.tif").exists()


def test_what_does_not_fit_into_memory_is_refused_with_the_mend_for_a_batch(
    restored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "a.tif", grey(40, 48))
    monkeypatch.setattr(room, "SHARE_OF_FREE", 0)
    ((failure,), output) = restored([source]).failures, tmp_path / "out" / "a.ome.tif"
    assert failure.reason.startswith(f"{output} would take")
    assert failure.reason.endswith(
        "choose OME-Zarr (Format, or --format ome-zarr), which is made block by block."
    )


@pytest.mark.parametrize("form", ["ome-tiff", "ome-zarr"])
def test_a_large_image_goes_block_by_block_and_keeps_what_is_known_of_it(
    restored, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {
        "pixel_size": {"X": 0.5, "Y": 0.4},
        "unit": "µm",
        "channel_names": ("DAPI", "GFP"),
        "axes": "CYX",
    }
    source = write(tmp_path / "a.tif", grey(2, 150, 100), **known)
    small = restored([source])
    whole = read_image(small.outputs[0])
    monkeypatch.setattr(pipeline, "_in_memory", None)
    for path in small.outputs:
        path.rename(tmp_path / "small.ome.tif")
    large = read_image(restored([source], format=form, overwrite=True, **LARGE).outputs[0])
    assert (large.axes, large.pixel_size, large.unit, large.channel_names, large.name) == (
        whole.axes,
        whole.pixel_size,
        whole.unit,
        whole.channel_names,
        "a",
    )
    assert np.abs(large.data.astype(int) - whole.data.astype(int)).max() <= 1
    assert [path.name for path in (tmp_path / "out" / WORK).iterdir()] == ["lock"]


@pytest.mark.parametrize("form", ["ome-tiff", "ome-zarr"])
@pytest.mark.parametrize("large", [False, True])
def test_a_result_keeps_how_it_was_made(restored, tmp_path: Path, form: str, large: bool) -> None:
    source = write(tmp_path / "a.tif", grey(40, 30))
    (path,) = restored([source], format=form, **(LARGE if large else {})).outputs
    (entry,) = entries_of(read_provenance(path))
    assert (entry["made"]["source"], entry["made"]["scale"]) == ("a", 2)
    assert entry["made"]["sha256"]


def test_images_in_memory_and_lazy_ones_are_restored_like_files(restored, tmp_path: Path) -> None:
    data = grey(40, 48)
    path = write(tmp_path / "a.tif", data)
    layers = [
        Micrograph(data, "YX", name="in/memory"),
        Micrograph(da.from_array(data, (16, 16)), "YX", name="lazy"),
    ]
    outputs = restored([path, *layers]).outputs
    assert [output.name for output in outputs] == ["a.ome.tif", "in-memory.ome.tif", "lazy.ome.tif"]
    images = [read_image(output).data for output in outputs]
    assert all((image == images[0]).all() for image in images)
    assert not restored([path, *layers]).todo


def test_what_is_done_is_not_done_again(restored, tmp_path: Path) -> None:
    paths = [write(tmp_path / "in" / name) for name in ("a.tif", "b.tif")]
    restored(paths[:1])
    before = (tmp_path / "out" / "a.ome.tif").stat().st_mtime_ns
    batch = restored([tmp_path / "in"])
    assert [item.source.path for item in batch.todo] == paths[1:]
    assert len(batch.outputs) == 2
    assert (tmp_path / "out" / "a.ome.tif").stat().st_mtime_ns == before


def test_an_image_that_has_changed_is_done_again(restored, tmp_path: Path) -> None:
    source = write(tmp_path / "a.tif", grey(20, 24))
    restored([source])
    write(source, grey(30, 24))
    batch = restored([source])
    assert not batch.failures
    assert read_image(tmp_path / "out" / "a.ome.tif").data.shape == (60, 48)


def test_a_result_that_was_removed_is_made_again(restored, tmp_path: Path) -> None:
    source = write(tmp_path / "a.tif")
    restored([source]).outputs[0].unlink()
    assert restored([source]).outputs[0].exists()


@pytest.mark.parametrize("form", ["ome-tiff", "ome-zarr"])
def test_a_batch_that_was_closed_goes_on_within_a_large_image(
    settings, tmp_path: Path, form: str
) -> None:
    source = write(tmp_path / "a.tif", grey(150, 150))
    wishes = settings(format=form, **LARGE)
    with open_batch([source], tmp_path / "out", wishes) as batch:
        steps = batch.steps()
        while next(steps).pixels < 2 * 128**2:
            pass
        steps.close()
    assert not names_in(tmp_path / "out")
    with open_batch([source], tmp_path / "out", wishes) as batch:
        made = [step.pixels for step in batch.steps()]
    assert 0 < made[-1] <= 300**2 - 2 * 128**2
    assert len(batch.outputs) == 1


def test_what_a_run_leaves_that_is_killed_once_a_result_has_its_name_is_removed(
    settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "a.tif", grey(150, 150))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with (
        monkeypatch.context() as patch,
        open_batch([source], tmp_path / "out", settings(**LARGE)) as batch,
    ):
        patch.setattr(OutputFolder, "forget", killed)
        with pytest.raises(KeyboardInterrupt):
            list(batch.steps())
    assert len(list((tmp_path / "out" / WORK).iterdir())) == 2
    with open_batch([source], tmp_path / "out", settings(**LARGE)) as batch:
        assert not batch.todo
    assert [path.name for path in (tmp_path / "out" / WORK).iterdir()] == ["lock"]


def test_a_bad_file_is_named_and_the_rest_goes_on(restored, tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.tif")
    (tmp_path / "in" / "b.tif").write_text("no image")
    write(tmp_path / "in" / "c.tif", np.full((9, 9), np.nan, np.float32))
    write(tmp_path / "in" / "d.tif")
    batch = restored([tmp_path / "in"])
    assert [output.name for output in batch.outputs] == ["a.ome.tif", "d.ome.tif"]
    assert [Path(failure.name).name for failure in batch.failures] == ["b.tif", "c.tif"]
    assert "is not a TIFF file" in batch.failures[0].reason
    for failure in batch.failures:
        assert failure.reason.startswith(failure.name)
        assert failure.reason.count(Path(failure.name).name) == 1
    assert names_in(tmp_path / "out") == ["a.ome.tif", "d.ome.tif"]
    assert [path.name for path in (tmp_path / "out" / WORK).iterdir()] == ["lock"]


def test_what_failed_can_be_tried_alone(restored, tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.tif")
    (tmp_path / "in" / "b.tif").write_text("no image")
    restored([tmp_path / "in"])
    write(tmp_path / "in" / "b.tif")
    write(tmp_path / "in" / "new.tif")
    batch = restored([tmp_path / "in"], retry_failed=True)
    assert [item.source.path for item in batch.items] == [tmp_path / "in" / "b.tif"]
    assert names_in(tmp_path / "out") == ["a.ome.tif", "b.ome.tif"]
    assert not restored([tmp_path / "in"], retry_failed=True).items


def test_a_kind_of_file_that_cannot_hold_an_image_is_a_failure_of_that_image(
    restored, tmp_path: Path
) -> None:
    write(tmp_path / "in" / "a.tif", grey(3, 20, 24), axes="ZYX")
    write(tmp_path / "in" / "b.tif")
    batch = restored([tmp_path / "in"], format="png")
    assert len(batch.outputs) == 1
    assert "PNG holds a single plane" in reasons(batch)


def test_an_image_that_changes_while_it_is_restored_is_said_and_not_kept(
    settings, tmp_path: Path, tiny_model: Callable[..., Model]
) -> None:
    source = write(tmp_path / "a.tif")
    with open_batch([source], tmp_path / "out", settings()) as batch:
        for step in batch.steps():
            if step.pixels and not batch.outputs and not batch.failures:
                write(source, grey(60, 60))
    assert "changed while it was being restored" in reasons(batch)
    assert not names_in(tmp_path / "out")


def test_a_full_disk_ends_the_batch_with_a_sentence_and_loses_nothing(
    settings, restored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [write(tmp_path / name) for name in ("a.tif", "b.tif", "c.tif")]

    def full(path: Path, **_: object):
        if path.name == "b.ome.tif":
            with replacing(path):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replacing(path)

    with monkeypatch.context() as patch, open_batch(paths, tmp_path / "out", settings()) as batch:
        patch.setattr(tiff_writing, "replacing", full)
        with pytest.raises(FileError, match=r"is full; make room and start again: 1 result"):
            list(batch.steps())
    assert names_in(tmp_path / "out") == ["a.ome.tif"]
    assert [item.source.path for item in restored(paths).todo] == paths[1:]


def test_a_full_disk_leaves_nothing_that_cannot_be_gone_on_with(
    settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, **_: object):
        if "-error" in path.name:
            with replacing(path):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replacing(path)

    monkeypatch.setattr(tiff_writing, "replacing", full)
    images, output = [write(tmp_path / "a.tif")], tmp_path / "out"
    with open_batch(images, output, settings(trust=True)) as batch:
        with pytest.raises(FileError, match="is full"):
            list(batch.steps())
        assert [path.name for path in (output / WORK).iterdir()] == ["lock"]


def test_progress_counts_what_earlier_runs_have_done_and_ends_at_one(
    settings, tmp_path: Path
) -> None:
    paths = [write(tmp_path / f"{number}.tif", grey(24, 24, seed=number)) for number in range(4)]
    for count in (2, 4):
        with open_batch(paths[:count], tmp_path / "out", settings()) as batch:
            steps = list(batch.steps())
    fractions = [step.fraction for step in steps]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (pytest.approx(0.5, abs=0.01), 1)
    assert (steps[0].done, steps[-1].done, steps[-1].total) == (2, 4, 4)
    assert steps[-1].pixels == 2 * 48**2
    assert steps[-1].mpix_per_s >= 2 * 48**2 / 1e6 / steps[-1].seconds
    news = [step.news for step in steps if step.news]
    assert [type(each) for each in news] == [Success, Success]
    assert next(step.current for step in steps if step.current) == (str(paths[2]),)


def test_the_manifest_says_what_was_done_with_what(restored, tmp_path: Path) -> None:
    source = write(tmp_path / "a.tif")
    restored([source, write(tmp_path / "b.tif")])
    entry = Manifest(tmp_path / "out" / MANIFEST).records[str(source), "a.ome.tif"].made
    assert entry is not None
    assert (entry.model, entry.device, entry.precision, entry.pixels) == (
        "tiny-1-x2",
        "cpu",
        "float32",
        48 * 56,
    )


def test_what_a_source_says_of_itself_keeps_its_letters() -> None:
    refused = refusal(OSError("NAS /Data is gone."), "a.tif")
    assert refused.reason == "a.tif could not be restored: NAS /Data is gone."


def test_a_failure_is_told_while_it_happens(
    settings: Callable[..., BatchSettings], tmp_path: Path
) -> None:
    (tmp_path / "a.tif").write_text("no image")
    with open_batch([tmp_path / "a.tif"], tmp_path / "out", settings()) as batch:
        news = [step.news for step in batch.steps() if step.news]
    assert [type(each) for each in news] == [Failure]


def test_an_axis_that_ome_tiff_does_not_know_is_said_with_what_can_be_done(
    restored, tmp_path: Path
) -> None:
    source = write(tmp_path / "fields.tif", grey(3, 20, 24), axes="VYX")
    batch = restored([source])
    assert (
        "OME-TIFF cannot hold an axis V of VYX; choose another format, such as TIFF (Format, or "
        "--format tiff)." in reasons(batch)
    )
    assert len(restored([source], format="tiff").outputs) == 1


def test_pages_that_nothing_is_known_of_become_an_ome_tiff(restored, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "pages.tif", grey(5, 20, 24), metadata=None)
    (output,) = restored([tmp_path / "pages.tif"]).outputs
    with tifffile.TiffFile(output) as tif:
        assert (tif.series[0].axes, tif.series[0].shape) == ("QYX", (5, 40, 48))
        assert tif.is_ome


def test_a_layer_that_was_placed_elsewhere_is_done_again(restored, tmp_path: Path) -> None:
    data = grey(20, 24)
    layer = Micrograph(data, "YX", {"Y": 0.5, "X": 0.5}, name="cells")
    restored([layer], format="ome-zarr")
    assert not restored([layer], format="ome-zarr").todo
    moved = Micrograph(
        data, "YX", {"Y": 0.5, "X": -0.5}, name="cells", position={"Y": 3.0, "X": 4.0}
    )
    (path,) = restored([moved], format="ome-zarr").outputs
    assert read_image(path).pixel_size == {"Y": 0.25, "X": -0.25}
    assert read_image(path).position == {"Y": 2.875, "X": 4.125}


def test_numbers_of_numpy_are_the_settings_that_plain_ones_are(
    settings: Callable[..., BatchSettings],
) -> None:
    wishes = {"tile": 64, "softness": 1.5, "output_scale": 1, "large_bytes": 2**20, "binning": 2}
    kinds = {int: np.int64, float: np.float32}
    numpy = {name: kinds[type(value)](value) for name, value in wishes.items()}
    assert settings(**numpy).recipe().settings == settings(**wishes).recipe().settings


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"softness": "x"}, "The softness is 'x'; give 0 to 8 pixels"),
        ({"softness": -1}, "The softness is -1; give 0 to 8 pixels"),
        ({"workers": 0}, "workers is 0; give a whole number above 0"),
        ({"workers": "2"}, "workers is '2'; give a whole number above 0"),
        ({"large_bytes": "x"}, "large_bytes is 'x'; give a whole number above 0"),
        ({"tile": 3}, "A tile of 3 pixels is too small or no whole number"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_the_first_image(
    settings: Callable[..., BatchSettings], wishes: dict[str, object], words: str
) -> None:
    with pytest.raises(MdeblurganError, match=words):
        settings(**wishes).recipe()


def test_plain_values_are_no_settings(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="This dict holds no settings of a batch; pass `BatchSet"):
        open_batch([tmp_path], tmp_path / "out", {"format": "png"})  # type: ignore[arg-type]
