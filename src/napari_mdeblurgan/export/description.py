"""The description of a package in the words of bioimage.io: axes, sizes, processing, weights, who
made it.

Plain values in the layout of format 0.5, which bioimage.io's own library then has to accept.
"""

from __future__ import annotations

import datetime
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan import __version__
from napari_mdeblurgan.errors import ExportError
from napari_mdeblurgan.export.documentation import PAPER, PAPER_DOI
from napari_mdeblurgan.export.example import EPSILON
from napari_mdeblurgan.export.onnx import INPUT, OPSET, OUTPUT
from napari_mdeblurgan.restoration.intensity import PERCENTILES

if TYPE_CHECKING:
    from napari_mdeblurgan.model import Model

FORMAT_VERSION = "0.5.12"
_TOLERANCE = {
    "relative_tolerance": 1e-3,
    "absolute_tolerance": 1e-4,
}  # what other hardware may differ by
_FORBIDDEN = re.compile(r"[^A-Za-z0-9_+\- ()]")


@dataclass(frozen=True, slots=True)
class Author:
    """Who made the model."""

    name: str
    affiliation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Names of what a description points to; all lie beside it."""

    onnx: str = "weights.onnx"
    torchscript: str = "weights.pt"
    safetensors: str
    test_input: str = "test-input.npy"
    test_output: str = "test-output.npy"
    sample_input: str = "sample-input.tif"
    sample_output: str = "sample-output.tif"
    cover: str = "cover.png"
    documentation: str = "README.md"


def smallest_input(model: Model) -> int:
    """Pixels along y and x of the smallest input whose output has something left once the halo is
    cropped.
    """
    return 2 * model.network.halo + model.network.downsampling


def package_name(name: str) -> str:
    """The model's name as bioimage.io allows it."""
    return f"M-Deblurgan {_FORBIDDEN.sub('-', name)}"[:128]


def description(
    model: Model, files: Files, authors: tuple[Author, ...], licence: str
) -> dict[str, Any]:
    """What the package's rdf.yaml says, as plain values.

    Parameters
    ----------
    model : Model
    files : Files
    authors : tuple of Author
        At least one.
    licence : str
        SPDX identifier.
    """
    import torch

    people = [
        {"name": each.name} | ({"affiliation": each.affiliation} if each.affiliation else {})
        for each in authors
    ]
    software = (
        f"The napari-mdeblurgan developers. napari-mdeblurgan {__version__}, which "
        "implements the method of the paper."
    )
    return {
        "type": "model",
        "format_version": FORMAT_VERSION,
        "name": package_name(model.card.name),
        "description": model.card.description,
        "authors": people,
        # The software has no identifier of its own; it is to be cited together with the paper.
        "cite": [{"text": text, "doi": PAPER_DOI} for text in (PAPER, software)],
        "license": licence,
        "tags": _tags(model),
        "timestamp": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "documentation": {"source": files.documentation},
        "covers": [{"source": files.cover}],
        "attachments": [{"source": files.safetensors}],
        "inputs": [_input(model, files)],
        "outputs": [_output(model, files)],
        "weights": {
            "torchscript": {
                "source": files.torchscript,
                "authors": people,
                "pytorch_version": torch.__version__.split("+")[0],
                "comment": f"Traced from the weights in {files.safetensors}.",
            },
            "onnx": {"source": files.onnx, "opset_version": OPSET, "parent": "torchscript"},
        },
        "config": {"bioimageio": {"reproducibility_tolerance": [_TOLERANCE]}},
    }


def _tags(model: Model) -> list[str]:
    kind = ["rgb", "brightfield"] if model.card.channels == 3 else ["grayscale", "fluorescence"]
    return [
        "2d",
        "deblurring",
        "super-resolution",
        "image-restoration",
        "m-deblurgan",
        "pytorch",
        *kind,
    ]


def _channels(model: Model) -> dict[str, Any]:
    names = ["intensity"] if model.card.channels == 1 else ["red", "green", "blue"]
    return {"type": "channel", "channel_names": names}


def _input(model: Model, files: Files) -> dict[str, Any]:
    size = {"min": smallest_input(model), "step": model.network.downsampling}
    low, high = PERCENTILES
    window = {
        "axes": ["channel", "y", "x"],
        "min_percentile": low,
        "max_percentile": high,
        "eps": EPSILON,
    }
    return {
        "id": INPUT,
        "description": "The blurred image, in any units.",
        "axes": [
            {"type": "batch"},
            _channels(model),
            *({"type": "space", "id": axis, "size": size, "concatenable": True} for axis in "yx"),
        ],
        "data": {"type": "float32"},
        "preprocessing": [{"id": "scale_range", "kwargs": window}],
        "pad": {"mode": "reflect"},
        "test_tensor": {"source": files.test_input},
        "sample_tensor": {"source": files.sample_input},
    }


def _output(model: Model, files: Files) -> dict[str, Any]:
    factor = model.card.scale
    axes = [
        {
            "type": "space",
            "id": axis,
            "size": {"tensor_id": INPUT, "axis_id": axis},
            "scale": 1 / factor,
            "halo": model.network.halo * factor,
        }
        for axis in "yx"
    ]
    return {
        "id": OUTPUT,
        "description": "The restored image: 0 and 1 are the ends of the input's intensity range.",
        "axes": [{"type": "batch"}, _channels(model), *axes],
        "data": {"type": "float32"},
        "test_tensor": {"source": files.test_output},
        "sample_tensor": {"source": files.sample_output},
    }


def check_licence(licence: str) -> None:
    """Find out, before anything is exported, whether bioimage.io knows a licence.

    Raises
    ------
    ExportError
        If it does not.
    """
    from bioimageio.spec.generic.v0_3 import DeprecatedLicenseId, LicenseId

    for kind in (LicenseId, DeprecatedLicenseId):
        with suppress(ValueError):
            kind(licence)
            return
    raise ExportError(
        f"{licence!r} is no SPDX identifier of a licence; name one as https://spdx.org/licenses/ "
        "spells it, such as CC-BY-4.0."
    )


def check_description(folder: Path, content: dict[str, Any]) -> None:
    """Let bioimage.io's own library judge the description and the files that it names.

    Parameters
    ----------
    folder : Path
        Where the files are.
    content : dict
        From `description`.

    Raises
    ------
    ExportError
        If it refuses them, with its first reason.
    """
    from bioimageio.spec import InvalidDescr, ValidationContext, build_description

    found = build_description(
        content, context=ValidationContext(root=folder, perform_io_checks=True)
    )
    if isinstance(found, InvalidDescr):
        errors = [error for detail in found.validation_summary.details for error in detail.errors]
        reason = "; ".join(f"{'.'.join(map(str, each.loc))}: {each.msg}" for each in errors[:1])
        raise ExportError(
            f"bioimage.io does not accept the package ({' '.join(reason.split())[:240]}); mend "
            "that."
        )
