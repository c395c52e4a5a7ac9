"""A trained network and its card, in one file; the models that come with the package and the user's
own.

A model file is safetensors; the card is JSON under the key "mdeblurgan" of the header's metadata.
Nothing is unpickled. Reading a card or listing the models does not import torch.
"""

from __future__ import annotations

import dataclasses
import datetime
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import platformdirs

from napari_mdeblurgan import __version__
from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.errors import FileError, ModelError, need_torch
from napari_mdeblurgan.folders import at_home, folder_there
from napari_mdeblurgan.model_card import CARD_KEY, FORMAT, ModelCard, card_of, check_card, seal
from napari_mdeblurgan.model_file import (
    MAX_HEADER_BYTES,
    SUFFIX,
    Header,
    WeightsDigest,
    open_model_file,
    read_header,
    read_tensor,
    refuse_pickle,
    weights_digest,
)
from napari_mdeblurgan.outputs import local_path, nearest

if TYPE_CHECKING:
    from napari_mdeblurgan.network import Network

__all__ = [
    "Model",
    "ModelCard",
    "check_own_models",
    "find_model",
    "list_models",
    "load_model",
    "model_files",
    "model_path",
    "read_card",
    "save_model",
    "user_model_folder",
]

FOLDER_VARIABLE = "MDEBLURGAN_MODELS"
BUNDLED_FOLDER = Path(__file__).parent / "models"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A network ready for work, with its card. The network is in evaluation mode, float32, on the
    CPU.
    """

    card: ModelCard
    network: Network = field(repr=False)

    def __dask_tokenize__(self) -> str:
        return self.card.weights_sha256


def read_card(path: str | Path) -> ModelCard:
    """Read a model's card; the weights are only measured. Does not import torch.

    Parameters
    ----------
    path : str or Path
        A .safetensors file.

    Raises
    ------
    ModelError
        If the file is missing, a pickle, damaged, from a newer version, or its card is unfit.
    """
    path = local_path(path)
    with open_model_file(path) as file:
        return card_of(read_header(file, path.name), path.name)


def load_model(name_or_path: str | Path) -> Model:
    """Load a model by the name of a bundled or a user's model, or by the path of a .safetensors
    file.

    Besides the network itself, no more than a few megabytes are used.

    Raises
    ------
    NoTorch
        If PyTorch cannot be used.
    ModelError
        If there is no such model, or its file is refused: a pickle, damaged, altered, from a newer
        version, or with weights that do not fit its card.
    """
    path = find_model(name_or_path)
    need_torch()
    from napari_mdeblurgan.network.shape import apart

    with open_model_file(path) as file:
        header = read_header(file, path.name)
        card = card_of(header, path.name)
        network = apart(_empty_network, card, header, path.name)
        state = network.state_dict()
        digest, broken = WeightsDigest(), ""
        for name in sorted(state):
            if not read_tensor(file, header.tensors[name], state[name].numpy(), digest):
                broken = broken or name
    if digest.hexdigest() != card.weights_sha256:
        raise ModelError(
            f"{path.name} was altered after saving (its weights fail their checksum); fetch it "
            "again."
        )
    if broken:
        raise ModelError(
            f"{path.name} has weights that are not finite (in {broken}); train or fetch the model "
            "again."
        )
    _channels_last(network)
    return Model(card, network.eval().requires_grad_(False))


def _channels_last(network: Network) -> None:
    """Have the network's maps lie in memory with the features of a pixel side by side, as
    processors compute; those of an image of one channel alone would lie as planes, which takes
    twice as long.

    The weights are copied by numpy. Torch would have this thread keep helpers of OpenMP, and as
    soon as there are more of these in a process than processors, all of them sleep between two
    pieces of work instead of waiting awake, in the thread that restores, too: a tenth of its time.
    """
    import torch
    from torch import nn

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            weight = module.weight.data
            module.weight.data = torch.empty_like(weight, memory_format=torch.channels_last)
            module.weight.data.numpy()[...] = weight.numpy()


def _empty_network(card: ModelCard, header: Header, file_name: str) -> Network:
    """A network of the card's shape; nothing is allocated before the file is known to hold just
    that.
    """
    from napari_mdeblurgan.network.shape import outline as outline_of

    try:
        outline = outline_of(card.architecture)
    except ValueError as error:
        raise ModelError(
            f"{file_name} has an architecture that this version cannot build ({error}); update "
            "the plugin."
        ) from None
    if outline.halo != card.halo:
        raise ModelError(
            f"{file_name} has a card that contradicts itself: a halo of {card.halo} pixels where "
            f"its architecture needs {outline.halo}; save the model again."
        )
    expected = {name: tuple(tensor.shape) for name, tensor in outline.state_dict().items()}
    found = {name: entry.shape for name, entry in header.tensors.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise ModelError(
                f"{file_name} does not fit its card: tensor {name[:60]!r} should be "
                f"{_size(expected.get(name))} and is {_size(found.get(name))}; fetch or save it "
                "again."
            )
    return _filled(outline)


def _filled(outline: Network) -> Network:
    """An outline with memory for its weights, and the kernels that no file holds; nothing is drawn
    by chance.
    """
    import torch

    from napari_mdeblurgan.network.blocks import Fixed
    from napari_mdeblurgan.network.shape import allocated

    network = allocated(outline)
    with torch.device("cpu"):
        for module in network.modules():
            if isinstance(module, Fixed):
                module.fill()
    return network


def _size(shape: tuple[int, ...] | None) -> str:
    return "absent" if shape is None else " × ".join(str(length) for length in shape) or "one value"


def save_model(network: Network, card: ModelCard, path: str | Path) -> ModelCard:
    """Write a network and its card; what the network itself tells is filled in.

    Parameters
    ----------
    network : Network
        On any device; not changed. Weights are stored as float32.
    card : ModelCard
        Its architecture, scale, channels, halo, version, date, format and digest are replaced.
    path : str or Path
        Ends in .safetensors; folders are made as needed, an older file is replaced once the new one
        is complete.

    Returns
    -------
    ModelCard
        The card as written.

    Raises
    ------
    ModelError
        If there is no network or no card, weights are not finite, or the card is unfit or too long.
    FileError
        If the file cannot be written.
    """
    from safetensors.numpy import save

    path = local_path(path)
    if path.suffix != SUFFIX:
        raise ModelError(
            f"A model is saved as a {SUFFIX} file, not as {path.name!r}; change the file's name."
        )
    if not hasattr(network, "architecture"):
        raise ModelError(
            f"This {type(network).__name__} is no network of this program; pass `model.network` of "
            "what `load_model` returns, or what was trained."
        )
    if not isinstance(card, ModelCard):
        raise ModelError(f"This {type(card).__name__} is no card of a model; pass a `ModelCard`.")
    tensors = {
        name: np.ascontiguousarray(t.detach().float().cpu().numpy())
        for name, t in network.state_dict().items()
    }
    for name, array in tensors.items():
        if not np.isfinite(array).all():
            raise ModelError(
                f"The network's weights are not finite (in {name}); train it again at a lower rate."
            )
    fields = dataclasses.asdict(card) | {
        "architecture": network.architecture,
        "scale": network.scale,
        "channels": network.channels,
        "halo": network.halo,
        "version": __version__,
        "created": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "weights_sha256": weights_digest(tensors),
        "format": FORMAT,
    }
    if fields["output_scale"] is None:  # so that versions which do not know it can read the card
        del fields["output_scale"]
    try:
        written = check_card(fields)
        text = seal(fields)
    except (ValueError, TypeError, RecursionError) as error:
        raise ModelError(
            f"The model's card cannot be saved ({' '.join(str(error).split())[:160]}); mend it."
        ) from None
    content = save(tensors, {CARD_KEY: text})
    if int.from_bytes(content[:8], "little") > MAX_HEADER_BYTES:
        raise ModelError(
            f"The model's card is too long ({len(text)} characters); shorten its lists and scores."
        )
    with replacing(path, make_folders=True) as file:
        file.write(content)
    return written


def user_model_folder() -> Path:
    """Where the user's own models are: the environment's MDEBLURGAN_MODELS, or a folder of the
    user's data.
    """
    chosen = os.environ.get(FOLDER_VARIABLE)
    return (
        at_home(chosen) if chosen else platformdirs.user_data_path("napari-mdeblurgan") / "models"
    )


def check_own_models() -> None:
    """Make sure that a model can be put among the user's own.

    Raises
    ------
    FileError
        If their folder is a file, or may not be written to.
    """
    folder = user_model_folder()
    there = nearest(folder)
    if there.is_dir() and os.access(there, os.W_OK):
        return
    why = f"{there} may not be written to" if there.is_dir() else f"{there} is a file"
    raise FileError(
        f"The folder of your models, {folder}, cannot be used: {why}; name another one with the "
        f"environment variable {FOLDER_VARIABLE}."
    )


def model_files() -> dict[str, Path]:
    """Model files by name: bundled ones first, then the user's."""
    found: dict[str, Path] = {}
    for folder in (BUNDLED_FOLDER, user_model_folder()):
        for path in sorted(folder.glob(f"*{SUFFIX}")) if folder_there(folder) else ():
            if path.name.startswith("."):
                continue
            if path.stem in found:
                log.warning("%s is left out: a bundled model has its name; rename the file.", path)
            else:
                found[path.stem] = path
    return found


def model_path(name: str) -> Path:
    """File of the bundled or user's model called `name`; its name is the file's, less the suffix.

    Raises
    ------
    ModelError
        If there is none; the message names those that there are.
    """
    files = model_files()
    if name not in files:
        known = (
            f"choose one of {', '.join(files)}" if files else f"put one into {user_model_folder()}"
        )
        raise ModelError(
            f"There is no model called {name!r}; {known}, or give the path of a {SUFFIX} file."
        )
    return files[name]


def find_model(name_or_path: str | Path) -> Path:
    """The file that a name or a path means: a known name wins, and what looks like a path is one.

    Raises
    ------
    ModelError
        If there is no model of that name, or the file is a pickle.
    FileError
        If it is an address.
    """
    path = local_path(name_or_path)
    if name_or_path in (files := model_files()):
        return files[str(name_or_path)]
    refuse_pickle(path)
    if isinstance(name_or_path, Path) or path.suffix.lower() == SUFFIX or path.name != name_or_path:
        return path
    return model_path(name_or_path)


def list_models() -> list[ModelCard]:
    """Cards of all models that can be loaded by name, bundled ones first; does not import torch.

    A card is listed under its file's name. A file that cannot be used is left out, with a logged
    warning.
    """
    cards = []
    for name, path in model_files().items():
        try:
            cards.append(dataclasses.replace(read_card(path), name=name))
        except ModelError as error:
            log.warning("%s", error)
    return cards
