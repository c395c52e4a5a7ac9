"""A package for the BioImage Model Zoo: one .zip with the weights in three formats, tests, a cover
and documentation.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_mdeblurgan.atomic import replacing, temporary_folder
from napari_mdeblurgan.errors import ExportError
from napari_mdeblurgan.export.description import (
    Author,
    Files,
    check_description,
    check_licence,
    description,
    smallest_input,
)
from napari_mdeblurgan.export.documentation import documentation
from napari_mdeblurgan.export.example import cover, make_example
from napari_mdeblurgan.export.libraries import FOR_PACKAGES, check_installed, check_together
from napari_mdeblurgan.export.onnx import onnx_content
from napari_mdeblurgan.export.torchscript import torchscript_content
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.model_card import CARD_KEY, seal
from napari_mdeblurgan.model_file import weights_digest
from napari_mdeblurgan.restoration.checking import checked_card

_DESCRIPTION = "bioimageio.yaml"


def export_package(
    model: Model, path: str | Path, authors: Sequence[Author], licence: str = ""
) -> None:
    """Write a package whose results are known to be the network's.

    Parameters
    ----------
    model : Model
        From `load_model`.
    path : str or Path
        A .zip; an older file is replaced once the new one is complete.
    authors : sequence of Author
        Who made the model; at least one.
    licence : str
        SPDX identifier; by default what the model's card says.

    Raises
    ------
    ExportError
        If a library is missing, there is no author, no licence or none that SPDX names, or
        bioimage.io refuses the package.
    ModelError
        If `model` is none.
    FileError
        If the file cannot be written.
    """
    licence = licence or checked_card(model).licence
    check_installed(FOR_PACKAGES)
    check_together()
    if not authors:
        raise ExportError(
            "A package names its authors; give at least one: --author 'Name;affiliation'."
        )
    for author in authors:
        if not isinstance(author, Author):
            raise ExportError(
                f"An author is given as `Author(name, affiliation)`, not as {author!r}; wrap it."
            )
    if not licence:
        raise ExportError(
            f"{model.card.name} has no licence in its card; name one with --licence, such as "
            "CC-BY-4.0."
        )
    check_licence(licence)
    with temporary_folder() as folder:
        files = Files(safetensors=f"{model.card.name}.safetensors")
        content = description(model, files, tuple(authors), licence)
        _write_files(model, folder, files, licence)
        check_description(folder, content)
        _write(folder / _DESCRIPTION, content)
        with (
            replacing(path) as target,
            zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            for file in sorted(folder.iterdir()):
                archive.write(file, file.name)


def _write_files(model: Model, folder: Path, files: Files, licence: str) -> None:
    (folder / files.onnx).write_bytes(onnx_content(model))
    (folder / files.torchscript).write_bytes(torchscript_content(model))
    (folder / files.safetensors).write_bytes(_safetensors(model))
    example = make_example(model, smallest_input(model))
    for name, sample, values in (
        (files.test_input, files.sample_input, example.before),
        (files.test_output, files.sample_output, example.after),
    ):
        np.save(folder / name, values)
        tifffile.imwrite(folder / sample, values[0], photometric="minisblack", compression="zlib")
    (folder / files.cover).write_bytes(cover(example))
    names = {
        files.onnx: "the network as ONNX",
        files.torchscript: "the network as TorchScript",
        files.safetensors: "the weights and the model's card; `mdeblurgan import PACKAGE` takes "
        "it out",
    }
    (folder / files.documentation).write_text(
        documentation(model.card, example, licence, names), encoding="utf-8"
    )


def _safetensors(model: Model) -> bytes:
    """The model file with its card as it is, date and version of its making included."""
    from safetensors.numpy import save

    tensors = {
        name: tensor.contiguous().numpy() for name, tensor in model.network.state_dict().items()
    }
    card = asdict(replace(model.card, weights_sha256=weights_digest(tensors)))
    return save(tensors, {CARD_KEY: seal(card)})


def _write(path: Path, content: dict[str, Any]) -> None:
    import yaml

    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
