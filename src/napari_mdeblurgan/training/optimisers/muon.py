"""Muon: momentum whose direction is made orthogonal before it is stepped along (Jordan et al.
2024).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from napari_mdeblurgan.training.optimisers.adam import Adam

SMALLEST_MATRIX = (
    8  # inputs and outputs; layers that read or make an image of 1 or 3 channels stay with Adam
)
ADAM_LIKE = 0.2  # root mean square of Adam's steps, in learning rates (Liu et al. 2025)
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def orthogonalised(matrix: Tensor) -> Tensor:
    """About U·Vᵀ of the singular value decomposition U·S·Vᵀ: every direction as strong as the
    others.

    Five steps of a Newton-Schulz iteration bring all but vanishing singular values to between 0.7
    and 1.2.

    Parameters
    ----------
    matrix : Tensor
        (rows, columns).
    """
    a, b, c = NEWTON_SCHULZ
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = wide / (wide.norm() + 1e-12)
    for _ in range(5):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x if wide is matrix else x.T


class Muon(Adam):
    """Muon for the kernels of convolutions, Adam for all other parameters.

    A kernel (outputs, inputs, y, x) is stepped as a matrix (outputs, inputs · y · x). Its steps are
    scaled to be as large as Adam's usually are, so that one learning rate serves both.

    Parameters
    ----------
    parameters : iterable of nn.Parameter
        Of the network.
    lr : float
        Learning rate.
    momentum : float
        Of Muon, with Nesterov's look ahead.
    betas : (float, float)
        Of Adam.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
    ) -> None:
        kernels: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for parameter in parameters:
            fits = parameter.ndim == 4 and min(parameter.shape[:2]) >= SMALLEST_MATRIX
            (kernels if fits else others).append(parameter)
        groups = [{"params": kernels, "orthogonal": True}, {"params": others, "orthogonal": False}]
        super().__init__(
            [group for group in groups if group["params"]], lr, betas, momentum=momentum
        )

    def _move(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        if not group["orthogonal"]:
            super()._move(parameters, group)
            return
        for kernel in parameters:
            self._turn(kernel, group)

    def _turn(self, kernel: Tensor, group: dict[str, Any]) -> None:
        state, gradient = self.state[kernel], kernel.grad
        assert gradient is not None
        if not state:
            state["momentum"] = torch.zeros_like(kernel)
        state["momentum"].lerp_(gradient, 1 - group["momentum"])
        ahead = gradient.lerp(state["momentum"], group["momentum"])
        direction = orthogonalised(ahead.reshape(len(ahead), -1))
        size = ADAM_LIKE * max(direction.shape) ** 0.5
        kernel.add_(direction.reshape(kernel.shape), alpha=-group["lr"] * size)
