"""What a training is asked to do: read from TOML, checked field by field, written back as it was
resolved.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import tomli_w
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from napari_mdeblurgan.degradation import Mixture
from napari_mdeblurgan.errors import MdeblurganError, TrainingError
from napari_mdeblurgan.model_card import ModelCard
from napari_mdeblurgan.network.registry import known_network
from napari_mdeblurgan.outputs import local_path
from napari_mdeblurgan.training.field_types import Count, Positive, Precision
from napari_mdeblurgan.training.losses.loss_config import PRESET_FIELDS, LossConfig, preset
from napari_mdeblurgan.training.losses.structural import WINDOW


class ConfigError(MdeblurganError):
    """A configuration with a field that cannot be meant so."""


Kind = Literal["auto", "rgb", "grey"]
Share = Annotated[float, Field(ge=0, lt=1)]
_RESERVED_NAMES = ("checkpoint", "checkpoint-previous")  # files of a run, see `WorkFolder`


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """What goes into the card of the model."""

    name: Annotated[str, "what the model is called; its file is <name>.safetensors"] = "my-model"
    description: Annotated[str, "one line, shown where models are chosen"] = ""
    licence: Annotated[str, "licence of the weights, for example CC-BY-4.0"] = ""

    def __post_init__(self) -> None:
        if self.name.casefold() in _RESERVED_NAMES:
            raise ConfigError(
                f"name is {self.name!r}, which a file of the run has already; choose another"
            )
        hints = get_type_hints(ModelCard, include_extras=True)
        for field in ("name", "description", "licence"):
            try:
                TypeAdapter(hints[field]).validate_python(getattr(self, field))
            except ValidationError as error:
                reason = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
                raise ConfigError(f"{field} {reason}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """The network that is trained."""

    name: Annotated[
        str, AfterValidator(known_network), "m-deblurgan, or unet-sr to compare with"
    ] = "m-deblurgan"
    kind: Annotated[Kind, "images it takes: rgb, grey, or auto: what the folder holds"] = "auto"
    scale: Annotated[Literal[2, 4], "how many times the pixel density grows: 2 or 4"] = 2
    width: Annotated[Annotated[int, Field(ge=1, le=512)], "feature maps at full size"] = 16
    approximation: Annotated[
        Literal["affine", "ranked", "softmax", "nearest", "none"],
        "reading of the optimal approximation module: affine, ranked, softmax, nearest or none",
    ] = "affine"
    slope: Annotated[Annotated[float, Field(ge=0, le=1)], "of the activations below zero"] = 0.1
    discriminator_width: Annotated[
        Annotated[int, Field(ge=1, le=512)],
        "first feature maps of the discriminator, where the loss needs one",
    ] = 24
    start: Annotated[
        str,
        "model to start from, whose shape is taken over: a name or a .safetensors file; empty: "
        "untrained",
    ] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Patches and how the images are split."""

    patch: Annotated[
        Annotated[int, Field(ge=24, multiple_of=8)],
        "edge of a blurred patch in pixels, a multiple of 8",
    ] = 64
    batch: Annotated[Annotated[int, Field(ge=1)], "patches in a step, over all devices"] = 8
    validation: Annotated[Share, "share of the images that is held out to validate on"] = 0.1
    validation_folder: Annotated[
        str, "validate on the images of this folder instead; empty: hold some out"
    ] = ""
    weights: Annotated[
        dict[str, Annotated[float, Field(ge=0)]],
        "how often sources are drawn, for example { nuclei = 3.0 }; 1 for those not named",
    ] = dataclasses.field(default_factory=dict)
    workers: Annotated[
        Annotated[int, Field(ge=1)],
        "1: a thread draws the patches; more: so many processes, for a device faster than that",
    ] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleConfig:
    """How long and how fast to learn."""

    name: Annotated[
        Literal["paper", "cosine"], "paper: constant, then linear. cosine: warm-up, then a cosine"
    ] = "paper"
    learning_rate: Annotated[Positive, "at its highest; some 3e-3 for muon"] = 1e-4
    constant_epochs: Annotated[Count, "epochs at that rate"] = 150
    falling_epochs: Annotated[Count, "epochs over which it falls"] = 50
    last_rate: Annotated[Annotated[float, Field(ge=0)], "what it falls to"] = 1e-7
    steps_per_epoch: Annotated[
        Count, "0: as many as the training images hold batches of whole patches, at most the next"
    ] = 0
    most_steps_per_epoch: Annotated[
        Annotated[int, Field(ge=1)], "limit where the length of an epoch is not given"
    ] = 1000
    steps: Annotated[Count, "steps in all, the rates stretched to fit; 0: all epochs"] = 0
    discriminator_after: Annotated[
        Share, "share of the steps before the discriminator joins, where there is one"
    ] = 0.1
    warm_up: Annotated[
        Count, "steps of the cosine's rise; the loss's floor falls over three times as many"
    ] = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig:
    """How a step is taken."""

    name: Annotated[Literal["adam", "muon"], "of the generator: adam, as in the paper, or muon"] = (
        "adam"
    )
    momentum: Annotated[Share, "of Muon"] = 0.95
    betas: Annotated[tuple[Share, Share], "of Adam"] = (0.9, 0.99)
    discriminator_rate: Annotated[
        Positive, "learning rate of the discriminator, as a share of the generator's"
    ] = 1.0
    clip: Annotated[Positive, "largest norm of the gradient; longer ones are shortened to it"] = 5.0
    averaging: Annotated[
        Share, "decay of the moving average of the weights, which is what is kept"
    ] = 0.999


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """Where it runs, and how often what is written."""

    seed: Annotated[Count, "of the first weights and of all patches"] = 0
    device: Annotated[str, "auto, cpu, mps, cuda or cuda:N"] = "auto"
    precision: Annotated[
        Precision,
        "of the convolutions: float32 (exact), bfloat16, float16 (CUDA), or auto: the fastest "
        "that is safe",
    ] = "auto"
    threads: Annotated[Count, "of the CPU; 0: as many as torch takes"] = 0
    metrics_every: Annotated[
        Annotated[int, Field(ge=1)], "steps from one row of metrics.csv to the next"
    ] = 20
    validate_every: Annotated[Count, "steps from one validation to the next; 0: an epoch"] = 0
    checkpoint_seconds: Annotated[Positive, "from one checkpoint to the next"] = 60.0
    checkpoint_steps: Annotated[
        Count, "also a checkpoint every so many steps; 0: by time alone"
    ] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """All that a training is asked to do; the sections of a config.toml.

    Attributes
    ----------
    model, network, data, schedule, optimizer, run
        See the classes.
    degradation : Mixture
        What is done to the sharp images.
    loss : LossConfig
        What is minimised.
    """

    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    network: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    degradation: Mixture = dataclasses.field(default_factory=Mixture)
    loss: LossConfig = dataclasses.field(default_factory=LossConfig)
    schedule: ScheduleConfig = dataclasses.field(default_factory=ScheduleConfig)
    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    run: RunConfig = dataclasses.field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        patch, border = self.data.patch, self.loss.border
        if patch - 2 * border < WINDOW:
            raise ConfigError(
                f"loss.border = {border} leaves less than {WINDOW} pixels of data.patch = {patch}, "
                "too few to compare; take a smaller border or larger patches."
            )


FREE_TO_CHANGE = {
    "model.description",
    "model.licence",
    "data.workers",
    "data.validation_folder",  # its images are compared by name
    "loss.vgg19_file",  # known by its digest
    "loss.vgg19_address",
    "loss.vgg19_download",
    "run.device",
    "run.threads",
    "run.checkpoint_seconds",
    "run.checkpoint_steps",
}


def parse_config(
    values: Mapping[str, Any], name: str = "the configuration", base: TrainingConfig | None = None
) -> TrainingConfig:
    """Check plain values, as TOML has them, and put them over the defaults or over `base`.

    Raises
    ------
    ConfigError
        Naming the first unknown or unfit field, and how to mend it.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(
            f"{name}: a {type(values).__name__} has no sections; give them as in "
            '{"schedule": {"steps": 2000}}.'
        )
    base = base or TrainingConfig()
    sections = {
        field.name: getattr(base, field.name) for field in dataclasses.fields(TrainingConfig)
    }
    for section, fields in values.items():
        _known(section, sections, name, "section")
        if not isinstance(fields, Mapping):
            raise ConfigError(
                f"{name}: {section} is a section; write [{section}] and its fields below."
            )
        fields = dict(fields)
        present = sections[section]
        if section == "loss" and "preset" in fields:
            fields = _preset(fields.pop("preset"), name) | fields
        kind = type(present)
        options = [field.name for field in dataclasses.fields(kind)]
        for field in fields:
            _known(field, options, name, f"field in [{section}]")
        old = {option: getattr(present, option) for option in options}
        try:
            sections[section] = TypeAdapter(kind).validate_python(old | fields)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in (section, *first["loc"]))
            reason = first["msg"].removeprefix("Value error, ")
            reason = reason[:1].lower() + reason[1:]
            default = (
                f"; the default is {_plain(getattr(kind(), str(first['loc'][0])))!r}"
                if first["loc"]
                else ""
            )
            given = "" if isinstance(first["input"], dict) else f" is {first['input']!r}"
            raise ConfigError(f"{name}: {where}{given}: {reason.rstrip('.')}{default}.") from None
    return TrainingConfig(**sections)


def _preset(wish: Any, name: str) -> dict[str, Any]:
    """The fields in which the presets differ; all others stay."""
    try:
        chosen = preset(str(wish))
    except TrainingError as error:
        raise ConfigError(f"{name}: loss.preset: {error}") from None
    return {field: getattr(chosen, field) for field in PRESET_FIELDS}


def _known(word: str, options: Any, name: str, what: str) -> None:
    if word not in options:
        near = difflib.get_close_matches(str(word), options, 1)
        mend = f"did you mean {near[0]}?" if near else f"there are {', '.join(options)}."
        raise ConfigError(f"{name}: there is no {what} called {word!r}; {mend}")


def read_config(path: str | Path) -> TrainingConfig:
    """Read a TOML file; fields that it leaves out keep their defaults.

    Raises
    ------
    ConfigError
        If it cannot be read, is no TOML, or has an unknown or unfit field.
    """
    path = local_path(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"There is no file {path}; `mdeblurgan train --print-config` prints one to start from."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read ({error}); check that it is a text file."
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is no valid TOML: {error}; mend that line.") from None
    return parse_config(values, path.name)


def config_toml(config: TrainingConfig) -> str:
    """As TOML; every field with a comment that says what it is, where it has one."""
    lines: list[str] = []
    for part in dataclasses.fields(TrainingConfig):
        section = getattr(config, part.name)
        lines += ["", f"[{part.name}]"] if lines else [f"[{part.name}]"]
        said = comments(type(section))
        for field in dataclasses.fields(section):
            line = f"{field.name} = {_inline(getattr(section, field.name))}"
            lines.append(f"{line}  # {said[field.name]}" if field.name in said else line)
    return "\n".join(lines) + "\n"


def comments(kind: type) -> dict[str, str]:
    """What each field of a section means, in one line: from its annotation, or else from the
    class's numpydoc.
    """
    found: dict[str, str] = {}
    names: list[str] = []
    for line in (inspect.getdoc(kind) or "").partition("Attributes\n")[2].splitlines():
        head, colon, _ = line.partition(" : ")
        if colon and not line.startswith(" "):
            names = head.split(", ")
        elif line.startswith("    "):
            found |= {name: f"{found.get(name, '')} {line.strip()}".strip() for name in names}
        else:
            names = []
    first = {
        name: text[0].lower() + text[1:].split(". ")[0].rstrip(".") for name, text in found.items()
    }
    for name, hint in get_type_hints(kind, include_extras=True).items():
        for said in getattr(hint, "__metadata__", ()):
            if isinstance(said, str):
                first[name] = said
    return first


def _inline(value: Any) -> str:
    """A TOML value on one line."""
    if isinstance(value, dict):
        pairs = (f"{tomli_w.dumps({name: each}).strip()}" for name, each in value.items())
        return f"{{ {', '.join(pairs)} }}" if value else "{}"
    if isinstance(value, tuple):
        return f"[{', '.join(_inline(each) for each in value)}]"
    return tomli_w.dumps({"value": value}).strip().partition("=")[2].strip()


def _plain(value: Any) -> Any:
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def differences(old: TrainingConfig, new: TrainingConfig) -> Iterator[tuple[str, Any, Any]]:
    """Fields in which two differ, as (section.field, old, new); those that do not change what is
    learned are left out.
    """
    for part in dataclasses.fields(TrainingConfig):
        first, second = getattr(old, part.name), getattr(new, part.name)
        for field in dataclasses.fields(first):
            name = f"{part.name}.{field.name}"
            before, after = getattr(first, field.name), getattr(second, field.name)
            if before != after and name not in FREE_TO_CHANGE:
                yield name, before, after
