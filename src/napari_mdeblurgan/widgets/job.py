"""One run of the widget: what was chosen, copied when the button was pressed, and the work on it. No Qt in here."""

from __future__ import annotations

import logging
from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan import __version__
from napari_mdeblurgan.errors import MdeblurganError
from napari_mdeblurgan.widgets import trust
from napari_mdeblurgan.widgets.placement import Placement, enlarged

if TYPE_CHECKING:
    import numpy as np

    from napari_mdeblurgan.model import Model
    from napari_mdeblurgan.restoration.engine import Progress
    from napari_mdeblurgan.restoration.plan import RestorationPlan
    from napari_mdeblurgan.restoration.tiling import Region
    from napari_mdeblurgan.widgets.trust import Trusted

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to restore, and how the result is shown.

    Attributes
    ----------
    source : str
        The source layer's name.
    data : array
        (..., y, x) or (..., y, x, 3 or 4): numpy, dask or zarr, at full resolution.
    rgb : bool
        Whether the last axis is colour.
    index : tuple of int, optional
        Restore this plane alone, one index per axis before y and x.
    region : ((y0, y1), (x0, x1)), optional
        Restore this part alone, in pixels of the source.
    preview : bool
        Whether the result is a passing look.
    trust : bool
        Whether to find out how far the result can be trusted.
    model, device, precision : str
        Names, as `load_model` and `make_plan` take them.
    tile_memory_mb : int
        What a tile may take, in MiB; 0 leaves it to the device.
    placement : Placement
        The source layer's.
    look : dict
        Attributes that the result takes from the source layer, see `appearance_of`.
    """

    source: str
    data: Any
    rgb: bool
    index: tuple[int, ...] | None = None
    region: Region | None = None
    preview: bool = False
    trust: bool = False
    model: str
    device: str = "auto"
    precision: str = "auto"
    tile_memory_mb: int = 0
    placement: Placement
    look: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A result, and the attributes of the layer that it becomes, see `add_result`."""

    data: np.ndarray
    arguments: dict[str, Any]
    preview: bool
    device: str
    seconds: float
    warnings: tuple[str, ...] = ()
    trusted: Trusted | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """Why there is no result, in one sentence."""

    sentence: str


def run_job(job: Job) -> Generator[str | Progress, None, Restored | Failed]:
    """Do the job, step by step; `close()` cancels it.

    Yields
    ------
    str or Progress
        What is being prepared, and after every tile how far the work is.

    Returns
    -------
    Restored or Failed
        No exception leaves this generator: an error becomes a sentence, and an unexpected one is logged as well.
    """
    try:
        return (yield from _restore(job))
    except MdeblurganError as error:
        return Failed(str(error))
    except MemoryError:
        return Failed(
            "There is not enough memory for the result; close other programs, or restore a part of the image."
        )
    except Exception as error:
        log.exception("restoring %r failed", job.source)
        return Failed(f"Restoring {job.source!r} failed unexpectedly ({type(error).__name__}: {error}); see the log.")


def _restore(job: Job) -> Generator[str | Progress, None, Restored]:
    yield "Loading the model…"
    from napari_mdeblurgan.model import load_model
    from napari_mdeblurgan.restoration.engine import restore_steps
    from napari_mdeblurgan.trust.explanation import Explanation

    model = load_model(job.model)
    yield "Looking at the image…"
    image, plan = yield from _planned(job, model)
    check = job.trust and trust.fits_in_memory(plan)
    examination = trust.examined(image, plan, model) if check else None
    if examination is not None and not examination.fits:
        yield examination.sentence
    explanation = Explanation(plan) if check else None
    seconds = 0.0
    steps = restore_steps(image, plan, model, None if explanation is None else explanation.keep)
    try:
        while True:
            progress = next(steps)
            seconds = progress.seconds
            yield progress
    except StopIteration as end:
        restored = _restored(job, plan, model, end.value, seconds)
    finally:
        steps.close()
    if explanation is None or examination is None:
        return replace(restored, warnings=(*restored.warnings, trust.NO_ROOM)) if job.trust else restored
    trusted = yield from trust.assessed(job, image, plan, model, restored.data, explanation, examination)
    return replace(restored, trusted=trusted)


def _planned(job: Job, model: Model) -> Generator[str, None, tuple[Any, RestorationPlan]]:
    """Plan the job; a part gets the intensity window of the whole, so that it equals a cut-out of the full result.

    Of the whole, no more is read for it than samples.
    """
    from napari_mdeblurgan.restoration.plan import make_plan, measured_windows
    from napari_mdeblurgan.restoration.tile_memory import tile_within

    is_part = job.index is not None or job.region is not None
    image = job.data if job.index is None else job.data[tuple(slice(i, i + 1) for i in job.index)]
    unmeasured = (0, 1) if is_part else None
    plan = make_plan(
        image,
        model.card,
        window=unmeasured,
        rgb=job.rgb,
        tile=tile_within(model.card, job.tile_memory_mb) if job.tile_memory_mb else None,
        device=job.device,
        precision=job.precision,
        region=job.region,
    )
    if is_part or plan.windows is None:
        yield "Measuring the intensities…"
        plan = replace(plan, windows=measured_windows(job.data, job.rgb, None))
    return image, plan


def _restored(job: Job, plan: RestorationPlan, model: Model, data: np.ndarray, seconds: float) -> Restored:
    (y0, _), (x0, _) = job.region or ((0, 0), (0, 0))
    leading = job.index or (0,) * (len(job.placement.scale) - 2)
    placement = enlarged(job.placement, model.card.scale, (*leading, y0, x0))
    suffix = "preview" if job.preview else f"sharp ×{model.card.scale}"
    arguments = {
        "name": f"{job.source} [{suffix}]",
        "metadata": {"mdeblurgan": _provenance(job, plan, model, seconds)},
        **placement.layer_arguments(),
        **job.look,
    }
    return Restored(
        data=data,
        arguments=arguments,
        preview=job.preview,
        device=plan.device,
        seconds=seconds,
        warnings=plan.warnings,
    )


def _provenance(job: Job, plan: RestorationPlan, model: Model, seconds: float) -> dict[str, Any]:
    """How the result was made, in plain values."""
    return {
        "model": model.card.name,
        "sha256": model.card.weights_sha256,
        "scale": model.card.scale,
        "version": __version__,
        "source": job.source,
        "slice": job.index,
        "region": job.region,
        "preview": job.preview,
        "window": [(window.low, window.high) for window in plan.windows or ()],
        "device": plan.device,
        "precision": plan.precision,
        "tile": plan.tile,
        "seconds": round(seconds, 3),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
