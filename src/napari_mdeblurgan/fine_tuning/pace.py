"""How much a step of a fine-tuning takes in and how far it goes, which trouble makes less."""

from __future__ import annotations

from dataclasses import dataclass, replace

from napari_mdeblurgan.errors import OutOfMemory
from napari_mdeblurgan.fine_tuning.held_out import SMALLEST_PATCH

MOST_RETRIES = 4


SLOWER = 0.3  # the learning rate after a divergence, as a share of the one before


@dataclass(frozen=True, slots=True)
class Pace:
    """What trouble has left of what was asked for; a checkpoint has it, too.

    Attributes
    ----------
    batch : int
        Patches in a step.
    patch : int
        Their edge in pixels of the image.
    slower : float
        Share of the learning rate that was asked for.
    retries : int
        How often the losses have run away.
    """

    batch: int
    patch: int
    slower: float = 1.0
    retries: int = 0

    @property
    def is_exhausted(self) -> bool:
        """Whether it has been slowed down often enough."""
        return self.retries >= MOST_RETRIES

    def slowed(self) -> Pace:
        """The next one after the losses have run away."""
        return replace(self, slower=self.slower * SLOWER, retries=self.retries + 1)

    def smaller(self) -> Pace:
        """The next one after the memory was too small: fewer patches, then smaller ones.

        Raises
        ------
        OutOfMemory
            If there is none.
        """
        if self.batch > 1:
            return replace(self, batch=self.batch // 2)
        if self.patch > SMALLEST_PATCH:
            return replace(self, patch=max(SMALLEST_PATCH, self.patch // 2 // 8 * 8))
        raise OutOfMemory(
            "Not even one small patch fits into the memory; close other programs, or use "
            "another device."
        )
