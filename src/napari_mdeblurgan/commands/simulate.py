"""`mdeblurgan simulate`: pairs of a blurred and a sharp image, made from sharp images."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_mdeblurgan.commands.common import (
    WrongUse,
    as_wrong_use,
    check_source_path,
    one_line_errors,
    resumed_by,
)
from napari_mdeblurgan.errors import FileError, ImageError, MdeblurganError, need_torch
from napari_mdeblurgan.folders import real_path
from napari_mdeblurgan.interruption import heeded
from napari_mdeblurgan.outputs import make_folder
from napari_mdeblurgan.plain_text import on_one_line

if TYPE_CHECKING:
    from napari_mdeblurgan.degradation import Condition, Mixture
    from napari_mdeblurgan.storage import FileImage, Micrograph

_SIGMA = 1.2
_INTERRUPTED = (
    "interrupted; nothing was left half-written. The same command with --overwrite makes all pairs."
)
PHYSICAL_DEFAULTS: dict[str, Any] = {
    "na": 0.15,
    "wavelength": 530.0,
    "refractive-index": 1.0,
    "pixel-size": None,
    "defocus": 15.0,
    "photons": 1000.0,
    "read-noise": 3.0,
    "offset": 0.02,
    "bits": 8,
}


class Protocol(StrEnum):
    """How pairs are made of sharp images."""

    gaussian = "gaussian"
    physical = "physical"
    mixture = "mixture"


@dataclass(frozen=True, slots=True)
class SimulateOptions:
    """Which degradation is wanted.

    Attributes
    ----------
    protocol : str
        "gaussian", "physical", or "mixture": each image in its own way, drawn as in training.
    sigma : float or None
        Blur of the Gaussian protocol in pixels of the low-resolution image.
    physical : mapping of str to float or None
        The options of the physical protocol by name; None where one was not given.
    config : Path or None
        Training configuration whose degradations are drawn; None takes what bundled models learn
        from.
    """

    protocol: str = "gaussian"
    sigma: float | None = None
    physical: Mapping[str, float | None] = field(default_factory=dict)
    config: Path | None = None

    def degradation(self, scale: int) -> Condition | Mixture:
        """What is to be done to every image.

        Raises
        ------
        WrongUse
            Where an option of another protocol was given.
        MdeblurganError
            Where an objective or camera cannot be, or the configuration cannot be read.
        """
        given = {name: value for name, value in self.physical.items() if value is not None}
        if given and self.protocol != "physical":
            raise WrongUse(
                f"--{next(iter(given))} belongs to the physical protocol; add --protocol physical "
                "or leave it out."
            )
        if self.sigma is not None and self.protocol != "gaussian":
            instead = (
                " or give --defocus instead" if self.protocol == "physical" else " or leave it out"
            )
            raise WrongUse(
                f"--sigma belongs to the Gaussian protocol; add --protocol gaussian{instead}."
            )
        if self.config is not None and self.protocol != "mixture":
            raise WrongUse(
                "--config belongs to the mixture; add --protocol mixture or leave it out."
            )

        from napari_mdeblurgan.degradation import Camera, Condition, Optics
        from napari_mdeblurgan.degradation.simulated import PIXEL_SIZE_UM
        from napari_mdeblurgan.storage.objective import check_light

        if self.protocol == "mixture":
            return _mixture(self.config)
        if self.protocol == "gaussian":
            sigma = _SIGMA if self.sigma is None else self.sigma
            return Condition("gaussian", f"σ = {sigma:g} px", sigma=sigma)
        values = PHYSICAL_DEFAULTS | given
        wavelength_um = values["wavelength"] / 1000
        check_light(wavelength_um)
        fine = PIXEL_SIZE_UM if values["pixel-size"] is None else values["pixel-size"]
        return Condition(
            "physical",
            f"defocus {values['defocus']:g} µm",
            optics=Optics(values["na"], wavelength_um, fine * scale, values["refractive-index"]),
            defocus_um=values["defocus"],
            camera=Camera(
                values["photons"], values["read-noise"], values["offset"], int(values["bits"])
            ),
        )


def _mixture(config: Path | None) -> Mixture:
    if config is None:
        from napari_mdeblurgan.training.recipe import MIXTURE

        return MIXTURE
    from napari_mdeblurgan.training.config import read_config

    return read_config(config).degradation


def simulate(
    context: typer.Context,
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT...", help="Sharp images, or folders of them.")
    ],
    output: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for low/, high/ and pictures of the pairs.")
    ],
    protocol: Annotated[
        Protocol, typer.Option(help="The paper's blur, optics, or drawn as in training.")
    ] = Protocol.gaussian,
    sigma: Annotated[
        float | None, typer.Option(help="Gaussian: blur in low-resolution pixels [1.2].")
    ] = None,
    na: Annotated[float | None, typer.Option(help="Physical: numerical aperture [0.15].")] = None,
    wavelength: Annotated[
        float | None, typer.Option(help="Physical: of the light in nm [530].")
    ] = None,
    pixel_size: Annotated[
        float | None, typer.Option(help="Physical: of INPUT, in µm [the file's, or 0.65].")
    ] = None,
    refractive_index: Annotated[
        float | None, typer.Option(help="Physical: of the medium [1].")
    ] = None,
    defocus: Annotated[float | None, typer.Option(help="Physical: in µm [15].")] = None,
    photons: Annotated[
        float | None, typer.Option(help="Physical: per pixel at full scale [1000].")
    ] = None,
    read_noise: Annotated[float | None, typer.Option(help="Physical: in electrons [3].")] = None,
    offset: Annotated[
        float | None, typer.Option(help="Physical: share of full scale [0.02].")
    ] = None,
    bits: Annotated[int | None, typer.Option(help="Physical: of the camera, up to 16 [8].")] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Mixture: a training configuration [what bundled models learn from].",
        ),
    ] = None,
    scale: Annotated[int, typer.Option(min=1, max=8, help="Reduction along y and x.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise.")] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that are there already.")
    ] = False,
) -> None:
    """Make pairs of a blurred and a sharp image from sharp images.

    low/NAME.tif is what a microscope out of focus would give, high/NAME.tif the truth in the same
    units, NAME.png both side by side. How the protocols work is described in the documentation
    under Degradations.

    \b
    Example:
      mdeblurgan simulate sharp.tif --output pairs --protocol physical --defocus 20
    """
    with one_line_errors(context):
        physical = {
            "na": na,
            "wavelength": wavelength,
            "pixel-size": pixel_size,
            "refractive-index": refractive_index,
        }
        physical |= {
            "defocus": defocus,
            "photons": photons,
            "read-noise": read_noise,
            "offset": offset,
            "bits": bits,
        }
        options = SimulateOptions(protocol.value, sigma, physical, config)
        with resumed_by(_INTERRUPTED):
            for line in make_pairs(inputs, output, options, scale, seed, overwrite):
                print(on_one_line(line), flush=True)


def make_pairs(
    inputs: Sequence[Path],
    output: Path,
    options: SimulateOptions,
    scale: int,
    seed: int,
    overwrite: bool,
) -> Iterator[str]:
    """Write the pairs and yield a line for each.

    An image of a folder that cannot be used is named on stderr and left out; one that was named
    itself ends the work.

    Parameters
    ----------
    inputs : sequence of Path
        Sharp images, or folders of them. Of a file that holds several images all are taken.
    output : Path
        Folder for low/NAME.tif, high/NAME.tif and NAME.png; made if need be.
    options : SimulateOptions
        Which degradation.
    scale : int
        Reduction along y and x.
    seed : int
        Of all chance; what is drawn for an image depends on this and on its name.
    overwrite : bool
        Whether files that are there already may be replaced.

    Raises
    ------
    WrongUse
        Before any work, where the options or the files cannot be meant so.
    MdeblurganError
        Where an image that was named cannot be read or degraded, none of a folder can, or a pair
        cannot be written.
    """
    sources = _sources(inputs)
    targets = {source: _targets(output, source) for source in sources}
    for paths in targets.values():
        for path in paths:
            if path.exists() and not overwrite:
                raise WrongUse(
                    f"{path} is there already; choose another folder or add --overwrite."
                )
            if any(path.exists() and path.samefile(source.path) for source in sources):
                raise WrongUse(f"{path} is an input itself; choose another folder.")
    need_torch()
    with as_wrong_use(MdeblurganError):
        degradation = options.degradation(scale)

    from napari_mdeblurgan.before_after import write_comparison
    from napari_mdeblurgan.degradation.simulated import simulated_pair, with_pixel_size
    from napari_mdeblurgan.storage import image_stem, write_image

    with as_wrong_use(FileError):
        for folder in (output, output / "low", output / "high"):
            make_folder(folder)
    made = 0
    for source, (low_path, high_path, picture) in heeded(targets.items()):
        try:
            image = _sharp(source)
            own, size_um, assumed = with_pixel_size(
                degradation, image, options.physical.get("pixel-size"), scale
            )
            low, high = simulated_pair(image, own, scale, _seed(seed, source), size_um)
        except (FileError, ImageError) as error:
            if sources[source]:
                raise
            print(f"mdeblurgan: skipped: {_with_name(source.path, str(error))}", file=sys.stderr)
            continue
        written: list[Path] = []
        try:
            for path, half in ((low_path, low), (high_path, high)):
                write_image(path, half)
                written.append(path)
            titles = "low resolution, blurred", "high resolution, sharp"
            write_comparison(picture, low, high, titles)
        except BaseException:
            for path in written:  # one half alone, or beside that of another pair, would mislead
                real_path(path).unlink(missing_ok=True)
            raise
        shapes = " and ".join(" × ".join(map(str, one.data.shape)) for one in (low, high))
        made += 1
        note = f"; its file says no pixel size, {size_um:g} µm is assumed" if assumed else ""
        yield (
            f"{source.path.name if not source.name else image_stem(source)}: {own.label}, "
            f"{shapes}{note}"
        )
    if not made:
        raise ImageError("No image could be used; mend what is said of them above, or name others.")


def _sharp(source: FileImage) -> Micrograph:
    """The image, which must not be a label map."""
    from napari_mdeblurgan.restoration.label_maps import refuse_label_map
    from napari_mdeblurgan.storage import read_image

    image = read_image(source.path, source.image)
    if not image.rgb:
        refuse_label_map(image.data)
    return image


def _sources(inputs: Sequence[Path]) -> dict[FileImage, bool]:
    """The images of the files that were named, and of those in folders that were named; whether the
    file itself was.
    """
    from napari_mdeblurgan.storage import image_stem, listed_images, readable
    from napari_mdeblurgan.storage.formats import is_readable
    from napari_mdeblurgan.storage.ome_zarr.ome_zarr_images import is_image_folder

    sources: dict[FileImage, bool] = {}
    for path in inputs:
        check_source_path(path)
        if path.is_dir() and not is_readable(path.name) and not is_image_folder(path):
            found = sorted(file for file in path.iterdir() if is_readable(file.name))
            if not found:
                raise WrongUse(
                    f"there is no image in {path}; name a folder of {', '.join(readable())} files."
                )
            sources |= {one: False for file in found for one in listed_images(file)}
        else:
            sources |= dict.fromkeys(listed_images(path), True)
    names: dict[str, FileImage] = {}
    for source in sources:
        if (other := names.setdefault(image_stem(source), source)) is not source:
            raise WrongUse(
                f"{other} and {source} would be written under one name; simulate them one after "
                "the other."
            )
    return sources


def _targets(output: Path, source: FileImage) -> tuple[Path, Path, Path]:
    from napari_mdeblurgan.storage import image_stem

    name = image_stem(source)
    return output / "low" / f"{name}.tif", output / "high" / f"{name}.tif", output / f"{name}.png"


def _seed(seed: int, source: FileImage) -> int:
    """Of all that is drawn for an image."""
    from napari_mdeblurgan.storage import image_stem

    return zlib.crc32(f"{seed} {image_stem(source)}".encode("utf-8", "surrogateescape"))


def _with_name(source: Path, sentence: str) -> str:
    return sentence if source.name in sentence else f"{source}: {sentence}"
