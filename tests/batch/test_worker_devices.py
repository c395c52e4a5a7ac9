"""Which device each worker of a machine takes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from napari_mdeblurgan.batch import worker
from napari_mdeblurgan.batch.worker import _claimed, _gpu_folder, own_device
from napari_mdeblurgan.errors import ImageError
from napari_mdeblurgan.restoration import device


def test_each_worker_of_a_machine_claims_a_gpu_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    devices = (("cuda:0", "GPU-a"), ("cuda:1", "GPU-b"))
    code = f"import tempfile; tempfile.tempdir = {str(tmp_path)!r}\n"
    code += "from napari_mdeblurgan.batch.worker import _claimed\n"
    code += f"print(_claimed({devices!r}), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "cuda:0\n"
        assert _claimed.__wrapped__(devices) == "cuda:1"
        assert _claimed.__wrapped__(devices) in ("cuda:0", "cuda:1")
        other.kill()


def test_a_worker_names_its_device_as_torch_does(monkeypatch: pytest.MonkeyPatch) -> None:
    for gpus in ([], ["cuda:0"], ["cuda:0", "cuda:1"]):
        monkeypatch.setattr(device, "available_devices", lambda gpus=gpus: [*gpus, "cpu"])
        monkeypatch.setattr(device, "_COMPUTED", {"cuda:0", "cuda:1"})
        monkeypatch.setattr(worker, "_identity", str)
        monkeypatch.setattr(worker, "_claimed", lambda found: found[-1][0])
        best = gpus[-1] if gpus else "cpu"
        assert own_device("auto") == best
        assert own_device("cpu") == "cpu"
        if gpus:
            assert own_device("cuda") == best
            assert own_device("cuda:0") == "cuda:0"
        else:
            with pytest.raises(ImageError, match="There is no device 'cuda'"):
                own_device("cuda")


def test_a_link_in_the_place_of_the_folder_of_gpus_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    victim = tmp_path / "victim"
    victim.mkdir()
    _gpu_folder().symlink_to(victim)
    devices = (("cuda:0", "GPU-a"), ("cuda:1", "GPU-b"))
    assert _claimed.__wrapped__(devices) == devices[os.getpid() % 2][0]
    assert not list(victim.iterdir())
