"""Reading, working and writing at the same time: order, errors, an early end."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from napari_mdeblurgan.restoration.overlap import overlapped


def test_everything_is_read_worked_on_and_written_in_order() -> None:
    written: list[tuple[int, int]] = []
    done = list(
        overlapped(range(20), lambda n: 10 * n, lambda n: n + 1, lambda item, made: written.append((item, made)))
    )
    assert done == list(range(20))
    assert written == [(n, 10 * n + 1) for n in range(20)]


def test_reading_and_writing_go_on_while_work_does() -> None:
    """The work on 1 waits for 2 to be read, and the work on 2 for 0 to be written: one after the other would hang."""
    read, written = ({n: threading.Event() for n in range(4)} for _ in range(2))

    def work(item: int) -> int:
        assert item != 1 or read[2].wait(10)
        assert item != 2 or written[0].wait(10)
        return item

    def reading(item: int) -> int:
        read[item].set()
        return item

    assert list(overlapped(range(4), reading, work, lambda item, _: written[item].set())) == [0, 1, 2, 3]


@pytest.mark.parametrize("where", ["read", "work", "write", "items"])
def test_what_goes_wrong_anywhere_is_raised_and_nothing_is_left_running(where: str) -> None:
    before = threading.active_count()

    def fail(place: str, item: int) -> int:
        if place == where and item == 3:
            raise ValueError(place)
        return item

    def items() -> Iterator[int]:
        for item in range(10):
            yield fail("items", item)

    with pytest.raises(ValueError, match=where):
        list(
            overlapped(
                items(),
                lambda item: fail("read", item),
                lambda item: fail("work", item),
                lambda item, _: fail("write", item) and None,
            )
        )
    assert threading.active_count() == before


def test_closing_writes_what_is_made_and_takes_no_more() -> None:
    taken: list[int] = []
    written: list[int] = []
    before = threading.active_count()
    steps = overlapped(
        iter(lambda: taken.append(1) or len(taken), None), int, int, lambda item, _: written.append(item)
    )
    assert next(steps) == 1
    steps.close()
    assert len(taken) <= 5
    assert written == taken_order(written)
    assert threading.active_count() == before


def taken_order(written: list[int]) -> list[int]:
    return list(range(1, len(written) + 1))
