"""`mdeblurgan export` and `mdeblurgan import`: models for other programs, and the way back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_mdeblurgan.commands.common import (
    WrongUse,
    as_wrong_use,
    check_local,
    check_model,
    check_source_path,
    one_line_errors,
)
from napari_mdeblurgan.errors import FileError, ImportMisused
from napari_mdeblurgan.exclusive import claimed

_PACKAGE, GRAPH = ".zip", ".onnx"


def export_model(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name or .safetensors file.")],
    output: Annotated[
        Path, typer.Argument(metavar="OUT", help="Ends in .zip (bioimage.io) or .onnx.")
    ],
    author: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'NAME;AFFILIATION'",
            help="Of a package; again for more. The affiliation may be left out.",
        ),
    ] = None,
    licence: Annotated[
        str,
        typer.Option(
            "--licence", "--license", metavar="SPDX", help="Of a package; by default the card's."
        ),
    ] = "",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that is there already.")
    ] = False,
) -> None:
    """Export a model for other programs.

    A .zip is a package for the BioImage Model Zoo: the weights as ONNX, TorchScript and
    safetensors, test images, a cover and documentation. An .onnx is the network alone, for images
    of any size that is a multiple of 8. Both are checked against the model's own results before
    they are written. Needs the extra `export`.

    \b
    Examples:
      mdeblurgan export gray-x2 gray-x2.onnx
      mdeblurgan export mine.safetensors mine.zip --author "Ada Lovelace;Some Institute"
      mdeblurgan export mine.safetensors mine.zip --author "Ada Lovelace" --licence CC-BY-4.0
    """
    with one_line_errors(context):
        kind = output.suffix.lower()
        _check_output(output, overwrite)
        check_model(model)
        authors = [_author(text) for text in author or ()]
        if kind == _PACKAGE and not authors:
            raise WrongUse(
                "a package names its authors; give at least one: --author 'Name;affiliation'."
            )
        if kind == GRAPH and (authors or licence):
            raise WrongUse(
                "an .onnx file names neither authors nor a licence; leave them out, or export to "
                "a .zip."
            )
        from napari_mdeblurgan.model import load_model

        with claimed(output):  # it takes long; another command would replace what this one makes
            if kind == GRAPH:
                from napari_mdeblurgan.export.onnx import export_onnx

                export_onnx(load_model(model), output)
            else:
                from napari_mdeblurgan.export.description import Author
                from napari_mdeblurgan.export.package import export_package

                export_package(
                    load_model(model), output, [Author(*each) for each in authors], licence
                )
        print(output)


def import_model(
    context: typer.Context,
    package: Annotated[Path, typer.Argument(metavar="PACKAGE", help="A .zip that was exported.")],
    name: Annotated[
        str, typer.Option(help="What to call the model; by default what its card says.")
    ] = "",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a model of that name.")
    ] = False,
) -> None:
    """Put the model of an exported package among your own.

    Only the safetensors file in the package is used, and checked as every model file is; nothing in
    it is ever run.

    \b
    Example:
      mdeblurgan import theirs.zip --name theirs
    """
    with one_line_errors(context):
        check_source_path(package)
        from napari_mdeblurgan.export.importing import import_package

        with as_wrong_use(ImportMisused):
            called, path = import_package(package, name, overwrite=overwrite)
        print(f"{called}: {path}")


def _check_output(path: Path, overwrite: bool) -> None:
    from napari_mdeblurgan.storage.writing import check_place

    if path.suffix.lower() not in (_PACKAGE, GRAPH):
        raise WrongUse(f"{path} should end in {_PACKAGE}, for a package, or in {GRAPH}.")
    with as_wrong_use(FileError):
        check_place(check_local(path))
    if path.exists() and not overwrite:
        raise WrongUse(f"{path} is there already; choose another name or add --overwrite.")


def _author(text: str) -> tuple[str, str]:
    """Name and affiliation."""
    name, _, affiliation = (part.strip() for part in text.partition(";"))
    if not name:
        raise WrongUse(f"--author {text!r} has no name; write it as 'Name;affiliation'.")
    return name, affiliation
