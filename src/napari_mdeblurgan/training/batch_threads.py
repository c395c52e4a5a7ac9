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

from napari_mdeblurgan.network.block_threads import Blocks


def in_parts(
    network: nn.Module,
    work: Callable[[Tensor], Sequence[Tensor]],
    images: Tensor,
    blocks: Blocks,
) -> tuple[Tensor, ...]:
    """What a network makes of a batch, with its history.

    Parameters
    ----------
    network : nn.Module
        Whose weights are learned, if they are.
    work : callable
        From images, (batch, channels, y, x), to what the network makes of them, (batch, ...) each;
        called once for each part of the batch.
    images : Tensor
        The batch.
    blocks : Blocks
        Carries out the parts.

    Notes
    -----
    Parts are the same for as many threads, and their gradients are added in their order: so the
    same batch gives the same bits.
    """
    if min(blocks.count, len(images)) == 1 or mixes_images(network):
        return tuple(work(images))
    weights = [each for each in network.parameters() if each.requires_grad]
    return cast(tuple[Tensor, ...], _InParts.apply(work, blocks, images, *weights))


def mixes_images(network: nn.Module) -> bool:
    """Whether images of one batch make a difference to each other, or draw from one sequence of
    random numbers.
    """
    kinds = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)
    return any(isinstance(layer, kinds) for layer in network.modules())


class _InParts(torch.autograd.Function):
    """The work as one operation; the parts of a batch keep a history each."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, work: Callable, blocks: Blocks, images: Tensor, *weights: Tensor
    ) -> tuple[Tensor, ...]:
        learns = any(ctx.needs_input_grad)

        def ahead(part: Tensor) -> tuple[Tensor, ...]:
            with torch.set_grad_enabled(learns):
                return tuple(work(part))

        parts = [
            part.detach().requires_grad_(images.requires_grad)
            for part in images.tensor_split(min(blocks.count, len(images)))
        ]
        ctx.made = _side_by_side(blocks, ahead, [(part,) for part in parts])
        ctx.blocks, ctx.parts, ctx.weights = blocks, parts, weights
        ctx.set_materialize_grads(False)
        return tuple(torch.cat(maps).detach() for maps in zip(*ctx.made, strict=True))

    @staticmethod
    def backward(  # type: ignore[override]
        ctx: Any, *gradients: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        to_images = ctx.needs_input_grad[2]

        def back(part: Tensor, made: tuple, *asked: Tensor | None) -> tuple[Tensor | None, ...]:
            pairs = [
                (each, gradient)
                for each, gradient in zip(made, asked, strict=True)
                if gradient is not None and each.requires_grad
            ]
            outputs, wanted = zip(*pairs, strict=True)
            inputs = (part, *ctx.weights) if to_images else ctx.weights
            found = torch.autograd.grad(outputs, inputs, wanted, allow_unused=True)
            return found if to_images else (None, *found)

        parts, made, ctx.parts, ctx.made = ctx.parts, ctx.made, (), ()
        sizes = [len(part) for part in parts]
        split = ([None] * len(sizes) if each is None else each.split(sizes) for each in gradients)
        given = list(zip(parts, made, *split, strict=True))
        images, *weights = zip(*_side_by_side(ctx.blocks, back, given), strict=True)
        whole = torch.cat(images) if to_images else None
        return None, None, whole, *(_sum(each) for each in weights)


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
