"""What training minimises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, distributed
from torch.nn import functional

from napari_mdeblurgan.degradation import softened
from napari_mdeblurgan.network import Restoration
from napari_mdeblurgan.training.losses.loss_config import PRESETS, LossConfig, preset
from napari_mdeblurgan.training.losses.perceptual import (
    Trunk,
    feature_matching,
    perceptual_distance,
    trunk_for,
)
from napari_mdeblurgan.training.losses.similarity import ssim_loss
from napari_mdeblurgan.training.losses.weighting import Weighting, shares

if TYPE_CHECKING:
    from napari_mdeblurgan.training.data.dataset import Patches

__all__ = [
    "NOISE_FLOOR",
    "PRESETS",
    "GeneratorLoss",
    "LossConfig",
    "adversarial_loss",
    "discriminator_loss",
    "distance_loss",
    "log_mse",
    "mse",
    "pixel_loss",
    "preset",
    "squared_errors",
    "without_border",
]

NOISE_FLOOR = 2e-6


class GeneratorLoss:
    """The generator's loss, term by term, with the weights that it steers.

    Parameters
    ----------
    config : LossConfig
        Which terms.
    trunk : Trunk, optional
        Network whose features the perceptual term compares; by default VGG19 from its published
        file, where `config` asks for it.

    Attributes
    ----------
    weighting : Weighting
        Weights of the steered terms. Its `state_dict` belongs into a checkpoint.
    shares : dict of str to float
        Share of the whole of each term in the last batch, by absolute weighted size; see the notes.

    Raises
    ------
    ModelError
        If VGG19 is asked for and its file is not there, not the published one, or may not be
        downloaded.

    Notes
    -----
    The size of a term says how much of the loss is left in it: it is not negative, and 0 if the
    restoration is perfect. For all but the logarithmic terms it is the value. The logarithm of an
    error e, whose value can be negative, pulls at the image like the error in units of itself; its
    size is the mean of e / (e + floor). The distances are estimated beside the image and change
    nothing in it, so they have no share.
    """

    def __init__(self, config: LossConfig, trunk: Trunk | None = None) -> None:
        self.config = config
        self.weighting = Weighting(config.targets, config.memory)
        self.shares: dict[str, float] = {}
        self.trunk = trunk
        if config.perceptual == "vgg19" and trunk is None:
            self.trunk = trunk_for(
                config.vgg19_layer,
                config.vgg19_file,
                address=config.vgg19_address,
                consent=config.vgg19_download,
            )

    def terms(
        self,
        restored: Restoration,
        patches: Patches,
        *,
        fake_logits: Tensor | None = None,
        fake_features: list[Tensor] | None = None,
        real_features: list[Tensor] | None = None,
        floor: float = NOISE_FLOOR,
        adapt: bool = True,
    ) -> dict[str, Tensor]:
        """Weighted terms of one batch: "output", "deblurred", "ssim" and so on; training minimises
        their sum.

        Parameters
        ----------
        restored : Restoration
            What the generator made of ``patches.blurred``, float32.
        patches : Patches
            The batch.
        fake_logits : Tensor, optional
            (batch,): the discriminator's judgement of ``restored.output``; needed for the
            adversarial term.
        fake_features, real_features : list of Tensor, optional
            Its features of ``restored.output`` and of ``patches.sharp``; needed for feature
            matching.
        floor : float
            Mean squared error below which a patch counts as perfect, for the logarithmic terms.
        adapt : bool
            Whether the weights follow this batch; not so in validation, which one process may do
            alone.

        Returns
        -------
        dict of str to Tensor
            Scalars. Processes that train together have the same weights, which follow the mean over
            all of them.

        Raises
        ------
        ValueError
            If something is missing that one of the terms needs.
        """
        config = self.config
        scale = patches.sharp.shape[-1] // patches.sharp_low.shape[-1]
        seen = _as_soft_as_known(restored, patches.softness, scale)
        known_low = None
        if patches.known is not None:
            known_low = functional.avg_pool2d(
                patches.known, scale
            ).floor()  # a pixel all of whose area is known
            seen = _true_where_unknown(seen, patches, patches.known, known_low)
        compared = (
            ("output", config.output, seen.output, patches.sharp, scale * config.border),
            (
                "encoder-decoder",
                config.encoder_decoder,
                seen.encoder_decoder,
                patches.sharp_low,
                config.border,
            ),
            ("deblurred", config.deblurred, seen.deblurred, patches.sharp_low, config.border),
            ("passed on", config.passed_on, seen.approximated, patches.sharp_low, config.border),
        )
        fixed: dict[str, Tensor] = {}
        sizes: dict[str, Tensor] = {}
        for name, weight, image, truth, border in compared:
            if weight:
                errors = squared_errors(image, truth, border)
                if config.pixel == "mse":
                    fixed[name] = weight * errors.mean()
                    sizes[name] = fixed[name].detach()
                else:
                    fixed[name] = weight * torch.log(errors + floor).mean()
                    sizes[name] = weight * (errors / (errors + floor)).mean().detach()
        output = without_border(seen.output, scale * config.border)
        sharp = without_border(patches.sharp, scale * config.border)
        steered = self._steered(output, sharp, fake_logits, fake_features, real_features)
        sizes |= {name: value.detach() for name, value in steered.items()}

        stacked = torch.stack(list(sizes.values()))
        if adapt:
            stacked = _mean_of_all_processes(stacked)
        measured = dict(zip(sizes, stacked.tolist(), strict=True))
        if adapt:
            self.weighting.observe(measured)
        weights = self.weighting.weights()
        self.shares = shares(
            {name: weights.get(name, 1.0) * size for name, size in measured.items()}
        )
        terms = fixed | {name: weights[name] * value for name, value in steered.items()}
        if config.distances:
            terms["distances"] = config.distances * distance_loss(
                seen, patches.blurred, patches.sharp_low, config.border, known_low
            )
        return terms

    def _steered(
        self,
        output: Tensor,
        sharp: Tensor,
        fake_logits: Tensor | None,
        fake_features: list[Tensor] | None,
        real_features: list[Tensor] | None,
    ) -> dict[str, Tensor]:
        """The terms whose weights are steered, before weighting."""
        steered: dict[str, Tensor] = {}
        if "ssim" in self.weighting.targets:
            steered["ssim"] = ssim_loss(output, sharp)
        if self.config.perceptual == "vgg19" and self.trunk is not None:
            steered["perceptual"] = perceptual_distance(self.trunk, output, sharp)
        elif self.config.perceptual == "feature-matching":
            if fake_features is None or real_features is None:
                raise ValueError(
                    "feature matching needs the discriminator's features of the output and of the "
                    "truth"
                )
            steered["perceptual"] = feature_matching(fake_features, real_features)
        if "adversarial" in self.weighting.targets:
            if fake_logits is None:
                raise ValueError(
                    "the adversarial term needs the discriminator's logits of the output"
                )
            steered["adversarial"] = adversarial_loss(fake_logits)
        return steered


def _as_soft_as_known(restored: Restoration, softness: Tensor | None, scale: int) -> Restoration:
    """All images of a restoration as they are shown where the softness of the truth is known."""
    if softness is None or not softness.any():
        return restored
    low = ("encoder_decoder", "deblurred", "approximated")
    return restored._replace(
        output=softened(restored.output, softness),
        **{name: softened(getattr(restored, name), softness, scale) for name in low},
    )


def _true_where_unknown(
    restored: Restoration, patches: Patches, known: Tensor, known_low: Tensor
) -> Restoration:
    """All images of a restoration with the truth itself where it says nothing, so that no error is
    seen and nothing learned.
    """
    low = ("encoder_decoder", "deblurred", "approximated")
    return restored._replace(
        output=torch.where(known > 0, restored.output, patches.sharp),
        **{
            name: torch.where(known_low > 0, getattr(restored, name), patches.sharp_low)
            for name in low
        },
    )


def without_border(image: Tensor, border: int) -> Tensor:
    """(..., y, x) without `border` pixels on every side."""
    return image[..., border : image.shape[-2] - border, border : image.shape[-1] - border]


def squared_errors(restored: Tensor, truth: Tensor, border: int = 0) -> Tensor:
    """Each image's mean squared error, (batch,), `border` pixels left out on every side."""
    return (
        (without_border(restored, border) - without_border(truth, border))
        .square()
        .mean(dim=(1, 2, 3))
    )


def mse(restored: Tensor, truth: Tensor, border: int = 0) -> Tensor:
    """Mean squared error of a batch, as the paper's pixel loss is, `border` pixels left out on
    every side.
    """
    return squared_errors(restored, truth, border).mean()


def log_mse(restored: Tensor, truth: Tensor, border: int, floor: float = NOISE_FLOOR) -> Tensor:
    """Mean over the batch of each patch's log mean squared error, `border` pixels left out on every
    side.

    The logarithm makes a dim patch count as much as a bright one; a gain of 1 dB is worth the same
    anywhere. Errors far below `floor` count as none. Its final value lies near the rounding error
    of 8 bits. Training starts with a higher one: else patches with nothing to sharpen, on which
    every correction is wrong at first, silence the branches that make corrections.
    """
    return torch.log(squared_errors(restored, truth, border) + floor).mean()


def pixel_loss(
    restored: Restoration,
    sharp_low: Tensor,
    sharp: Tensor,
    border: int = 6,
    floor: float = NOISE_FLOOR,
) -> dict[str, Tensor]:
    """Weighted terms of the three supervised images: both sharpened candidates and the output.

    Returns
    -------
    dict of str to Tensor
        Scalar terms; training minimises their sum.
    """
    scale = sharp.shape[-1] // sharp_low.shape[-1]
    return {
        "output": log_mse(restored.output, sharp, border * scale, floor),
        "encoder-decoder": 0.15 * log_mse(restored.encoder_decoder, sharp_low, border, floor),
        "deblurred": 0.25 * log_mse(restored.deblurred, sharp_low, border, floor),
    }


def distance_loss(
    restored: Restoration,
    blurred: Tensor,
    sharp_low: Tensor,
    border: int = 6,
    known: Tensor | None = None,
) -> Tensor:
    """How well the distances of the three candidates to the truth are estimated: Laplace
    likelihood, relative, 0 if perfect-ish.

    Its minimum over a neighbourhood is reached where the estimate is the mean absolute error there.
    Where `known`, (batch, 1, y, x) of `sharp_low`, is 0, nothing is asked for.
    """
    candidates = (blurred, restored.encoder_decoder, restored.deblurred)
    true = torch.stack([(c.detach() - sharp_low).abs().mean(dim=1) for c in candidates], dim=1)
    estimate = without_border(restored.distances, border) + 1e-5
    likelihood = without_border(true, border) / estimate + torch.log(estimate)
    return (likelihood if known is None else likelihood * without_border(known, border)).mean()


def adversarial_loss(fake_logits: Tensor) -> Tensor:
    """The generator's: minus the mean log probability that its images are real (non-saturating, in
    the logit form); above 0.
    """
    return functional.softplus(-fake_logits).mean()


def discriminator_loss(
    real_logits: Tensor, fake_logits: Tensor, label_smoothing: float = 0.0
) -> Tensor:
    """The discriminator's: cross-entropy of real images judged as real, plus that of made ones
    judged as made; 2 ln 2 by chance.

    Parameters
    ----------
    real_logits, fake_logits : Tensor
        (batch,): its judgements of the truth and of the generator's output. The output must be
        detached: it is the discriminator that learns from this.
    label_smoothing : float
        Real images are asked for a probability of 1 less this.
    """
    real = functional.binary_cross_entropy_with_logits(
        real_logits, torch.full_like(real_logits, 1 - label_smoothing)
    )
    return real + functional.softplus(fake_logits).mean()


def _mean_of_all_processes(values: Tensor) -> Tensor:
    """The mean over the processes that train together; they have batches of one size."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(values)
        values = values / distributed.get_world_size()
    return values
