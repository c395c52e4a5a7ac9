"""What a fine-tuning needs before it can begin, what is written then, on a thread, and how it
goes, in words. No Qt in here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.errors import TrainingError
from napari_mdeblurgan.fine_tuning.folder import (
    FineTuneFolder,
    begin,
    discard,
    folder_for,
    free_name,
    keep_settings,
)
from napari_mdeblurgan.restoration.colourless import FOR_COLOURS, FOR_GREY
from napari_mdeblurgan.widgets.shared import offered_models, wording
from napari_mdeblurgan.widgets.shared.unexpected import in_one_sentence

if TYPE_CHECKING:
    from napari_mdeblurgan.fine_tuning.settings import FineTuneSettings
    from napari_mdeblurgan.model import ModelCard
    from napari_mdeblurgan.pairs import RegisteredPair

STOPPING = "Stopping; the best so far becomes the model…"
FINE_TUNE = "Fine-tune"
NOT_BEGUN = "Stopped: nothing was learned this time."


def closed_while(training: str, *, starting: bool, registering: bool) -> str:
    """What is said where the dock is closed: nothing unless something is at work.

    Parameters
    ----------
    training : str
        The model that is fine-tuned now; empty where none is.
    starting : bool
        Whether a fine-tuning is being begun or resumed.
    registering : bool
        Whether pairs are being registered.
    """
    if training:
        doing, kept = f"the fine-tuning of {training!r}", "what it has reached is kept"
        return wording.closed_at_work(FINE_TUNE, doing, kept, f"press {wording.RESUME}")
    if not starting and not registering:
        return ""
    doing = "the start of a fine-tuning" if starting else "the registration of pairs"
    return wording.closed_at_work(FINE_TUNE, doing, wording.NOTHING_KEPT, "press Register")


def tuning_lacks(
    card: ModelCard | None, registered: bool, used: Sequence[RegisteredPair], name: str
) -> str:
    """Why no fine-tuning can begin, in one sentence; empty if one can.

    Parameters
    ----------
    card : ModelCard or None
        The base model's.
    registered : bool
        Whether there are pairs, ticked or not.
    used : sequence of RegisteredPair
        Those that are ticked.
    name : str
        The new model's.
    """
    if card is None:
        return "There is no model to start from: install or train one first."
    if not registered:
        return (
            "Add pairs first: choose two layers, two folders, a table or focus stacks, and "
            "press Register."
        )
    if not used:
        return "Tick at least one pair to learn from."
    if any(pair.scale not in (card.scale, 1) for pair in used):
        return (
            f"The pairs were registered for another enlargement than {card.name}'s "
            f"×{card.scale}: register them again."
        )
    if card.channels == 3 and not all(pair.rgb for pair in used):
        return f"{card.name} is for colour images, but a pair is grey: choose another base model."
    if not name:
        return "Give the new model a name."
    from napari_mdeblurgan.pairs.pair import mixed

    return mixed(used)


def asked_of_base(card: ModelCard, used: Sequence[RegisteredPair], *, picked: bool) -> int | None:
    """Channels of a base model that fits pairs better than the chosen one; None where that fits.

    Parameters
    ----------
    card : ModelCard
        Of the chosen one.
    used : sequence of RegisteredPair
        What is to be learned from.
    picked : bool
        Whether the user has chosen it: then colours without a colour may be learned by it, too.
    """
    in_colours = all(pair.rgb for pair in used)
    colourless = in_colours and all(pair.colourless for pair in used)
    bundled = card.name == offered_models.BUNDLED_MODELS[card.channels]
    known_better = colourless and bundled and not picked
    if not used:
        return None
    if card.channels == FOR_COLOURS and (not in_colours or known_better):
        return FOR_GREY
    return FOR_COLOURS if card.channels == FOR_GREY and in_colours and not colourless else None


def refuse_taken_name(settings: FineTuneSettings) -> None:
    """Make sure that the new model takes no other one's name.

    Raises
    ------
    TrainingError
        If it would.
    """
    free = free_name(settings.name)
    if free == settings.name:
        return
    if folder_for(settings).begun:
        raise TrainingError(
            f"{settings.name} was begun before: press Resume to go on with it, or call the new "
            f"model {free}."
        )
    raise TrainingError(f"The name {settings.name} is taken: call the new model {free}.")


def validated(event: Mapping[str, Any], plain: str) -> str:
    """How good a step was that was judged, in one sentence.

    Parameters
    ----------
    event : mapping
        Of kind "step", with a validation.
    plain : str
        What the network is compared with besides the base model.
    """
    validation = event["validation"]
    over = "bicubic enlargement" if plain == "bicubic" else f"the {plain}"
    gain = validation["psnr_db"] - validation["bicubic_psnr_db"]
    return (
        f"Step {event['step']:,}: {validation['psnr_db']:.2f} dB on the held-out part, "
        f"{gain:+.2f} dB over {over}; the best so far after step {event['best_step']:,}."
    )


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
    except Exception as error:
        return in_one_sentence(error, "The start of the fine-tuning")


def resumed_with(
    folder: FineTuneFolder, settings: FineTuneSettings, stopped: Callable[[], bool]
) -> FineTuneFolder | str:
    """Write the settings to go on with; a sentence where that fails."""
    try:
        if not stopped():
            keep_settings(folder, settings)
    except Exception as error:
        return in_one_sentence(error, "The start of the fine-tuning")
    return folder
