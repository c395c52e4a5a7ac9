"""A batch through a network and back in threads of their own, some of the patches in each.

As with blocks of an image: shared out operation by operation, the processors wait for each other
several hundred times a step, which takes most of the time while another program keeps one of them
busy. Patches know nothing of each other.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from napari_mdeblurgan.network import Network
from napari_mdeblurgan.network.block_threads import Blocks
from napari_mdeblurgan.network.network import Restoration


def explained(network: Network, image: Tensor, blocks: Blocks) -> Restoration:
    """What `network.explain` makes of a batch, (batch, channels, y, x), with its history.

    Parts of the batch are always the same for as many threads, and their gradients are added in
    their order: the same batch gives the same bits.
    """
    if min(blocks.count, len(image)) == 1 or _mixes_patches(network):
        return network.explain(image)
    weights = [each for each in network.parameters() if each.requires_grad]
    return Restoration(*cast(tuple, _InParts.apply(network, blocks, image, *weights)))


def _mixes_patches(network: nn.Module) -> bool:
    """Whether patches of one batch make a difference to each other, or draw from one sequence of
    random numbers.
    """
    kinds = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)
    return any(isinstance(layer, kinds) for layer in network.modules())


class _InParts(torch.autograd.Function):
    """The network as one operation; its parts of a batch keep a history each."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, network: Network, blocks: Blocks, image: Tensor, *weights: Tensor
    ) -> tuple[Tensor, ...]:
        def ahead(patches: Tensor) -> Restoration:
            with torch.enable_grad():
                return network.explain(patches)

        parts = image.tensor_split(min(blocks.count, len(image)))
        ctx.made = _side_by_side(blocks, ahead, [(part,) for part in parts])
        ctx.blocks, ctx.weights = blocks, weights
        ctx.set_materialize_grads(False)
        return tuple(torch.cat(maps).detach() for maps in zip(*ctx.made, strict=True))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        def back(made: Restoration, *asked: Tensor | None) -> tuple[Tensor | None, ...]:
            pairs = [
                (each, gradient)
                for each, gradient in zip(made, asked, strict=True)
                if gradient is not None and each.requires_grad
            ]
            outputs, wanted = zip(*pairs, strict=True)
            return torch.autograd.grad(outputs, ctx.weights, wanted, allow_unused=True)

        made, ctx.made = ctx.made, ()
        sizes = [len(part.output) for part in made]
        split = ([None] * len(sizes) if each is None else each.split(sizes) for each in gradients)
        given = [(part, *asked) for part, *asked in zip(made, *split, strict=True)]
        found = _side_by_side(ctx.blocks, back, given)
        return None, None, None, *(_sum(each) for each in zip(*found, strict=True))


def _side_by_side(
    blocks: Blocks, work: Callable[..., Any], given: Sequence[tuple[Any, ...]]
) -> list[Any]:
    """What `work` makes of each, in their order."""
    results: list[Any] = [None] * len(given)

    def piece(number: int) -> Callable[[], None]:
        def carry_out() -> None:
            results[number] = work(*given[number])

        return carry_out

    for _ in blocks.done([piece(number) for number in range(len(given))]):
        pass
    return results


def _sum(gradients: Sequence[Tensor | None]) -> Tensor | None:
    """Of the parts, in their order; None where no part has any."""
    own = [each for each in gradients if each is not None]
    return functools.reduce(torch.add, own) if own else None
