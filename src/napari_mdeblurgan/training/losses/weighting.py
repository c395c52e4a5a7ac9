"""Weights that give chosen terms of a loss a chosen share of the whole."""

from __future__ import annotations

import math
from collections.abc import Mapping

from napari_mdeblurgan.errors import TrainingError


def shares(sizes: Mapping[str, float]) -> dict[str, float]:
    """Each size's part of their sum, 0 to 1; all 0 where nothing is left to minimise.

    Parameters
    ----------
    sizes : mapping of str to float
        Weighted sizes of the terms, not below 0.
    """
    whole = sum(sizes.values())
    return {name: size / whole if whole > 0 else 0.0 for name, size in sizes.items()}


class Weighting:
    """Steers the weights of some terms, so that each is a fixed share of the whole while the sizes
    of all of them change.

    The other terms keep the weights they have. The first batch sets the weights; after it they
    follow a moving average of how large each is beside those others. It is an average of
    logarithms, so that one odd batch hardly moves the weights.

    Parameters
    ----------
    targets : mapping of str to float
        Share of every steered term, above 0; together below 1.
    memory : float
        Decay of the moving average per batch, 0 to below 1: 0.95 remembers some 20 batches. The
        first batches are averaged evenly.

    Raises
    ------
    TrainingError
        If the shares leave nothing for the other terms, or the memory is out of range.
    """

    def __init__(self, targets: Mapping[str, float], memory: float = 0.95) -> None:
        if any(not 0 < share < 1 for share in targets.values()) or sum(targets.values()) >= 1:
            raise TrainingError(
                "The shares of the loss terms "
                f"({', '.join(f'{name} {share:g}' for name, share in targets.items())}) must each "
                "lie above 0 and together below 1, so that the pixel terms keep the rest."
            )
        if not 0 <= memory < 1:
            raise TrainingError(
                f"The memory of the weights must be at least 0 and below 1, not {memory:g}."
            )
        self.targets = dict(targets)
        self.memory = memory
        self._batches = 0
        self._ratios: dict[str, float] = {}

    def observe(self, sizes: Mapping[str, float]) -> None:
        """Take one batch into the moving average.

        A batch with a size that is not finite is left out: its loss is not finite either, which is
        for the trainer to see. So is a term of size 0, or a batch in which all other terms are 0:
        no weight could give it its share.

        Parameters
        ----------
        sizes : mapping of str to float
            Sizes of all terms, not below 0: of a steered term before weighting, of any other term
            after it.
        """
        if not all(map(math.isfinite, sizes.values())):
            return
        others = sum(size for name, size in sizes.items() if name not in self.targets)
        keep = min(self.memory, self._batches / (self._batches + 1))
        for name in self.targets:
            if sizes[name] > 0 and others > 0:
                ratio = math.log(sizes[name] / others)
                self._ratios[name] = keep * self._ratios.get(name, ratio) + (1 - keep) * ratio
        self._batches += 1

    def weights(self) -> dict[str, float]:
        """The weight of every steered term; 0 for a term whose size has been 0 in every batch."""
        rest = 1 - sum(self.targets.values())
        return {
            name: share / rest * math.exp(-self._ratios[name]) if name in self._ratios else 0.0
            for name, share in self.targets.items()
        }

    def state_dict(self) -> dict[str, float]:
        """All that the weights depend on. Kept as 64-bit floats, it gives the same weights to the
        last bit.
        """
        return {
            "batches": float(self._batches),
            **{f"ratio {name}": ratio for name, ratio in self._ratios.items()},
        }

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Go on from a state that `state_dict` gave for the same terms.

        Raises
        ------
        TrainingError
            If the state is of other terms, or has values that cannot be.
        """
        ratios = {
            name.removeprefix("ratio "): float(value)
            for name, value in state.items()
            if name != "batches"
        }
        if not ratios.keys() <= self.targets.keys():
            raise TrainingError(
                f"The saved weights of the loss are of {', '.join(ratios)}, not of "
                f"{', '.join(self.targets) or 'no terms'}; resume with the losses that the run was "
                "started with."
            )
        batches = state.get("batches", -1.0)
        if batches < 0 or not all(map(math.isfinite, state.values())):
            raise TrainingError(
                "The saved weights of the loss are damaged; resume from an earlier checkpoint."
            )
        self._batches = int(batches)
        self._ratios = ratios
