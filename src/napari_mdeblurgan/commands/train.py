"""`mdeblurgan train`: from a folder of sharp images to a model, in as many sittings as it takes."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_mdeblurgan.commands.common import (
    WrongUse,
    as_wrong_use,
    check_source_folder,
    device_option,
    fail,
    one_line_errors,
    quoted,
)
from napari_mdeblurgan.errors import need_torch
from napari_mdeblurgan.interruption import stopped_by_signals

if TYPE_CHECKING:
    from napari_mdeblurgan.training.config import TrainingConfig
    from napari_mdeblurgan.training.run import Run, TrainingStep

_LINE_EVERY = 0.05  # of the steps, where progress goes into a pipe


class KindChoice(StrEnum):
    """What images a model takes."""

    rgb = "rgb"
    grey = "grey"


class Perceptual(StrEnum):
    """Whose features the perceptual loss compares."""

    vgg19 = "vgg19"
    matching = "feature-matching"
    none = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """The options of the command; None and "" where one was not given."""

    config: Path | None = None
    model_name: str | None = None
    kind: str | None = None
    scale: int | None = None
    steps: int | None = None
    minutes: float | None = None
    device: str | None = None
    perceptual: str | None = None
    vgg19: str = ""
    start: str | None = None
    overwrite: bool = False


def train(
    context: typer.Context,
    folder: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="Sharp images.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Folder for all that the run writes.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Configuration, a .toml.")
    ] = None,
    model_name: Annotated[str | None, typer.Option(help="What the model is called.")] = None,
    kind: Annotated[
        KindChoice | None,
        typer.Option(help="Of the model; by default what all images of FOLDER are."),
    ] = None,
    scale: Annotated[int | None, typer.Option(help="2 or 4.")] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="In all, instead of the schedule's epochs.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="End after so long, with the model so far.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu, mps, cuda or cuda:N.", callback=device_option)
    ] = None,
    perceptual: Annotated[
        Perceptual | None, typer.Option(help="The paper's full loss; none: for measuring.")
    ] = None,
    vgg19: Annotated[
        str, typer.Option(metavar="PATH|ADDRESS", help="VGG19's weights; an address: download.")
    ] = "",
    start: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Start from a model, not from nothing.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Begin anew in a RUN that is there.")
    ] = False,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print a configuration and exit.")
    ] = False,
) -> None:
    """Train a model on a folder of sharp images.

    RUN gets the model, its scores on images that were held out, curves, samples and checkpoints.
    The same command goes on where it was interrupted. With torchrun it runs on several GPUs or
    hosts.

    \b
    Example:
      mdeblurgan train sharp-images --output run --minutes 60
    """
    interrupted = ""
    with one_line_errors(context):
        options = TrainOptions(
            config=config,
            model_name=model_name,
            kind=kind,
            scale=scale,
            steps=steps,
            minutes=minutes,
            device=device,
            perceptual=perceptual,
            vgg19=vgg19,
            start=start,
            overwrite=overwrite,
        )
        if print_config:
            _print_config(options)
        else:
            interrupted = run_training(folder, output, options)
    if interrupted:
        fail(interrupted, 130)


def config_for(options: TrainOptions, output: Path | None) -> TrainingConfig:
    """The options over the configuration file; or over what the run was begun with; or over the
    defaults.

    Raises
    ------
    WrongUse
        If they cannot be meant so.
    """
    from napari_mdeblurgan.errors import TrainingError
    from napari_mdeblurgan.training.config import (
        ConfigError,
        TrainingConfig,
        parse_config,
        read_config,
    )
    from napari_mdeblurgan.training.run_folder import RunFolder

    asked: dict[str, dict[str, Any]] = {
        "model": {"name": options.model_name},
        "network": {"kind": options.kind, "scale": options.scale, "start": options.start},
        "schedule": {"steps": options.steps},
        "run": {"device": options.device},
        "loss": _loss(options),
    }
    given = {
        section: {name: value for name, value in fields.items() if value is not None}
        for section, fields in asked.items()
    }
    with as_wrong_use(ConfigError, TrainingError):
        base = TrainingConfig()
        if options.config is not None:
            base = read_config(options.config)
        elif output is not None and RunFolder(output).begun and not options.overwrite:
            base = read_config(RunFolder(output).config)
        return parse_config(
            {section: fields for section, fields in given.items() if fields}, "the options", base
        )


def _loss(options: TrainOptions) -> dict[str, Any]:
    """What --perceptual and --vgg19 mean in the section [loss]."""
    if options.vgg19 and options.perceptual != "vgg19":
        raise WrongUse(
            "--vgg19 says where VGG19's weights are; add --perceptual vgg19 to use them."
        )
    if options.perceptual is None:
        return {}
    if options.perceptual == "none":
        return {"preset": "faithful"}
    chosen: dict[str, Any] = {"preset": "perceptual", "perceptual": options.perceptual}
    if options.vgg19.startswith(("http://", "https://")):
        return chosen | {"vgg19_address": options.vgg19, "vgg19_download": True}
    return chosen | ({"vgg19_file": options.vgg19} if options.vgg19 else {})


def _print_config(options: TrainOptions) -> None:
    """Print the configuration that the options ask for, as TOML with comments."""
    from napari_mdeblurgan.training.config import config_toml

    print(config_toml(config_for(options, None)), end="")


def run_training(folder: Path | None, output: Path | None, options: TrainOptions) -> str:
    """Train, and show how it goes.

    Returns
    -------
    str
        Empty if all is done; where it was interrupted, a sentence that says how to go on.

    Raises
    ------
    WrongUse
        Before any work, where it cannot be meant so.
    MdeblurganError
        If training fails.
    """
    if folder is None or output is None:
        raise WrongUse("name the FOLDER of sharp images and a folder for the run with --output.")
    check_source_folder(folder, "with sharp images")
    need_torch()
    from napari_mdeblurgan.errors import FileError
    from napari_mdeblurgan.training.config import ConfigError
    from napari_mdeblurgan.training.distributed import device_of, joined, place_from_environment
    from napari_mdeblurgan.training.run import open_run
    from napari_mdeblurgan.training.run_folder import RunFolder, check_folder

    with as_wrong_use(FileError):
        check_folder(RunFolder(output))
    config = config_for(options, output)
    with as_wrong_use(ConfigError):
        place = place_from_environment()
        with joined(place, device_of(place, config.run.device)):
            run = open_run(folder, output, config, overwrite=options.overwrite, place=place)
            with closing(run), stopped_by_signals(run.stop) as signals:
                if place.first:
                    _describe(run)
                show = _with_bar if sys.stderr.isatty() else _with_lines
                for _ in show(run, options.minutes) if place.first else run.steps(options.minutes):
                    pass
                if signals and not run.finished:
                    return (
                        f"interrupted after step {run.training.step}, which is saved; "
                        f"`mdeblurgan train {quoted(folder)} --output {quoted(output)}` goes on "
                        "from there."
                    )
                if place.first:
                    _conclude(run)
    return ""


def _describe(run: Run) -> None:
    from napari_mdeblurgan.restoration.device import device_label

    for _, reason in run.data.folder.skipped:
        print(f"mdeblurgan: skipped: {reason}", file=sys.stderr)
    for note in run.notes:
        print(f"mdeblurgan: {note}", file=sys.stderr)
    network, config = run.training.network, run.config
    weights = sum(each.numel() for each in network.parameters())
    print(
        f"{len(run.data.training)} {config.network.kind} images to train on, "
        f"{len(run.data.judged)} to validate on; {config.network.name} ×{network.scale} of "
        f"{weights:,} weights"
    )
    device = device_label(str(run.training.device))
    print(
        f"{config.schedule.steps:,} steps, {device}, {config.run.precision}, into {run.folder.path}"
    )
    if 0 < run.resumed < config.schedule.steps:
        print(f"going on after step {run.resumed:,}")
    sys.stdout.flush()


def _with_lines(run: Run, minutes: float | None) -> Iterator[TrainingStep]:
    start, every = time.perf_counter(), max(1, round(_LINE_EVERY * run.config.schedule.steps))
    for progress in run.steps(minutes):
        if progress.validation or progress.step % every == 0 or progress.step == progress.steps:
            seconds = time.perf_counter() - start
            print(
                f"step {progress.step} of {progress.steps}, {seconds:.0f} s, "
                f"{_numbers(run, progress)}",
                flush=True,
            )
        yield progress


def _with_bar(run: Run, minutes: float | None) -> Iterator[TrainingStep]:
    from tqdm import tqdm

    with tqdm(
        total=run.config.schedule.steps, initial=run.resumed, unit="step", dynamic_ncols=True
    ) as bar:
        for progress in run.steps(minutes):
            bar.set_postfix_str(_numbers(run, progress), refresh=False)
            bar.update(progress.step - bar.n)
            yield progress


def _numbers(run: Run, progress: TrainingStep) -> str:
    text = f"loss {progress.record.loss:.3f}"
    found = run.last_validation
    return text + (
        f", PSNR {found.psnr_db:.2f} dB (bicubic {found.bicubic_psnr_db:.2f} dB)" if found else ""
    )


def _conclude(run: Run) -> None:
    """Where the model is, how good it is, how to use it."""
    if not run.finished:
        print(
            f"the time is up after step {run.training.step:,} of {run.config.schedule.steps:,}; "
            "run it again to go on"
        )
    print(f"model: {run.model_path}")
    if scores := run.last_validation:
        print(
            f"on images that this training did not see: PSNR {scores.psnr_db:.2f} dB, SSIM "
            f"{scores.ssim:.4f}; bicubic enlargement: {scores.bicubic_psnr_db:.2f} dB, "
            f"{scores.bicubic_ssim:.4f}"
        )
    print(f"use it: mdeblurgan restore blurred.tif sharp.tif --model {quoted(run.model_path)}")
