"""What is written before a fine-tuning starts, on a thread. No Qt in here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_mdeblurgan.errors import MdeblurganError
from napari_mdeblurgan.fine_tuning.folder import FineTuneFolder, begin, keep_settings

if TYPE_CHECKING:
    from napari_mdeblurgan.fine_tuning.settings import FineTuneSettings
    from napari_mdeblurgan.model import ModelCard
    from napari_mdeblurgan.pairs import RegisteredPair


def begun_with(settings: FineTuneSettings, card: ModelCard, pairs: list[RegisteredPair]) -> FineTuneFolder | str:
    """Write what the process needs; a sentence where that fails. The ticks are the user's word."""
    from napari_mdeblurgan.fine_tuning.pairs import tuning_pairs

    try:
        return begin(settings, tuning_pairs(pairs, card, trust=True))
    except MdeblurganError as error:
        return str(error)


def resumed_with(folder: FineTuneFolder, settings: FineTuneSettings) -> FineTuneFolder | str:
    """Write the settings to go on with; a sentence where that fails."""
    try:
        keep_settings(folder, settings)
    except MdeblurganError as error:
        return str(error)
    return folder
