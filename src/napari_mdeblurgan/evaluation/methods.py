"""The methods that are compared, each behind the same few facts and one call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_mdeblurgan.degradation import Condition
from napari_mdeblurgan.evaluation.baselines import ITERATIONS, bicubic, richardson_lucy_bicubic
from napari_mdeblurgan.evaluation.complexity import gigaflop_per_megapixel, parameters
from napari_mdeblurgan.model import Model, load_model
from napari_mdeblurgan.model_file import SUFFIX
from napari_mdeblurgan.network import Generator
from napari_mdeblurgan.network.blocks import BicubicUpsampling
from napari_mdeblurgan.restoration.engine import restore_steps
from napari_mdeblurgan.restoration.plan import make_plan
from napari_mdeblurgan.steps import finished

Restore = Callable[[np.ndarray, Condition], np.ndarray]

_BICUBIC, _RICHARDSON_LUCY = "bicubic", "Richardson-Lucy + bicubic"
OURS = Generator.family


@dataclass(frozen=True, slots=True)
class Method:
    """One way from a blurred image to a sharp one of more pixels.

    Attributes
    ----------
    name : str
        What tables and figures call it.
    what : str
        One line that says what it is.
    family : str
        What it is compared as: "bicubic", "richardson-lucy", or the family of a network.
    identity : str
        Changes with whatever changes its results: a digest of the weights, say.
    source : str
        What `method_from` makes it of again in another process.
    scale : int
        Pixels of the result for one of the image, along y and x.
    channels : int or None
        1 for grey images, 3 for colour, None for any.
    restore : callable
        From (y, x) or (y, x, 3), float32 in [0, 1], and its condition, which a network does not
        look at, to the result.
    parameters : int
        That are learned.
    gflop_per_mpix : float or None
        10⁹ floating-point operations for 10⁶ pixels of the result; None where they are not counted.
    """

    name: str
    what: str
    family: str
    identity: str
    source: str
    scale: int
    channels: int | None
    restore: Restore
    parameters: int = 0
    gflop_per_mpix: float | None = None


def bicubic_method(scale: int) -> Method:
    """Bicubic enlargement: what every gain is measured from."""

    def enlarge(image: np.ndarray, _: Condition) -> np.ndarray:
        return bicubic(image, scale)

    flop = gigaflop_per_megapixel(BicubicUpsampling(scale), 1, scale)
    return Method(
        _BICUBIC,
        "Bicubic enlargement (Keys)",
        "bicubic",
        "bicubic",
        _BICUBIC,
        scale,
        None,
        enlarge,
        0,
        flop,
    )


def richardson_lucy_method(scale: int) -> Method:
    """Richardson-Lucy told the true point-spread function and offset, then bicubic enlargement in
    the place of SR.
    """

    def deconvolve(image: np.ndarray, condition: Condition) -> np.ndarray:
        offset = condition.camera.offset if condition.camera else 0.0
        return richardson_lucy_bicubic(image, condition.psf(scale), scale, ITERATIONS, offset)

    what = (
        f"{ITERATIONS} iterations, told the true point-spread function and camera offset; "
        "bicubic enlargement"
    )
    identity = f"richardson-lucy {ITERATIONS}"
    return Method(
        _RICHARDSON_LUCY,
        what,
        "richardson-lucy",
        identity,
        _RICHARDSON_LUCY,
        scale,
        None,
        deconvolve,
    )


def model_method(model: Model, name: str, source: str, device: str = "auto") -> Method:
    """A trained network in float32; it is told nothing but the image."""

    def run(image: np.ndarray, _: Condition) -> np.ndarray:
        # the truth is as sharp as its pixels
        plan = make_plan(
            image,
            model.card,
            device=device,
            precision="float32",
            softness=0,
            output_scale=model.card.scale,
        )
        return finished(restore_steps(image, plan, model))

    card, network = model.card, model.network
    flop = gigaflop_per_megapixel(network, card.channels, card.scale)
    return Method(
        name=f"{network.title} ({name})" if network.title else name,
        what=network.described + (f"; “{card.description}”" if card.description else ""),
        family=network.family,
        identity=card.weights_sha256,
        source=source,
        scale=card.scale,
        channels=card.channels,
        restore=run,
        parameters=parameters(network),
        gflop_per_mpix=flop,
    )


def model_methods(
    names_or_paths: Sequence[str], device: str = "auto"
) -> tuple[list[Method], list[str]]:
    """Load models as methods, each under a name of its own, as `named_models` does.

    Returns
    -------
    list of Method
        One for all models of the same weights: the first of them.
    list of str
        A sentence for each of the others.

    Raises
    ------
    ModelError
        If there is no such model, or it cannot be used.
    """
    loaded, notes = _loaded(names_or_paths)
    methods = [model_method(model, name, each, device) for name, each, model in loaded]
    twice = Counter(method.name for method in methods)
    named = [
        replace(method, name=f"{method.name} [{method.identity[:8]}]")
        if twice[method.name] > 1
        else method
        for method in methods
    ]
    return named, notes


def named_models(names_or_paths: Sequence[str]) -> tuple[list[tuple[str, Model]], list[str]]:
    """Load models, each under a name of its own: the one it was asked for by, or its file's.

    Returns
    -------
    list of (str, Model)
        One for all models of the same weights: the first of them.
    list of str
        A sentence for each of the others.

    Raises
    ------
    ModelError
        If there is no such model, or it cannot be used.
    """
    loaded, notes = _loaded(names_or_paths)
    twice = Counter(name for name, _, _ in loaded)
    named = [
        (f"{name} [{model.card.weights_sha256[:8]}]" if twice[name] > 1 else name, model)
        for name, _, model in loaded
    ]
    return named, notes


def _loaded(names_or_paths: Sequence[str]) -> tuple[list[tuple[str, str, Model]], list[str]]:
    """Short name, what was asked for, and model; and a sentence for every model that is there
    already.
    """
    models: dict[str, tuple[str, Model]] = {}
    notes = []
    for each in dict.fromkeys(names_or_paths):
        model = load_model(each)
        first, _ = models.setdefault(model.card.weights_sha256, (each, model))
        if first != each:
            notes.append(f"{each} was not judged: it has the same weights as {first}, which was.")
    short = Counter(_stem(each) for each, _ in models.values())
    loaded = []
    for each, model in models.values():
        name = _stem(each)
        if short[name] > 1:
            name = f"{Path(each).absolute().parent.name}/{name}"
        loaded.append((name, each, model))
    return loaded, notes


def _stem(name_or_path: str) -> str:
    if not name_or_path.endswith(SUFFIX):
        return name_or_path
    path = Path(name_or_path).absolute()
    return path.parent.name if path.stem == "model" else path.stem


def method_from(source: str, scale: int, device: str = "auto") -> Method:
    """The method that has this `source`."""
    if source == _BICUBIC:
        return bicubic_method(scale)
    if source == _RICHARDSON_LUCY:
        return richardson_lucy_method(scale)
    return model_method(load_model(source), source, source, device)
