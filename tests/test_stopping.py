"""Work without steps of its own: it tells how far it is, and stops where it looks up next."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from napari_mdeblurgan import stopping
from napari_mdeblurgan.steps import finished
from napari_mdeblurgan.stopping import (
    Meter,
    Stopped,
    attending,
    look_up,
    looking_up,
    metered,
    portion,
    stoppable,
)


def test_portions_lie_within_each_other_and_the_share_never_falls() -> None:
    meter, seen = Meter(), []
    with metered(meter):
        for number in range(4):
            with portion(number / 4, (number + 1) / 4):
                for half in (0.0, 0.5):
                    with portion(half, half + 0.5):
                        look_up()
                        seen.append(meter.share)
    assert seen == sorted(set(seen))
    assert all(number / 8 < share < (number + 1) / 8 for number, share in enumerate(seen))
    assert meter.share == 1


def test_looking_up_goes_on_but_never_beyond_the_portion() -> None:
    meter = Meter()
    with metered(meter), portion(0, 0.5):
        for _ in range(200):
            before = meter.share
            look_up()
            assert before <= meter.share <= 0.5
        assert meter.share > 0.49


def test_a_portion_that_is_done_again_takes_nothing_back() -> None:
    meter = Meter()
    with metered(meter):
        for _ in range(2):
            with portion(0, 0.9):
                look_up()
            assert meter.share == 0.9


def test_work_in_a_thread_gives_signs_of_life_and_its_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stopping, "HEARTBEAT_S", 0.01)
    on = threading.Event()

    def work() -> str:
        with portion(0, 0.5):
            look_up()
        on.wait(30)
        return threading.current_thread().name

    steps = attending(work)
    while next(steps) < 0.5:
        pass
    on.set()
    assert finished(steps).startswith("attended")


def test_closing_stops_the_work_where_it_looks_up_and_leaves_no_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stopping, "HEARTBEAT_S", 0.01)
    before, ended = threading.active_count(), []

    def work() -> None:
        try:
            while True:
                look_up()
        except Stopped:
            ended.append("stopped")
            raise

    steps = attending(work)
    next(steps)
    steps.close()
    assert ended == ["stopped"]
    assert threading.active_count() == before


def test_what_goes_wrong_in_the_thread_is_raised_here() -> None:
    def work() -> None:
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        list(attending(work))


def test_who_may_stop_the_work_here_may_stop_it_in_the_thread_too() -> None:
    asked = threading.Event()

    def work() -> None:
        asked.set()
        while True:
            look_up()

    with stoppable(asked.is_set), pytest.raises(Stopped):
        list(attending(work))


def test_pieces_that_other_threads_carry_out_heed_whoever_handed_them_out() -> None:
    asked = threading.Event()
    with stoppable(asked.is_set), ThreadPoolExecutor(1) as thread:
        heed = looking_up()
        thread.submit(heed).result()
        asked.set()
        with pytest.raises(Stopped):
            thread.submit(heed).result()
    looking_up()()  # nobody asks here
