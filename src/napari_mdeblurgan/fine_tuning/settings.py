"""What a fine-tuning is asked to do."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from napari_mdeblurgan.errors import TrainingError
from napari_mdeblurgan.model_card import ModelCard
from napari_mdeblurgan.training.field_types import Count, Positive, Precision

NetworkPart = Literal["all", "super-resolution", "deblurring"]
MAY_CHANGE = {"minutes", "steps", "device", "threads"}  # from one sitting to the next


class SettingsError(TrainingError):
    """A wish that cannot be meant so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuneSettings:
    """What a fine-tuning is asked to do. The text of each annotation is what a user is told.

    Raises
    ------
    SettingsError
        Naming the first field that cannot be meant so.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)

    base: Annotated[str, "model to start from: a name or a .safetensors file"]
    name: Annotated[str, "what the new model is called"]
    output: Annotated[str, "file of the new model; empty: by its name among the user's models"] = ""
    minutes: Annotated[
        Annotated[float, Field(ge=0, le=10_080)],
        "working time; the learning rate falls to nothing at its end. More time makes a better "
        "model, with less and less to gain",
    ] = 10.0
    steps: Annotated[Count, "most steps to take; 0: as many as the time allows"] = 0
    part: Annotated[
        NetworkPart,
        "what is learned: all of the network, the super-resolution module alone, or the "
        "deblurring (and the choice among its results) alone",
    ] = "all"
    learning_rate: Annotated[
        Positive, "the highest of the training; a lower one changes the base model less"
    ] = 1e-3
    optimizer: Annotated[Literal["adam", "muon"], "how steps are taken"] = "adam"
    batch: Annotated[Annotated[int, Field(ge=1, le=1024)], "patches in a step"] = 8
    patch: Annotated[
        Annotated[int, Field(ge=24, le=1024, multiple_of=8)],
        "edge of a patch in pixels of the blurred image, a multiple of 8",
    ] = 64
    turns: Annotated[
        bool,
        "also learn from turned and flipped patches; off, because the blur of a microscope has a "
        "direction",
    ] = False
    averaging: Annotated[
        Annotated[float, Field(ge=0, lt=1)],
        "decay of the moving average of the weights, which is what is kept",
    ] = 0.995
    device: Annotated[
        str, "where the network learns; auto takes a graphics card if there is one, else the CPU"
    ] = "auto"
    precision: Annotated[Precision, "of the convolutions: auto is the fastest that is safe"] = (
        "auto"
    )
    threads: Annotated[Count, "of the CPU; 0: as many as torch takes"] = 0
    seed: Annotated[Count, "of the order in which patches are drawn"] = 0
    checkpoint_seconds: Annotated[
        Annotated[float, Field(gt=0, le=60)], "from one checkpoint to the next"
    ] = 30.0

    def __post_init__(self) -> None:
        for field, hint in get_type_hints(FineTuneSettings, include_extras=True).items():
            if field.startswith("__"):
                continue
            kind = (
                get_type_hints(ModelCard, include_extras=True)["name"] if field == "name" else hint
            )
            try:
                TypeAdapter(kind).validate_python(getattr(self, field))
            except ValidationError as error:
                reason = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
                raise SettingsError(
                    f"{field.replace('_', ' ')} is {getattr(self, field)!r}: "
                    f"{reason[:1].lower()}{reason[1:]}."
                ) from None


def field_help(field: str) -> str:
    """What a user is told of a field of `FineTuneSettings`."""
    hint = get_type_hints(FineTuneSettings, include_extras=True)[field]
    return next(said for said in hint.__metadata__ if isinstance(said, str))


def settings_json(settings: FineTuneSettings) -> str:
    """As `settings_from_json` reads it."""
    return json.dumps(dataclasses.asdict(settings), indent=1)


def settings_from_json(text: str | bytes) -> FineTuneSettings:
    """Settings that `settings_json` wrote.

    Raises
    ------
    SettingsError
        If they are damaged, or of a newer version.
    """
    try:
        values: dict[str, Any] = json.loads(text)
        unknown = values.keys() - {field.name for field in dataclasses.fields(FineTuneSettings)}
        if unknown:
            raise SettingsError(
                "This fine-tuning was begun by a newer version of the plugin, with "
                f"{min(unknown)!r}; update the plugin, or choose another name."
            )
        return FineTuneSettings(**values)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, SettingsError):
            raise
        raise SettingsError(
            f"The settings of this fine-tuning cannot be read ({error}); begin it anew."
        ) from None


def changed_fields(old: FineTuneSettings, new: FineTuneSettings) -> list[str]:
    """Fields in which two differ, without those that may change from one sitting to the next."""
    names = (field.name for field in dataclasses.fields(FineTuneSettings))
    return [
        name
        for name in names
        if name not in MAY_CHANGE and getattr(old, name) != getattr(new, name)
    ]
