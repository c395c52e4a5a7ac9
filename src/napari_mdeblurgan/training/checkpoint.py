"""Checkpoints: tensors and plain values in one safetensors file that is either
whole or not there.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.errors import FileError

CHECKPOINT_KEY = "training"


def save_checkpoint(path: Path, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
    """Write a checkpoint; the one before it is kept under the name that `previous` gives.

    Parameters
    ----------
    path : Path
        A .safetensors file.
    tensors : dict of str to Tensor
        On any device.
    values : dict
        What JSON can hold; floats come back to the last bit.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    content = safetensors.torch.save(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
        {CHECKPOINT_KEY: json.dumps(values)},
    )
    with replacing(path) as file:
        file.write(content)
        file.flush()
        with contextlib.suppress(FileNotFoundError):
            path.replace(previous(path))


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_checkpoint` wrote.

    Raises
    ------
    FileError
        If the file is missing, damaged or no checkpoint.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get(CHECKPOINT_KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if text is None:
            raise FileError(f"{path} is no checkpoint of a training; choose another file.")
        return tensors, json.loads(text)
    except (OSError, safetensors.SafetensorError, json.JSONDecodeError) as error:
        mend = (
            f"; remove it, and {previous(path).name} beside it, the one before, is gone on with"
            if previous(path).exists()
            else ""
        )
        raise FileError(
            f"{path} cannot be read ({' '.join(str(error).split())[:120]}){mend}."
        ) from None


def previous(path: Path) -> Path:
    """Where the checkpoint before the last one is kept."""
    return path.with_stem(f"{path.stem}-previous")


def latest(path: Path) -> Path | None:
    """The checkpoint to go on from: the last, or the one before where writing the last was cut off;
    None where there is none.
    """
    return next((each for each in (path, previous(path)) if each.exists()), None)


def went_back_to(path: Path) -> str:
    """What the user should know where `latest` is not the last checkpoint, but the one before."""
    return f"the last checkpoint was not finished; going on from the one before, {path.name}"
