"""`mdeblurgan evaluate`: a report on models, beside what they are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_mdeblurgan.commands.common import WrongUse
from napari_mdeblurgan.commands.progress import shown
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.outputs import check_output

if TYPE_CHECKING:
    from napari_mdeblurgan.evaluation.report import Evaluation

SEVERAL = {"both": ("gaussian", "physical"), "all": ("gaussian", "physical", "strong")}
LINE_EVERY = 0.05  # of the work, where progress goes into a pipe
OURS = ("report.md", "report.html", "scores.csv")  # what a folder that may be written to holds


def evaluate(
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
        raise WrongUse("name a FOLDER of sharp images, or add --fundus to judge by scikit-image's retina image.")
    if folder is not None and not folder.is_dir():
        raise WrongUse(f"{folder} is no folder; name one with sharp images.")
    _check_output(output)
    from napari_mdeblurgan.evaluation import evaluate as evaluation

    wishes = evaluation.Wishes(
        folder=folder,
        output=output,
        models=tuple(models) or _bundled(),
        protocols=SEVERAL.get(protocol, (protocol,)),
        limit=limit,
        runs=tuple(runs),
        richardson_lucy=richardson_lucy,
        device=device,
        fundus=fundus,
    )
    found = shown(evaluation.evaluate(wishes), unit="result", every=LINE_EVERY, at=lambda step: step.at)
    for line in summary(found):
        print(line)
    print(output / "report.md")


def evaluate_real(
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
    """Judge models by real blur: measure what is not known yet, write the report, and print what it comes to.

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
    if folder is None or not folder.is_dir():
        raise WrongUse("name a FOLDER that holds a focus series, or several.")
    _check_output(output)
    from napari_mdeblurgan.evaluation.real.gains import summary_lines
    from napari_mdeblurgan.evaluation.real.judge import RealOptions
    from napari_mdeblurgan.evaluation.real.judge import evaluate_real as evaluation
    from napari_mdeblurgan.evaluation.real.page import PAGE, write_page

    options = RealOptions(
        folder=folder,
        output=output,
        models=tuple(models) or _bundled(),
        sets=tuple(sets),
        halve=halve,
        advised=advised,
        sharpened=sharpened,
        device=device,
    )
    found = shown(evaluation(options), unit="result", every=LINE_EVERY, at=lambda step: step.at)
    for note in found.notes:
        print(f"mdeblurgan: {note}")
    for line in summary_lines(found.scores):
        print(line)
    write_page(output / PAGE, found)
    print(output / PAGE)


def _check_output(output: Path) -> None:
    try:
        check_output(output, "the report", ours=any((output / name).exists() for name in OURS))
    except FileError as error:
        raise WrongUse(str(error)) from error


def _bundled() -> tuple[str, ...]:
    from napari_mdeblurgan.model import BUNDLED_FOLDER
    from napari_mdeblurgan.model_file import SUFFIX

    return tuple(sorted(path.stem for path in BUNDLED_FOLDER.glob(f"*{SUFFIX}")))


def summary(found: Evaluation) -> list[str]:
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
