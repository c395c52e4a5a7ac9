"""What is differentiated, as modules: their `forward` is what several processes synchronise."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import torch
from torch import Tensor, nn

from napari_mdeblurgan.network import Network, Restoration
from napari_mdeblurgan.network.averaging import averaged_to
from napari_mdeblurgan.network.block_threads import Blocks
from napari_mdeblurgan.network.discriminator import Discriminator, frozen
from napari_mdeblurgan.network.layout import layout_on
from napari_mdeblurgan.training.batch_threads import in_parts
from napari_mdeblurgan.training.data.dataset import Patches
from napari_mdeblurgan.training.losses.terms import GeneratorLoss, discriminator_loss

Autocast = Callable[[], AbstractContextManager]


class GeneratorObjective(nn.Module):
    """From patches to the terms of the generator's loss; an output of more pixels than the truth is
    averaged to those.

    Parameters
    ----------
    network : Network
        Whose weights are learned.
    discriminator : Discriminator, optional
        Only asked; its weights are none of this module's.
    """

    def __init__(self, network: Network, discriminator: Discriminator | None) -> None:
        super().__init__()
        self.network = network
        self._asked = (
            discriminator,
        )  # in a tuple, so that its weights are not taken for this module's

    def forward(
        self,
        patches: Patches,
        loss: GeneratorLoss,
        floor: float,
        adversarial: bool,
        autocast: Autocast,
        blocks: Blocks,
    ) -> tuple[dict[str, Tensor], Tensor]:
        """The weighted terms, and the generator's output without its history; `blocks` is how
        parts of the batch go through the network.
        """
        with autocast():
            blurred = _laid(patches.blurred)
            restored = Restoration(*in_parts(self.network, self.network.explain, blurred, blocks))
        restored = restored._replace(output=averaged_to(restored.output, patches.sharp.shape[-1]))
        (discriminator,) = self._asked
        if not adversarial or discriminator is None:
            return loss.terms(restored, patches, floor=floor), restored.output.detach()
        with frozen(discriminator), autocast():
            judged = partial(_judged, discriminator)
            *fake, logits = in_parts(discriminator, judged, restored.output, blocks)
            real = None
            if loss.config.perceptual == "feature-matching":
                with torch.no_grad():
                    real = [*in_parts(discriminator, discriminator.features, patches.sharp, blocks)]
        terms = loss.terms(
            restored,
            patches,
            fake_logits=logits.float(),
            fake_features=fake,
            real_features=real,
            floor=floor,
        )
        return terms, restored.output.detach()


class DiscriminatorObjective(nn.Module):
    """From sharp and restored images to the discriminator's loss."""

    def __init__(self, discriminator: Discriminator, label_smoothing: float) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.label_smoothing = label_smoothing

    def forward(
        self, sharp: Tensor, restored: Tensor, autocast: Autocast, blocks: Blocks
    ) -> Tensor:
        """One pass over both; both (batch, channels, y, x), `restored` without history."""
        with autocast():
            both = _laid(torch.cat([sharp, restored]))
            (logits,) = in_parts(
                self.discriminator, lambda images: (self.discriminator(images),), both, blocks
            )
        real, fake = logits.float().split(len(sharp))
        return discriminator_loss(real, fake, self.label_smoothing)


def _laid(images: Tensor) -> Tensor:
    """Images as the network's features lie on their device."""
    return images.contiguous(memory_format=layout_on(images.device.type))


def _judged(discriminator: Discriminator, images: Tensor) -> tuple[Tensor, ...]:
    """The features of images, and the logits that they are real."""
    features = discriminator.features(images)
    return *features, discriminator.judge(features)
