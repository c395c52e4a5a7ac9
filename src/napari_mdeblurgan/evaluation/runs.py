"""How training runs went: PSNR over epochs, each run under a name of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.folders import real_path
from napari_mdeblurgan.training.metrics_table import read_metrics


def run_curves(folders: Sequence[Path]) -> dict[str, list[tuple[float, float]]]:
    """`psnr_per_epoch` of every run, by the name of its folder; where two have one name, folders
    above are added.

    Raises
    ------
    FileError
        If one of them has no PSNR of a validation.
    """
    places = {real_path(folder): folder for folder in folders}
    return {_name(place, places): psnr_per_epoch(folder) for place, folder in places.items()}


def _name(place: Path, places: Iterable[Path]) -> str:
    """The last parts of an absolute path, as many as it takes to tell it from the others."""
    others = [other.parts for other in places if other != place]
    count = next(
        n for n in range(1, len(place.parts) + 1) if all(o[-n:] != place.parts[-n:] for o in others)
    )
    return Path(*place.parts[-count:]).as_posix()


def psnr_per_epoch(folder: Path) -> list[tuple[float, float]]:
    """Epoch and PSNR in dB on the validation pieces, from the metrics.csv of a training run.

    Raises
    ------
    FileError
        If there is none, or none was measured.
    """
    path = folder / "metrics.csv"
    if not path.is_file():
        raise FileError(f"{folder} has no metrics.csv; name the folder of a training run.")
    try:
        rows = read_metrics(path)
    except ValueError:
        raise FileError(
            f"{path} is not the table of a training run; name another folder."
        ) from None
    points = [
        (row["epoch"], row["validation_psnr_db"])
        for row in rows
        if {"epoch", "validation_psnr_db"} <= row.keys()
    ]
    if not points:
        raise FileError(f"{path} has no PSNR of a validation; train longer, or name another run.")
    return points
