"""Ctrl-C counts also where a library swallows it, and the user is always told."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import typer

from napari_mdeblurgan.__main__ import main
from napari_mdeblurgan.interruption import ENDING, heard, heed, heeded, is_asked, told
from napari_mdeblurgan.storage import Micrograph, write_image
from tests.one_line import assert_one_line

pytestmark = pytest.mark.usefixtures("signals_of_a_terminal")


@pytest.fixture(autouse=True)
def nothing_heard() -> Iterator[None]:
    yield
    told()


def swallow(number: int = signal.SIGINT) -> None:
    """As a library does that forgets errors on its way."""
    with suppress(KeyboardInterrupt):
        signal.raise_signal(number)


@pytest.mark.parametrize("number", ENDING)
def test_what_was_swallowed_ends_the_steps_after_the_next(number: int) -> None:
    done = []

    def work() -> None:
        for step in heeded(range(9)):
            done.append(step)
            if step == 2:
                swallow(number)

    with heard(*ENDING), pytest.raises(KeyboardInterrupt):
        work()
    assert done == [0, 1, 2]
    assert is_asked()


def test_what_is_ignored_stays_ignored_and_handlers_come_back() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with heard(signal.SIGINT):
        signal.raise_signal(signal.SIGINT)
        heed()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@pytest.mark.parametrize("command", ["restore", "batch", "focus-stack", "simulate", "demo"])
def test_a_command_ends_though_its_interruption_was_swallowed(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (3, 64, 64)).astype(np.uint8)
    write_image(tmp_path / "a.tif", Micrograph(pixels, "ZYX"))
    outputs = {"restore": (tmp_path / "out.tif",), "focus-stack": ("--output", tmp_path / "b.tif")}
    output = outputs.get(command, ("--output", tmp_path / "out"))

    taken = () if command == "demo" else (tmp_path / "a.tif",)
    with monkeypatch.context() as patch:
        # the first that a command does, after it has begun to listen
        patch.setattr("napari_mdeblurgan.commands.common._check_current_folder", swallow)
        code, _, error = run(command, *taken, *output)
    assert code == 130
    assert_one_line(error, "interrupted")
    assert not list(tmp_path.rglob("*.png"))
    assert not [path for path in tmp_path.rglob("*.tif") if path.name != "a.tif"]
    assert not is_asked()


def test_ctrl_c_while_options_are_read_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def invoked(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(typer.core.TyperGroup, "make_context", invoked)
    monkeypatch.setattr(sys, "argv", ["mdeblurgan", "models"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 130
    assert_one_line(capsys.readouterr().err, "interrupted")
