"""Where the maps of a result lie: within an OME-Zarr, beside any other file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

MAPS_FOLDER = "trust"  # within a result


def maps_path(result: Path, name: str) -> Path:
    """Where a map of a result on disk is."""
    return result / MAPS_FOLDER / f"{name}.ome.zarr"


def map_path(output: Path, name: str) -> Path:
    """``sharp.ome.tif`` → ``sharp-error.tif``."""
    stem = output.name.removesuffix(output.suffix).removesuffix(".ome")
    return output.with_name(f"{stem}-{name}.tif")


def maps_beside(output: Path, names: Iterable[str]) -> tuple[str, ...]:
    """What the maps of these names beside a result are called, of those that are there."""
    return tuple(path.name for name in names if (path := map_path(output, name)).is_file())
