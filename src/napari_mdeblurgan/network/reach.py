"""How far a pixel of the output looks into the input: receptive-field arithmetic.

A ``Reach`` is carried through the layers in the order in which the data flows, and every layer says
how it widens it. Lengths are in pixels of the network's input. A feature at index ``i`` of a grid
with stride ``s`` is said to sit at input pixel ``i * s``; its reach is how far left and right of
that pixel the input can still change it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Reach:
    """Receptive field of one feature map.

    Attributes
    ----------
    left, right : int
        Pixels of the input before and after the feature's own position which it depends on.
    stride : int
        Distance between neighbouring features, in pixels of the input.
    """

    left: int = 0
    right: int = 0
    stride: int = 1

    def convolved(self, kernel_size: int) -> Reach:
        """After a centred convolution of odd `kernel_size` at the present stride."""
        margin = self.stride * (kernel_size // 2)
        return replace(self, left=self.left + margin, right=self.right + margin)

    def pooled(self, factor: int) -> Reach:
        """After each block of `factor` neighbours became one feature."""
        return Reach(self.left, self.right + self.stride * (factor - 1), self.stride * factor)

    def upsampled(self) -> Reach:
        """After a 3-tap transposed convolution of stride 2: an odd output lies
        between two inputs.
        """
        fine = self.stride // 2
        return Reach(self.left + fine, self.right + fine, fine)

    def repeated(self, factor: int) -> Reach:
        """After nearest-neighbour repetition: the last copy looks back to where
        the feature sits.
        """
        fine = self.stride // factor
        return Reach(self.left + self.stride - fine, self.right, fine)

    def joined(self, *others: Reach) -> Reach:
        """Where maps of equal stride are added or concatenated, the widest counts."""
        maps = (self, *others)
        if len({each.stride for each in maps}) != 1:
            raise ValueError("only feature maps of equal stride can be joined")
        return Reach(max(m.left for m in maps), max(m.right for m in maps), self.stride)

    @property
    def radius(self) -> int:
        """Pixels needed on every side, at most."""
        return max(self.left, self.right)
