"""Pages of memory go back to the system, or wait for the next to lend them."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading

import numpy as np
import psutil
import pytest

from napari_mdeblurgan.lent_pages import lent_pages, reused_pages

MIB = 2**20


def address(pages: np.ndarray) -> int:
    return pages.__array_interface__["data"][0]


def test_pages_are_there_to_be_written() -> None:
    pages = lent_pages(3 * MIB)
    assert pages.dtype == np.uint8
    assert len(pages) >= 3 * MIB
    pages[:] = 7
    assert (pages == 7).all()


def test_pages_that_are_gone_are_lent_again_while_that_is_asked() -> None:
    with reused_pages():
        first = lent_pages(4 * MIB)
        first[0] = 9
        where = address(first)
        del first
        again = lent_pages(3 * MIB)
        assert address(again) == where
        assert again[0] == 9  # so nothing was cleared
        other = lent_pages(3 * MIB)
        assert address(other) != where


def test_the_smallest_that_fit_are_taken() -> None:
    with reused_pages():
        sizes = [8 * MIB, 2 * MIB, 4 * MIB]
        pages = [lent_pages(size) for size in sizes]
        places = dict(zip(sizes, map(address, pages), strict=True))
        pages.clear()
        gc.collect()
        assert address(lent_pages(3 * MIB)) == places[4 * MIB]


def test_what_somebody_still_sees_a_part_of_is_not_lent_again() -> None:
    with reused_pages():
        part = lent_pages(4 * MIB)[5:9]
        part[:] = 1
        lent_pages(4 * MIB)[:] = 2
        assert (part == 1).all()


def test_no_more_waits_than_was_in_use_at_one_time() -> None:
    process = psutil.Process()
    with reused_pages():
        lent_pages(64 * MIB)[:] = 1
        before = process.memory_info().rss
        for size in (70, 40, 90, 50, 64):
            lent_pages(size * MIB)[:] = 1
        assert process.memory_info().rss - before < 60 * MIB
    assert process.memory_info().rss < before - 50 * MIB


def test_without_being_asked_nothing_waits() -> None:
    process = psutil.Process()
    before = process.memory_info().rss
    lent_pages(64 * MIB)[:] = 1
    assert process.memory_info().rss - before < 20 * MIB


def test_two_may_ask_at_a_time_and_the_last_ends_it() -> None:
    with reused_pages():
        with reused_pages():
            where = address(lent_pages(4 * MIB))
        assert address(lent_pages(4 * MIB)) == where


def test_threads_do_not_share_what_they_hold() -> None:
    wrong = []

    def work(value: int) -> None:
        for _ in range(200):
            pages = lent_pages(MIB)
            pages[::4096] = value
            if (pages[::4096] != value).any():
                wrong.append(value)

    with reused_pages():
        threads = [threading.Thread(target=work, args=(value,)) for value in range(1, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def test_no_room_is_an_error_of_memory() -> None:
    with pytest.raises(MemoryError, match="no memory for a map"):
        lent_pages(2**62)


FORKS = """
import os, threading
from napari_mdeblurgan.lent_pages import _pages, lent_pages

held, done = threading.Event(), threading.Event()

def hold():
    with _pages._lock:
        held.set()
        done.wait()

threading.Thread(target=hold).start()
held.wait()
child = os.fork()
if not child:
    lent_pages(1)
    os._exit(0)
status = os.waitpid(child, 0)[1]
done.set()
raise SystemExit(status)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_the_child_of_a_fork_lends_pages_though_a_thread_of_the_parent_was_lending_some() -> None:
    forked = [sys.executable, "-W", "ignore", "-c", FORKS]
    assert subprocess.run(forked, timeout=60, check=False).returncode == 0
