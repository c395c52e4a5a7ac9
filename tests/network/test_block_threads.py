"""Blocks in threads of their own."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest
import torch

from napari_mdeblurgan.network import Generator
from napari_mdeblurgan.network import block_threads as module
from napari_mdeblurgan.network.block_threads import OneByOne, block_threads, blocks_at_a_time
from napari_mdeblurgan.network.stages import _blocks
from napari_mdeblurgan.stopping import Meter, Stopped, look_up, metered, portion, stoppable

two_processors = pytest.mark.parametrize("processors", [2], indirect=True)


@pytest.mark.parametrize(
    ("processors", "shares"),
    [(1, [1]), (2, [1, 1]), (4, [1, 1, 1, 1]), (7, [1, 2, 2, 2]), (16, [4, 4, 4, 4])],
    indirect=["processors"],
)
def test_all_processors_are_shared_out_among_the_threads(
    processors: int, shares: list[int]
) -> None:
    together, seen = threading.Barrier(len(shares), timeout=20), []

    def piece() -> None:
        together.wait()
        seen.append(torch.get_num_threads())

    with block_threads() as blocks:
        assert sum(1 for _ in blocks.done([piece] * len(shares))) == len(shares)
    assert sorted(seen) == shares
    assert torch.get_num_threads() == processors


@two_processors
@pytest.mark.usefixtures("processors")
def test_blocks_are_carried_out_at_the_same_time_on_processors_of_their_own() -> None:
    together, seen = threading.Barrier(2, timeout=20), []

    def piece() -> None:
        together.wait()
        seen.append((threading.get_ident(), torch.get_num_threads()))

    with block_threads() as blocks:
        assert blocks.count == blocks_at_a_time() == 2
        assert sum(1 for _ in blocks.done([piece] * 2)) == 2
    assert len({thread for thread, _ in seen} - {threading.get_ident()}) == 2
    assert [processors for _, processors in seen] == [1, 1]
    assert torch.get_num_threads() == 2  # here, and in threads that come later
    later: list[int] = []
    other = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    other.start()
    other.join()
    assert later == [2]


@two_processors
@pytest.mark.usefixtures("processors")
@pytest.mark.parametrize(("busy", "has"), [(False, 2), (True, 1)])
def test_a_single_block_has_all_processors_on_this_thread_or_one_where_they_are_kept_busy(
    busy: bool, has: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, asked = [], []

    def piece() -> None:
        seen.append((threading.get_ident(), torch.get_num_threads()))

    monkeypatch.setattr(module, "processors_are_kept_busy", lambda: asked.append(1) or busy)
    with block_threads() as blocks:
        for _ in range(3):
            assert sum(1 for _ in blocks.done([piece])) == 1
    assert seen == [(threading.get_ident(), has)] * 3
    assert len(asked) == 1
    assert torch.get_num_threads() == 2


@two_processors
@pytest.mark.usefixtures("processors")
@pytest.mark.parametrize(("seconds", "busy"), [(2e-5, False), (6e-3, True)])
def test_processors_are_told_to_be_busy_by_how_long_operations_take(
    seconds: float, busy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count()
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(clock) * seconds)
    assert module.processors_are_kept_busy() is busy


@pytest.mark.parametrize("processors", [1], indirect=True)
@pytest.mark.usefixtures("processors")
def test_where_torch_has_one_processor_blocks_come_one_by_one() -> None:
    with block_threads() as blocks:
        assert isinstance(blocks, OneByOne)


@two_processors
@pytest.mark.usefixtures("processors")
@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("reduced", [False, True])
def test_blocks_are_in_the_modes_of_torch_of_this_thread(inference: bool, reduced: bool) -> None:
    seen = []

    def piece() -> None:
        kind = (torch.ones(1, 2) @ torch.ones(2, 1)).dtype
        seen.append((torch.is_inference_mode_enabled(), kind))

    with (
        torch.inference_mode(inference),
        torch.autocast("cpu", dtype=torch.bfloat16, enabled=reduced),
        block_threads() as blocks,
    ):
        assert sum(1 for _ in blocks.done([piece] * 3)) == 3
    assert seen == [(inference, torch.bfloat16 if reduced else torch.float32)] * 3


@two_processors
@pytest.mark.usefixtures("processors")
def test_what_goes_wrong_with_a_block_is_raised_once_no_other_is_at_work() -> None:
    begun, ended, finished = threading.Event(), threading.Event(), []

    def failing() -> None:
        begun.wait(20)
        raise RuntimeError("out of memory")

    def slow() -> None:
        begun.set()
        ended.wait(0.3)
        finished.append(True)

    with block_threads() as blocks:
        with pytest.raises(RuntimeError, match="out of memory"):
            for _ in blocks.done([failing, slow, *[slow] * 20]):
                pass
        assert 1 <= len(finished) <= 3  # those that had not begun never will
        count = len(finished)
        assert sum(1 for _ in blocks.done([lambda: finished.append(True)] * 2)) == 2
        assert len(finished) == count + 2


@two_processors
@pytest.mark.usefixtures("processors")
def test_blocks_can_be_stopped_and_do_not_mix_up_how_far_they_are() -> None:
    meter, asked = Meter(), threading.Event()

    def piece() -> None:
        for part in range(4):
            with portion(part / 4, (part + 1) / 4):
                look_up()

    with metered(meter), stoppable(asked.is_set), block_threads() as blocks:
        with portion(0.2, 0.4):
            for number, _ in enumerate(blocks.done([piece] * 4), start=1):
                with portion(0, number / 4):
                    pass
                assert meter.share == pytest.approx(0.2 + 0.05 * number)
        asked.set()
        with pytest.raises(Stopped):
            for _ in blocks.done([piece] * 4):
                pass


@two_processors
@pytest.mark.usefixtures("processors")
def test_a_network_makes_the_same_of_blocks_side_by_side() -> None:
    torch.manual_seed(0)
    network = Generator(1, 2, 4).eval()
    image, place = torch.rand(1, 1, 640, 592), ((40, 600), (32, 560))
    with torch.inference_mode():
        alone = network.stages.run(image, place, 128, OneByOne(2))
        with block_threads() as blocks:
            together = network.stages.run(image, place, 128, blocks)
        whole = network.stages.run(image, place)
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)
    torch.testing.assert_close(together, whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("times", [1, 2, 3, 4])
def test_blocks_come_out_even_where_they_do_not_become_too_low(times: int) -> None:
    for height, width in ((560, 560), (1000, 1400), (385, 900), (2000, 300)):
        place = ((0, height), (8, 8 + width))
        usual, cut = list(_blocks(place, 384, 4)), list(_blocks(place, 384, 4, times, lowest=40))
        assert len(cut) % times == 0
        assert len(cut) < len(usual) + times * len({x for (_, x), _ in usual})
        assert {x for (_, x), _ in cut} == {x for (_, x), _ in usual}
        assert list(_blocks(place, 384, 4, times, lowest=height)) == usual
        count = torch.zeros(height, width)
        for block, own in cut:
            (y0, y1), (x0, x1) = own
            count[y0:y1, x0 - 8 : x1 - 8] += 1
            assert all(a <= c < d <= b for (a, b), (c, d) in zip(block, own, strict=True))
        assert bool((count == 1).all())  # every place is one block's own
        assert len({tuple(b - a for a, b in block) for block, _ in cut}) == 1


@two_processors
@pytest.mark.usefixtures("processors")
def test_whichever_block_is_done_first_the_same_bits_come_out() -> None:
    torch.manual_seed(0)
    network = Generator(1, 2, 4).eval()
    image, place = torch.rand(1, 1, 328, 296), ((0, 328), (0, 296))

    class LastFirst(OneByOne):
        def done(self, pieces: Sequence[Callable[[], None]]) -> Iterator[None]:
            return super().done(pieces[::-1])

    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        first = network.stages.run(image, place, 72, OneByOne(2))
        assert torch.equal(first, network.stages.run(image, place, 72, LastFirst(2)))
