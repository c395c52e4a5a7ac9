"""The package as a whole: what importing it costs, which wing imports what, and what is shipped."""

from __future__ import annotations

import ast
import os
import pkgutil
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import entry_points, metadata
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
from npe2 import PluginManifest

import napari_mdeblurgan
from napari_mdeblurgan.storage.formats import packages

ROOT = Path(__file__).parents[1]
PACKAGE = Path(napari_mdeblurgan.__file__).parent
SCREEN = {"napari", "magicgui", "qtpy", "superqt", "PyQt5", "PyQt6", "PySide6"}
HEAVY = SCREEN | {"torch", "numpy", "dask", "scipy", "skimage"}


def modules_after(code: str) -> set[str]:
    """Top-level modules that a fresh Python has imported once it has run `code`."""
    script = (
        f"{code}\nimport sys\nprint('imported:', *{{name.partition('.')[0] for name in "
        f"sys.modules}})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rpartition("imported:")[2].split())


def compute_modules() -> list[str]:
    """Every module of the package outside the widget wing."""
    found = pkgutil.walk_packages([str(PACKAGE)], "napari_mdeblurgan.")
    return sorted(
        each.name for each in found if not each.name.startswith("napari_mdeblurgan.widgets")
    )


def test_importing_the_package_imports_nothing_heavy():
    assert not modules_after("import napari_mdeblurgan") & HEAVY


def test_listing_the_models_does_not_import_torch():
    assert "torch" not in modules_after(
        "from napari_mdeblurgan.model import list_models; list_models()"
    )


def test_showing_the_help_of_the_command_does_not_import_torch():
    code = """
import sys
from napari_mdeblurgan.cli import main
sys.argv = ["mdeblurgan", "--help"]
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
"""
    assert not modules_after(code) & (SCREEN | {"torch"})


def test_commands_know_nothing_of_the_app_that_lists_them():
    names = [name for name in compute_modules() if name.startswith("napari_mdeblurgan.commands.")]
    assert "napari_mdeblurgan.commands.restore" in names
    imports = "\n".join(f"import {name}" for name in names)
    modules_after(f"{imports}\nimport sys\nassert 'napari_mdeblurgan.cli' not in sys.modules")


def test_registering_the_plugin_imports_neither_torch_nor_the_widgets():
    manifest = PACKAGE / "napari.yaml"
    code = f"""
from npe2 import PluginManager, PluginManifest
PluginManager.instance().register(PluginManifest.from_file({str(manifest)!r}))
"""
    assert not modules_after(code) & (SCREEN | {"torch"})


def test_the_compute_wing_never_imports_the_screen():
    modules = compute_modules()
    assert "napari_mdeblurgan.restoration.engine" in modules
    imported = modules_after("\n".join(f"import {name}" for name in modules))
    assert "torch" in imported
    assert not imported & SCREEN


def test_the_public_functions_are_found_on_the_package():
    from napari_mdeblurgan.model import load_model
    from napari_mdeblurgan.restoration.engine import restore

    assert napari_mdeblurgan.load_model is load_model
    assert napari_mdeblurgan.restore is restore
    assert set(napari_mdeblurgan.__all__) <= set(dir(napari_mdeblurgan))
    with pytest.raises(AttributeError, match="no attribute 'sharpen'"):
        napari_mdeblurgan.sharpen  # noqa: B018


@pytest.mark.parametrize(
    "name",
    [
        *("restoration.engine:restore", "restoration.engine:restore_steps"),
        *("restoration.plan:make_plan", "restoration.plan:planning"),
        *("trust.assess:assess", "trust.assess:assess_steps"),
        *("export.onnx:export_onnx", "export.package:export_package"),
    ],
)
def test_the_types_of_public_functions_can_be_asked_for(name: str):
    assert get_type_hints(pkgutil.resolve_name(f"napari_mdeblurgan.{name}"))


def test_the_manifest_is_valid_and_everything_it_names_can_be_imported():
    manifest = PluginManifest.from_file(PACKAGE / "napari.yaml")
    manifest.validate_imports()
    assert manifest.name == "napari-mdeblurgan"
    commands = {command.id for command in manifest.contributions.commands or ()}
    offered = [*(manifest.contributions.widgets or ()), *(manifest.contributions.sample_data or ())]
    assert {each.command for each in offered} <= commands
    assert any(each.display_name == "Deblur + SR" for each in manifest.contributions.widgets or ())


def test_the_top_level_manifest_is_the_packaged_one():
    assert (ROOT / "napari.yaml").resolve() == ROOT / "src" / "napari_mdeblurgan" / "napari.yaml"


def test_the_installed_package_has_its_entry_points_and_metadata():
    installed = metadata("napari-mdeblurgan")
    assert "Framework :: napari" in installed.get_all("Classifier")
    assert installed["License-Expression"] == "BSD-3-Clause"
    (plugin,) = (
        each for each in entry_points(group="napari.manifest") if each.name == "napari-mdeblurgan"
    )
    assert plugin.value == "napari_mdeblurgan:napari.yaml"
    (command,) = entry_points(group="console_scripts", name="mdeblurgan")
    assert callable(command.load())


def test_neither_qt_nor_a_newest_torch_is_demanded():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    demanded = [each.lower() for each in project["dependencies"]]
    assert not any(
        each.startswith(("pyqt5", "pyqt6", "pyside")) or "napari[" in each for each in demanded
    )
    (torch,) = (each for each in demanded if each.startswith("torch"))
    assert "<" not in torch
    assert "==" not in torch


def test_every_library_that_the_package_imports_is_demanded():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    demanded = {re.split(r"[^\w-]", each)[0].lower() for each in project["dependencies"]}
    names = {"PIL": "pillow", "skimage": "scikit-image", "tomli_w": "tomli-w"}
    # used where they are installed, or by type checkers alone
    optional = {
        "_typeshed",
        "bioimageio",
        "distributed",
        "onnxruntime",
        "tensorboardX",
        "torchvision",
        "yaml",
    }
    optional |= set(packages())  # of the extra for formats
    imported = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {each.name.partition(".")[0] for each in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(str(node.module).partition(".")[0])
    foreign = imported - set(sys.stdlib_module_names) - {"napari_mdeblurgan"} - optional
    assert {names.get(name, name) for name in foreign} <= demanded


def test_the_wheel_holds_every_file_of_the_package(tmp_path):
    environment = os.environ | {"HATCH_BUILD_NO_HOOKS": "true"}
    build = [
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "--target",
        "wheel",
        "--directory",
        str(tmp_path),
    ]
    subprocess.run(build, cwd=ROOT, env=environment, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    packed = {
        name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("napari_mdeblurgan/")
    }
    source = ROOT / "src"
    files = {
        path.relative_to(source).as_posix()
        for path in (source / "napari_mdeblurgan").rglob("*")
        if path.is_file()
    }
    generated = {name for name in files if "__pycache__" in name or name.endswith("/_version.py")}
    assert packed == files - generated
    assert {"napari_mdeblurgan/napari.yaml", "napari_mdeblurgan/py.typed"} <= packed
    assert sum(name.endswith(".safetensors") for name in packed) >= 2
    assert any(name.startswith("napari_mdeblurgan/samples/") for name in packed)


def test_the_bundled_models_fit_into_a_small_wheel():
    sizes = [path.stat().st_size for path in (PACKAGE / "models").glob("*.safetensors")]
    assert sizes
    assert sum(sizes) <= 20e6


def test_the_tiny_model_of_the_tests_depends_on_every_weight(tiny_model):
    import torch

    network = tiny_model(1, 2).network
    image = torch.from_numpy(np.random.default_rng(0).random((1, 1, 16, 16), dtype=np.float32))
    with torch.no_grad():
        before = network(image)
    assert all(float(weights.abs().min()) > 0 for weights in network.parameters())
    assert float((before - network.super_resolution.enlarge(image)).abs().max()) > 1e-3


def test_settings_of_napari_stay_in_memory_during_tests():
    from napari.settings import get_settings

    assert get_settings().config_path is None
