"""What a file keeps of how a result was made and how far it can be trusted, in values that JSON has; see `storage.provenance`.

The record is a dictionary with the `version` of its form and a list `layers`: one entry for a result, or one for each of its
channels where these were layers of their own. An entry has

- `made`: model, weights, version, source, intensity window, softness, averaging, orientations, …, as `provenance_of` tells;
- `trust`: what was found out about it, as `trust_record` tells; it lacks where nothing was;
- what a viewer adds, such as the name of a layer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan import __version__

if TYPE_CHECKING:
    from napari_mdeblurgan.model import ModelCard
    from napari_mdeblurgan.restoration.plan import RestorationPlan
    from napari_mdeblurgan.trust.assess import Assessment

VERSION = 1


def record_of(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A record of results, an entry for each; what JSON cannot hold is left out."""
    return {"version": VERSION, "layers": [json_values(entry) for entry in entries]}


def entries_of(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries of a record that was read from a file; none where it is something else, or of a later version."""
    entries, version = record.get("layers"), record.get("version")
    if not isinstance(version, int) or version > VERSION or not isinstance(entries, list):
        return []
    return [entry for entry in entries if isinstance(entry, dict)]


def provenance_of(
    plan: RestorationPlan,
    card: ModelCard,
    source: str,
    *,
    ensemble: bool = False,
    binning: int = 1,
    seconds: float = 0.0,
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
    seconds : float
        How long it took.
    """
    from napari_mdeblurgan.restoration.binning import in_words

    first = {"binning": binning, "binned": in_words(binning)} if binning > 1 else {}
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
        "seconds": round(seconds, 3),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "softness": plan.softness.sigma,
        "softness_reason": plan.softness.reason,
    }


def trust_record(
    assessment: Assessment,
    settings: Mapping[str, str],
    softness: float,
    pixel_size: float | None = None,
    unit: str = "",
    date: str = "",
) -> dict[str, Any]:
    """What was found out about a result: the sentence, the figures, bare and as the report has them, and the report's settings.

    Parameters
    ----------
    assessment : Assessment
    settings : mapping of str to str
        As in `Report`.
    softness : float
        Of the result that was assessed, σ in its pixels.
    pixel_size, unit, date
        As in `Report`.
    """
    from napari_mdeblurgan.trust.figures import Figures
    from napari_mdeblurgan.trust.report import figures_in_words

    return {
        "sentence": assessment.sentence,
        "softness": softness,
        "numbers": {each.name: getattr(assessment, each.name) for each in fields(Figures)},
        "figures": [list(row) for row in figures_in_words(assessment, pixel_size, unit)],
        "settings": dict(settings),
        "date": date,
    }


def verdict_of(trust: Any, softness: Any) -> str:
    """The sentence of a trust record for a result that is shown with some softness; empty where there is none."""
    sentence = trust.get("sentence") if isinstance(trust, Mapping) else None
    if not isinstance(sentence, str):
        return ""
    assessed = trust.get("softness")
    known = isinstance(assessed, int | float) and isinstance(softness, int | float)
    return f"{found_for(assessed, softness)}{sentence}" if known else sentence


def found_for(assessed: float, shown: float) -> str:
    """Where a result is shown softer or sharper by now than it was assessed, what to say before the sentence."""
    if assessed == shown:
        return ""
    return f"Found for softness {assessed:.2g} px, and it is shown with {shown:.2g} px now: "


def json_values(value: Any) -> Any:
    """The same as JSON has it: tuples are lists, numpy's numbers are numbers, and what it has no place for is None."""
    match value:
        case Mapping():
            return {str(key): json_values(each) for key, each in value.items()}
        case list() | tuple():
            return [json_values(each) for each in value]
        case np.ndarray():
            return json_values(value.tolist())
        case np.generic():
            return json_values(value.item())
        case float():
            return value if math.isfinite(value) else None
        case str() | bool() | int():
            return value
    return None
