"""What is written before a fine-tuning starts, on a thread. No Qt in here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from napari_mdeblurgan.errors import MdeblurganError
from napari_mdeblurgan.fine_tuning.folder import FineTuneFolder, begin, discard, keep_settings

if TYPE_CHECKING:
    from napari_mdeblurgan.fine_tuning.settings import FineTuneSettings
    from napari_mdeblurgan.model import ModelCard
    from napari_mdeblurgan.pairs import RegisteredPair

STOPPING = "Stopping; the best so far becomes the model…"
NOT_BEGUN = "Stopped before anything was learned."


def begun_with(
    settings: FineTuneSettings,
    card: ModelCard,
    pairs: list[RegisteredPair],
    stopped: Callable[[], bool],
) -> FineTuneFolder | str:
    """Write what the process needs; a sentence where that fails. The ticks are the user's word.

    Where it was stopped meanwhile, nothing is left of it.
    """
    from napari_mdeblurgan.fine_tuning.pairs import tuning_pairs

    try:
        folder = begin(settings, tuning_pairs(pairs, card, trust=True))
        if stopped():
            discard(folder)
        return folder
    except MdeblurganError as error:
        return str(error)


def resumed_with(
    folder: FineTuneFolder, settings: FineTuneSettings, stopped: Callable[[], bool]
) -> FineTuneFolder | str:
    """Write the settings to go on with; a sentence where that fails."""
    try:
        if not stopped():
            keep_settings(folder, settings)
    except MdeblurganError as error:
        return str(error)
    return folder
