"""What the user chose last, kept for the next time in a small JSON file."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from platformdirs import user_config_path

from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.errors import FileError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Choices:
    """The device, a model for each kind of image, and a folder for results; empty where nothing was chosen yet."""

    device: str = "auto"
    rgb_model: str = ""
    grey_model: str = ""
    results_folder: str = ""


def choices_path() -> Path:
    """The file; the environment variable MDEBLURGAN_CONFIG names another folder for it."""
    folder = os.environ.get("MDEBLURGAN_CONFIG")
    return (Path(folder) if folder else user_config_path("napari-mdeblurgan")) / "choices.json"


def read_choices() -> Choices:
    """Read the last choices; anything missing or unreadable is as if nothing had been chosen."""
    try:
        stored = json.loads(choices_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Choices()
    if not isinstance(stored, dict):
        return Choices()
    known = {field.name for field in fields(Choices)}
    return Choices(**{name: text for name, text in stored.items() if name in known and isinstance(text, str)})


def write_choices(choices: Choices) -> None:
    """Keep `choices`; a folder that cannot be written costs only the memory of them."""
    try:
        with replacing(choices_path(), make_folders=True) as file:
            file.write(json.dumps(asdict(choices), indent=1).encode())
    except FileError as error:
        log.info("the last choices were not kept: %s", error)
