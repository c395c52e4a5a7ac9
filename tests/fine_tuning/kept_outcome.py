"""What lies in the folder of a fine-tuning that was concluded."""

from __future__ import annotations

import json
from typing import Any

from napari_mdeblurgan.fine_tuning.better import GainVerdict
from napari_mdeblurgan.fine_tuning.folder import FineTuneFolder
from napari_mdeblurgan.fine_tuning.outcome import HeldOut, MethodScore, TuningOutcome


def read_outcome(folder: FineTuneFolder) -> TuningOutcome:
    """What came of the fine-tuning in a folder, the last time that it was concluded."""
    values: dict[str, Any] = json.loads(folder.result.read_text(encoding="utf-8"))
    values.pop("sha256")
    return TuningOutcome(
        **values
        | {
            "methods": tuple(MethodScore(**each) for each in values["methods"]),
            "parts": tuple(HeldOut(**each) for each in values["parts"]),
            "verdict": GainVerdict(**values["verdict"]),
            "notes": tuple(values["notes"]),
        }
    )
