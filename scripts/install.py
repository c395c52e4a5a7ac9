"""pip install, after a build of torch that fits this machine.

Usage: python scripts/install.py [anything that `pip install` takes]

Left alone, pip takes on Linux a build of torch with several GB of CUDA libraries, whether or not there is a GPU. So
torch comes first, from the first of these that has it: the environment; the folder of wheels that pip is set up with
(PIP_FIND_LINKS); uv, which knows where the builds for the CPU and for each driver are kept; and pip alone where its
choice is right.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

NO_BUILD = (
    "No build of torch for the CPU could be fetched: check the network, or put its wheel into a folder and set "
    "PIP_FIND_LINKS to that folder; then run this again."
)


def run(*arguments: str, quiet: bool = False) -> bool:
    """Run a module of this environment's Python and say whether it succeeded; `quiet` hides why it did not."""
    sink = subprocess.DEVNULL if quiet else None
    return subprocess.run([sys.executable, "-m", *arguments], stdout=sink, stderr=sink, check=False).returncode == 0


def torch_requirement() -> str:
    """The package's own requirement, such as "torch>=2.4"."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    return next(each for each in project["project"]["dependencies"] if each.startswith("torch"))


def install_torch() -> bool:
    """Make sure that torch is there; False if only pip's own, very large choice is left on a machine without a GPU."""
    if importlib.util.find_spec("torch"):
        return True
    torch = torch_requirement()
    if run("pip", "install", "--quiet", "--no-index", "--no-deps", torch, quiet=True):
        return True
    if run("pip", "install", "--quiet", "uv>=0.8") and run(
        "uv", "pip", "install", "--quiet", "--python", sys.executable, "--torch-backend=auto", torch
    ):
        return True
    return sys.platform != "linux" or shutil.which("nvidia-smi") is not None


def main() -> int:
    if not install_torch():
        print(NO_BUILD, file=sys.stderr)
        return 1
    return 0 if run("pip", "install", *sys.argv[1:]) else 1


if __name__ == "__main__":
    sys.exit(main())
