"""Which of the devices that torch sees are offered, and what is said of those that do not compute;
no GPU is needed for that.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from napari_mdeblurgan import diagnostics
from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.restoration import device as devices
from napari_mdeblurgan.restoration.device import available_devices, pick_device, unsupported_gpus
from napari_mdeblurgan.widgets.shared.devices import find_devices

BUILT = ["sm_75", "sm_80", "sm_86", "sm_90a", "sm_100", "sm_120"]
See = Callable[..., None]


@pytest.fixture
def see(monkeypatch: pytest.MonkeyPatch) -> See:
    """Have torch see GPUs of these compute capabilities, built for these."""

    def seen(*capabilities: tuple[int, int], built: list[str] = BUILT) -> None:
        monkeypatch.setattr(devices, "_COMPUTED", set())
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(capabilities))
        monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: built)
        monkeypatch.setattr(
            torch.cuda, "get_device_capability", lambda name: capabilities[int(name[5:])]
        )
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda name: f"GPU {name[5:]}")

    return seen


@pytest.mark.parametrize(
    ("capability", "built", "fits"),
    [
        ((6, 1), BUILT, False),
        ((7, 5), BUILT, True),
        ((8, 9), BUILT, True),
        ((9, 0), BUILT, True),
        ((12, 1), BUILT, True),
        ((13, 0), BUILT, False),
        ((13, 0), [*BUILT, "compute_120"], True),
        ((8, 0), ["sm_86"], False),
        ((9, 0), ["gfx90a", "gfx1100"], True),
        ((9, 0), [], True),
    ],
)
def test_a_gpu_that_torch_has_no_code_for_is_not_offered(
    capability: tuple[int, int], built: list[str], fits: bool, see: See
) -> None:
    see(capability, built=built)
    assert available_devices() == (["cuda:0", "cpu"] if fits else ["cpu"])
    assert (not unsupported_gpus()) == fits


def test_the_next_one_is_taken_in_its_place_and_who_asks_for_it_is_told(
    see: See, monkeypatch: pytest.MonkeyPatch
) -> None:
    see((6, 1), (8, 6))
    monkeypatch.setattr(devices, "_compute", lambda _: None)
    assert pick_device() == pick_device("cuda") == "cuda:1"
    assert find_devices().entries[0] == ("Automatic (cuda:1)", "auto")
    with pytest.raises(ImageError, match=r"cuda:0 \(GPU 0\) has compute capability 6\.1, which"):
        pick_device("cuda:0")
    see((6, 1))
    assert pick_device() == "cpu"
    with pytest.raises(ImageError, match=r"cuda:0 \(GPU 0\) has compute capability 6\.1, which"):
        pick_device("cuda")


def test_a_gpu_that_does_not_compute_is_named_with_the_reason(
    see: See, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = "CUDA error: CUDA-capable device(s) is/are busy or unavailable"
    tried: list[object] = []

    def zeros(*_: object, device: str, **__: object) -> object:
        tried.append(device)
        raise RuntimeError(reason + "\nCUDA kernel errors might be reported asynchronously")

    see((8, 6))
    monkeypatch.setattr(torch, "zeros", zeros)
    with pytest.raises(ImageError) as caught:
        pick_device()
    assert str(caught.value) == (
        f"cuda:0 cannot be used ({reason}); choose another device, or see to its driver."
    )
    assert pick_device("cpu") == "cpu"
    assert tried == ["cuda:0"]


def test_a_full_gpu_is_not_called_broken(see: See, monkeypatch: pytest.MonkeyPatch) -> None:
    def zeros(*_: object, **__: object) -> object:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    see((8, 6))
    monkeypatch.setattr(torch, "zeros", zeros)
    assert pick_device() == "cuda:0"


def test_a_report_tells_of_every_gpu(see: See, monkeypatch: pytest.MonkeyPatch) -> None:
    def compute(device: str) -> None:
        if device == "cuda:1":
            raise ImageError("cuda:1 cannot be used.")

    see((8, 6), (8, 6), (6, 1))
    monkeypatch.setattr(devices, "_compute", compute)
    told = dict(diagnostics._devices())
    assert list(told) == ["cuda:0", "cuda:1", "cpu", "cuda:2"]
    assert told["cuda:0"] == "GPU 0 (cuda:0), bfloat16, chosen by auto"
    assert told["cuda:1"] == "cuda:1 cannot be used."
    assert told["cuda:2"].startswith("cuda:2 (GPU 2) has compute capability 6.1")
