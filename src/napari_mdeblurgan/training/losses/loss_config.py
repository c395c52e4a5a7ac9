"""Which losses a generator is trained with, and the two sets of them that have a name."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Literal

from napari_mdeblurgan.errors import TrainingError
from napari_mdeblurgan.training.losses.vgg19_file import LAYERS
from napari_mdeblurgan.training.losses.weighting import Weighting


def _check_choice(name: str, value: str, choices: Collection[str]) -> None:
    if value not in choices:
        raise TrainingError(f"{name} must be one of {', '.join(choices)}, not {value!r}.")


@dataclass(frozen=True, slots=True)
class LossConfig:
    """Which terms the generator minimises. The defaults are the preset "faithful"; see `preset`.

    Attributes
    ----------
    pixel : {"log-mse", "mse"}
        The mean squared error itself, as the paper writes it, or the logarithm of each patch's, see
        `log_mse`.
    output, deblurred, encoder_decoder : float
        Weights of the pixel terms: the output against the sharp image, the deblurring module's two
        images against its reduced version.
    passed_on : float
        Weight of the image that super-resolution starts from, against the same; 0 leaves it out.
    distances : float
        Weight of `distance_loss`; 0 for a network whose optimal approximation module estimates none
        (reading "none").
    border : int
        Pixels of the low-resolution image that are left out on every side, where a patch lacks its
        surroundings.
    ssim_share, perceptual_share, adversarial_share : float
        Share of the whole that each of these terms is kept at, 0 to below 1; 0 leaves the term out.
    perceptual : {"none", "vgg19", "feature-matching"}
        Compare features of VGG19, or those of the discriminator.
    vgg19_layer : str
        The layer whose features are compared, see `LAYERS`.
    vgg19_file : str
        torchvision's published file, if the user has it; empty: the one in the cache folder.
    vgg19_download : bool
        Consent to download that file once, some 550 MB.
    vgg19_address : str
        Where to download it from (http or https); empty: what an installed torchvision says.
    label_smoothing : float
        The discriminator is asked for a probability of 1 less this for real images; 0 to below 0.5.
    memory : float
        Decay of the moving average that the weights follow, see `Weighting`.

    Raises
    ------
    TrainingError
        If a value is out of range.
    """

    pixel: Literal["log-mse", "mse"] = "log-mse"
    output: float = 1.0
    deblurred: float = 0.25
    encoder_decoder: float = 0.15
    passed_on: float = 0.0
    distances: float = 0.1
    border: int = 6
    ssim_share: float = 0.1
    perceptual: Literal["none", "vgg19", "feature-matching"] = "none"
    perceptual_share: float = 0.1
    adversarial_share: float = 0.0
    vgg19_layer: str = "relu3_4"
    vgg19_file: str = ""
    vgg19_download: bool = False
    vgg19_address: str = ""
    label_smoothing: float = 0.0
    memory: float = 0.95

    def __post_init__(self) -> None:
        _check_choice("pixel", self.pixel, ("log-mse", "mse"))
        _check_choice("perceptual", self.perceptual, ("none", "vgg19", "feature-matching"))
        _check_choice("vgg19_layer", self.vgg19_layer, LAYERS)
        for name in ("output", "deblurred", "encoder_decoder", "passed_on", "distances", "border"):
            if not getattr(self, name) >= 0:
                raise TrainingError(f"{name} must be 0 or more, not {getattr(self, name)}.")
        if not self.output + self.deblurred + self.encoder_decoder > 0:
            raise TrainingError(
                "One of output, deblurred and encoder_decoder must be above 0, or nothing holds "
                "the image to the truth."
            )
        for name in ("ssim_share", "perceptual_share", "adversarial_share"):
            if not 0 <= getattr(self, name) < 1:
                raise TrainingError(
                    f"{name} must be at least 0 and below 1, not {getattr(self, name)}."
                )
        if not 0 <= self.label_smoothing < 0.5:
            raise TrainingError(
                f"label_smoothing must be at least 0 and below 0.5, not {self.label_smoothing}."
            )
        if self.perceptual != "none" and not self.perceptual_share:
            raise TrainingError(
                "perceptual_share must be above 0; to leave the term out, choose perceptual = "
                '"none".'
            )
        Weighting(self.targets, self.memory)

    @property
    def targets(self) -> dict[str, float]:
        """The terms whose weights are steered, and their shares of the whole."""
        perceptual = 0.0 if self.perceptual == "none" else self.perceptual_share
        wanted = {
            "ssim": self.ssim_share,
            "perceptual": perceptual,
            "adversarial": self.adversarial_share,
        }
        return {name: share for name, share in wanted.items() if share}

    @property
    def needs_discriminator(self) -> bool:
        """Whether a discriminator has to be trained along."""
        return self.adversarial_share > 0 or self.perceptual == "feature-matching"


PRESETS = {
    "faithful": LossConfig(),
    "perceptual": LossConfig(
        pixel="mse", deblurred=1.0, perceptual="vgg19", adversarial_share=0.02
    ),
}
PRESET_FIELDS = tuple(  # in which they differ
    field.name
    for field in fields(LossConfig)
    if len({getattr(each, field.name) for each in PRESETS.values()}) > 1
)


def preset(name: str) -> LossConfig:
    """The losses called "faithful" (for measuring: no adversarial, no perceptual term) or
    "perceptual" (the paper's full loss).

    Raises
    ------
    TrainingError
        If there is no preset of that name.
    """
    _check_choice("The preset of the losses", name, PRESETS)
    return PRESETS[name]
