"""`mdeblurgan fine-tune`: from a model and pairs or focus stacks of a user's own to a model for
that microscope.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_mdeblurgan.commands.common import (
    WrongUse,
    as_wrong_use,
    check_device,
    check_source_path,
    fail,
    one_line_errors,
)
from napari_mdeblurgan.commands.options import DeviceOption, RegisteredOption, UnorderedOption
from napari_mdeblurgan.commands.pairs import Match, _matched, check_pairs, objective_pair
from napari_mdeblurgan.interruption import stopped_by_signals
from napari_mdeblurgan.model_file import SUFFIX
from napari_mdeblurgan.plain_text import on_one_line

if TYPE_CHECKING:
    from napari_mdeblurgan.fine_tuning.outcome import TuningOutcome
    from napari_mdeblurgan.fine_tuning.settings import FineTuneSettings
    from napari_mdeblurgan.fine_tuning.tuning import FineTuning
    from napari_mdeblurgan.fine_tuning.tuning_progress import TuningStep
    from napari_mdeblurgan.pairs import RegisteredPair

_LINE_EVERY_S = 15.0


class PartChoice(StrEnum):
    """What is learned."""

    all = "all"
    super_resolution = "super-resolution"
    deblurring = "deblurring"


def fine_tune(
    context: typer.Context,
    low: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Images of the weaker objective, or the blurred ones."),
    ] = None,
    high: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="In-focus images of the stronger one, or the sharp ones."),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="A table with columns low and high, instead."),
    ] = None,
    stack: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="A focus stack, a folder of its planes, or of stacks; may be given again.",
            show_default=False,
        ),
    ] = None,
    registered: RegisteredOption = False,
    unordered: UnorderedOption = False,
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME_OR_PATH", help="To start from. [rgb-x2 or gray-x2]", show_default=False
        ),
    ] = "",
    output: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="Name among your models, or a .safetensors file.",
            show_default=False,
        ),
    ] = "",
    minutes: Annotated[float, typer.Option(min=0, help="Working time, over all sittings.")] = 10.0,
    steps: Annotated[int, typer.Option(min=0, help="At most so many; 0: as the time allows.")] = 0,
    part: Annotated[
        PartChoice, typer.Option(help="Of the network, to be changed.")
    ] = PartChoice.all,
    learning_rate: Annotated[
        float | None,
        typer.Option(min=1e-9, help="Lower: nearer to the base model.", show_default=False),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Patches in a step.", show_default=False)
    ] = None,
    patch: Annotated[
        int | None, typer.Option(min=24, help="Edge of one, a multiple of 8.", show_default=False)
    ] = None,
    device: DeviceOption = "auto",
    low_objective: Annotated[
        float | None,
        typer.Option(min=0.1, help="For files without a pixel size. [5]", show_default=False),
    ] = None,
    high_objective: Annotated[
        float | None,
        typer.Option(min=0.1, help="For files without a pixel size. [10]", show_default=False),
    ] = None,
    match: Annotated[Match, typer.Option(help="Match files by name or order.")] = Match.auto,
    trust_unregistered: Annotated[
        bool,
        typer.Option("--trust-unregistered", help="Learn from pairs that were not accepted, too."),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Begin anew, and replace MODEL.")
    ] = False,
) -> None:
    """Make a model for your microscope from pairs or focus stacks.

    Pairs are images of the same places by two objectives. They are registered; one that is not
    accepted ends the command, unless it is to be trusted. Some of what they show is held out: the
    table at the end tells what the new model is worth there. Ctrl-C ends it with the best so far;
    the same command goes on where it was. Of a focus stack, each plane is learned from where it is
    out of focus and another is sharp. From pairs of one objective, whose pixels have the same size
    (widefield and confocal, say), a model learns to sharpen images at their own pixels.

    \b
    Examples:
      mdeblurgan fine-tune --low x5 --high x10 --model rgb-x2 --output my-microscope
      mdeblurgan fine-tune --csv fields.csv --output sections.safetensors --minutes 60
      mdeblurgan fine-tune --low widefield --high confocal --output my-widefield
      mdeblurgan fine-tune --stack field1.ome.tif --stack field2.ome.tif --output my-microscope
    """
    interrupted = ""
    with one_line_errors(context):
        sources = LearnedFrom(
            low, high, csv, match, tuple(stack or ()), registered=registered, ordered=not unordered
        )
        sources.check(
            pair_options=trust_unregistered
            or match is not Match.auto
            or (low_objective, high_objective) != (None, None)
        )
        if not output:
            raise WrongUse("say what the new model is called with --output.")
        knobs = {"learning_rate": learning_rate, "batch": batch, "patch": patch}
        given: dict[str, Any] = {name: value for name, value in knobs.items() if value is not None}
        given |= {"minutes": minutes, "steps": steps, "part": part.value, "device": device}
        objectives = objective_pair(low_objective, high_objective)
        check_device(device)
        tuning = _begun(sources, model, output, given, objectives, trust_unregistered, overwrite)
        interrupted = _tuned(tuning)
    if interrupted:
        fail(interrupted, 130)


@dataclass(frozen=True, slots=True)
class LearnedFrom:
    """Where there is something to learn from."""

    low: Path | None
    high: Path | None
    csv: Path | None
    match: Match
    stacks: tuple[Path, ...]
    registered: bool
    ordered: bool

    @property
    def paired(self) -> bool:
        """Whether there are pairs."""
        return (self.csv, self.low, self.high) != (None, None, None)

    def check(self, *, pair_options: bool) -> None:
        """Find out, before any work is done, whether that can be meant so, and what is said of
        pairs.
        """
        whole = self.csv is not None or (self.low is not None and self.high is not None)
        if not whole and (self.paired or not self.stacks):
            raise WrongUse(
                "name two folders with --low and --high, a table with --csv, or a focus stack "
                "with --stack."
            )
        if (self.registered or not self.ordered) and not self.stacks:
            raise WrongUse(
                "--registered and --unordered are of focus stacks; name one with --stack."
            )
        if self.paired:
            check_pairs(self.low, self.high, self.csv)
        elif pair_options:
            raise WrongUse(
                "--match, --low-objective, --high-objective and --trust-unregistered are of pairs; "
                "leave them out, or name pairs with --low and --high."
            )
        for path in self.stacks:
            check_source_path(path)

    def read(
        self, scale: int, objectives: tuple[float, float] | None, *, trust: bool
    ) -> list[RegisteredPair]:
        """All that can be learned from: pairs, then the planes of stacks."""
        pairs: list[RegisteredPair] = []
        if self.paired:
            matched = _matched(self.low, self.high, self.csv, self.match)
            for sentence in matched.left_out:
                print(f"mdeblurgan: {sentence}", file=sys.stderr)
            pairs += _registered(matched.pairs, scale, objectives, trust)
        if self.stacks:
            pairs += _planes(self.stacks, scale, registered=self.registered, ordered=self.ordered)
        return pairs


def _planes(
    paths: Sequence[Path], scale: int, *, registered: bool, ordered: bool
) -> list[RegisteredPair]:
    """The planes of stacks that can be learned from, each told."""
    from napari_mdeblurgan.fine_tuning.stacks import (
        read_stack,
        stack_names,
        stack_pairs,
        stack_paths,
    )

    found, paths = [], stack_paths(paths)
    for name, path in zip(stack_names(paths), paths, strict=True):
        for outcome in stack_pairs(
            name, read_stack(path), scale=scale, registered=registered, ordered=ordered
        ):
            print(on_one_line(f"{outcome.name}: {' '.join(outcome.problems)}"), flush=True)
            found += [outcome.pair] if outcome.pair is not None else []
    return found


def _begun(
    sources: LearnedFrom,
    model: str,
    output: str,
    given: dict[str, Any],
    objectives: tuple[float, float] | None,
    trust: bool,
    overwrite: bool,
) -> FineTuning:
    """Read what is learned from and put all into the folder; or go on with what was put there
    before.
    """
    from napari_mdeblurgan.fine_tuning.folder import (
        begin,
        check_name,
        folder_for,
        read_tuning_settings,
    )
    from napari_mdeblurgan.fine_tuning.pairs import tuning_pairs
    from napari_mdeblurgan.fine_tuning.settings import SettingsError
    from napari_mdeblurgan.fine_tuning.tuning import open_fine_tuning
    from napari_mdeblurgan.model import load_model

    with as_wrong_use(SettingsError):
        settings = _settings(model or "gray-x2", output, given)
        folder = folder_for(settings)
        if folder.begun and not overwrite:
            before = read_tuning_settings(folder)
            begin(_settings(model or before.base, output, given), ())
            print(
                f"going on with {settings.name}, with what it was begun with; --overwrite begins "
                "anew"
            )
            return open_fine_tuning(folder)
        check_name(settings, overwrite=overwrite)
    card = load_model(model).card if model else None
    scale = card.scale if card else 2
    pairs = sources.read(scale, objectives, trust=trust)
    if card is None:
        in_colours = all(pair.rgb for pair in pairs) and not all(pair.colourless for pair in pairs)
        settings = _settings("rgb-x2" if in_colours else "gray-x2", output, given)
        card = load_model(settings.base).card
    return open_fine_tuning(
        begin(settings, tuning_pairs(pairs, card, trust=trust), overwrite=overwrite)
    )


def _settings(model: str, output: str, given: dict[str, Any]) -> FineTuneSettings:
    from napari_mdeblurgan.fine_tuning.settings import FineTuneSettings

    path = Path(output)
    if not path.name:
        raise WrongUse(f"{output} names no model; say what it is called, or name its file.")
    name = path.name.removesuffix(SUFFIX)
    is_file = name != output
    where = str(path.with_name(f"{name}{SUFFIX}").absolute()) if is_file else ""
    return FineTuneSettings(base=model, name=name, output=where, **given)


def _registered(
    files: Any, scale: int, objectives: tuple[float, float] | None, trust: bool
) -> list[RegisteredPair]:
    """All pairs, or a refusal that names those that are none."""
    from napari_mdeblurgan.pairs import PairError, register_all
    from napari_mdeblurgan.pairs.table import printed

    outcomes = list(register_all(files, scale=scale, objectives=objectives))
    for line in printed(outcomes):
        print(line, flush=True)
    useless = [each for each in outcomes if each.pair is None]
    for each in useless:
        told = on_one_line(f"{each.name}: {each.error.removeprefix(f'{each.name}: ')}")
        print(f"mdeblurgan: left out: {told}", file=sys.stderr)
    refused = [each.name for each in outcomes if each.pair is not None and not each.accepted]
    if refused and not trust:
        raise PairError(
            f"{len(refused)} of {len(outcomes)} pairs were not registered "
            f"({', '.join(refused[:5])}): take them out, or add --trust-unregistered if you have "
            "looked at their overlays (mdeblurgan pairs)."
        )
    return [each.pair for each in outcomes if each.pair is not None]


def _tuned(tuning: FineTuning) -> str:
    """Tune, and show how it goes; a sentence where it was interrupted."""
    from napari_mdeblurgan.fine_tuning.estimate import estimate
    from napari_mdeblurgan.fine_tuning.folder import owned
    from napari_mdeblurgan.fine_tuning.outcome import conclude, score_table
    from napari_mdeblurgan.stopping import Stopped, stoppable

    with owned(tuning.folder) as lock, stopped_by_signals(tuning.stop) as signals:
        tuning.notes += [lock.note] if lock.note else []
        if not tuning.finished:
            with suppress(Stopped), stoppable(lambda: bool(signals)):
                print(estimate(tuning).sentence, flush=True)
        if not signals:
            for _ in (_with_bar if sys.stderr.isatty() else _with_lines)(tuning):
                pass
        if signals and not tuning.training.step:
            return "interrupted before anything was learned; the same command begins it."
        outcome = conclude(tuning)
    for note in outcome.notes:
        print(f"mdeblurgan: {note}", file=sys.stderr)
    _show(outcome, score_table(outcome))
    if signals and not tuning.finished:
        return (
            f"interrupted after step {tuning.training.step}; the best so far is the model, and "
            "the same command goes on."
        )
    return ""


def _show(outcome: TuningOutcome, rows: list[tuple[str, str, str]]) -> None:
    width = max(len(name) for name, _, _ in rows)
    print(f"\non parts that it never saw ({outcome.verdict.squares} squares):")
    for name, psnr, ssim in rows:
        print(f"  {name:{width}}  PSNR {psnr}  SSIM {ssim}")
    print(outcome.verdict.sentence)
    print(f"model: {outcome.path}")


def _numbers(progress: TuningStep, plain: str) -> str:
    text = f"loss {progress.record.loss:.3f}"
    found = progress.validation
    return text + (
        f", held out {found.psnr_db:.2f} dB ({plain} {found.bicubic_psnr_db:.2f} dB)"
        if found
        else ""
    )


def _with_lines(tuning: FineTuning) -> Iterator[TuningStep]:
    from napari_mdeblurgan.fine_tuning.scores import plain_name

    told, plain = -_LINE_EVERY_S, plain_name(tuning.pairs)
    for progress in tuning.steps():
        if progress.validation is not None or progress.seconds - told >= _LINE_EVERY_S:
            told = progress.seconds
            words = (
                f"{progress.seconds / 60:.1f} min, step {progress.step}, "
                f"{_numbers(progress, plain)}"
            )
            print(words, flush=True)
        yield progress


def _with_bar(tuning: FineTuning) -> Iterator[TuningStep]:
    from tqdm import tqdm

    from napari_mdeblurgan.fine_tuning.scores import plain_name

    with tqdm(
        total=100, unit="%", dynamic_ncols=True, bar_format="{l_bar}{bar}| {elapsed}{postfix}"
    ) as bar:
        numbers = ""
        for progress in tuning.steps():
            if progress.validation is not None or not numbers:
                numbers = _numbers(progress, plain_name(tuning.pairs))
            bar.set_postfix_str(f"step {progress.step}, {numbers}", refresh=False)
            bar.update(100 * tuning.way - bar.n)
            yield progress
