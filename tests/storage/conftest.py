"""Memory, watched from inside a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

WATCHED = """
import sys, threading, time
import numpy as np, psutil

def watched(work):
    own, peaks, done = psutil.Process(), [], threading.Event()
    before = own.memory_info().rss
    def watch():
        while not done.wait(0.002):
            peaks.append(own.memory_info().rss)
    thread = threading.Thread(target=watch)
    thread.start()
    work()
    done.set()
    thread.join()
    return (max(peaks, default=before) - before) / 2**20
"""


@pytest.fixture
def run_watched() -> Callable[..., list[float]]:
    """Runs a program that may call `watched(work)`, megabytes by which memory grew; gives the
    numbers it prints.
    """

    def run(program: str, *arguments: object) -> list[float]:
        command = [sys.executable, "-c", WATCHED + program, *map(str, arguments)]
        found = subprocess.run(command, capture_output=True, text=True, check=True)
        return [float(number) for number in found.stdout.split()]

    return run
