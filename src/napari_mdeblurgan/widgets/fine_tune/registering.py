"""Pairs of layers or files, registered step by step. No Qt in here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_mdeblurgan.errors import MdeblurganError
from napari_mdeblurgan.stopping import Stopped, look_up, stoppable
from napari_mdeblurgan.widgets.fine_tune.given import GivenPair, PairStep
from napari_mdeblurgan.widgets.shared.unexpected import in_one_sentence

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image

    from napari_mdeblurgan.pairs import ImagePair
    from napari_mdeblurgan.storage import Micrograph
    from napari_mdeblurgan.widgets.fine_tune.sources import ChosenSource
    from napari_mdeblurgan.widgets.fine_tune.stack_page import ChosenStacks


def micrograph_of(layer: Image, plane: tuple[int, ...]) -> Any:
    """A layer's shown plane as a micrograph, named with its index, with its pixel size where the
    layer has a unit of length.

    Parameters
    ----------
    layer : Image
        Of any dimension.
    plane : tuple of int
        Index for each axis before y and x.

    Raises
    ------
    ImageError
        If some of its pixels are masked, and its type cannot say so.
    """
    from napari_mdeblurgan.restoration.arrays import as_array
    from napari_mdeblurgan.storage import Micrograph
    from napari_mdeblurgan.widgets.layers.axes import arranged, order_of
    from napari_mdeblurgan.widgets.layers.origin import is_ours
    from napari_mdeblurgan.widgets.layers.view import full_resolution

    order = order_of(layer.axis_labels)
    data: Any = arranged(as_array(full_resolution(layer)), order)
    image = np.asarray(data[plane] if plane else data)
    size, units = layer.scale[list(order[-2:])], [layer.units[axis] for axis in order[-2:]]
    sizes: dict[str, float] = {}
    unit = None
    if all(u.is_compatible_with("meter") for u in units):
        sizes = {
            axis: float((scale * u).to("micrometer").magnitude)
            for axis, scale, u in zip("YX", size, units, strict=True)
        }
        unit = "µm"
    return Micrograph(
        image,
        "YXS" if layer.rgb else "YX",
        sizes,
        unit,
        name=f"{layer.name} {list(plane)}" if plane else layer.name,
        restored=is_ours(layer, wait=True),
    )


def stack_micrograph(layer: Image, shown: tuple[int, ...]) -> Micrograph:
    """A layer's focus stack, its planes first and not read yet; along axes but z and the channels,
    at what is shown.

    Parameters
    ----------
    layer : Image
        Of three dimensions or more.
    shown : tuple of int
        Index for each axis before y and x.

    Raises
    ------
    ImageError
        If it has no axis through focus, or masked pixels and a type that cannot say so.
    """
    from napari_mdeblurgan.focus.opening import with_planes_first
    from napari_mdeblurgan.restoration.arrays import as_array
    from napari_mdeblurgan.storage import Micrograph
    from napari_mdeblurgan.widgets.layers.axes import arranged, lazy, letters, order_of
    from napari_mdeblurgan.widgets.layers.origin import is_ours
    from napari_mdeblurgan.widgets.layers.view import full_resolution

    order = order_of(layer.axis_labels)
    data: Any = arranged(as_array(full_resolution(layer)), order)
    axes = letters([layer.axis_labels[axis] for axis in order], layer.rgb)
    kept = [letter in "ZC" or "Z" not in axes for letter in axes[: len(shown)]]
    index = tuple(slice(None) if keep else at for keep, at in zip(kept, shown, strict=True))
    data = (data if isinstance(data, np.ndarray) else lazy(data))[index]
    own = (
        "".join(letter for letter, keep in zip(axes, kept, strict=False) if keep)
        + axes[len(shown) :]
    )
    return with_planes_first(
        Micrograph(data, own, name=layer.name, restored=is_ours(layer, wait=True))
    )


def layers_of(source: ChosenSource, viewer: Viewer) -> ImagePair | Micrograph | None:
    """The images of the layers that are pointed at, at what the viewer shows; None for files.

    Raises
    ------
    ImageError
        If the layer that is to be a focus stack has no axis through focus, or a layer has masked
        pixels and a type that cannot say so.
    """
    from napari.layers import Image

    from napari_mdeblurgan.widgets.layers.view import current_slice

    if source.stack is not None:
        stack = source.stack.layer
        return None if stack is None else stack_micrograph(stack, current_slice(stack, viewer))
    if not isinstance(source.low, Image):
        return None
    from napari_mdeblurgan.pairs import ImagePair

    low, high = (
        micrograph_of(layer, current_slice(layer, viewer)) for layer in (source.low, source.high)
    )
    return ImagePair(f"{low.name} + {high.name}", low, high)


def registered(
    source: ChosenSource,
    layers: ImagePair | Micrograph | None,
    scale: int,
    asked: Callable[[], bool],
) -> Iterator[PairStep | str]:
    """Register what the user pointed at.

    Parameters
    ----------
    source : ChosenSource
        Folders, a table or files of stacks; of layers only the objectives.
    layers : ImagePair or Micrograph or None
        The two layers, where it is two, or the stack of a layer.
    scale : int
        Of the model.
    asked : callable
        Without arguments: whether to stop. What was yielded before stays.

    Yields
    ------
    str or PairStep
        A sentence for the user, or what became of a pair. No exception leaves this generator.
    """
    yield from _in_sentences(_registered(source, layers, scale, asked))


def registered_anew(
    swapped: Sequence[tuple[str, GivenPair]], scale: int, asked: Callable[[], bool]
) -> Iterator[PairStep | str]:
    """Register pairs whose low and high were exchanged; each takes the place of the row that is
    named before it.
    """
    yield from _in_sentences(
        _all([each for _, each in swapped], scale, asked, [name for name, _ in swapped])
    )


def _in_sentences(steps: Iterator[PairStep | str]) -> Iterator[PairStep | str]:
    """The same steps; an error is said in a sentence and ends them, and so does being asked to
    stop.
    """
    try:
        yield from steps
    except Stopped:
        return
    except Exception as error:
        yield in_one_sentence(error, "Registering")


def _registered(
    source: ChosenSource,
    layers: ImagePair | Micrograph | None,
    scale: int,
    asked: Callable[[], bool],
) -> Iterator[PairStep | str]:
    from napari_mdeblurgan.pairs import match_folders, read_table

    if source.stack is not None:
        yield from _planes(source.stack, layers, scale, asked)
        return
    todo: list[Any] = [layers] if layers is not None else []
    if layers is None:
        assert source.table is not None or isinstance(source.low, Path)
        matched = (
            read_table(source.table)
            if source.table is not None
            else match_folders(source.low, source.high)
        )
        todo = list(matched.pairs)
        yield from matched.left_out
    yield from _all([GivenPair(each, source.objectives) for each in todo], scale, asked)


def _all(
    todo: Sequence[GivenPair], scale: int, asked: Callable[[], bool], places: Sequence[str] = ()
) -> Iterator[PairStep]:
    """One pair after the other, until asked to stop."""
    from napari_mdeblurgan.pairs import register_all

    for number, given in enumerate(todo):
        with stoppable(asked):
            look_up()
            (outcome,) = register_all([given.pair], scale=scale, objectives=given.objectives)
        yield PairStep(len(todo), outcome, given, places[number] if places else "")


def _planes(
    source: ChosenStacks, layer: Any, scale: int, asked: Callable[[], bool]
) -> Iterator[PairStep | str]:
    """The planes of stacks, one stack after the other; a bad one is named and the rest goes on."""
    from napari_mdeblurgan.fine_tuning.stacks import (
        read_stack,
        stack_names,
        stack_pairs,
        stack_paths,
    )

    paths = stack_paths(source.paths)
    stacks: list[tuple[str, Any]] = list(zip(stack_names(paths), paths, strict=True))
    if layer is not None:
        stacks = [(layer.name, layer)]
    count = 0
    for name, given in stacks:
        try:
            with stoppable(asked):
                look_up()
                stack = read_stack(given) if isinstance(given, Path) else given
                outcomes = stack_pairs(name, stack, scale=scale, registered=source.registered)
        except MdeblurganError as error:
            yield str(error)
            continue
        count += len(outcomes)
        for outcome in outcomes:
            yield PairStep(count, outcome)
