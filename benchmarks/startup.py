"""What the plugin adds to the start of napari and of Python: medians of fresh processes.

Usage: python benchmarks/startup.py [REPEATS]

Registering is what npe2 does with the manifest when napari starts; it is timed with npe2 imported
already, as napari has it.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

import napari_mdeblurgan

MANIFEST = Path(napari_mdeblurgan.__file__).with_name("napari.yaml")
CLOCK = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"
REGISTER = f"PluginManager.instance().register(PluginManifest.from_file({str(MANIFEST)!r}))"
MEASURED = {
    "import napari_mdeblurgan (at most 0.3 s)": CLOCK.format("import napari_mdeblurgan"),
    "register the plugin (at most 0.1 s)": "from npe2 import PluginManager, PluginManifest; "
    + CLOCK.format(REGISTER),
    "import the command line": CLOCK.format("import napari_mdeblurgan.cli"),
}


def seconds(program: str) -> float:
    """What a fresh Python prints."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def main() -> None:
    """Print the medians."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    for name, program in MEASURED.items():
        times = [seconds(program) for _ in range(repeats)]
        print(
            f"{name}: {statistics.median(times):.3f} s (of {repeats}: {min(times):.3f} to "
            f"{max(times):.3f})"
        )


if __name__ == "__main__":
    main()
