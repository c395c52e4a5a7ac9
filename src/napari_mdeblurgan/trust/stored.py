"""The assessment of a result that is on disk: the maps are made in a folder within it, in bounded
memory, and gone on with.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.atomic import writing_errors
from napari_mdeblurgan.restoration.fitting import fine_grid, target
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.restoration.progress import Progress
from napari_mdeblurgan.restoration.softened_result import SoftLevels, hot_windows
from napari_mdeblurgan.restoration.tiling import Span, Tile
from napari_mdeblurgan.storage import Micrograph, open_image
from napari_mdeblurgan.storage.map_places import MAPS_FOLDER, maps_path
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_begun import finished_job
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_image import open_levels
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_metadata import OWN_KEY
from napari_mdeblurgan.storage.ome_zarr.ome_zarr_writing import OmeZarrWriter, create_ome_zarr
from napari_mdeblurgan.trust.assess import Assessment, assess_steps, assessment_of
from napari_mdeblurgan.trust.domain import Examination
from napari_mdeblurgan.trust.figures import Figures
from napari_mdeblurgan.trust.maps import MAPS, TrustMap, map_factor, map_shape
from napari_mdeblurgan.trust.trust_plan import AssessmentOptions, TrustPlan, planning_trust

if TYPE_CHECKING:
    from napari_mdeblurgan.model import Model
    from napari_mdeblurgan.trust.explanation import ExplanationOnDisk

_FORMAT = 4  # of the maps: others are made anew


def assess_stored_steps(
    source: Micrograph,
    result: Path,
    plan: RestorationPlan,
    model: Model,
    examinations: tuple[Examination, ...] | None = None,
    disagreement: bool = False,
    softness: float = 0.0,
    explanation: ExplanationOnDisk | None = None,
) -> Generator[Progress, None, Assessment]:
    """Assess a result in OME-Zarr; yields once at the start and after every tile. What an earlier
    run has done is done.

    Closing the generator ends the work: the result is as it was, and the maps that are not whole
    have names that end in ".partial".

    Parameters
    ----------
    source : Micrograph
        What was restored, in memory or lazy; read tile by tile.
    result : Path
        The finished OME-Zarr.
    plan : RestorationPlan
        That the result came from.
    model : Model
        That made it.
    examinations : tuple of Examination, optional
        As for `plan_trust`.
    disagreement : bool
        Whether there is to be a map of it. Where the result is the mean of eight orientations it is
        there already; else they are made for it.
    softness : float
        Standard deviation, in pixels of the result, of a Gaussian that the result is blurred by
        before it is assessed: 0 for what lies on disk.
    explanation : ExplanationOnDisk, optional
        As for `assess_steps`.

    Raises
    ------
    FileError
        If the disk is full, or something cannot be read.
    OutOfMemory
        If not even the smallest tile fits.
    """
    bare = open_image(result).data
    soft = SoftLevels([bare], rgb=plan.rgb, sigma=softness, windows=hot_windows(plan))
    restored = soft.part(0) if softness else bare
    wishes = AssessmentOptions(disagreement=disagreement)
    trust = yield from planning_trust(source.data, restored, plan, model, wishes, examinations)
    maps = StoredMaps(source, result, trust, model, softness)
    figures = maps.figures()
    if figures is not None:
        return assessment_of(trust, maps.finish(), figures, model)
    spread = maps.whole("disagreement")
    found = yield from assess_steps(
        source.data, restored, trust, model, explanation, spread=spread, maps=maps
    )
    maps.keep_figures(Figures(*(getattr(found, each.name) for each in dataclasses.fields(Figures))))
    return found


def create_map(
    name: str,
    source: Micrograph,
    result: Path,
    plan: RestorationPlan,
    job: str,
    chunk: tuple[int, int],
) -> OmeZarrWriter | None:
    """Begin a map, or go on with it; None if it is whole. One that was made for another job is
    removed.

    Parameters
    ----------
    name : str
        Key of `MAPS`.
    source : Micrograph
        What is restored: the map has its axes but for colours, and its pixel sizes.
    result : Path
        The OME-Zarr that the map is kept in.
    plan : RestorationPlan
        Of the restoration.
    job : str
        What the map depends on beside the result.
    chunk : (int, int)
        Height and width of its chunks, in pixels of the map.

    Raises
    ------
    FileError
        If it cannot be written there.
    """
    path, kind, factor = maps_path(result, name), MAPS[name], map_factor(name, plan)
    if path.exists():
        if finished_job(path) == job:
            return None
        with writing_errors(path):
            shutil.rmtree(path)
    with writing_errors(path):
        path.parent.mkdir(exist_ok=True)
    return create_ome_zarr(
        path,
        map_shape(name, plan),
        source.axes.removesuffix("S"),
        kind.dtype,
        chunk=chunk,
        **source.frame(factor, plan.origin),
        name=f"{source.name} {kind.title.lower()}".strip(),
        job=job,
        reduction=kind.reduction,
    )


class StoredMaps:
    """The maps of a result on disk; see `assess.Maps`. Those that are whole are not made again.

    Parameters
    ----------
    source, result, trust, model, softness
        As for `assess_stored_steps`.
    """

    def __init__(
        self,
        source: Micrograph,
        result: Path,
        trust: TrustPlan,
        model: Model,
        softness: float = 0.0,
    ) -> None:
        self._folder, self._trust = result / MAPS_FOLDER, trust
        self._plan = plan = trust.restoration
        self._job = _job(trust, model, softness)
        rows, columns = fine_grid(plan).spans
        edges = _edge(rows), _edge(columns)
        self._writers: dict[str, OmeZarrWriter] = {}
        self._whole: dict[str, TrustMap] = {}
        for name in trust.maps:
            path, factor = maps_path(result, name), map_factor(name, plan)
            if (
                name == "disagreement" and path.exists()
            ):  # made with the result, and of nothing but it
                writer = None
            else:
                writer = create_map(
                    name, source, result, plan, self._job, (edges[0] * factor, edges[1] * factor)
                )
            if writer is None:
                self._whole[name] = _opened(name, path)
            else:
                self._writers[name] = writer

    def whole(self, name: str) -> Any:
        """The array of a map that is whole; None if it is not."""
        return self._whole[name].data if name in self._whole else None

    def known(self, index: tuple[int, ...], tile: Tile) -> dict[str, np.ndarray] | None:
        """All maps of a tile, read from disk, if they are there."""
        spans = {
            name: target(tile, self._plan, map_factor(name, self._plan))
            for name in self._trust.maps
        }
        for name, writer in self._writers.items():
            y, x = spans[name]
            if not writer.is_done(index, y.start, x.start, y.stop - y.start, x.stop - x.start):
                return None
        arrays = {name: each.data for name, each in self._whole.items()}
        arrays |= {name: writer.levels[0] for name, writer in self._writers.items()}
        return {name: np.asarray(arrays[name][(*index, *spans[name])]) for name in self._trust.maps}

    def add(self, index: tuple[int, ...], tile: Tile, made: Mapping[str, np.ndarray]) -> None:
        """Write the maps of a tile.

        Raises
        ------
        FileError
            If the disk is full or may not be written to.
        """
        for name, writer in self._writers.items():
            y, x = target(tile, self._plan, map_factor(name, self._plan))
            writer.write(index, y.start, x.start, made[name])

    def finish(self) -> tuple[TrustMap, ...]:
        """Give all maps their names; they are read lazily.

        Raises
        ------
        FileError
            If the disk is full.
        """
        for name, writer in self._writers.items():
            self._whole[name] = _opened(name, writer.finish())
        self._writers = {}
        return tuple(self._whole[name] for name in self._trust.maps)

    def figures(self) -> Figures | None:
        """Those of an earlier run that came to its end; None if there was none, or a map is
        missing.
        """
        if self._writers:
            return None
        try:
            kept = json.loads((self._folder / "zarr.json").read_bytes())["attributes"][OWN_KEY]
            return Figures(**kept["figures"]) if kept["job"] == self._job else None
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def keep_figures(self, figures: Figures) -> None:
        """Keep the figures of a run that has come to its end, beside its maps.

        Raises
        ------
        FileError
            If the disk is full.
        """
        import zarr

        with writing_errors(self._folder):
            group = zarr.open_group(str(self._folder), mode="a", zarr_format=3)
            group.attrs.put({OWN_KEY: {"job": self._job, "figures": dataclasses.asdict(figures)}})


def _job(trust: TrustPlan, model: Model, softness: float) -> str:
    """What maps depend on beside their result."""
    calibration = hashlib.sha256(repr(trust.calibration).encode()).hexdigest()[:16]
    kept = {"format": _FORMAT, "model": model.card.weights_sha256, "calibration": calibration}
    kept |= {"softness": softness} if softness else {}
    return json.dumps(kept | {"disagreement": "disagreement" in trust.maps})


def _edge(spans: tuple[Span, ...]) -> int:
    """Pixels of the image along one axis of all tiles but the last; even."""
    length = spans[0].stop - spans[0].start
    return length + length % 2


def _opened(name: str, path: Path) -> TrustMap:
    finest, *coarser = open_levels(path)
    return TrustMap(name, finest, tuple(coarser))
