"""How steps of a training are taken, and what is known of each."""

from __future__ import annotations

from dataclasses import dataclass

from napari_mdeblurgan.errors import TrainingError


class Diverged(TrainingError):
    """A loss, a gradient or weights that are no finite numbers."""

    def __init__(self, step: int, what: str) -> None:
        super().__init__(
            f"Training diverged: in step {step} the {what} stopped being finite; lower "
            "schedule.learning_rate, set run.precision to float32, or look for images with broken "
            "pixels."
        )
        self._made_of = step, what

    def __reduce__(self) -> tuple[type[Diverged], tuple[int, str]]:
        return type(self), self._made_of  # not of the sentence, as errors are by themselves


@dataclass(frozen=True, slots=True, kw_only=True)
class StepMethod:
    """How steps are taken.

    Attributes
    ----------
    optimizer : {"adam", "muon"}
        Of the generator; the discriminator's is Adam.
    betas : (float, float)
        Of Adam.
    momentum : float
        Of Muon.
    clip : float
        Largest norm of the gradient.
    averaging : float
        Decay of the exponential moving average of the weights.
    precision : {"float32", "bfloat16", "float16"}
        Of the convolutions; images, losses and weights stay in float32. In float16 the loss is
        scaled.
    discriminator_rate : float
        Learning rate of the discriminator, as a share of the generator's.
    discriminator_after : float
        Share of the steps before the discriminator joins in, where the loss needs one.
    """

    optimizer: str = "adam"
    betas: tuple[float, float] = (0.9, 0.99)
    momentum: float = 0.95
    clip: float = 5.0
    averaging: float = 0.999
    precision: str = "float32"
    discriminator_rate: float = 1.0
    discriminator_after: float = 0.1


@dataclass(frozen=True, slots=True)
class Record:
    """One step.

    Attributes
    ----------
    step : int
        Steps taken so far, this one included.
    terms : dict of str to float
        Weighted terms of the generator's loss, and "discriminator", that network's own; the mean
        over all processes.
    shares : dict of str to float
        Of the generator's loss, see `GeneratorLoss.shares`.
    rate : float
        Learning rate.
    gradient_norm : float
        Of the generator, before clipping; infinite where float16 overflowed and the step was left
        out.
    seconds : float
        That the step took, waiting for its batch included.
    waited : float
        Seconds of these that went into waiting for the batch.
    """

    step: int
    terms: dict[str, float]
    shares: dict[str, float]
    rate: float
    gradient_norm: float
    seconds: float
    waited: float

    @property
    def loss(self) -> float:
        """What the generator minimises."""
        return sum(value for name, value in self.terms.items() if name != "discriminator")
