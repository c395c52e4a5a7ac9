"""What every network is and tells of itself: the rest of the package asks for nothing else."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from napari_mdeblurgan.network.reach import Reach
from napari_mdeblurgan.network.stages import Stages


class Restoration(NamedTuple):
    """A network's output with all that led to it.

    Attributes
    ----------
    output : Tensor
        (batch, channels, scale · y, scale · x).
    encoder_decoder, deblurred, approximated : Tensor
        (batch, channels, y, x): the two sharpened candidates, and the image that super-resolution
        started from.
    weights, distances : Tensor
        (batch, 3, y, x): see `Approximation`; candidates are the input, the encoder-decoder's and
        the deblurred image.
    """

    output: Tensor
    encoder_decoder: Tensor
    deblurred: Tensor
    approximated: Tensor
    weights: Tensor
    distances: Tensor


class Network(nn.Module):
    """A network that restores images: fully convolutional, with a finite and known receptive field.

    One is made from keywords, those of its `architecture`, and is registered with
    `registry.register`.

    Attributes
    ----------
    name : str
        What its architecture is called in a model's card.
    title : str
        What a comparison calls models of this kind; empty where their own names are enough.
    family : str
        What models of this kind are compared as.
    channels, scale, width : int
        Channels of the image; how many times the pixel density grows along y and x; feature maps at
        full size, by which the memory that a tile takes is estimated.
    downsampling : int
        Sizes along y and x must be multiples of this, and tiles must start on multiples of it.
    """

    name: ClassVar[str]
    title: ClassVar[str] = ""
    family: ClassVar[str]
    channels: int
    scale: int
    width: int
    downsampling: int

    @property
    def architecture(self) -> dict[str, Any]:
        """What `build_generator` needs to make a network of this shape: `name`, `channels`,
        `scale`, `width`, and its own.
        """
        raise NotImplementedError

    @property
    def described(self) -> str:
        """What it is, in a few words for a report."""
        raise NotImplementedError

    @property
    def stages(self) -> Stages:
        """What `forward` does, for those who need a part of its result only."""
        raise NotImplementedError

    @property
    def explains(self) -> bool:
        """Whether it chooses between candidates, so that `explained_stages` has
        something to tell.
        """
        return False

    @property
    def explained_stages(self) -> Stages:
        """The stages with one more map, called "explanation": the three weights and the three
        distances, see `Restoration`.
        """
        raise NotImplementedError

    @property
    def parts(self) -> dict[str, tuple[nn.Module, ...]]:
        """What can be learned on its own, by the names that fine-tuning has for it."""
        return {}

    @property
    def reach(self) -> Reach:
        """Receptive field in pixels of the input, computed from the layers."""
        return self.stages.reach

    @property
    def halo(self) -> int:
        """Pixels that a tile needs around it: the receptive field's radius, rounded up to a
        multiple of `downsampling`.
        """
        return -(-self.reach.radius // self.downsampling) * self.downsampling

    def forward(self, image: Tensor) -> Tensor:
        """Restore `image`, (batch, channels, y, x) with y and x multiples of 8, to (batch,
        channels, scale · y, scale · x).
        """
        return self.explain(image).output

    def explain(self, image: Tensor) -> Restoration:
        """As `forward`, with the intermediate images, the weights of the candidates and their
        estimated distances.
        """
        raise NotImplementedError

    def check(self, image: Tensor) -> None:
        """Raise `ValueError` if it is no batch of images that `forward` takes."""
        if image.ndim != 4 or image.shape[1] != self.channels:
            raise ValueError(f"expected (batch, {self.channels}, y, x), got {tuple(image.shape)}")
        if image.shape[-2] % self.downsampling or image.shape[-1] % self.downsampling:
            raise ValueError(
                f"y and x must be multiples of {self.downsampling}, got {tuple(image.shape[-2:])}"
            )
