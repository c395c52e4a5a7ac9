"""The card of a model that was trained in a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_mdeblurgan.degradation import Mixture
from napari_mdeblurgan.folders import real_path
from napari_mdeblurgan.model import ModelCard
from napari_mdeblurgan.training.config import TrainingConfig
from napari_mdeblurgan.training.preparation import Data
from napari_mdeblurgan.training.trainer import Training
from napari_mdeblurgan.training.validation import Validation


def card_for_run(
    config: TrainingConfig,
    images: Path,
    data: Data,
    training: Training,
    validation: Validation | None,
) -> ModelCard:
    """What is known of the model: on what it was trained and how, and how it scores on held-out
    images.
    """
    network = training.averaged
    kind = "colour" if network.channels == 3 else "grey"
    folder = "".join(letter if letter.isprintable() else "?" for letter in real_path(images).name)[
        :200
    ]
    files = len({image.path for image in data.training})
    mixture = config.degradation
    return ModelCard(
        name=config.model.name,
        description=config.model.description
        or f"Trained on {folder} ({kind} images); ×{network.scale}",
        architecture=network.architecture,
        scale=network.scale,
        channels=network.channels,
        halo=network.halo,
        trained_on=(f"{files} {kind} image files of {folder}", described(mixture)),
        blur_sigma_px=mixture.sigma if mixture.gaussian + mixture.gaussian_noisy > 0 else None,
        scores=_scores(data, training.step, validation),
        licence=config.model.licence,
    )


def described(mixture: Mixture) -> str:
    """The degradations, in one line."""
    whole = mixture.gaussian + mixture.gaussian_noisy + mixture.physical
    low, high = mixture.sigma
    parts = (
        (mixture.gaussian, f"Gaussian blur (σ {low:g} to {high:g} px)"),
        (mixture.gaussian_noisy, "Gaussian blur with noise"),
        (
            mixture.physical,
            f"objective and camera (defocus radius up to {mixture.defocus_radius[1]:g} px)",
        ),
    )
    return "degraded by " + ", ".join(
        f"{100 * share / whole:.0f} % {what}" for share, what in parts if share
    )


def _scores(data: Data, steps: int, validation: Validation | None) -> dict[str, Any]:
    """Of the held-out pieces, beside those of bicubic enlargement."""
    found: dict[str, Any] = {"training_steps": steps}
    if validation is not None:
        found |= {
            "validation_images": len(data.judged),
            "validation_psnr_db": round(validation.psnr_db, 2),
            "validation_ssim": round(validation.ssim, 4),
            "validation_psnr_gain_over_bicubic_db": round(
                validation.psnr_db - validation.bicubic_psnr_db, 2
            ),
            "validation_ssim_gain_over_bicubic": round(
                validation.ssim - validation.bicubic_ssim, 4
            ),
        }
    return found
