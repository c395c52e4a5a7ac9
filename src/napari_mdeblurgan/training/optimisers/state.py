"""An optimizer's state as plain tensors, and back to the last bit."""

from __future__ import annotations

import torch
from torch import Tensor


def optimizer_state(prefix: str, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Every tensor of its state, named ``prefix/number of the parameter/name``."""
    return {
        f"{prefix}/{number}/{name}": value
        for number, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
    }


def restore_optimizer(
    prefix: str, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]
) -> None:
    """Put back what `optimizer_state` gave.

    Every tensor gets the memory layout of its parameter again: otherwise sums would run in another
    order.

    Raises
    ------
    ValueError
        If the state is of other parameters.
    """
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        part, _, rest = key.partition("/")
        if part == prefix:
            number, name = rest.split("/")
            state.setdefault(int(number), {})[name] = value
    parameters = [each for group in optimizer.param_groups for each in group["params"]]
    if state and not all(0 <= number < len(parameters) for number in state):
        raise ValueError("the optimizer has other parameters")
    for index, values in state.items():
        for name, value in values.items():
            if value.ndim and value.shape != parameters[index].shape:
                raise ValueError(f"the optimizer's {name} of parameter {index} has another shape")
            if value.ndim:
                values[name] = torch.empty_like(parameters[index], requires_grad=False).copy_(value)
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
