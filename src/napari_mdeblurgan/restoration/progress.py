"""How far a restoration has come."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a restoration has come.

    Attributes
    ----------
    done, total : int
        Pixels of the result; those of a tile that is being worked on are guessed from how far it
        is.
    seconds : float
        Since the start.
    before : int
        Of those done, the pixels that an earlier run had done.
    """

    done: int
    total: int
    seconds: float
    before: int = 0

    @property
    def fraction(self) -> float:
        """0 at the start, 1 at the end."""
        return self.done / self.total

    @property
    def remaining_s(self) -> float | None:
        """Seconds still to go at the rate so far; None before the first tile is done."""
        own = self.done - self.before
        return self.seconds * (self.total - self.done) / own if own else None

    @property
    def rate(self) -> float | None:
        """Megapixels of the result per second so far; None before the first tile is done."""
        own = self.done - self.before
        return own / self.seconds / 1e6 if own and self.seconds else None
