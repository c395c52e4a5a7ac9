"""A process that ends by itself, without napari's event loop, ends well."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from qtpy.QtCore import QObject

from napari_mdeblurgan.widgets.shared.closing import (
    InWords,
    LifeWatch,
    end_with_the_process,
    worker_of,
)

SCRIPT = Path(__file__).with_name("script_that_ends.py")
SLOW_S = 0.3


@pytest.mark.parametrize("how", ["close", "exit", "dock"])
def test_a_script_that_ends_while_torch_is_loaded_ends_without_a_word(how: str, qapp) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", str(SCRIPT), how],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "the script is through\n"), done.stderr
    assert "Traceback" not in done.stderr
    assert "FutureWarning" not in done.stderr


def test_the_end_of_the_process_waits_for_workers_and_asks_them_to_stop(qapp) -> None:
    begun, ended = threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        time.sleep(SLOW_S)
        ended.set()

    worker = worker_of(None, InWords(slow, "slow work"))
    worker.start()
    assert begun.wait(20)
    end_with_the_process()
    assert ended.is_set()
    assert worker.abort_requested


def test_the_end_of_the_process_closes_what_is_open_once(qtbot) -> None:
    from qtpy.QtWidgets import QWidget

    widget, closed = QWidget(), list[QObject]()
    qtbot.addWidget(widget)
    LifeWatch(widget, lambda: None, lambda: closed.append(widget))
    end_with_the_process()
    end_with_the_process()
    assert closed == [widget]
