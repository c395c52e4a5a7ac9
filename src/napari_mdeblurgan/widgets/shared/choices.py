"""What the user chose last, kept for the next time in a small JSON file."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

from platformdirs import user_config_path

from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.errors import FileError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance  # for type checkers alone

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Choices:
    """What was chosen: the device, a model for each kind of image, and a folder for results (empty:
    none yet).

    And whether results are made on disk where they need not be, and assessed, and made of eight
    orientations, and images halved first, and how many pixels results have, and how before and
    after are compared, which map of trust is shown, and whether the details of a verdict are; and
    the name of the Shapes layer whose shapes alone are restored, empty for the whole image.
    """

    device: str = "auto"
    rgb_model: str = ""
    grey_model: str = ""
    trust: str = "yes"
    ensemble: str = "no"
    halve: str = "no"
    output: str = "model"
    compare: str = "Blink"
    map: str = "error"
    details: str = "folded"
    results_folder: str = ""
    only_here: str = ""
    to_disk: str = "no"


_Kind = TypeVar("_Kind", bound="DataclassInstance")


def choices_path(kind: type = Choices) -> Path:
    """The file for choices of a kind; the environment variable MDEBLURGAN_CONFIG names another
    folder for it.
    """
    folder = os.environ.get("MDEBLURGAN_CONFIG")
    return (
        Path(folder) if folder else user_config_path("napari-mdeblurgan")
    ) / f"{kind.__name__.lower()}.json"


@overload
def read_choices() -> Choices: ...
@overload
def read_choices(kind: type[_Kind]) -> _Kind: ...
def read_choices(kind: type = Choices) -> Any:
    """Read the last choices, a dataclass of texts; anything missing or unreadable is as if nothing
    had been chosen.
    """
    try:
        stored = json.loads(choices_path(kind).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return kind()
    if not isinstance(stored, dict):
        return kind()
    known = {field.name for field in fields(kind)}
    return kind(
        **{name: text for name, text in stored.items() if name in known and isinstance(text, str)}
    )


def write_choices(choices: DataclassInstance) -> None:
    """Keep `choices`; a folder that cannot be written costs only the memory of them."""
    try:
        with replacing(choices_path(type(choices)), make_folders=True) as file:
            file.write(json.dumps(asdict(choices), indent=1).encode())
    except FileError as error:
        log.info("the last choices were not kept: %s", error)


class Remembered:
    """The last choices of this widget, written as soon as they change.

    Attributes
    ----------
    choices : Choices
        What they are now.
    """

    def __init__(self) -> None:
        self.choices: Choices = read_choices()

    def change(self, **changes: str) -> None:
        """Keep what was chosen."""
        changed = replace(self.choices, **changes)
        if changed != self.choices:
            self.choices = changed
            write_choices(changed)
