"""On a GPU: the same results as on the processor, and memory that runs out. Skipped, and said so,
where there is none.
"""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from napari_mdeblurgan.model import Model, load_model
from napari_mdeblurgan.network.averaging import averaged_to
from napari_mdeblurgan.restoration.engine import ensemble_steps, restore
from napari_mdeblurgan.restoration.plan import make_plan
from napari_mdeblurgan.steps import finished
from napari_mdeblurgan.training.data.dataset import Patches
from napari_mdeblurgan.training.field_types import Precision
from napari_mdeblurgan.training.optimisers.schedule import Schedule
from napari_mdeblurgan.training.trainer import StepMethod, Training

pytestmark = pytest.mark.gpu

Models = Callable[..., Model]
DEVICE = "cuda:0"
LEVELS = {
    "float32": 0.5,
    "bfloat16": 4.0,
    "float16": 2.0,
}  # of 255, at most; measured on processors, with room


def nuclei(*shape: int) -> np.ndarray:
    """Smooth spots, 8 bits."""
    from scipy.ndimage import gaussian_filter

    image = gaussian_filter(
        np.random.default_rng(0).random(shape), (0,) * (len(shape) - 2) + (3, 3)
    )
    return (255 * (image - image.min()) / np.ptp(image)).astype(np.uint8)


@pytest.mark.parametrize("precision", LEVELS)
@pytest.mark.parametrize("name", ["gray-x2", "rgb-x2"])
def test_results_are_those_of_the_processor(name: str, precision: str) -> None:
    image = (
        nuclei(500, 700)
        if name == "gray-x2"
        else np.stack([nuclei(500, 700)] * 3, axis=-1)[..., ::-1]
    )
    if name == "rgb-x2":
        image = image * np.array([1.0, 0.7, 0.4])
        image = image.astype(np.uint8)
    model = load_model(name)
    exact = restore(image, model, device="cpu", precision="float32").astype(float)
    found = restore(image, model, device=DEVICE, precision=precision).astype(float)
    assert np.abs(found - exact).mean() < LEVELS[precision] / 4
    assert np.percentile(np.abs(found - exact), 99.9) <= LEVELS[precision]


def test_tiles_in_batches_are_those_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_mdeblurgan.restoration import engine

    stack, model, results = nuclei(3, 400, 500), load_model("gray-x2"), []
    for most in (1, 8):
        monkeypatch.setattr(engine, "fitting_batch", lambda *_, most=most: most)
        results.append(
            restore(stack, model, device=DEVICE, precision="float32", tile=128).astype(int)
        )
    np.testing.assert_allclose(results[1], results[0], rtol=0, atol=1)


def test_eight_orientations_are_those_of_the_processor() -> None:
    image, model = nuclei(300, 340), load_model("gray-x2")
    means = []
    for device in ("cpu", DEVICE):
        plan = make_plan(image, model.card, device=device, precision="float32")
        means.append(finished(ensemble_steps(image, plan, model))[0].astype(int))
    np.testing.assert_allclose(means[1], means[0], rtol=0, atol=1)


@pytest.fixture
def little_memory() -> Iterator[None]:
    """The allocator of this process may take some 600 MB of the device."""
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(600e6 / total, 0)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0, 0)
    torch.cuda.empty_cache()


def test_memory_that_runs_out_quarters_the_tiles(little_memory: None) -> None:
    image, model = nuclei(1500, 1500), load_model("gray-x2")
    exact = restore(image, model, device="cpu", precision="float32", tile=512).astype(int)
    found = restore(image, model, device=DEVICE, precision="float32", tile=1504).astype(int)
    np.testing.assert_allclose(found, exact, rtol=0, atol=1)


PROCESS = """
import numpy as np
from napari_mdeblurgan import load_model, restore
image = np.random.default_rng(0).integers(0, 256, (600, 600), np.uint8)
made = restore(image, load_model("gray-x2"), device="cuda:0", precision="float32")
print(int(made.astype(int).sum()))
"""


def test_two_processes_share_a_device() -> None:
    command = [sys.executable, "-c", PROCESS]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    sums = [int(process.communicate(timeout=300)[0]) for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert sums[0] == pytest.approx(sums[1], rel=1e-6)  # cuDNN may add in another order


def test_memory_is_given_back_and_the_next_plan_is_the_same() -> None:
    image, model = nuclei(1500, 1500), load_model("gray-x2")
    before = make_plan(image, model.card, device=DEVICE, precision="float32")
    restore(image, model, device=DEVICE, precision="float32")
    assert torch.cuda.memory_reserved(0) - torch.cuda.memory_allocated(0) < 64 * 2**20
    assert make_plan(image, model.card, device=DEVICE, precision="float32") == before


@pytest.mark.parametrize("precision", LEVELS)
def test_the_losses_of_a_training_are_those_of_the_processor(precision: Precision) -> None:
    sharp = torch.from_numpy(nuclei(4, 1, 128, 128)).float() / 255
    low = averaged_to(sharp, 64)
    losses = []
    for device in ("cpu", DEVICE):
        network = copy.deepcopy(load_model("gray-x2").network).requires_grad_(True).to(device)
        chosen: Precision = "float32" if device == "cpu" else precision
        training = Training(network, Schedule(3), StepMethod(precision=chosen))
        losses.append(
            [record.terms["output"] for record in training.run([Patches(low, low, sharp)] * 3)]
        )
        training.sound_state()
    np.testing.assert_allclose(*losses, rtol=0, atol=0.02 if precision == "float32" else 0.5)
