"""`mdeblurgan evaluate`: a report on models, beside what they are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_mdeblurgan.commands.common import (
    COLOUR_MODEL,
    GREY_MODEL,
    WrongUse,
    as_wrong_use,
    check_device,
    check_model,
    check_source_folder,
    one_line_errors,
)
from napari_mdeblurgan.commands.options import DeviceOption
from napari_mdeblurgan.commands.progress_bar import with_progress
from napari_mdeblurgan.errors import FileError, need_torch
from napari_mdeblurgan.outputs import check_output_folder

if TYPE_CHECKING:
    from napari_mdeblurgan.evaluation.evaluation_report import Evaluation

SEVERAL = {"both": ("gaussian", "physical"), "all": ("gaussian", "physical", "strong")}
_LINE_EVERY = 0.05  # of the work, where progress goes into a pipe
_OURS = ("report.md", "report.html", "scores.csv")  # what a folder that may be written to holds


class Protocols(StrEnum):
    """What models are judged under."""

    gaussian = "gaussian"
    physical = "physical"
    both = "both"
    strong = "strong"
    all = "all"


def evaluate(
    context: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="FOLDER",
            help="Sharp images; with --real, focus series and pairs.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[Path, typer.Option(metavar="REPORT", help="Folder of the report.")] = Path(
        "evaluation"
    ),
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--models",
            "--model",
            metavar="NAME_OR_PATH",
            help="To judge; again for more. [rgb-x2, gray-x2]",
        ),
    ] = None,
    protocol: Annotated[
        Protocols | None,
        typer.Option(
            help="The paper's blur, objective and camera, or both; blur stronger than those; all. "
            "[both]"
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Images of each kind at most, spread evenly.")
    ] = None,
    runs: Annotated[
        list[Path] | None,
        typer.Option(
            "--runs",
            "--run",
            metavar="RUN",
            help="A training run, to draw its PSNR per epoch; again for more.",
        ),
    ] = None,
    no_richardson_lucy: Annotated[
        bool, typer.Option("--no-richardson-lucy", help="Leave it out.")
    ] = False,
    fundus: Annotated[
        bool,
        typer.Option(
            "--fundus", help="512² squares of fundus images; without FOLDER, scikit-image's retina."
        ),
    ] = False,
    real: Annotated[
        bool,
        typer.Option(
            "--real",
            help="FOLDER holds real blur: planes of a focus series, or what its real.toml says.",
        ),
    ] = False,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--sets",
            "--set",
            metavar="NAME",
            help="With --real, part of a set's name; again for more. [all]",
        ),
    ] = None,
    advised: Annotated[
        bool,
        typer.Option(
            "--advised",
            help="With --real, also models as the program advises: images binned first as it says.",
        ),
    ] = False,
    halve: Annotated[
        bool | None,
        typer.Option(
            "--halve/--no-halve",
            help="With --real, also (or never) models on images halved first. [as the sets say]",
        ),
    ] = None,
    device: DeviceOption = "auto",
) -> None:
    """Judge models by simulated or by real blur.

    They are judged beside bicubic enlargement, Richardson-Lucy deconvolution and each other. REPORT
    gets report.md (with --real, report.html) with tables and pictures, and all figures as CSV. The
    same command again measures only what is not there yet, so that an interrupted evaluation goes
    on.

    \b
    Examples:
      mdeblurgan evaluate sharp-images --output report
      mdeblurgan evaluate --fundus --models rgb-x2 --models run/unet.safetensors
      mdeblurgan evaluate focus-series --real --output real-report
    """
    with one_line_errors(context):
        for name in models or ():
            check_model(name)
        need_torch()
        check_device(device)
        if real:
            if fundus or runs or limit is not None or protocol is not None:
                raise WrongUse(
                    "--real does not go together with --protocol, --fundus, --runs or --limit; "
                    "leave them out."
                )
            judge_by_real_blur(
                folder,
                output,
                models or (),
                sets=sets or (),
                halve=halve,
                advised=advised,
                sharpened=not no_richardson_lucy,
                device=device,
            )
            return
        if sets or halve is not None or advised:
            raise WrongUse("--sets, --halve and --advised are for real blur; add --real.")
        _judge(
            folder,
            output,
            models or (),
            protocol or Protocols.both,
            limit=limit,
            runs=runs or (),
            richardson_lucy=not no_richardson_lucy,
            device=device,
            fundus=fundus,
        )


def _judge(
    folder: Path | None,
    output: Path,
    models: Sequence[str],
    protocol: str,
    *,
    limit: int | None,
    runs: Sequence[Path],
    richardson_lucy: bool,
    device: str,
    fundus: bool,
) -> None:
    """Measure what is not known yet, write the report, and print what it comes to.

    Parameters
    ----------
    folder : Path or None
        Sharp images; None only with `fundus`.
    output : Path
        Folder of the report.
    models : sequence of str
        Names or paths; empty takes those that come with the package.
    protocol : {"gaussian", "physical", "both", "strong", "all"}
        Degradations; both: the first two.
    limit : int or None
        Images of each kind at most.
    runs : sequence of Path
        Folders of training runs.
    richardson_lucy : bool
        Whether to compare with it.
    device : str
        For the networks.
    fundus : bool
        Whether to cut squares of fundus images.

    Raises
    ------
    WrongUse
        Before any work, where it cannot be meant so.
    MdeblurganError
        If something cannot be read, measured or written.
    """
    if folder is None and not fundus:
        raise WrongUse(
            "name a FOLDER of sharp images, or add --fundus to judge by scikit-image's retina "
            "image."
        )
    if folder is not None:
        check_source_folder(folder, "with sharp images")
    _check_output(output)
    from napari_mdeblurgan.evaluation import evaluate as evaluation

    options = evaluation.EvaluationOptions(
        folder=folder,
        output=output,
        models=tuple(models) or (COLOUR_MODEL, GREY_MODEL),
        protocols=SEVERAL.get(protocol, (protocol,)),
        limit=limit,
        runs=tuple(runs),
        richardson_lucy=richardson_lucy,
        device=device,
        fundus=fundus,
    )
    found = with_progress(
        evaluation.evaluation_steps(options),
        unit="result",
        every=_LINE_EVERY,
        at=lambda step: step.at,
    )
    for line in _summary(found):
        print(line)
    print(output / "report.md")


def judge_by_real_blur(
    folder: Path | None,
    output: Path,
    models: Sequence[str],
    *,
    sets: Sequence[str],
    halve: bool | None,
    advised: bool,
    sharpened: bool,
    device: str,
) -> None:
    """Judge models by real blur: measure what is not known yet, write the report, and print what it
    comes to.

    Parameters
    ----------
    folder : Path or None
        Focus series and pairs; there must be one.
    output : Path
        Folder of the report.
    models : sequence of str
        Names or paths; empty takes those that come with the package.
    sets : sequence of str
        Parts of names of sets; empty takes all.
    halve : bool or None
        Whether models are also judged with the image halved first; None does what the sets ask for.
    advised : bool
        Whether models are also judged as the program advises.
    sharpened : bool
        Whether to compare with unsharp masking and Richardson-Lucy.
    device : str
        For the networks.

    Raises
    ------
    WrongUse
        Before any work, where it cannot be meant so.
    MdeblurganError
        If something cannot be read, measured or written.
    """
    if folder is None:
        raise WrongUse("name a FOLDER that holds a focus series, or several.")
    check_source_folder(folder, "that holds a focus series, or several")
    _check_output(output)
    from napari_mdeblurgan.evaluation.real.gains import summary_lines
    from napari_mdeblurgan.evaluation.real.judge import RealOptions
    from napari_mdeblurgan.evaluation.real.judge import evaluate_real as evaluation
    from napari_mdeblurgan.evaluation.real.page import REAL_PAGE, write_page

    options = RealOptions(
        folder=folder,
        output=output,
        models=tuple(models) or (COLOUR_MODEL, GREY_MODEL),
        sets=tuple(sets),
        halve=halve,
        advised=advised,
        sharpened=sharpened,
        device=device,
    )
    found = with_progress(
        evaluation(options), unit="result", every=_LINE_EVERY, at=lambda step: step.at
    )
    for note in found.notes:
        print(f"mdeblurgan: {note}")
    for line in summary_lines(found.scores):
        print(line)
    write_page(output / REAL_PAGE, found)
    print(output / REAL_PAGE)


def _check_output(output: Path) -> None:
    with as_wrong_use(FileError):
        check_output_folder(
            output, "the report", ours=any((output / name).exists() for name in _OURS)
        )


def _summary(found: Evaluation) -> list[str]:
    """One line for every network: its mean gains over bicubic under each protocol."""
    lines = [f"mdeblurgan: {note}" for note in found.notes]
    for comparison in found.comparisons:
        for method in comparison.networks:
            gains = []
            for protocol, conditions in found.protocols.items():
                gain = comparison.gains(method, comparison.methods[0], "psnr_db", conditions)
                gains.append(f"{protocol} {gain.mean():+.2f} dB (worst {gain.min():+.2f} dB)")
            lines.append(f"{comparison.title}: {method.name} over bicubic: {', '.join(gains)}")
    return lines
