"""What a new user does first, in the environment that the package was installed into; not from its
source.

Usage: python scripts/try_wheel.py [--qt]

Without Qt: the import, the command, a sample restored. With --qt also the plugin's widget in a
napari window.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HEAVY = {"torch", "numpy", "napari", "qtpy", "magicgui"}


def check_import() -> None:
    """The package comes quickly and brings nothing heavy."""
    start = time.perf_counter()
    import napari_mdeblurgan

    seconds = time.perf_counter() - start
    brought = HEAVY & set(sys.modules)
    assert not brought, f"importing the package imports {brought}"
    assert Path(sys.prefix).resolve() in Path(napari_mdeblurgan.__file__).resolve().parents, (
        napari_mdeblurgan.__file__
    )
    print(
        f"import napari_mdeblurgan {napari_mdeblurgan.__version__}: {seconds:.3f} s, from "
        f"{sys.prefix}"
    )


def check_command(folder: Path) -> None:
    """The command lists the models, tells about itself and restores a sample."""
    script = Path(sys.executable).with_name("mdeblurgan" + (".exe" if os.name == "nt" else ""))
    for arguments in (
        ["--version"],
        ["models"],
        ["info"],
        ["demo", "--output", str(folder / "demo")],
    ):
        subprocess.run([str(script), *arguments], check=True, cwd=folder)
    assert len(list((folder / "demo").glob("*-restored.tif"))) == 2
    assert len(list((folder / "demo").glob("*-before-after.png"))) == 2


def check_plugin() -> None:
    """npe2 finds the plugin's manifest and everything that it names."""
    from npe2 import PluginManager

    manager = PluginManager.instance()
    manager.discover()
    manager.get_manifest("napari-mdeblurgan")
    print("npe2 finds the plugin")


def check_window() -> None:
    """The widget opens in a viewer with the sample."""
    import napari

    viewer = napari.Viewer(show=False)
    viewer.open_sample("napari-mdeblurgan", "fluorescence")
    _, widget = viewer.window.add_plugin_dock_widget("napari-mdeblurgan", "Deblur + SR")
    assert widget.image == viewer.layers[0]
    assert widget.problem is None
    viewer.close()
    print("the widget opens")


def main() -> int:
    """Everything in turn; the first fault ends it."""
    qt = "--qt" in sys.argv[1:]
    check_import()
    bindings = [name for name in ("PyQt6", "PySide6", "PyQt5") if importlib.util.find_spec(name)]
    assert bool(bindings) == qt, f"Qt bindings here: {bindings or 'none'}"
    with tempfile.TemporaryDirectory() as folder:
        check_command(Path(folder))
    check_plugin()
    if qt:
        check_window()
    return 0


if __name__ == "__main__":
    sys.exit(main())
