"""Perceptual losses: images are compared by the features that a network finds in them, not by their
pixels.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from napari_mdeblurgan.errors import ModelError
from napari_mdeblurgan.folders import at_home
from napari_mdeblurgan.training.losses.vgg19_file import (
    HASH,
    LAYERS,
    WIDTHS,
    checked,
    fetch_vgg19,
    vgg19_path,
)

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


class Trunk(nn.Module):
    """The convolutional part of VGG19 (Simonyan & Zisserman 2015) up to a layer; its weights are
    never trained.

    Parameters
    ----------
    layer : str
        The last layer, one of `LAYERS`: "relu3_4" is the activation after the fourth convolution of
        the third block.
    divisor : int
        Divides the number of feature maps: above 1 for a small network of random weights, such as
        tests use.

    Notes
    -----
    The keys of its `state_dict` are those of torchvision's VGG19: ``features.0.weight`` and so on.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, layer: str = "relu3_4", divisor: int = 1) -> None:
        super().__init__()
        if layer not in LAYERS:
            raise ValueError(f"unknown layer {layer!r}; choose one of {', '.join(LAYERS)}")
        self.layer = layer
        self.features = nn.Sequential(*_layers(layer, divisor))
        self.register_buffer(
            "mean",
            torch.tensor(IMAGENET_MEAN, dtype=torch.float32)[:, None, None],
            persistent=False,
        )
        self.register_buffer(
            "deviation",
            torch.tensor(IMAGENET_DEVIATION, dtype=torch.float32)[:, None, None],
            persistent=False,
        )
        self.requires_grad_(False)
        self.eval()

    def forward(self, image: Tensor) -> Tensor:
        """Features of images, (batch, 1 | 3, y, x) in [0, 1]; a grey image is taken for one of
        three equal colours.
        """
        return self.features((image.expand(-1, 3, -1, -1) - self.mean) / self.deviation)


def _layers(last: str, divisor: int) -> Iterator[nn.Module]:
    inputs = 3
    for block, widths in enumerate(WIDTHS, 1):
        for number, width in enumerate(widths, 1):
            outputs = width // divisor
            yield nn.Conv2d(inputs, outputs, 3, padding=1, dtype=torch.float32)
            yield nn.ReLU()
            inputs = outputs
            if f"relu{block}_{number}" == last:
                return
        yield nn.MaxPool2d(2)


def trunk_for(
    layer: str, file: str | Path = "", *, address: str = "", consent: bool = False
) -> Trunk:
    """VGG19 up to `layer`: from `file`, or else from the cache folder, to which it is downloaded
    with the user's consent.

    Raises
    ------
    ModelError
        If there is no file and no consent, or the file is not the published one; says how to mend
        it.
    """
    if file:
        return load_trunk(at_home(file), layer)
    path = vgg19_path()
    return load_trunk(path if path.is_file() else fetch_vgg19(address, consent), layer)


def load_trunk(
    path: Path, layer: str = "relu3_4", *, sha256: str = HASH, divisor: int = 1
) -> Trunk:
    """Read VGG19's weights from torchvision's published file.

    The file is opened only after its hash has been found right, and nothing in it is run: PyTorch
    is told to read tensors alone.

    Parameters
    ----------
    path : Path
        The file.
    layer : str
        The last layer that is needed.
    sha256 : str
        How the file's SHA-256 begins, in hexadecimal digits.
    divisor : int
        See `Trunk`.

    Raises
    ------
    ModelError
        If there is no such file, it is not the one of this hash, or it does not hold the weights of
        VGG19.
    """
    trunk = Trunk(layer, divisor)
    with checked(path, sha256) as handle:
        try:
            weights = torch.load(handle, map_location="cpu", weights_only=True)
        except (
            pickle.UnpicklingError,
            RuntimeError,
            EOFError,
            OSError,
            ValueError,
            KeyError,
        ) as error:
            raise ModelError(
                f"{path} is not a file of weights that can be read without running what is in it; "
                "take torchvision's published file of VGG19."
            ) from error
    expected = trunk.state_dict()
    for name, value in expected.items():
        found = weights.get(name) if isinstance(weights, dict) else None
        if (
            not isinstance(found, Tensor)
            or found.shape != value.shape
            or not found.is_floating_point()
        ):
            raise ModelError(
                f"{path} does not hold the weights of VGG19: {name} is missing or not of shape "
                f"{tuple(value.shape)}; take torchvision's published file."
            )
    trunk.load_state_dict({name: weights[name] for name in expected})
    return trunk


def perceptual_distance(trunk: Trunk, image: Tensor, truth: Tensor) -> Tensor:
    """Mean squared difference of the features of two batches, (batch, 1 | 3, y, x) in [0, 1]; no
    gradient to `truth`.
    """
    if trunk.mean.device != image.device:
        trunk.to(image.device)
    with torch.no_grad():
        wanted = trunk(truth)
    return (trunk(image) - wanted).square().mean()


def feature_matching(fake: list[Tensor], real: list[Tensor]) -> Tensor:
    """Mean absolute difference of the discriminator's features, averaged over its stages; no
    gradient to `real`.

    Parameters
    ----------
    fake, real : list of Tensor
        What `Discriminator.features` gave for the generator's output and for the truth.
    """
    differences = [
        (made - wanted.detach()).abs().mean() for made, wanted in zip(fake, real, strict=True)
    ]
    return torch.stack(differences).mean()
