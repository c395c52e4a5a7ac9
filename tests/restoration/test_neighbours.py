"""Results do not depend on what others set for the whole process, and nothing
of it stays changed.
"""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest
import torch

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.errors import ModelError
from napari_mdeblurgan.network.exact import exact_float32
from napari_mdeblurgan.restoration import lanes

if TYPE_CHECKING:
    from napari_mdeblurgan.model import Model

    Made = Callable[..., Model]

IMAGE = np.random.default_rng(0).integers(0, 4000, (70, 90)).astype(np.uint16)


def _state() -> dict[str, Any]:
    backends = torch.backends
    return {
        "dtype": torch.get_default_dtype(),
        "matmul": torch.get_float32_matmul_precision(),
        "mkldnn": (backends.mkldnn.matmul.fp32_precision, backends.mkldnn.conv.fp32_precision),
        "cuda": (
            backends.cuda.matmul.fp32_precision,
            backends.cudnn.conv.fp32_precision,
            backends.cudnn.allow_tf32,
        ),
        "cudnn": (backends.cudnn.benchmark, backends.cudnn.deterministic, backends.cudnn.enabled),
        "threads": torch.get_num_threads(),
        "random": torch.get_rng_state().tolist(),
    }


@pytest.fixture
def put_back() -> Iterator[None]:
    matmul, conv = torch.get_float32_matmul_precision(), torch.backends.mkldnn.conv.fp32_precision
    yield
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)
    torch.set_float32_matmul_precision(matmul)
    torch.backends.mkldnn.conv.fp32_precision = conv
    torch.backends.cudnn.benchmark = False


SETTINGS: dict[str, Callable[[], object]] = {
    "nothing": lambda: None,
    "float64": lambda: torch.set_default_dtype(torch.float64),
    "float16": lambda: torch.set_default_dtype(torch.float16),
    "device": lambda: torch.set_default_device("meta"),
    "matmul": lambda: torch.set_float32_matmul_precision("medium"),
    "conv": lambda: setattr(torch.backends.mkldnn.conv, "fp32_precision", "bf16"),
    "benchmark": lambda: setattr(torch.backends.cudnn, "benchmark", True),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_neither_a_model_nor_its_float32_depends_on_what_others_have_set(
    put_back: None, name: str
) -> None:
    right = restore(IMAGE, load_model("gray-x2"), device="cpu", precision="float32")
    SETTINGS[name]()
    before = _state()
    model = load_model("gray-x2")
    found = restore(IMAGE, model, device="cpu", precision="float32")
    assert _state() == before
    assert {(each.dtype, each.device.type) for each in model.network.parameters()} == {
        (torch.float32, "cpu")
    }
    np.testing.assert_array_equal(found, right)


def test_what_works_at_the_same_time_puts_settings_back_once_all_have_ended(put_back: None) -> None:
    torch.set_float32_matmul_precision("medium")
    before = _state()
    with exact_float32():
        with exact_float32():
            assert torch.get_float32_matmul_precision() == "highest"
            assert not torch.backends.cudnn.allow_tf32
        assert torch.get_float32_matmul_precision() == "highest"
    assert _state() == before


def test_what_others_set_while_a_network_works_stays(put_back: None) -> None:
    with exact_float32():
        torch.set_float32_matmul_precision("high")
    assert torch.get_float32_matmul_precision() == "high"


def test_a_restoration_leaves_the_environment_and_imports_neither_compiler_nor_cluster() -> None:
    program = """
import os, sys
import dask.array as da
import numpy as np
import torch
from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.restoration.arrays import read
from napari_mdeblurgan.storage.reading import loaded, read_parts
image = np.arange(70 * 90, dtype=np.uint16).reshape(70, 90)
lazy = da.from_array(image, chunks=(40, 50))
before = dict(os.environ)
for each in (loaded(lazy), *read_parts((lazy,)), read(lazy, (slice(None), slice(None)))):
    assert np.array_equal(each, image)
restore(image, load_model("gray-x2"), device="cpu")
assert dict(os.environ) == before, set(os.environ.items()) ^ set(before.items())
compiler = {"torch._dynamo", "torch.fx.experimental.symbolic_shapes", "sympy"}
assert not (compiler | {"distributed", "scipy.optimize"}) & set(sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the C library is glibc's")
def test_what_other_code_frees_after_a_restoration_goes_back_to_the_system(
    tiny_model: Made,
) -> None:
    restore(IMAGE, tiny_model(), device="cpu")
    before = psutil.Process().memory_info().rss
    blocks = [np.ones(20 * 2**20, np.uint8) for _ in range(20)]
    assert psutil.Process().memory_info().rss - before > 350e6
    del blocks
    assert psutil.Process().memory_info().rss - before < 150e6


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_the_child_of_a_fork_does_not_wait_for_a_restoration_of_its_parent(
    tiny_model: Made,
) -> None:
    model, forked, held = tiny_model(), threading.Event(), threading.Event()

    def hold() -> None:
        with lanes.turn():
            held.set()
            forked.wait(30)

    other = threading.Thread(target=hold)
    other.start()
    assert held.wait(30)
    child = os.fork()
    if not child:
        os._exit(0 if restore(IMAGE, model, device="cpu").shape == (140, 180) else 1)
    forked.set()
    other.join()
    waiting = psutil.Process(child)
    try:
        assert waiting.wait(60) == 0
    except psutil.TimeoutExpired:
        waiting.kill()
        raise


def test_a_network_that_gives_no_numbers_is_told_and_no_image_made(tiny_model: Made) -> None:
    network = copy.deepcopy(tiny_model().network)
    for weight in network.parameters():
        weight.data.fill_(1e30)  # finite, as the file of a model has to be
    model = replace(tiny_model(), network=network)
    for precision in ("float32", "bfloat16"):
        with pytest.raises(ModelError, match=r"are no numbers; choose another model"):
            restore(IMAGE, model, device="cpu", precision=precision)
