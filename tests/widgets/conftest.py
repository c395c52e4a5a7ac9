"""A real viewer with the docked widget, tiny models in the user's folder, and an engine that waits to be let on."""

from __future__ import annotations

import copy
import dataclasses
import gc
import importlib
import shutil
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    from napari_mdeblurgan.model import Model
    from napari_mdeblurgan.widgets.deblur import DeblurWidget

DOCKS = [f"napari_mdeblurgan.widgets.{name}" for name in ("deblur", "fine_tune.widget", "batch.widget")]


@pytest.fixture(scope="session", autouse=True)
def libraries_loaded() -> None:
    """What every test needs is imported before the first one, so that it is not among its garbage."""
    for name in ("napari._qt.qt_main_window", "napari_mdeblurgan.restoration.engine", *DOCKS):
        importlib.import_module(name)


@pytest.fixture(autouse=True)
def only_its_own_garbage(libraries_loaded: None) -> Generator[None, None, None]:
    """Garbage is collected four times for each viewer: not among the million objects that were there before the test."""
    gc.collect()
    gc.freeze()
    yield
    gc.collect()


@pytest.fixture(scope="session", autouse=True)
def manifests_parsed_once() -> Generator[None, None, None]:
    """Every viewer looks for plugins: the text of a manifest is parsed for the first one, and its contents copied after."""
    from npe2.manifest import _bases

    parse = _bases._load_yaml_no_duplicates
    parsed: dict[str, Any] = {}

    def contents(stream: Any) -> Any:
        text = stream.read()
        if text not in parsed:
            parsed[text] = parse(text)
        return copy.deepcopy(parsed[text])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_bases, "_load_yaml_no_duplicates", contents)
        yield


@pytest.fixture(autouse=True)
def choices_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The last choices for the length of one test: none yet."""
    monkeypatch.setenv("MDEBLURGAN_CONFIG", str(tmp_path / "config"))
    return tmp_path / "config"


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where large results are made for the length of one test."""
    monkeypatch.setenv("MDEBLURGAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "results"


@pytest.fixture(scope="session")
def saved_models(tiny_model: Callable[..., Model], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with "tiny-grey", "tiny-grey-2" and "tiny-colour"."""
    from napari_mdeblurgan.model import save_model

    folder = tmp_path_factory.mktemp("saved-models")
    for name, channels in (("tiny-grey", 1), ("tiny-grey-2", 1), ("tiny-colour", 3)):
        model = tiny_model(channels)
        save_model(model.network, dataclasses.replace(model.card, name=name), folder / f"{name}.safetensors")
    return folder


@pytest.fixture(autouse=True)
def tiny_models(models_folder: Path, saved_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put these models into the user's folder; the first and last are offered first."""
    from napari_mdeblurgan.widgets import models

    shutil.copytree(saved_models, models_folder)
    monkeypatch.setattr(models, "BUNDLED", {1: "tiny-grey", 3: "tiny-colour"})


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Viewer]) -> Viewer:
    return make_napari_viewer()


@pytest.fixture
def widget(viewer: Viewer) -> Generator[DeblurWidget, None, None]:
    """The widget, docked, which only restores; a job that a test leaves running is cancelled."""
    from napari_mdeblurgan.widgets.deblur import DeblurWidget

    widget = DeblurWidget(viewer)
    widget.controls.trust.value = False
    viewer.window.add_dock_widget(widget, name="Deblur + SR")
    yield widget
    widget.cancel()


@pytest.fixture
def wait_for_end(qtbot: QtBot, widget: DeblurWidget) -> Callable[[], None]:
    """Let the window live until the running job has ended."""
    return lambda: qtbot.waitUntil(lambda: not widget.running, timeout=60_000)


@pytest.fixture
def run(widget: DeblurWidget, wait_for_end: Callable[[], None]) -> Callable[[], None]:
    """Press **Deblur + SR** and wait for the result."""

    def press_and_wait() -> None:
        widget.controls.run.native.click()
        assert widget.running
        wait_for_end()

    return press_and_wait


@pytest.fixture
def noise() -> Callable[..., np.ndarray]:
    """``noise(*shape, dtype=uint8)``: an image of random values."""

    def make(*shape: int, dtype: Any = np.uint8) -> np.ndarray:
        return np.random.default_rng(0).integers(0, 255, shape or (40, 48)).astype(dtype)

    return make


class Gate:
    """An engine that does a hundred tiles, each only when it is let on."""

    TILES = 100

    def __init__(self) -> None:
        self.begun = 0
        self.closed = False
        self._open = threading.Semaphore(0)

    def let_on(self, tiles: int = 1) -> None:
        self._open.release(tiles)

    def steps(self, _image: Any, plan: Any, _model: Any, _explanation: Any = None) -> Generator[Any, None, np.ndarray]:
        from napari_mdeblurgan.restoration.progress import Progress

        try:
            yield Progress(done=0, total=self.TILES, seconds=0.0)
            for tile in range(self.TILES):
                self.begun += 1
                assert self._open.acquire(timeout=30)
                yield Progress(done=tile + 1, total=self.TILES, seconds=(tile + 1) / 2)
            return np.zeros(plan.output_shape, plan.dtype)
        finally:
            self.closed = True


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Generator[Gate, None, None]:
    gate = Gate()
    monkeypatch.setattr("napari_mdeblurgan.restoration.engine.restore_steps", gate.steps)
    yield gate
    gate.let_on(Gate.TILES)
