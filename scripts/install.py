"""Install as pip would, but faster, and after a build of torch that fits this machine.

Usage: python scripts/install.py [anything that both `pip install` and `uv pip install` take]

uv fetches and unpacks many packages at once. Where it cannot be had, does not succeed or would not
ask the index that pip is set up with, pip does the work.

Left alone, pip takes on Linux a build of torch with several GB of CUDA libraries, whether or not
there is a GPU. So torch comes first, from the first of these that has it: the environment; the
folder of wheels that pip is set up with (PIP_FIND_LINKS); uv, which knows where the builds for the
CPU and for each driver are kept; and pip alone where its choice is right.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

UV = "uv>=0.8"
# uv is to trust whom the system trusts, such as the proxy of an institute; its older versions know
# the second name
CERTIFIED = {"UV_SYSTEM_CERTS": "true", "UV_NATIVE_TLS": "true"}
NO_BUILD = (
    "No build of torch for the CPU could be fetched: check the network, or put its wheel into a "
    "folder and set PIP_FIND_LINKS to that folder; then run this again."
)


def run(*arguments: str, quiet: bool = False) -> bool:
    """Run a module of this environment's Python and say whether it succeeded; `quiet` hides why it
    did not.
    """
    sink = subprocess.DEVNULL if quiet else None
    command = [sys.executable, "-m", *arguments]
    return (
        subprocess.run(
            command, stdout=sink, stderr=sink, env=CERTIFIED | os.environ, check=False
        ).returncode
        == 0
    )


def torch_requirement() -> str:
    """The package's own requirement, such as "torch>=2.4"."""
    project = tomllib.loads(
        (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    )
    return next(each for each in project["project"]["dependencies"] if each.startswith("torch"))


def install_torch() -> bool:
    """Make sure that torch is there; False if only pip's own, very large choice is left on a
    machine without a GPU.
    """
    if importlib.util.find_spec("torch"):
        return True
    torch = torch_requirement()
    if run("pip", "install", "--quiet", "--no-index", "--no-deps", torch, quiet=True):
        return True
    if run("pip", "install", "--quiet", UV) and run(
        "uv", "pip", "install", "--quiet", "--python", sys.executable, "--torch-backend=auto", torch
    ):
        return True
    return sys.platform != "linux" or shutil.which("nvidia-smi") is not None


def has_own_index() -> bool:
    """Whether pip is set up to ask another index than the usual one, which uv would not know of."""
    settings = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    return "PIP_INDEX_URL" in os.environ or re.search(r"\.index-url=", settings.stdout) is not None


def install(*arguments: str) -> bool:
    """Install packages with uv, or else with pip; True if they are there."""
    if not has_own_index() and run("pip", "install", "--quiet", UV):
        if run("uv", "pip", "install", "--python", sys.executable, *arguments):
            return True
        print("uv could not install this; pip tries now.", file=sys.stderr)
    return run("pip", "install", *arguments)


def main() -> int:
    if not install_torch():
        print(NO_BUILD, file=sys.stderr)
        return 1
    return 0 if install(*sys.argv[1:]) else 1


if __name__ == "__main__":
    sys.exit(main())
