"""Where the maps of a result lie: within an OME-Zarr, beside any other file."""

from __future__ import annotations

from pathlib import Path

MAPS_FOLDER = "trust"  # within a result


def maps_path(result: Path, name: str) -> Path:
    """Where a map of a result on disk is."""
    return result / MAPS_FOLDER / f"{name}.ome.zarr"


def map_path(output: Path, name: str) -> Path:
    """``sharp.ome.tif`` → ``sharp-error.tif``."""
    stem = output.name.removesuffix(output.suffix).removesuffix(".ome")
    return output.with_name(f"{stem}-{name}.tif")
