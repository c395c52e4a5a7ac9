"""Options that several commands have."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from napari_mdeblurgan.commands.common import COLOUR_MODEL, GREY_MODEL, device_option
from napari_mdeblurgan.restoration.tiling import SMALLEST_TILE


class PrecisionName(StrEnum):
    """How exactly the network computes."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


ModelOption = Annotated[
    str | None,
    typer.Option(
        help=f"Name or .safetensors file; {COLOUR_MODEL} for RGB and {GREY_MODEL} for grey images, "
        "stored in RGB or not."
    ),
]
DeviceOption = Annotated[
    str, typer.Option(help="auto, cpu, mps, cuda or cuda:N.", callback=device_option)
]
TileOption = Annotated[
    int | None,
    typer.Option(
        min=SMALLEST_TILE, help="Largest edge of a tile in pixels; smaller ones take less memory."
    ),
]
SoftnessOption = Annotated[
    str,
    typer.Option(
        metavar="PIXELS",
        help="σ of the result's point-spread function, in its pixels; 0: as the network gives it; "
        "auto: as its objective has it.",
    ),
]
BinningOption = Annotated[
    str,
    typer.Option(
        "--bin",
        metavar="N",
        help="Bin images N × N first, 2 where the blur is much larger than a pixel; auto: as each "
        "image needs.",
    ),
]
OutputScaleOption = Annotated[
    int | None,
    typer.Option(
        "--output-scale",
        metavar="N",
        min=1,
        help="Pixels of the result for one of the image; 1: sharp at the image's own pixels. "
        "[what the model was trained for]",
        show_default=False,
    ),
]
RegionOption = Annotated[
    str | None,
    typer.Option(
        metavar="Y:Y,X:X",
        help="Only this part: rows and columns of the image, as in 100:612,200:712; a side that "
        "is left out is the edge.",
    ),
]
ApertureOption = Annotated[
    float | None,
    typer.Option(
        metavar="NA", help="Numerical aperture of the objective, where the file does not tell it."
    ),
]
WavelengthOption = Annotated[
    float | None, typer.Option(metavar="NM", help="Wavelength of the light in nm, likewise.")
]
PrecisionOption = Annotated[
    PrecisionName, typer.Option(help="float32 is exact; the others are faster on some devices.")
]
RegisteredOption = Annotated[
    bool,
    typer.Option(
        "--registered", help="Planes of a focus stack lie on each other: do not move them."
    ),
]
UnorderedOption = Annotated[
    bool,
    typer.Option("--unordered", help="Planes of a focus stack are not in order of depth: find it."),
]
