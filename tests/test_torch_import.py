"""Without PyTorch, or with one that cannot be loaded, all that needs it says so in one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from napari_mdeblurgan.errors import NoTorch, lacks_memory, need_torch

BROKEN = "libcudart.so.12: cannot open shared object file"
MISSING = (
    "PyTorch, which the models run on, is not installed; install it with `pip install "
    "torch`, and start anew."
)
UNLOADABLE = f"PyTorch, which the models run on, cannot be loaded ({BROKEN}); install it again"

PROGRAM = """
import sys

class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise {error}

sys.meta_path.insert(0, Without())
sys.argv = ["mdeblurgan", *sys.argv[1:]]
from napari_mdeblurgan.errors import NoTorch, need_torch
from napari_mdeblurgan.cli import main
main()
"""
ERRORS = {
    MISSING: "ModuleNotFoundError(f'No module named {name!r}', name=name)",
    UNLOADABLE: f"OSError('{BROKEN}')",
}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "a.tif"
    tifffile.imwrite(path, np.arange(400, dtype=np.uint16).reshape(20, 20))
    return path


@pytest.mark.parametrize("sentence", [MISSING, UNLOADABLE])
@pytest.mark.parametrize("command", ["restore", "batch", "simulate", "evaluate", "train"])
def test_a_command_ends_in_one_sentence(
    tmp_path: Path, image: Path, command: str, sentence: str
) -> None:
    out = tmp_path / "out"
    target = [str(tmp_path / "b.tif")] if command == "restore" else ["--output", str(out)]
    source = image if command == "restore" else image.parent
    program = PROGRAM.replace("{error}", ERRORS[sentence])
    words = [sys.executable, "-c", program, command, str(source), *target]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (told,) = (line for line in done.stderr.splitlines() if line)
    assert told.startswith(f"mdeblurgan: {sentence}")
    assert [path.name for path in tmp_path.rglob("*.tif")] == ["a.tif"]


def test_a_batch_marks_no_image_as_failed(tmp_path: Path, image: Path) -> None:
    out = tmp_path / "out"
    program = PROGRAM.replace("{error}", ERRORS[MISSING])
    subprocess.run(
        [sys.executable, "-c", program, "batch", image.parent, "--output", out], check=False
    )
    done = subprocess.run(
        [sys.executable, "-m", "napari_mdeblurgan", "batch", image.parent, "--output", out],
        check=False,
    )
    assert done.returncode == 0
    assert (out / "a.ome.tif").exists()


def test_a_library_that_torch_misses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Without:
        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            if name == "torch":
                raise ModuleNotFoundError("No module named 'sympy'", name="sympy")

    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Without(), *sys.meta_path])
    with pytest.raises(
        NoTorch, match=r"cannot be loaded \(No module named 'sympy'\); install it again"
    ):
        need_torch()


@pytest.mark.parametrize(
    "error",
    [MemoryError(), OSError("libtorch_cpu.so: failed to map segment from shared object")],
)
def test_no_new_installation_is_advised_where_memory_lacks(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(*_: object) -> None:
        raise error

    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(sys, "meta_path", [SimpleNamespace(find_spec=find), *sys.meta_path])
    with pytest.raises(NoTorch, match="does not fit into the memory") as told:
        need_torch()
    assert "install" not in str(told.value)


def test_only_what_speaks_of_memory_lacks_it() -> None:
    assert lacks_memory(ImportError("libx.so: cannot map zero-fill pages: Cannot allocate memory"))
    assert not lacks_memory(OSError(BROKEN))
