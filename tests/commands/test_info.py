"""`mdeblurgan info`: what a bug report should tell, and nothing that breaks it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from napari_mdeblurgan import __version__
from napari_mdeblurgan.diagnostics import diagnose


def sections() -> dict[str, dict[str, str]]:
    return {section.title: dict(section.lines) for section in diagnose()}


def test_versions_devices_models_and_folders_are_printed(run, models_folder: Path) -> None:
    code, out, _ = run("info")
    assert code == 0
    for words in (
        __version__,
        "torch",
        "napari",
        "gray-x2",
        "bundled, ×2, RGB",
        str(models_folder),
        "choices.json",
        "cpu",
    ):
        assert words in out


def test_a_model_that_cannot_be_used_is_listed_with_the_reason(models_folder: Path) -> None:
    models_folder.mkdir()
    (models_folder / "broken.safetensors").write_bytes(b"nothing")
    assert "cut short" in sections()["Models"]["broken"]


def test_a_torch_that_cannot_be_loaded_is_told_instead_of_devices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "torch cannot be used" in sections()["Devices"]["none"]


def test_only_the_devices_need_torch() -> None:
    program = """
import sys
from napari_mdeblurgan.diagnostics import diagnose
sections = diagnose()
while next(sections).title != "Folders":
    pass
assert not {"torch", "napari", "qtpy"} & set(sys.modules), sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", program], check=True)
