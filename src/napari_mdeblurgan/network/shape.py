"""A network's shape without its weights: nothing is allocated, drawn by chance
or imported for it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch.overrides import TorchFunctionMode

from napari_mdeblurgan.network.network import Network

_Made = TypeVar("_Made")

FILLING = {"normal_", "uniform_", "zero_", "fill_"}
INITIALISING = {"kaiming_normal_", "kaiming_uniform_", "normal_", "uniform_", "zeros_", "constant_"}


class _Unfilled(TorchFunctionMode):
    """Leaves tensors as they are where they would be filled: on no device at all, torch would
    import its compiler for that.
    """

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") in FILLING | INITIALISING:
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


class _Plainly(TorchFunctionMode):
    """Allocates by shape and type what is to be like a tensor of no device: torch would import its
    compiler for that, 0.4 s.
    """

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.empty_like:
            return torch.empty(args[0].shape, dtype=args[0].dtype, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def apart(work: Callable[..., _Made], *given: Any) -> _Made:
    """Do work that sets modes of torch in a thread of its own: they are set for a thread, and
    Ctrl-C in the midst of that would leave one on for good.
    """
    with ThreadPoolExecutor(1, "apart") as thread:
        return thread.submit(work, *given).result()


def allocated(outline: Network) -> Network:
    """The same network with memory of the CPU for what it holds, which is not filled."""
    with _Plainly():
        return outline.to_empty(device="cpu")


def outline(architecture: dict[str, Any]) -> Network:
    """A network of that architecture, all of it on torch's device "meta".

    Parameters
    ----------
    architecture : dict
        As in a model's card, see `build_generator`.

    Raises
    ------
    ValueError
        If it is unfit.
    """
    from napari_mdeblurgan.network import build_generator

    with torch.device("meta"), _Unfilled():
        return build_generator(architecture).to("meta")
