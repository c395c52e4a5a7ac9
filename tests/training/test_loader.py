"""Batches made ahead: same order, clean ends, errors where they belong."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.training.data.dataset import (
    Patches,
    PatchSampler,
    WeightedImages,
    open_folder,
)
from napari_mdeblurgan.training.data.loader import prefetched


class Numbers:
    """Numbers from 0, some of which take longer; 5 fails."""

    def __init__(self, end: int) -> None:
        self.end = end
        self.made: list[int] = []
        self.wait = threading.Event()

    def __iter__(self) -> Iterator[int]:
        return map(self.make, range(self.end))

    def make(self, number: int) -> int:
        self.wait.wait(0.004 * (number % 3))
        if number == 5:
            raise OSError("the disk is gone")
        self.made.append(number)
        return number


@pytest.fixture
def started() -> Callable[[], list[Any]]:
    """The processes that were started since, not those of other tests' clusters."""
    before = multiprocessing.active_children()
    return lambda: [each for each in multiprocessing.active_children() if each not in before]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One small image."""
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90), dtype=np.uint8)).save(
        tmp_path / "a.png"
    )
    return tmp_path


def same(one: Patches, other: Patches) -> bool:
    assert one.known is other.known is None  # a sharp image is the truth everywhere
    return all(torch.equal(a, b) for a, b in zip(one[:4], other[:4], strict=True))


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("batches")]


def test_the_order_is_kept() -> None:
    assert list(prefetched(Numbers(5), depth=4)) == [0, 1, 2, 3, 4]
    assert not threads()


def test_any_iterable_is_walked_to_its_end() -> None:
    assert list(prefetched((n * n for n in range(6)), depth=3)) == [0, 1, 4, 9, 16, 25]
    assert list(prefetched(iter(()))) == []


def test_batches_equal_those_of_the_sampler_from_any_start() -> None:
    image = np.random.default_rng(0).random((1, 100, 100), dtype=np.float32)
    sampler = PatchSampler((WeightedImages("noise", (image,)),), size=16, batch=2)
    ahead = prefetched(sampler.batches(3), depth=3)
    assert all(map(same, itertools.islice(ahead, 4), sampler.batches(3)))
    ahead.close()
    assert not threads()


def test_processes_give_the_same_batches_in_the_same_order_and_end(
    folder: Path, started: Callable
) -> None:
    sampler = PatchSampler(open_folder(folder, 1).training, size=16, batch=2)
    ahead = prefetched(sampler.batches(3), depth=4, workers=2)
    assert all(map(same, itertools.islice(ahead, 5), sampler.batches(3)))
    assert len(started()) == 2
    ahead.close()
    assert not started()


def test_ctrl_c_does_not_reach_the_processes(
    folder: Path, capfd: pytest.CaptureFixture[str], started: Callable
) -> None:
    sampler = PatchSampler(open_folder(folder, 1).training, size=16, batch=2)
    ahead = prefetched(sampler.batches(0), depth=2, workers=2)
    expected = sampler.batches(0)
    assert same(next(ahead), next(expected))
    for process in started():
        assert process.pid is not None
        os.kill(process.pid, signal.SIGINT)
    assert all(map(same, itertools.islice(ahead, 5), expected))
    ahead.close()
    assert capfd.readouterr().err == ""


def test_an_error_in_a_process_keeps_its_sentence(folder: Path, started: Callable) -> None:
    sampler = PatchSampler(open_folder(folder, 1, memory_bytes=0).training, size=16, batch=2)
    for path in folder.iterdir():
        path.unlink()
    with pytest.raises(FileError, match=r"a\.png does not exist; check its name\.$"):
        next(prefetched(sampler.batches(), workers=2))
    assert not started()


def test_an_error_comes_out_in_its_place() -> None:
    ahead = prefetched(Numbers(9), depth=4)
    assert list(itertools.islice(ahead, 5)) == [0, 1, 2, 3, 4]
    with pytest.raises(OSError, match="disk is gone"):
        next(ahead)
    assert not threads()


def test_an_error_of_a_plain_iterator_comes_out_too() -> None:
    with pytest.raises(ZeroDivisionError):
        list(prefetched((1 // n for n in (2, 1, 0, 1)), depth=2))


def test_no_more_than_depth_batches_are_made_ahead() -> None:
    numbers = Numbers(5)
    ahead = prefetched(numbers, depth=2)
    assert next(ahead) == 0
    numbers.wait.wait(0.05)
    assert max(numbers.made) <= 2
    ahead.close()


def test_threads_end_when_the_consumer_stops_or_fails() -> None:
    def train() -> None:
        for number in prefetched(Numbers(5), depth=3):
            if number == 1:
                raise RuntimeError("the loss is no number")

    with pytest.raises(RuntimeError, match="the loss"):
        train()
    assert not threads()


def test_nothing_is_begun_before_it_is_asked_for() -> None:
    numbers = Numbers(5)
    prefetched(numbers, depth=3)
    assert not numbers.made


@pytest.mark.parametrize(("depth", "workers"), [(0, 1), (2, 0), (2, 2)])
def test_threads_that_cannot_be_are_refused(depth: int, workers: int) -> None:
    with pytest.raises(ValueError, match="cannot make"):
        prefetched(iter([1]), depth=depth, workers=workers)
