"""From options to a report: which images and methods, everything measured that is not known yet,
tables and figures.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_mdeblurgan.degradation import Condition
from napari_mdeblurgan.errors import FileError, ModelError
from napari_mdeblurgan.evaluation import report_figures
from napari_mdeblurgan.evaluation.background import BACKGROUND_KEYS, Background, backgrounds
from napari_mdeblurgan.evaluation.cost import COST_KEYS, Cost, measure
from napari_mdeblurgan.evaluation.evaluation_report import Evaluation, write_evaluation
from napari_mdeblurgan.evaluation.images import (
    SharpPart,
    find_images,
    fundus_squares,
    to_judge_by,
)
from napari_mdeblurgan.evaluation.ledger import Ledger, measured_alone
from napari_mdeblurgan.evaluation.method_gains import (
    Comparison,
    example_method,
    typical,
    worst_example,
)
from napari_mdeblurgan.evaluation.methods import (
    OURS,
    Method,
    bicubic_method,
    model_methods,
    richardson_lucy_method,
)
from napari_mdeblurgan.evaluation.protocol import (
    PROTOCOLS,
    SCORE_KEYS,
    Score,
    clipped_result,
    degraded,
    scores,
)
from napari_mdeblurgan.evaluation.runs import run_curves
from napari_mdeblurgan.folders import real_path
from napari_mdeblurgan.restoration.device import device_label, pick_device

_KINDS = {1: "grey", 3: "colour"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOptions:
    """What is to be evaluated.

    Attributes
    ----------
    folder : Path or None
        Sharp images; None only with `fundus`, for the retina image that comes with scikit-image.
    output : Path
        Folder of the report.
    models : tuple of str
        Names or paths.
    protocols : tuple of str
        Of `PROTOCOLS`.
    limit : int or None
        Images of each kind at most, spread evenly over all.
    runs : tuple of Path
        Folders of training runs whose PSNR per epoch is drawn.
    richardson_lucy : bool
        Whether to compare with it, which takes longest.
    device : str
        For the networks.
    fundus : bool
        Cut squares of 512² pixels, as the paper does.
    """

    folder: Path | None
    output: Path
    models: tuple[str, ...]
    protocols: tuple[str, ...] = ("gaussian", "physical")
    limit: int | None = None
    runs: tuple[Path, ...] = ()
    richardson_lucy: bool = True
    device: str = "auto"
    fundus: bool = False


@dataclass(frozen=True, slots=True)
class EvaluationStep:
    """How far the work has come, and what it is at."""

    done: int
    total: int
    at: str


def evaluation_steps(options: EvaluationOptions) -> Generator[EvaluationStep, None, Evaluation]:
    """Measure and write `report.md`, its pictures and its CSV files; yields after everything that
    takes time.

    Raises
    ------
    MdeblurganError
        If there are no images or models to judge, or a file cannot be read or written.
    """
    curves = run_curves(options.runs)
    device = pick_device(options.device)
    images, skipped, data = _images(options)
    loaded, same = model_methods(options.models, device)
    comparisons = _comparisons(images, loaded, options)
    protocols = {name: PROTOCOLS[name] for name in options.protocols}
    conditions = [condition for each in protocols.values() for condition in each]
    flat = [condition for condition in conditions if condition.protocol == "physical"][:1]
    with measured_alone(options.output) as lock:
        table = Ledger(options.output / "scores.csv", Score, SCORE_KEYS)
        flats = Ledger(options.output / "backgrounds.csv", Background, BACKGROUND_KEYS)
        expenses = Ledger(options.output / "costs.csv", Cost, COST_KEYS)
        every = {
            method.identity: (method, comparison)
            for comparison in comparisons
            for method in comparison.methods
        }
        total = sum(len(c.images) * len(c.methods) * len(conditions) for c in comparisons) + len(
            every
        )
        done, finished = 0, []
        for comparison in comparisons:
            found = []
            for score in scores(comparison.images, comparison.methods, conditions, table):
                found.append(score)
                done += 1
                yield EvaluationStep(
                    done, total, f"{score.image}, {score.condition}, {score.method}"
                )
            channels = 3 if comparison.kind == "colour" else 1
            noise = [
                each
                for condition in flat
                for each in backgrounds(comparison.methods, channels, condition, flats)
            ]
            finished.append(replace(comparison, scores=tuple(found), backgrounds=tuple(noise)))
        costs = []
        for method, comparison in every.values():
            channels = 3 if comparison.kind == "colour" else 1
            label = device_label(device if method.channels else "cpu")
            cost = expenses.find(method_id=method.identity, device=label)
            if cost is None:
                cost = measure(method, channels, device, label)
                expenses.add(cost)
            costs.append(replace(cost, method=method.name))
            done += 1
            yield EvaluationStep(done, total, f"cost of {method.name}")
        evaluation = Evaluation(
            data=data,
            device=device_label(device),
            protocols=protocols,
            comparisons=tuple(finished),
            costs=tuple(costs),
            figures=draw(options.output, finished, protocols, curves),
            notes=(*filter(None, [lock.note]), *skipped, *same, *_unused(loaded, finished)),
        )
        write_evaluation(options.output / "report.md", evaluation)
        return evaluation


def _images(options: EvaluationOptions) -> tuple[list[SharpPart], list[str], str]:
    if options.fundus:
        images, skipped, data = fundus_squares(options.folder)
        data = f"squares of 512² pixels from {data}"
    else:
        if options.folder is None:
            raise FileError("There are no images to judge by; name a folder of sharp images.")
        images, skipped = find_images(options.folder)
        data = f"the sharp images in `{real_path(options.folder).name}`"
    kept = [
        image
        for kind in (True, False)
        for image in _spread([i for i in images if i.colour == kind], options.limit)
    ]
    if len(kept) < len(images):
        data += f" (at most {options.limit} of each kind, spread evenly over all {len(images)})"
    usable, empty = to_judge_by(kept)
    if not usable:
        raise FileError(f"{options.folder} has no image to judge by: {empty[0]}")
    return usable, [*skipped, *empty], data


def _spread(images: list[SharpPart], limit: int | None) -> list[SharpPart]:
    if limit is None or len(images) <= limit:
        return images
    return [images[round(at)] for at in np.linspace(0, len(images) - 1, limit)]


def _comparisons(
    images: Sequence[SharpPart], loaded: Sequence[Method], options: EvaluationOptions
) -> list[Comparison]:
    """One for every kind of image and scale for which there are both images and models."""
    found = []
    for channels, scale in sorted(
        {(method.channels or 0, method.scale) for method in loaded}, key=lambda k: (-k[0], k[1])
    ):
        of_kind = tuple(image for image in images if image.colour == (channels == 3))
        networks = [
            method for method in loaded if (method.channels, method.scale) == (channels, scale)
        ]
        plain = [bicubic_method(scale)] + (
            [richardson_lucy_method(scale)] if options.richardson_lucy else []
        )
        networks.sort(key=lambda method: method.family == OURS)
        if of_kind:
            found.append(Comparison(_KINDS[channels], scale, of_kind, (*plain, *networks)))
    if not found:
        kinds = " and ".join(sorted({_KINDS[method.channels or 0] for method in loaded}))
        raise ModelError(
            f"The models are for {kinds} images, of which there are none here; name others."
        )
    return found


def _unused(loaded: Sequence[Method], comparisons: Sequence[Comparison]) -> list[str]:
    used = {method.identity for comparison in comparisons for method in comparison.methods}
    return [
        f"{method.name} was not judged: there are no {_KINDS[method.channels or 0]} images."
        for method in loaded
        if method.identity not in used
    ]


def draw(
    folder: Path,
    comparisons: Sequence[Comparison],
    protocols: dict[str, tuple[Condition, ...]],
    curves: dict[str, list[tuple[float, float]]],
) -> dict[str, list[tuple[str, str]]]:
    """Draw all pictures: file names and captions, by the comparison's slug; ""
    for PSNR per epoch.
    """
    pictures: dict[str, list[tuple[str, str]]] = {"": []}
    for comparison in comparisons:
        slug, judge = comparison.slug, example_method(comparison).name
        found: list[tuple[str, str]] = []
        for protocol, conditions in protocols.items():
            usual = typical(comparison, conditions), len(conditions) // 2
            lowest = worst_example(comparison, conditions)
            wanted = {usual: (f"side-by-side-{slug}-{protocol}.png", "is the median of the images")}
            if lowest != usual:
                wanted[lowest] = f"worst-{slug}-{protocol}.png", "is smallest"
            for (image, condition), (name, why) in wanted.items():
                title = _side_by_side(folder / name, comparison, image, conditions[condition])
                found.append(
                    (
                        name,
                        f"{title}: where {judge}'s gain over bicubic {why} (as the paper's Figure "
                        "5)",
                    )
                )
        name = f"psnr-parameters-{slug}.png"
        report_figures.against_parameters(folder / name, comparison, protocols)
        found.append((name, "Mean PSNR against the number of parameters (as the paper's Figure 7)"))
        pictures[slug] = found
    if curves:
        report_figures.per_epoch(folder / "psnr-per-epoch.png", curves)
        pictures[""] = [
            (
                "psnr-per-epoch.png",
                "PSNR on the validation pieces of each run, per epoch of its own training",
            )
        ]
    return pictures


def _side_by_side(path: Path, comparison: Comparison, index: int, condition: Condition) -> str:
    """Draw one image under one condition; returns the title."""
    image = comparison.images[index]
    low, truth = degraded(image.read(comparison.scale), condition, comparison.scale)
    columns = [("input", low, "")]
    for method in comparison.methods:
        db, similarity = (
            float(comparison.values(method, measure, [condition])[index, 0])
            for measure in ("psnr_db", "ssim")
        )
        columns.append(
            (method.name, clipped_result(method, low, condition), f"{db:.2f} dB / {similarity:.4f}")
        )
    columns.append(("truth", truth, "PSNR / SSIM"))
    title = f"{image.name}, {condition.protocol.capitalize()} protocol, {condition.label}"
    report_figures.comparison_figure(path, columns, title)
    return title
