"""The card of a model: what there is to know about it without loading it.

The card is JSON under the key "mdeblurgan" of the metadata in a model file's header, with a
checksum over itself. It is read without trust; every field is checked by type and range.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError

from napari_mdeblurgan.errors import ModelError
from napari_mdeblurgan.model_file import Header, parse_json

CARD_KEY = "mdeblurgan"
FORMAT = 1
FINE_TUNED_FROM = (
    "fine_tuned_from"  # among the scores of a model that was fine-tuned: from which one
)
SOFTEST = 8.0  # pixels of the result
MAX_WIDTH = 512
_RESERVED_NAMES = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)),
}


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be one line of printable text")
    return text


def is_safe_name(name: str) -> bool:
    """Whether it is a file name on every system and cannot lead out of its folder."""
    fits = re.fullmatch(r"\w(?:[\w .+()-]{0,98}[\w+()-])?", name)
    return (
        bool(fits)
        and name.isprintable()
        and name.split(".")[0].strip().lower() not in _RESERVED_NAMES
    )


def _safe_name(name: str) -> str:
    if not is_safe_name(name):
        raise ValueError(
            "must be at most 100 letters, digits, spaces and . + - _ ( ), begin with a letter or "
            "digit, not end with a dot, and be no path and no device such as CON"
        )
    return name


def _parameters(values: dict[str, Any]) -> dict[str, Any]:
    if not all(type(value) in (int, float, str) for value in values.values()):
        raise ValueError("must hold numbers and words")
    return values


_Line = Annotated[str, Field(max_length=1000), AfterValidator(_one_line)]
Sigma = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What there is to know about a model without loading it.

    Attributes
    ----------
    name : str
        What the user calls it; safe as a file name.
    description : str
        One line, shown in drop-downs.
    architecture : dict
        `Generator.architecture`: what `build_generator` needs.
    scale : int
        How many times the pixel density grows along y and x.
    channels : int
        1 for grey images, 3 for colour.
    halo : int
        Pixels of the input that a tile needs around it.
    trained_on : tuple of str
        Data sets.
    blur_sigma_px : tuple of two float, or None
        Smallest and largest Gaussian blur learned, in pixels of the input.
    output_scale : int or None
        Pixels of a result for one of the image, along y and x, that the model was fine-tuned for,
        where these are not `scale`; what the model makes is averaged to so many unless others are
        asked for. Older cards have no such field.
    softness : float
        How soft a result is to be where the objective is not known: σ in pixels of the result, see
        `Softness`.
    scores : dict
        How it did in its evaluation; plain JSON values.
    licence : str
        Licence of the weights.
    version : str
        Version of this package that wrote the file.
    created : str
        ISO date.
    weights_sha256 : str
        Digest of the weights, see `WeightsDigest`.
    format : int
        Version of the card's format.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False
    )

    name: Annotated[str, AfterValidator(_safe_name)]
    description: _Line
    architecture: Annotated[dict[str, Any], AfterValidator(_parameters)]
    scale: Annotated[int, Field(ge=1, le=64)]
    channels: Annotated[int, Field(ge=1, le=64)]
    halo: Annotated[int, Field(ge=0, le=4096)]
    trained_on: tuple[_Line, ...] = ()
    blur_sigma_px: tuple[Sigma, Sigma] | None = None
    output_scale: Annotated[int, Field(ge=1, le=64)] | None = None
    softness: Annotated[float, Field(ge=0, le=SOFTEST)] = 0.0
    scores: dict[str, Any] = dataclasses.field(default_factory=dict)
    licence: _Line = ""
    version: _Line = ""
    created: _Line = ""
    weights_sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    format: int = FORMAT


@functools.cache
def _card_type() -> TypeAdapter[ModelCard]:
    return TypeAdapter(ModelCard)


def _canonical(fields: dict[str, Any]) -> str:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False)


def seal(fields: dict[str, Any]) -> str:
    """The card as it stands in the header: its fields as JSON, with a SHA-256 over all of them."""
    digest = hashlib.sha256(_canonical(fields).encode()).hexdigest()
    return _canonical({**fields, "sha256": digest})


def check_card(fields: dict[str, Any]) -> ModelCard:
    """A card from plain JSON values; `ValueError` names the first field that is wrong."""
    try:
        card = _card_type().validate_json(_canonical(fields))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"][:2])[:60]
        raise ValueError(
            f"field {field!r}: {first['msg'].removeprefix('Value error, ').lower()}"
        ) from None
    architecture = card.architecture
    for field in ("scale", "channels"):
        if architecture.get(field) != getattr(card, field):
            raise ValueError(f"field {field!r} disagrees with the architecture")
    if card.output_scale is not None and card.scale % card.output_scale:
        raise ValueError("field 'output_scale' does not divide the scale")
    width = architecture.get("width")
    if not isinstance(width, int) or not 1 <= width <= MAX_WIDTH:
        raise ValueError(f"the architecture's width is not between 1 and {MAX_WIDTH}")
    return card


def card_of(header: Header, file_name: str) -> ModelCard:
    text = header.metadata.get(CARD_KEY)
    if text is None:
        raise ModelError(
            f"{file_name} has no model card; use a model that was saved by napari-mdeblurgan."
        )
    try:
        fields = parse_json(text)
        if not isinstance(fields, dict):
            raise ValueError("it is not an object")
        version = fields.get("format")
        if type(version) is not int or version < 1:
            raise ValueError("field 'format' is not a version number")
        if version > FORMAT:
            raise ModelError(
                f"{file_name} was written by a newer napari-mdeblurgan (format "
                f"{str(version)[:20]}, this version reads up to {FORMAT}); update the plugin."
            )
        sealed = fields.pop("sha256", None)
        if sealed != hashlib.sha256(_canonical(fields).encode()).hexdigest():
            raise ModelError(
                f"{file_name} was altered after saving (its card fails its checksum); fetch it "
                "again."
            )
        card = check_card(fields)
        if not card.weights_sha256:
            raise ValueError("field 'weights_sha256' is missing")
    except ModelError:
        raise
    except (ValueError, RecursionError) as error:
        detail = (
            "nested too deeply"
            if isinstance(error, RecursionError)
            else " ".join(str(error).split())[:160]
        )
        raise ModelError(
            f"{file_name} has an unusable model card ({detail}); fetch or save it again."
        ) from None
    return card
