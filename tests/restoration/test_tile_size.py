"""How large tiles are, what their halo costs, and that a scan takes no more memory when it is
larger.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from napari_mdeblurgan.model import Model, list_models
from napari_mdeblurgan.network import block_threads
from napari_mdeblurgan.restoration import inference, operations, scan, tile_size
from napari_mdeblurgan.restoration.engine import restore_steps
from napari_mdeblurgan.restoration.plan import make_plan
from napari_mdeblurgan.restoration.scan import open_scan
from napari_mdeblurgan.restoration.tile_size import fitting_batch, fitting_tile, halo_overhead
from napari_mdeblurgan.steps import finished
from napari_mdeblurgan.storage import Micrograph, read_image

Models = Callable[..., Model]


class Memory(NamedTuple):
    available: int


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_halo_of_a_scan_by_the_bundled_models_costs_at_most_16_percent(
    precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tile_size.psutil, "virtual_memory", lambda: Memory(2**34))
    card = next(card for card in list_models() if card.name == "gray-x2")
    tile = fitting_tile(card, "cpu", precision, quick=False)
    assert 0 < halo_overhead(card, tile, "cpu", precision) <= 0.16
    assert halo_overhead(card, 256, "cpu", precision) > halo_overhead(card, tile, "cpu", precision)


def test_less_memory_and_wider_networks_make_smaller_tiles(
    tiny_model: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = tiny_model().card
    wide = replace(card, architecture=card.architecture | {"width": 64})
    assert fitting_tile(wide, "cpu", "float32", quick=False) < fitting_tile(
        card, "cpu", "float32", quick=False
    )
    edges = []
    for available in (2**34, 2**29, 2**20):
        monkeypatch.setattr(
            tile_size.psutil, "virtual_memory", lambda available=available: Memory(available)
        )
        edges.append(fitting_tile(wide, "cpu", "float32"))
    assert edges == sorted(set(edges), reverse=True)
    assert edges[-1] == 64


def test_batches_are_for_gpus_and_for_small_tiles(
    tiny_model: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = tiny_model().card
    monkeypatch.setattr(block_threads, "blocks_at_a_time", lambda: 3)
    assert fitting_batch(card, 1024, "cpu", "float32") == 1
    assert fitting_batch(card, 640, "cpu", "bfloat16") == 3
    monkeypatch.setattr(tile_size, "_memory", lambda _: 1e12)
    assert fitting_batch(card, 512, "cuda:0", "float16") == 8


def test_tiles_that_go_through_the_network_together_come_out_as_one_by_one(
    tiny_model: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = np.random.default_rng(0).integers(0, 255, (3, 200, 220), np.uint8)
    wishes: dict[str, Any] = {"tile": 64, "precision": "float32", "window": (0, 255)}
    results, sizes = [], []
    together = operations.apply

    def noted(network: Any, batch: Any, plan: Any) -> Any:
        sizes.append(len(batch))
        return together(network, batch, plan)

    monkeypatch.setattr(operations, "apply", noted)
    for n in (1, 3):
        monkeypatch.setattr(scan, "fitting_batch", lambda *_, n=n: n)
        path = tmp_path / f"{n}.zarr"
        for _ in open_scan(Micrograph(stack, "ZYX"), tiny_model(), path, **wishes).steps():
            pass
        results.append(read_image(path).data.astype(int))
    assert max(sizes) == 3
    np.testing.assert_allclose(results[1], results[0], rtol=0, atol=1)


@pytest.mark.parametrize("explain", [False, True])
def test_small_images_go_through_the_network_each_on_a_processor_to_the_same_bits(
    tiny_model: Models, monkeypatch: pytest.MonkeyPatch, explain: bool
) -> None:
    stack = np.random.default_rng(0).integers(0, 255, (5, 60, 72), np.uint8)
    model, told = tiny_model(), []
    plan = make_plan(stack, model.card, precision="float32", window=(0, 255))
    network, results = inference.network_on(model, "cpu"), []
    forward, threads = inference._forward, []

    def noted(*given: Any) -> Any:
        threads.append(threading.current_thread().name)
        return forward(*given)

    monkeypatch.setattr(inference, "_forward", noted)
    for count in (1, 2):
        monkeypatch.setattr(torch, "get_num_threads", lambda n=count: n)
        tell = (lambda *each: told.append(each[-1])) if explain else None
        results.append(finished(restore_steps(stack, plan, model, tell=tell)))
    assert np.array_equal(*results)
    assert len(told) == (10 if explain and network.explains else 0)
    for one, other in zip(told[:5], told[5:], strict=True):
        assert np.array_equal(one, other)
    assert sum(name.startswith("blocks") for name in threads) == 4  # of five, the last is alone


MEASURED = """
import sys
import numpy as np
import psutil
from napari_mdeblurgan import load_model
from napari_mdeblurgan.restoration.scan import open_scan
from napari_mdeblurgan.storage import Micrograph

class Endless:
    dtype, ndim = np.dtype(np.uint8), 2
    def __init__(self, rows):
        self.shape = (rows, 64)
    def __getitem__(self, key):
        shape = [len(range(*part.indices(n))) for part, n in zip(key, self.shape)]
        return np.zeros(shape, np.uint8)

wishes = {"tile": 256, "window": (0, 255), "precision": "float32", "identity": "endless"}
model = load_model(sys.argv[1])
for rows in (1024, 4096, 81920):
    image = Micrograph(Endless(rows), "YX")
    steps = open_scan(image, model, f"{sys.argv[2]}/{rows}.zarr", **wishes).steps()
    print(max(psutil.Process().memory_info().rss for _ in steps))
"""


def test_a_larger_scan_takes_no_more_memory(tiny_model: Models, tmp_path: Path) -> None:
    from napari_mdeblurgan.model import save_model

    model, weights = tiny_model(), tmp_path / "tiny.safetensors"
    save_model(model.network, model.card, weights)
    command = [sys.executable, "-c", MEASURED, str(weights)]
    more = (
        4 * 64 * (81920 - 4096)
    )  # bytes of the larger result, without its pyramid; the first pays for libraries
    for attempt in range(
        3
    ):  # what is kept is kept each time; what the allocator holds differs from run to run
        run = subprocess.run(
            [*command, f"{tmp_path}/{attempt}"], check=True, capture_output=True, text=True
        )
        _, small, large = map(int, run.stdout.split())
        if large - small < more / 4:
            return
    pytest.fail(
        f"three times the larger scan took {more / 4:.0f} bytes more, at last {large - small}"
    )
