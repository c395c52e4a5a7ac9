"""Layers whose y and x are not the last axes: restored plane by plane, into one stack that lies on
its source.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.storage import Micrograph, read_image
from napari_mdeblurgan.widgets.batch.widget import BatchWidget
from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.layers import axes
from napari_mdeblurgan.widgets.layers.axes import arranged, order_of, put_back
from napari_mdeblurgan.widgets.runs.trust import save_report
from tests.widgets.maps_shown import show_each_map

if TYPE_CHECKING:
    from napari import Viewer

    Noise = Callable[..., np.ndarray]
    Run = Callable[[], None]


def expected(
    image: np.ndarray, order: tuple[int, ...], model: str = "tiny-grey", **wishes: Any
) -> np.ndarray:
    """Brought into order, restored, and put back by numpy alone."""
    axes = (*order, *range(len(order), image.ndim))
    return restore(image.transpose(axes), load_model(model), **wishes).transpose(np.argsort(axes))


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize(
    ("labels", "order"),
    [("yxz", (2, 0, 1)), ("tyxc", (0, 3, 1, 2)), ("xzy", (1, 2, 0)), ("yztxc", (1, 2, 4, 0, 3))],
)
def test_labels_tell_where_y_and_x_are(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    run: Run,
    cache_folder: Path,
    labels: str,
    order: tuple[int, ...],
    on_disk: bool,
) -> None:
    lengths = {"y": 32, "x": 24, "z": 3, "t": 2, "c": 2}
    image = noise(*(lengths[label] for label in labels))
    scale = [0.5 if label in "yx" else 2 for label in labels]
    source = viewer.add_image(
        image, name="stack", scale=scale, axis_labels=tuple(labels), units="µm"
    )
    widget.results.to_disk.value = on_disk
    run()
    result = viewer.layers[1]
    data = np.asarray(result.data[0] if on_disk else result.data)
    channel = [labels[axis] for axis in order].index("c") if "c" in labels else None
    np.testing.assert_allclose(data, expected(image, order, channel_axis=channel), atol=1)
    assert result.axis_labels == tuple(labels)
    assert tuple(result.scale) == tuple(0.25 if label in "yx" else 2 for label in labels)
    np.testing.assert_allclose(result._extent_world_augmented, source._extent_world_augmented)
    if on_disk:
        (path,) = cache_folder.glob("*.ome.zarr")
        saved = read_image(path)
        assert saved.axes == "".join(labels[axis] for axis in order).upper()
        assert (saved.pixel_size["Y"], saved.pixel_size["X"]) == (0.25, 0.25)
        assert all(
            level.shape[labels.index("y")] == 64 >> number
            for number, level in enumerate(result.data)
        )


def test_colours_stay_last(viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Run) -> None:
    image = noise(24, 32, 2, 3)
    viewer.add_image(image, rgb=True, axis_labels=("y", "x", "z"))
    run()
    assert viewer.layers[1].rgb
    np.testing.assert_array_equal(viewer.layers[1].data, expected(image, (2, 0, 1), "tiny-colour"))


def test_maps_of_trust_lie_on_the_result_and_the_report_shows_the_same_plane(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reports: list[Any] = []
    monkeypatch.setattr(
        "napari_mdeblurgan.trust.report.write_report", lambda _, report: reports.append(report)
    )
    image = noise(40, 48, 3)
    viewer.add_image(image, name="stack", axis_labels=("y", "x", "z"), rgb=False)
    widget.controls.trust.value = True
    run()
    show_each_map(widget)
    result, *maps = viewer.layers[1:]
    assert maps
    for each in maps:
        np.testing.assert_allclose(each._extent_world_augmented, result._extent_world_augmented)
        assert each.data.shape[2] == 3
    reported = widget._reported()
    assert reported is not None
    save_report(tmp_path / "report.html", reported[1], result.data)
    np.testing.assert_array_equal(reports[0].before, image[..., 1])
    np.testing.assert_array_equal(reports[0].after, result.data[..., 1])


def test_layers_of_a_batch_are_put_in_order(viewer: Viewer, noise: Noise) -> None:
    image = noise(24, 32, 3)
    viewer.add_image(
        image, name="stack", axis_labels=("y", "x", "t"), scale=(1, 0.5, 2), units=("µm", "µm", "s")
    )
    batch = BatchWidget(viewer)
    batch.add_selected_layers()
    (given,) = batch.inputs
    assert isinstance(given, Micrograph)
    assert (given.axes, given.pixel_size, given.unit, given.time_step_s) == (
        "TYX",
        {"X": 0.5, "Y": 1.0},
        "µm",
        2.0,
    )
    np.testing.assert_array_equal(given.data, image.transpose(2, 0, 1))


def test_planes_can_be_chosen_where_no_label_tells(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Run
) -> None:
    image = noise(24, 32, 5)
    viewer.add_image(image, name="stack")
    assert widget.slices.axes.value == (0, 1, 2)
    assert list(widget.slices.axes.choices) == [(0, 1, 2), (2, 0, 1), (1, 0, 2)]
    widget.slices.axes.value = (2, 0, 1)
    assert [slider.max for slider in widget.slices.ranges.values()] == [4]
    widget.slices.ranges[0].value = (1, 3)
    run()
    np.testing.assert_array_equal(viewer.layers[1].data, expected(image, (2, 0, 1))[..., 1:4])
    assert viewer.layers[1].data_to_world((0, 0, 0))[2] == 1
    assert viewer.layers[1].metadata["mdeblurgan"]["slices"] == [(1, 4)]


def test_slice_and_preview_follow_the_planes(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Run, wait_for_end: Run
) -> None:
    image = noise(24, 32, 5)
    viewer.add_image(image, name="stack", axis_labels=("y", "x", "z"), contrast_limits=(0, 255))
    widget.controls.this_slice.value = True
    widget.controls.run.native.click()
    assert "needs y and x on the canvas" in widget.controls.status.value
    viewer.dims.order = (2, 0, 1)
    viewer.dims.set_point(2, 3)
    run()
    whole = expected(image, (2, 0, 1))
    np.testing.assert_array_equal(viewer.layers[1].data, whole[..., 3:4])
    viewer.layers.selection = {viewer.layers[0]}
    widget.start_preview()
    wait_for_end()
    preview = next(layer for layer in viewer.layers if "preview" in layer.name)
    assert preview.data.shape == (48, 64, 1)
    np.testing.assert_array_equal(preview.data, whole[..., 3:4])


@pytest.mark.parametrize("kind", ["dask", "zarr", "multiscale"])
def test_lazy_layers_are_read_plane_by_plane(
    viewer: Viewer, widget: DeblurWidget, noise: Noise, run: Run, tmp_path: Path, kind: str
) -> None:
    image, most = noise(64, 48, 12), []

    def note(block: np.ndarray) -> np.ndarray:
        most.append(block.shape[-1])
        return block

    data: Any = da.from_array(image, chunks=(32, 48, 1)).map_blocks(
        note, dtype=image.dtype, meta=image[:0]
    )
    if kind == "zarr":
        data = zarr.create_array(
            tmp_path / "a.zarr", shape=image.shape, chunks=(32, 48, 1), dtype=image.dtype
        )
        data[:] = image
    levels = [data, data[::2, ::2]] if kind == "multiscale" else data
    viewer.add_image(
        levels,
        name="stack",
        axis_labels=("y", "x", "z"),
        contrast_limits=(0, 255),
        multiscale=kind == "multiscale",
    )
    widget.results.to_disk.value = True
    widget.slices.ranges[0].value = (4, 6)
    most.clear()
    run()
    np.testing.assert_allclose(
        np.asarray(viewer.layers[1].data[0]), expected(image, (2, 0, 1))[..., 4:7], atol=1
    )
    assert all(planes == 1 for planes in most)


def test_a_zarr_array_is_known_again_in_another_process(tmp_path: Path) -> None:
    for number in range(2):
        array = zarr.create_array(
            tmp_path / f"{number}.zarr", shape=(8, 8, 3), chunks=(8, 8, 1), dtype="uint8"
        )
        again = zarr.open_array(tmp_path / f"{number}.zarr", mode="r")
        assert axes.lazy(array).name == axes.lazy(again).name
    assert axes.lazy(zarr.open_array(tmp_path / "0.zarr", mode="r")).name != axes.lazy(again).name


@pytest.mark.parametrize("labels", ["zyx", "yxz", "xy", "yx", "tcyxz", "abc", "yxy"])
def test_order_ends_in_y_and_x_and_is_undone(labels: str) -> None:
    order = order_of(tuple(labels))
    if labels.count("y") == labels.count("x") == 1:
        assert [labels[axis] for axis in order[-2:]] == ["y", "x"]
    else:
        assert order == tuple(range(len(labels)))
    image = np.arange(np.prod(range(2, 2 + len(labels)))).reshape(range(2, 2 + len(labels)))
    np.testing.assert_array_equal(put_back(arranged(image, order), order), image)
