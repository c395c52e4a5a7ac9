"""A real viewer with the docked widget, tiny models in the user's folder, and an engine that waits
to be let on.
"""

from __future__ import annotations

import copy
import dataclasses
import gc
import importlib
import shutil
import threading
import types
import weakref
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from napari import Viewer
    from pytestqt.qtbot import QtBot

    from napari_mdeblurgan.model import Model
    from napari_mdeblurgan.widgets.deblur import DeblurWidget

PATIENCE_MS = 120_000
DOCKS = [
    f"napari_mdeblurgan.widgets.{name}" for name in ("deblur", "fine_tune.widget", "batch.widget")
]


@pytest.fixture(scope="session", autouse=True)
def libraries_loaded() -> None:
    """What every test needs is imported before the first one, so that it is not
    among its garbage.
    """
    gc.disable()
    for name in ("napari._qt.qt_main_window", "napari_mdeblurgan.restoration.engine", *DOCKS):
        importlib.import_module(name)
    gc.enable()


@pytest.fixture(autouse=True)
def only_its_own_garbage(libraries_loaded: None) -> None:
    """Garbage is looked for in what this test makes: not among the million objects that were there
    before it.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def qtbot(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> QtBot:
    """Waits for as long as the slowest machine takes, not for five seconds."""
    for name in ("waitUntil", "waitSignal"):
        monkeypatch.setattr(qtbot, name, partial(getattr(qtbot, name), timeout=PATIENCE_MS))
    return qtbot


@pytest.fixture(scope="session", autouse=True)
def viewers_made_quickly(libraries_loaded: None) -> Generator[None, None, None]:
    """What each of hundreds of viewers finds out or does several times is done once; what it comes
    to is the same.
    """
    with pytest.MonkeyPatch.context() as patch:
        plugins_found_once(patch)
        manifests_parsed_once(patch)
        shortcuts_told_once(patch)
        signatures_read_once(patch)
        styled_when_shown(patch)
        yield


def plugins_found_once(patch: pytest.MonkeyPatch) -> None:
    """The first viewer looks through all that is installed, which stays as it is."""
    from npe2 import PluginManifest

    look = PluginManifest.discover
    found: dict[tuple[Any, ...], list[Any]] = {}

    def discover(paths: Any = ()) -> list[Any]:
        if tuple(paths) not in found:
            found[tuple(paths)] = list(look(paths))
        return found[tuple(paths)]

    patch.setattr(PluginManifest, "discover", discover)


def manifests_parsed_once(patch: pytest.MonkeyPatch) -> None:
    """A manifest that was parsed is not parsed again; what it holds is checked every time."""
    from npe2.manifest import _bases

    parse = _bases._load_yaml_no_duplicates
    known: dict[bytes, Any] = {}

    def parsed(stream: Any) -> Any:
        text = stream.read()
        if text not in known:
            known[text] = parse(text)
        return copy.deepcopy(known[text])

    patch.setattr(_bases, "_load_yaml_no_duplicates", parsed)


def shortcuts_told_once(patch: pytest.MonkeyPatch) -> None:
    """The welcome screen is written anew when a viewer has bound all of its shortcuts, not at each
    of them.
    """
    from napari._qt.qt_viewer import QtViewer
    from napari._qt.widgets.qt_welcome import QtWelcomeWidget

    bind, refresh = QtViewer._bind_shortcuts, QtWelcomeWidget.refresh
    waiting: list[dict[QtWelcomeWidget, None]] = []

    def refreshed(welcome: QtWelcomeWidget, event: Any = None) -> None:
        if waiting:
            waiting[-1][welcome] = None
        else:
            refresh(welcome, event)

    def bound(qt_viewer: QtViewer) -> None:
        waiting.append({})
        try:
            bind(qt_viewer)
        finally:
            for welcome in waiting.pop():
                refresh(welcome)

    patch.setattr(QtWelcomeWidget, "refresh", refreshed)
    patch.setattr(QtViewer, "_bind_shortcuts", bound)


def signatures_read_once(patch: pytest.MonkeyPatch) -> None:
    """Whether a function takes an event is found out when one of its code is connected first."""
    from napari.utils.events.event import EventEmitter

    read = EventEmitter._check_signature
    known: dict[tuple[types.CodeType, int, bool], bool] = {}

    def check(function: Any) -> bool:
        plain = getattr(function, "__func__", function)
        if not isinstance(plain, types.FunctionType) or plain.__dict__:
            return read(function)
        of = plain.__code__, len(plain.__defaults__ or ()), plain is function
        if of not in known:
            known[of] = read(function)
        return known[of]

    patch.setattr(EventEmitter, "_check_signature", staticmethod(check))


def styled_when_shown(patch: pytest.MonkeyPatch) -> None:
    """A window gets its style sheet, which hundreds of widgets would be laid out by, before it is
    shown first.
    """
    from napari._qt.qt_main_window import _QtMainWindow
    from napari._qt.qt_viewer import QtViewer

    give, show = _QtMainWindow.setStyleSheet, _QtMainWindow.setVisible
    sheets: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()

    def given(window: Any, sheet: str) -> None:
        if window.isVisible():
            give(window, sheet)
        else:
            sheets[window] = sheet

    def shown(window: Any, visible: bool) -> None:
        if visible and window in sheets:
            give(window, sheets.pop(window))
        show(window, visible)

    patch.setattr(_QtMainWindow, "setStyleSheet", given)
    patch.setattr(_QtMainWindow, "setVisible", shown)
    patch.setattr(QtViewer, "setStyleSheet", lambda qt_viewer, sheet: None)


@pytest.fixture
def styled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows have their style sheets without being shown: for tests of sizes and of how long
    something takes.
    """
    from napari._qt.qt_main_window import _QtMainWindow
    from napari._qt.qt_viewer import QtViewer
    from qtpy.QtWidgets import QWidget

    for kind in (_QtMainWindow, QtViewer):
        monkeypatch.setattr(
            kind, "setStyleSheet", lambda widget, sheet: QWidget.setStyleSheet(widget, sheet)
        )


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
def saved_models(
    tiny_model: Callable[..., Model], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with "tiny-grey", "tiny-grey-2" and "tiny-colour"."""
    from napari_mdeblurgan.model import save_model

    folder = tmp_path_factory.mktemp("saved-models")
    for name, channels in (("tiny-grey", 1), ("tiny-grey-2", 1), ("tiny-colour", 3)):
        model = tiny_model(channels)
        save_model(
            model.network,
            dataclasses.replace(model.card, name=name),
            folder / f"{name}.safetensors",
        )
    return folder


@pytest.fixture(autouse=True)
def tiny_models(models_folder: Path, saved_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put these models into the user's folder; the first and last are offered first."""
    from napari_mdeblurgan.widgets.shared import offered_models as models

    shutil.copytree(saved_models, models_folder)
    monkeypatch.setattr(models, "BUNDLED_MODELS", {1: "tiny-grey", 3: "tiny-colour"})


@pytest.fixture(scope="module")
def closed_as_napari_does() -> list[str]:
    """Tests of a file whose viewers were closed layer by layer: the first one."""
    return []


@pytest.fixture
def make_napari_viewer(
    make_napari_viewer: Callable[..., Viewer],
    request: pytest.FixtureRequest,
    closed_as_napari_does: list[str],
) -> Generator[Callable[..., Viewer], None, None]:
    """napari's; at the end of all tests but the first of a file layers go at once, and nobody has
    to follow that.
    """
    yield make_napari_viewer
    if not closed_as_napari_does:
        closed_as_napari_does.append(request.node.nodeid)
        return
    for viewer in request.node._viewer_weak_set:
        with viewer.layers.events.blocker_all(), viewer.layers.selection.events.blocker_all():
            viewer.layers.clear()


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

    def steps(
        self, _image: Any, plan: Any, _model: Any, _explanation: Any = None
    ) -> Generator[Any, None, np.ndarray]:
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
