"""The libraries that exporting needs beside the plugin's own; they come with the extra `export`."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

from packaging.version import Version

from napari_mdeblurgan.errors import ExportError

FOR_ONNX = ("onnx", "onnxscript", "onnxruntime")
FOR_PACKAGES = (*FOR_ONNX, "bioimageio.spec", "yaml")

LAST_OLD_SPEC, NEW_PYDANTIC = (
    Version("0.5.12"),
    Version("2.14"),
)  # with these, every description is refused


def check_installed(names: tuple[str, ...]) -> None:
    """Make sure that libraries are there, without importing them.

    Raises
    ------
    ExportError
        In one sentence that names those that are not, and what to install.
    """
    missing = [name for name in names if not _is_there(name)]
    if missing:
        raise ExportError(
            f"Exporting needs {', '.join(missing)}; install it with: python -m pip install "
            "'napari-mdeblurgan[export]'."
        )


def check_together() -> None:
    """Make sure that bioimage.io's library works with the pydantic that is installed.

    Raises
    ------
    ExportError
        If it is known not to.
    """
    spec, pydantic = version("bioimageio.spec"), version("pydantic")
    if Version(spec).release[:3] <= LAST_OLD_SPEC.release and Version(pydantic) >= NEW_PYDANTIC:
        raise ExportError(
            f"bioimageio.spec {spec} does not work with pydantic {pydantic}; install one that does "
            f"with: python -m pip install 'pydantic<{NEW_PYDANTIC}'."
        )


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # the package that it would be in
        return False


@contextmanager
def quiet() -> Iterator[None]:
    """Keep to ourselves what torch's exporters say to their developers; errors are still raised."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
