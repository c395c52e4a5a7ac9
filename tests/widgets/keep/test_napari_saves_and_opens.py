"""napari's own menus, dialogs and drops: results keep what they are, and layers and files of others
are left to others.
"""

from __future__ import annotations

import copy
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import zarr
from napari.layers import Layer
from napari.settings import get_settings
from qtpy.QtCore import QMimeData, QPointF, Qt, QTimer, QUrl
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import QApplication, QProgressDialog, QPushButton

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage import Micrograph, read_image, write_image
from napari_mdeblurgan.storage.map_places import map_path
from napari_mdeblurgan.storage.provenance import read_provenance, record_of
from napari_mdeblurgan.widgets.deblur import DeblurWidget
from napari_mdeblurgan.widgets.keep import kept_result
from napari_mdeblurgan.widgets.keep.reader import get_reader, read_layers
from tests.several_images import write_plate, write_series
from tests.widgets.keep.conftest import assert_same
from tests.widgets.maps_shown import show_each_map
from tests.widgets.test_manifest import menu_action

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image
    from pytestqt.qtbot import QtBot

    Noise = Callable[..., np.ndarray]
    Run = Callable[[], None]

RESULT = "nuclei [sharp ×2]"
TIFF, ZARR = (f"M-Deblurgan result, OME-{kind}" for kind in ("TIFF", "Zarr"))


@pytest.fixture(scope="module")
def layers_of_a_run() -> list[tuple[Any, dict[str, Any], str]]:
    """A source, its result and its maps, once one test has made them."""
    return []


@pytest.fixture
def result(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Noise,
    run: Run,
    layers_of_a_run: list[tuple[Any, dict[str, Any], str]],
) -> Image:
    """A result that is selected, with its maps."""
    if layers_of_a_run:
        for data, attributes, kind in layers_of_a_run:
            viewer.add_layer(Layer.create(data, copy.deepcopy(attributes), kind))
    else:
        widget.controls.trust.value = True
        viewer.add_image(
            noise(24, 32),
            name="nuclei",
            scale=(0.5, 0.25),
            translate=(3, 4),
            units="µm",
            colormap="cyan",
        )
        run()
        show_each_map(widget)
        layers_of_a_run += copy.deepcopy([layer.as_layer_data_tuple() for layer in viewer.layers])
    viewer.layers.selection = {viewer.layers[RESULT]}
    return viewer.layers[RESULT]


def save_selected(viewer: Viewer) -> None:
    menu_action(viewer.window.file_menu, "Save Selected Layers...").trigger()


def filters_of(viewer: Viewer) -> str:
    from napari.plugins._npe2 import file_extensions_string_for_layers

    return file_extensions_string_for_layers(list(viewer.layers.selection))[0] or ""


@pytest.mark.parametrize(("kind", "ending"), [(TIFF, ".ome.tif"), (ZARR, ".ome.zarr")])
def test_naparis_save_dialog_keeps_all_that_save_result_keeps(
    viewer: Viewer,
    result: Image,
    answer: Callable[..., None],
    tmp_path: Path,
    kind: str,
    ending: str,
) -> None:
    chosen = next(each for each in filters_of(viewer).split(";;") if each.startswith(kind))
    answer(tmp_path / "sharp", chosen)
    save_selected(viewer)
    path = tmp_path / f"sharp{ending}"
    assert read_image(path).pixel_size == {"Y": 0.25, "X": 0.125}
    assert read_image(path).unit == "µm"
    viewer.layers.clear()
    (again,) = viewer.open(path, plugin="napari-mdeblurgan")
    assert_same(result, again)
    assert again.metadata["mdeblurgan"]["trust"]["sentence"]


def test_saved_by_its_name_a_result_keeps_its_pixel_size_and_replaces_a_file_but_no_folder(
    viewer: Viewer, result: Image, tmp_path: Path
) -> None:
    for _ in range(2):
        (path,) = viewer.layers.save(str(tmp_path / "a.ome.tiff"), selected=True)
        assert read_image(path).pixel_size == {"Y": 0.25, "X": 0.125}
    viewer.layers.save(str(tmp_path / "a.ome.zarr"), selected=True)
    with pytest.raises(OSError, match="is there already; choose another name"):
        viewer.layers.save(str(tmp_path / "a.ome.zarr"), selected=True)


def test_maps_that_are_selected_with_their_result_are_saved_beside_it(
    viewer: Viewer, result: Image, tmp_path: Path
) -> None:
    viewer.layers.selection = {
        result,
        viewer.layers["nuclei [error bar, grey levels]"],
        viewer.layers["nuclei [estimate used]"],
    }
    path = tmp_path / "a.ome.tif"
    written = viewer.layers.save(str(path), selected=True)
    assert written == [str(path), *(str(map_path(path, name)) for name in ("error", "choice"))]
    np.testing.assert_array_equal(
        read_image(written[1]).data, viewer.layers["nuclei [error bar, grey levels]"].data
    )
    np.testing.assert_array_equal(
        read_image(written[2]).data, viewer.layers["nuclei [estimate used]"].data
    )


def test_what_belongs_to_no_file_together_is_refused_in_a_sentence(
    viewer: Viewer, result: Image, tmp_path: Path
) -> None:
    viewer.layers.selection = {result, viewer.layers["nuclei"]}
    with pytest.raises(OSError, match="'nuclei' is no result: save it by itself"):
        viewer.layers.save(str(tmp_path / "a.ome.tif"), selected=True)
    viewer.layers.selection = {viewer.layers["nuclei [error bar, grey levels]"]}
    with pytest.raises(OSError, match="is a map: select its result as well"):
        viewer.layers.save(str(tmp_path / "a.ome.tif"), selected=True)
    assert list(tmp_path.glob("a*")) == []


@pytest.mark.parametrize("name", ["plain.ome.tif", "plain.tif"])
def test_a_layer_of_others_goes_to_naparis_own_writer_untouched(
    viewer: Viewer, noise: Noise, plugins: Any, tmp_path: Path, name: str
) -> None:
    viewer.add_image(noise(24, 32), name="other", scale=(2, 2), units="µm")
    viewer.layers.save(str(tmp_path / name))
    with_ours = as_written(tmp_path / name)
    plugins.disable("napari-mdeblurgan")
    viewer.layers.save(str(tmp_path / f"without {name}"))
    plugins.enable("napari-mdeblurgan")
    assert with_ours == as_written(tmp_path / f"without {name}")


def as_written(path: Path) -> bytes:
    """The bytes of a file without the number that every OME-TIFF has for itself."""
    return re.sub(rb"urn:uuid:[0-9a-f-]+", b"", path.read_bytes())


def test_a_layer_of_others_goes_to_the_writer_of_another_plugin_that_has_one(
    viewer: Viewer, noise: Noise, plugins: Any, tmp_path: Path
) -> None:
    viewer.add_image(noise(24, 32), name="other")
    written: list[str] = []
    with plugins.tmp_plugin(name="another") as another:

        @another.contribute.writer(filename_extensions=[".ome.zarr"], layer_types=["image"])
        def write(path: str, data: Any, attributes: Any) -> list[str]:
            written.append(path)
            return [path]

        viewer.layers.save(str(tmp_path / "a.ome.zarr"))
    assert written == [str(tmp_path / "a.ome.zarr")]


def test_a_layer_of_others_that_nobody_can_save_so_is_refused_in_a_sentence(
    viewer: Viewer, noise: Noise, tmp_path: Path
) -> None:
    viewer.add_image(noise(24, 32), name="other")
    with pytest.raises(OSError, match="only results of M-Deblurgan are saved so here"):
        viewer.layers.save(str(tmp_path / "a.ome.zarr"))


def test_several_layers_of_others_go_to_a_folder_where_the_dialog_proposes_our_writer(
    viewer: Viewer, noise: Noise, answer: Callable[..., None], tmp_path: Path
) -> None:
    for name in "pq":
        viewer.add_image(noise(24, 32), name=name)
    viewer.layers.select_all()
    proposed = filters_of(viewer).split(";;")[0]
    assert proposed.startswith(TIFF)
    answer(tmp_path / "both", proposed)
    save_selected(viewer)
    assert sorted(each.name for each in (tmp_path / "both").iterdir()) == ["p.tif", "q.tif"]
    with pytest.raises(OSError, match="leave its ending out, for a folder of files"):
        viewer.layers.save(str(tmp_path / "both.ome.tif"))


def test_while_napari_saves_the_window_lives_and_the_user_can_cancel(
    viewer: Viewer, result: Image, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, pressed = kept_result.save_kept, threading.Event()

    def slow(*arguments: Any, tell: Callable[[float], None], **more: Any) -> Any:
        tell(0.0)
        assert pressed.wait(30)
        return kept(*arguments, tell=tell, **more)

    def press() -> None:
        (dialog,) = (
            each for each in QApplication.topLevelWidgets() if isinstance(each, QProgressDialog)
        )
        qtbot.waitUntil(dialog.isVisible)
        qtbot.mouseClick(dialog.findChild(QPushButton), Qt.MouseButton.LeftButton)
        pressed.set()

    monkeypatch.setattr(kept_result, "save_kept", slow)
    QTimer.singleShot(100, press)
    with pytest.raises(OSError, match=r"Cancelled; a\.ome\.tif was not saved"):
        viewer.layers.save(str(tmp_path / "a.ome.tif"), selected=True)
    assert list(tmp_path.glob("*a.ome*")) == []


@pytest.mark.parametrize("ending", [".ome.tif", ".ome.zarr"])
def test_a_file_dropped_on_the_window_is_the_result_again(
    viewer: Viewer, result: Image, tmp_path: Path, plugins: Any, ending: str
) -> None:
    path = tmp_path / f"a{ending}"
    viewer.layers.save(str(path), selected=True)
    viewer.layers.clear()
    plugins.disable("napari")  # or napari asks which of the two is to open it
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path))])
    event = QDropEvent(
        QPointF(5, 5),
        Qt.DropAction.CopyAction,
        mime,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    viewer.window._qt_viewer.dropEvent(event)
    plugins.enable("napari")
    (again,) = viewer.layers
    assert_same(result, again)


def test_a_preference_for_another_reader_stays_and_is_followed(
    viewer: Viewer, result: Image, tmp_path: Path
) -> None:
    path = tmp_path / "a.ome.tif"
    viewer.layers.save(str(path), selected=True)
    preferences = {"*.tif": "napari"}
    get_settings().plugins.extension2reader = preferences
    viewer.layers.clear()
    (layer,) = viewer.open(path, plugin=None)
    assert layer.source.reader_plugin == "napari"
    assert get_settings().plugins.extension2reader == preferences


def test_the_reader_leaves_what_it_would_not_read_right_to_others(
    tmp_path: Path, plugins: Any
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    tifffile.imwrite(folder / "a.tif", np.zeros((8, 8), np.uint8))
    write_series(tmp_path / "several.ome.tif")
    write_plate(tmp_path / "plate.ome.zarr")
    (tmp_path / "damaged.ome.tif").write_bytes(b"II*\0garbage")
    (tmp_path / "empty.ome.tif").write_bytes(b"")
    names = ("pictures", "several.ome.tif")
    for name in names:
        assert get_reader(str(tmp_path / name)) not in (None, read_layers), name
    plugins.disable("napari")
    for name in names:
        assert get_reader(str(tmp_path / name)) is None, name
    plugins.enable("napari")
    for name in ("plate.ome.zarr", "damaged.ome.tif", "empty.ome.tif"):
        assert get_reader(str(tmp_path / name)) is read_layers
        with pytest.raises(FileError, match=name):
            read_layers(tmp_path / name)
    assert get_reader(str(tmp_path / "missing.ome.tif")) is None
    assert get_reader("https://example.org/a.ome.tif") is None


@pytest.mark.parametrize("stack", [False, True])
def test_planes_opened_by_the_reader_that_napari_proposes_are_what_naparis_own_makes_of_them(
    viewer: Viewer, tmp_path: Path, capsys: pytest.CaptureFixture[str], stack: bool
) -> None:
    planes = np.random.default_rng(0).integers(0, 255, (3, 8, 9), np.uint8)
    folder = tmp_path / "planes"
    folder.mkdir()
    for number, plane in enumerate(planes):
        tifffile.imwrite(folder / f"{number}.ome.tif", plane)
    given = sorted(folder.iterdir()) if stack else folder
    (layer,) = viewer.open(given, stack=stack, plugin="napari-mdeblurgan")
    np.testing.assert_array_equal(np.asarray(layer.data), planes)
    first = "0.ome.tif" if stack else "planes"
    assert f"{first} was opened by napari" in capsys.readouterr().out


def test_the_only_image_of_a_collection_opens_with_its_pyramid(
    viewer: Viewer, tmp_path: Path
) -> None:
    data = np.random.default_rng(0).integers(0, 255, (1100, 1200)).astype(np.uint8)
    collection = zarr.create_group(str(tmp_path / "converted.zarr"))
    collection.attrs["ome"] = {"version": "0.5", "bioformats2raw.layout": 3}
    write_image(tmp_path / "image.zarr", Micrograph(data, "YX", {"X": 0.5, "Y": 0.5}, "µm"))
    (tmp_path / "image.zarr").rename(tmp_path / "converted.zarr/0")
    (layer,) = viewer.open(tmp_path / "converted.zarr", plugin="napari-mdeblurgan")
    assert layer.multiscale
    assert layer.scale.tolist() == [0.5, 0.5]
    np.testing.assert_array_equal(layer.data[0], data)


def test_an_image_that_the_command_has_written_opens_as_its_channels_with_scale_and_colours(
    viewer: Viewer, noise: Noise, tmp_path: Path
) -> None:
    from napari_mdeblurgan.storage.display import ChannelDisplay

    shown = (ChannelDisplay((0, 0, 255), limits=(3, 90)), ChannelDisplay((0, 255, 0)))
    image = Micrograph(
        noise(2, 24, 32),
        "CYX",
        {"X": 0.25, "Y": 0.5},
        "µm",
        ("DAPI", "GFP"),
        "cells",
        display=shown,
        restored=True,
    )
    found = {"made": {"model": "m", "source": "cells"}, "trust": {"sentence": "Channel 0: fine."}}
    image = replace(image, provenance=record_of([found]))
    write_image(tmp_path / "cells.ome.tif", image)
    one, other = viewer.open(tmp_path / "cells.ome.tif", plugin="napari-mdeblurgan")
    assert [one.name, other.name] == ["DAPI", "GFP"]
    assert one.scale.tolist() == other.scale.tolist() == [0.5, 0.25]
    assert [str(unit) for unit in one.units] == ["micrometer", "micrometer"]
    assert tuple(one.contrast_limits) == (3, 90)
    assert one.colormap.map(1.0).ravel()[:3].tolist() == [0, 0, 1]
    np.testing.assert_array_equal(other.data, image.data[1])
    assert one.metadata["mdeblurgan"]["model"] == other.metadata["mdeblurgan"]["model"] == "m"
    viewer.layers.selection.active = other
    assert DeblurWidget(viewer).controls.details.value.endswith("GFP: Channel 0: fine.")


def test_a_pixel_size_that_was_corrected_in_the_file_counts(
    viewer: Viewer, result: Image, tmp_path: Path
) -> None:
    import json

    path = tmp_path / "a.ome.zarr"
    viewer.layers.save(str(path), selected=True)
    described = json.loads((path / "zarr.json").read_text())
    described["attributes"]["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"][0][
        "scale"
    ] = [
        7.0,
        8.0,
    ]
    (path / "zarr.json").write_text(json.dumps(described))
    viewer.layers.clear()
    (again,) = viewer.open(path, plugin="napari-mdeblurgan")
    assert again.scale.tolist() == [7.0, 8.0]
    assert again.colormap.name == "cyan"


@pytest.mark.parametrize(
    "record",
    [
        {"version": 99, "layers": [{"name": "later"}]},
        {"version": 1, "layers": "none"},
        {
            "version": 1,
            "layers": [
                {
                    "name": 7,
                    "axes": "YXQ",
                    "placement": {"scale": "wide"},
                    "look": {"gamma": "dark"},
                }
            ],
        },
        {
            "version": 1,
            "layers": [
                {"made": [1], "trust": "yes", "colormap": ["red"], "axes": "ZZYX", "look": 3}
            ],
        },
    ],
)
def test_a_record_that_is_something_else_does_no_harm(
    viewer: Viewer, noise: Noise, tmp_path: Path, record: dict[str, Any]
) -> None:
    image = Micrograph(
        noise(24, 32), "YX", {"X": 0.25, "Y": 0.5}, "µm", name="a", provenance=record
    )
    write_image(tmp_path / "a.ome.tif", image)
    assert read_provenance(tmp_path / "a.ome.tif") == record
    (layer,) = viewer.open(tmp_path / "a.ome.tif", plugin="napari-mdeblurgan")
    np.testing.assert_array_equal(layer.data, image.data)
    assert layer.scale.tolist() == [0.5, 0.25]
    assert DeblurWidget(viewer).controls.details.value == ""


def test_the_command_palette_cannot_call_the_reader_and_the_writers(viewer: Viewer) -> None:
    from napari._qt.widgets.qt_command_palette import QCommandPalette, _enabled

    palette = QCommandPalette(viewer.window._qt_window)
    palette.update_context(viewer.window._qt_window)
    found = {command.id: command for command in palette._list.all_commands}
    assert _enabled(
        found["napari-mdeblurgan.sharpen.super-resolution.deblur"], palette._list._app_model_context
    )
    for name in ("get_reader", "write_ome_tiff", "write_ome_zarr"):
        assert not _enabled(found[f"napari-mdeblurgan.{name}"], palette._list._app_model_context)
