"""`mdeblurgan pairs`: lays images of a stronger objective on those of a weaker one, and shows how
well they fit.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_mdeblurgan.commands.common import (
    WrongUse,
    as_wrong_use,
    check_source_folder,
    one_line_errors,
)
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.interruption import heeded
from napari_mdeblurgan.outputs import check_output_folder, make_folder
from napari_mdeblurgan.plain_text import on_one_line

if TYPE_CHECKING:
    from napari_mdeblurgan.pairs import Matched, Outcome

_OURS = "pairs.csv"  # what a folder that may be written to holds


class Match(StrEnum):
    """How the files of two folders are told to belong together."""

    auto = "auto"
    name = "name"
    order = "order"


class Scale(StrEnum):
    """Of the model that is to learn from the pairs."""

    two = "2"
    four = "4"


def pairs(
    context: typer.Context,
    low: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Images of the weaker objective.")
    ] = None,
    high: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Images of the stronger objective.")
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="FILE",
            help="A table with columns low, high and perhaps name, instead.",
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for the overlays and the table.")
    ] = Path("pairs"),
    low_objective: Annotated[
        float | None,
        typer.Option(
            min=0.1, help="Magnification, for files that say no pixel size. [5]", show_default=False
        ),
    ] = None,
    high_objective: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            help="Magnification, for files that say no pixel size. [10]",
            show_default=False,
        ),
    ] = None,
    ratio: Annotated[
        float | None,
        typer.Option(min=1, help="Pixel size of low over that of high, whatever the files say."),
    ] = None,
    match: Annotated[
        Match, typer.Option(help="Match files by name, by order, or by name if any names match.")
    ] = Match.auto,
    scale: Annotated[
        Scale, typer.Option(help="Of the model that is to learn from the pairs.")
    ] = Scale.two,
) -> None:
    """Find images of a stronger objective in those of a weaker one.

    Files belong together if they are named alike but for what tells the objectives apart, such as
    field1_x5 and field1_x10. For each pair there are two overlays to look at, and a row of
    pairs.csv. What does not fit is said to be refused, with the reason. The exit code is 0 only if
    every pair was accepted.

    \b
    Examples:
      mdeblurgan pairs --low x5 --high x10 --output registered
      mdeblurgan pairs --csv fields.csv --low-objective 10 --high-objective 20
    """
    with one_line_errors(context):
        if ratio is not None and (low_objective, high_objective) != (None, None):
            raise WrongUse("give --ratio or the objectives, not both.")
        objectives = objective_pair(low_objective, high_objective)
        check_pairs(low, high, csv)
        _check_output(output)
        matched = _matched(low, high, csv, match)
        for sentence in matched.left_out:
            print(f"mdeblurgan: {on_one_line(sentence)}", file=sys.stderr)
        outcomes = _registered(matched, output, int(scale), objectives, ratio)
        from napari_mdeblurgan.pairs.table import printed

        for line in printed(outcomes):
            print(line)
        print(output / _OURS)
        _conclude(outcomes)


def objective_pair(low: float | None, high: float | None) -> tuple[float, float] | None:
    """The magnifications that the options tell; None where they tell nothing.

    Raises
    ------
    WrongUse
        If low is the stronger one.
    """
    if (low, high) == (None, None):
        return None
    low, high = low or 5.0, high or 10.0
    if low > high:
        raise WrongUse(
            f"--low-objective {low:g} is stronger than --high-objective {high:g}; give the weaker "
            "one, or the same twice, as --low-objective."
        )
    return low, high


def check_pairs(low: Path | None, high: Path | None, csv: Path | None) -> None:
    """Raise `WrongUse` if these name no pairs: two folders, or a table, that are there."""
    if csv is not None and (low is not None or high is not None):
        raise WrongUse("give --csv, or --low and --high, not both.")
    if csv is None and (low is None or high is None):
        raise WrongUse("name two folders with --low and --high, or a table with --csv.")
    for folder in (low, high):
        if folder is not None:
            check_source_folder(folder, "that holds images")
    if csv is not None and not csv.is_file():
        raise WrongUse(f"{csv} does not exist; check its name.")


def _check_output(output: Path) -> None:
    with as_wrong_use(FileError):
        check_output_folder(output, "the overlays", ours=(output / _OURS).exists())


def _matched(low: Path | None, high: Path | None, csv: Path | None, match: Match) -> Matched:
    from napari_mdeblurgan.pairs import match_folders, read_table

    if csv is not None:
        return read_table(csv)
    assert low is not None
    assert high is not None
    return match_folders(low, high, match.value)


def _registered(
    matched: Matched,
    output: Path,
    scale: int,
    objectives: tuple[float, float] | None,
    ratio: float | None,
) -> list[Outcome]:
    """Register all, write what there is to look at, and show the progress."""
    from tqdm import tqdm

    from napari_mdeblurgan.pairs import register_all
    from napari_mdeblurgan.pairs.table import overlay_stems, write_overlays, write_table

    make_folder(output)
    outcomes = []
    stems = overlay_stems([each.name for each in matched.pairs])
    steps = register_all(matched.pairs, scale=scale, objectives=objectives, ratio=ratio)
    on_terminal = sys.stderr.isatty()
    with tqdm(
        heeded(steps),
        total=len(matched.pairs),
        unit="pair",
        leave=False,
        dynamic_ncols=True,
        disable=not on_terminal,
    ) as bar:
        for number, outcome in enumerate(bar, 1):
            outcomes.append(outcome)
            write_table(output / _OURS, outcomes)  # first, so that the folder is known for ours
            if outcome.pair is not None:
                write_overlays(output, outcome.pair, stems[number - 1])
            if not on_terminal:
                said = (
                    "accepted"
                    if outcome.accepted
                    else "refused"
                    if outcome.pair is not None
                    else "failed"
                )
                told = on_one_line(f"{number} of {len(matched.pairs)}: {outcome.name}, {said}")
                print(told, flush=True)
    return outcomes


def _conclude(outcomes: Sequence[Outcome]) -> None:
    from napari_mdeblurgan.pairs import PairError

    bad = [outcome.name for outcome in outcomes if not outcome.accepted]
    if bad:
        others = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        raise PairError(
            f"{len(bad)} of {len(outcomes)} pairs cannot be used ({bad[0]}{others}); the table "
            "says why."
        )
