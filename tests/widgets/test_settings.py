"""napari's settings page: what the manifest puts on it, and that the widget goes by it."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from npe2 import PluginManifest

import napari_mdeblurgan
from napari_mdeblurgan.folders import CACHE_VARIABLE, cache_folder
from napari_mdeblurgan.restoration.tile_size import fitting_tile
from napari_mdeblurgan.restoration.tiling import SMALLEST_TILE
from napari_mdeblurgan.widgets.deblur import orders
from napari_mdeblurgan.widgets.shared.settings_page import GROUP, PLUGIN, Settings, read_settings

MANIFEST = str(Path(napari_mdeblurgan.__file__).with_name("napari.yaml"))


@pytest.fixture
def page(npe2pm: Any, monkeypatch: pytest.MonkeyPatch) -> Generator[Any, None, None]:
    """What napari keeps of the plugin's settings, in memory, for the length of one test."""
    from napari import settings

    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    settings._clear_plugin_settings_cache()
    with npe2pm.tmp_plugin(manifest=MANIFEST):
        yield getattr(settings.get_plugin_settings(PLUGIN), GROUP)
        settings.get_plugin_settings(PLUGIN).reset()
        read_settings()
    settings._clear_plugin_settings_cache()


def test_the_manifest_and_the_code_agree_on_names_and_defaults(page: Any) -> None:
    declared = PluginManifest.from_file(MANIFEST).contributions.configurations[GROUP].properties
    assert {name: each.default for name, each in declared.items()} == {
        name: getattr(Settings(), name) for name in Settings.__slots__
    }
    assert read_settings() == Settings()


def test_every_precision_on_offer_is_one_that_the_code_knows() -> None:
    from napari_mdeblurgan.restoration.device import PRECISIONS

    declared = PluginManifest.from_file(MANIFEST).contributions.configurations[GROUP].properties
    assert declared["precision"].enum == ["auto", *PRECISIONS]


def test_what_is_set_is_read(page: Any) -> None:
    page.device, page.precision, page.tile_memory_mb = "cpu", "float32", 300
    assert read_settings() == Settings("cpu", "float32", 300)
    with pytest.raises(ValueError, match="allowed"):
        page.precision = "exact"


def test_without_the_plugin_s_settings_the_defaults_hold(npe2pm: Any) -> None:
    from napari import settings

    settings._clear_plugin_settings_cache()
    assert read_settings() == Settings()


def test_the_cache_folder_is_where_downloads_go_unless_the_environment_names_one(
    page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.cache_folder = str(tmp_path / "cache")
    read_settings()
    assert cache_folder() == tmp_path / "cache"
    page.cache_folder = ""
    read_settings()
    assert CACHE_VARIABLE not in os.environ
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "mine"))
    page.cache_folder = str(tmp_path / "cache")
    read_settings()
    assert cache_folder() == tmp_path / "mine"


def test_the_widget_hands_the_settings_to_its_job(
    page: Any,
    viewer: Any,
    widget: Any,
    noise: Callable[..., np.ndarray],
    run: Callable[[], None],
    monkeypatch,
) -> None:
    jobs = []
    make = orders.job_on
    monkeypatch.setattr(
        orders, "job_on", lambda *args, **part: jobs.append(make(*args, **part)) or jobs[-1]
    )
    page.device, page.precision, page.tile_memory_mb = "cpu", "float32", 1
    layer = viewer.add_image(noise(200, 90))
    viewer.layers.selection.active = layer
    run()
    assert ("cpu", "float32", 1) in [
        (job.device, job.precision, job.tile_memory_mb) for job in jobs
    ]
    made = viewer.layers[-1].metadata["mdeblurgan"]
    assert (made["device"], made["precision"], made["tile"]) == ("cpu", "float32", SMALLEST_TILE)


def test_a_device_that_is_chosen_in_the_widget_wins(page: Any) -> None:
    page.device = "cuda"
    settings = read_settings()
    assert [settings.device_for(each) for each in ("cpu", "auto", None)] == ["cpu", "cuda", "cuda"]


def test_napari_shows_the_settings_on_a_page_of_their_own(page: Any, qtbot: Any) -> None:
    from napari._qt.dialogs.preferences_dialog import PreferencesDialog

    dialog = PreferencesDialog()
    qtbot.addWidget(dialog)
    titles = [dialog._list.item(row).text() for row in range(dialog._list.count())]
    assert "M-Deblurgan" in titles


def test_more_memory_gives_larger_tiles_and_none_is_too_small_to_try(
    tiny_model: Callable[..., Any],
) -> None:
    card = tiny_model(1).card
    edges = [
        fitting_tile(card, "cpu", "float32", memory_mb=megabytes)
        for megabytes in (1, 20, 100, 10**6)
    ]
    assert edges == sorted(edges)
    assert edges[0] == SMALLEST_TILE
    assert edges[1] > SMALLEST_TILE
    assert fitting_tile(tiny_model(1, 4).card, "cpu", "float32", memory_mb=100) < edges[2]


def test_a_result_on_disk_is_made_as_the_settings_say_and_found_again(
    page: Any, viewer: Any, widget: Any, noise: Callable[..., np.ndarray], run: Callable[[], None],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("HOME", str(tmp_path))
    page.precision, page.tile_memory_mb, page.cache_folder = "float32", 1, "~/mine"
    widget.results.to_disk.value = True
    widget.results.use("")
    viewer.add_image(noise(200, 90), name="cells")
    run()
    made = viewer.layers[1].metadata["mdeblurgan"]
    assert (made["precision"], made["tile"]) == ("float32", SMALLEST_TILE)
    assert Path(made["file"]).parent == tmp_path / "mine" / "results"
    run()
    assert "had been made before" in widget.controls.status.value


def test_a_batch_goes_by_the_settings(
    page: Any, viewer: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, qtbot: Any
) -> None:
    from napari_mdeblurgan.widgets.batch import widget as module

    orders = []

    def noted(order: Any) -> Generator[None, None, None]:
        orders.append(order)
        yield from ()

    monkeypatch.setattr(module, "run_order", noted)
    page.precision, page.device = "float32", "cpu"
    batch = module.BatchWidget(viewer)
    viewer.window.add_dock_widget(batch)
    batch.add(str(tmp_path))
    batch.controls.output.value = str(tmp_path / "out")
    batch.start()
    qtbot.waitUntil(lambda: not batch.running)
    (order,) = orders
    assert (order.settings["precision"], order.settings["device"]) == ("float32", "cpu")
