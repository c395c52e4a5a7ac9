"""Is structure invented where there is none? A flat field with a camera's noise, restored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_mdeblurgan.degradation import Condition
from napari_mdeblurgan.evaluation.ledger import Ledger
from napari_mdeblurgan.evaluation.methods import Method
from napari_mdeblurgan.evaluation.metrics import cropped
from napari_mdeblurgan.evaluation.protocol import BORDER, condition_id, degraded

_EDGE = 512
_LEVELS = (0.05, 0.2, 0.6)


@dataclass(frozen=True, slots=True)
class Background:
    """One method on one flat field.

    Attributes
    ----------
    method : str
        Name.
    channels : int
        1 for grey, 3 for colour.
    level : float
        Light of the field; 1 fills the camera.
    input_std, output_std : float
        Standard deviations of the noisy field and of its restoration, 8 pixels left out on every
        side; 1 is full scale.
    scale, condition_id, method_id
        As in `Score`.
    """

    method: str
    channels: int
    level: float
    input_std: float
    output_std: float
    scale: int
    condition_id: str
    method_id: str

    @property
    def ratio(self) -> float:
        """At most 1 where nothing is invented."""
        return self.output_std / self.input_std


BACKGROUND_KEYS = ("channels", "level", "scale", "condition_id", "method_id")


def backgrounds(
    methods: Sequence[Method],
    channels: int,
    condition: Condition,
    ledger: Ledger[Background],
) -> Iterator[Background]:
    """Restore flat fields of three levels, seen by the camera of `condition`, with every method.

    Parameters
    ----------
    methods : sequence of Method
        All of one scale.
    channels : {1, 3}
        Of the fields.
    condition : Condition
        One with a camera.
    ledger : Ledger of Background
        What stands there already is taken from there.
    """
    for level in _LEVELS:
        flat = np.full((_EDGE, _EDGE, 3)[: 2 + (channels == 3)], level, np.float32)
        for method in methods:
            key = {
                "channels": channels,
                "level": level,
                "scale": method.scale,
                "condition_id": condition_id(condition),
                "method_id": method.identity,
            }
            known = ledger.find(**key)
            if known is None:
                noisy, _ = degraded(flat, condition, method.scale)
                output = cropped(method.restore(noisy, condition), BORDER)
                noise = cropped(noisy, BORDER // method.scale)
                known = Background(
                    method=method.name,
                    input_std=float(f"{noise.std(axis=(0, 1)).mean():.6g}"),
                    output_std=float(f"{output.std(axis=(0, 1)).mean():.6g}"),
                    **key,  # type: ignore[arg-type]
                )
                ledger.add(known)
            yield replace(known, method=method.name)
