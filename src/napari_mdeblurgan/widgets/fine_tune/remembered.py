"""What the user chose last in the widget, kept in a small JSON file beside the other choices."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.widgets.shared.choices import choices_path

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RememberedTuning:
    """Where pairs were taken from, and the main knobs."""

    source: int = 0
    low_folder: str = ""
    high_folder: str = ""
    table: str = ""
    stacks: str = ""
    stacks_registered: bool = False
    low_objective: float = 5.0
    high_objective: float = 10.0
    base: str = ""
    minutes: float = 10.0


def _path() -> Path:
    return choices_path().with_name("fine-tune.json")


def read_remembered() -> RememberedTuning:
    """The last choices; anything missing or unreadable is as if nothing had been chosen."""
    try:
        stored = json.loads(_path().read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return RememberedTuning()
    if not isinstance(stored, dict):
        return RememberedTuning()
    known = {field.name: type(field.default) for field in fields(RememberedTuning)}
    fitting: dict[str, Any] = {
        name: value for name, value in stored.items() if type(value) is known.get(name)
    }
    return RememberedTuning(**fitting)


def write_remembered(choices: RememberedTuning) -> None:
    """Keep them; a folder that cannot be written costs only the memory of them."""
    try:
        with replacing(_path(), make_folders=True) as file:
            file.write(json.dumps(asdict(choices), indent=1).encode())
    except FileError as error:
        log.info("the last choices were not kept: %s", error)
