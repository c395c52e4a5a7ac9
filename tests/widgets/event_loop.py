"""How late the event loop is: a timer that notes how long it had to wait for its turn."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from qtpy.QtCore import Qt, QTimer

INTERVAL_S = 0.01


@contextmanager
def watched() -> Iterator[list[float]]:
    """Collect, in seconds, how much later than it should each tick of a timer came."""
    late: list[float] = []
    last = time.perf_counter()

    def tick() -> None:
        nonlocal last
        now = time.perf_counter()
        late.append(max(0.0, now - last - INTERVAL_S))
        last = now

    timer = QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.timeout.connect(tick)
    timer.start(round(1000 * INTERVAL_S))
    try:
        yield late
    finally:
        timer.stop()
