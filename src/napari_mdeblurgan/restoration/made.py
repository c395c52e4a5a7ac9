"""How a result was made, in plain values, as a layer and the record of a file keep it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan import __version__
from napari_mdeblurgan.restoration.binning import binning_in_words

if TYPE_CHECKING:
    from napari_mdeblurgan.model import ModelCard
    from napari_mdeblurgan.restoration.plan import RestorationPlan


def provenance_of(
    plan: RestorationPlan,
    card: ModelCard,
    source: str,
    *,
    ensemble: bool = False,
    binning: int = 1,
    seconds: float | None = None,
) -> dict[str, Any]:
    """How a result was made, in plain values.

    Parameters
    ----------
    plan : RestorationPlan
        That it came from.
    card : ModelCard
        Of the model.
    source : str
        Name of the image.
    ensemble : bool
        Whether it is the mean of eight orientations.
    binning : int
        By how many pixels along y and x the image was averaged first.
    seconds : float, optional
        How long it took. Without it neither that nor the date is told: then the same image gives
        the same bytes at any time.
    """
    when = datetime.now(UTC).isoformat(timespec="seconds")
    timed = {} if seconds is None else {"seconds": round(seconds, 3), "date": when}
    first = {"binning": binning, "binned": binning_in_words(binning)} if binning > 1 else {}
    return {
        **first,
        "model": card.name,
        "sha256": card.weights_sha256,
        "scale": plan.factor,
        "version": __version__,
        "source": source,
        "window": [(window.low, window.high) for window in plan.windows or ()],
        "device": plan.device,
        "precision": plan.precision,
        "orientations": 8 if ensemble else 1,
        "tile": plan.tile,
        **timed,
        "softness": plan.softness.sigma,
        "softness_reason": plan.softness.reason,
    }
