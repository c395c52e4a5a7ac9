"""What makes a result what it is: models and settings, in a form that can be sent to other
machines.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.batch.fingerprint import Fingerprint
from napari_mdeblurgan.batch.output_folder import keeps_maps, report_name
from napari_mdeblurgan.errors import ModelError
from napari_mdeblurgan.folders import real_path
from napari_mdeblurgan.request import Request
from napari_mdeblurgan.restoration.colourless import FOR_GREY, fitting_channels, keep_kind
from napari_mdeblurgan.restoration.output_scale import output_factor
from napari_mdeblurgan.restoration.room import ASSESSED_BYTES
from napari_mdeblurgan.storage.writing import STREAMED_BYTES

if TYPE_CHECKING:
    from napari_mdeblurgan.batch.inputs import Source
    from napari_mdeblurgan.model import Model
    from napari_mdeblurgan.storage import Micrograph

FORMATS = {"ome-tiff": ".ome.tif", "ome-zarr": ".ome.zarr", "tiff": ".tif", "png": ".png"}
BUNDLED_FOR_COLOURS, BUNDLED_FOR_GREY = "rgb-x2", "gray-x2"
ASSESSED_MORE = 8  # times as much memory may be taken where a result is assessed
_VERSION = 1  # of what is done with an image; another one makes all results anew


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model by the name or the path of its file, and the digest of its weights, so that it is the
    same everywhere.

    Attributes
    ----------
    name, weights_sha256 : str
    scale, output_scale
        As in `ModelCard`.
    """

    name: str
    weights_sha256: str
    scale: int
    output_scale: int | None = None

    def load(self) -> Model:
        """Load it; only once in a process.

        Raises
        ------
        ModelError
            If it cannot be loaded here, or has other weights.
        """
        return _loaded(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How images become results.

    Attributes
    ----------
    rgb_model, grey_model : ModelFile
        For colour and for grey images, see `model_for`.
    suffix : str
        Of the results: one of the values of `FORMATS`.
    device, precision : str
        As in `make_plan`; "auto" is settled where the work is done.
    tile, softness, output_scale
        As in `make_plan`.
    binning : int or "auto"
        As in `BatchSettings`.
    trust : bool
        Whether results are assessed. It changes no pixel of them, so it is in none of the digests.
    large_bytes : int
        Results of more bytes are not made in memory but block by block on disk.
    """

    rgb_model: ModelFile
    grey_model: ModelFile
    suffix: str
    device: str = "auto"
    precision: str = "auto"
    tile: int | None = None
    softness: float | str = "auto"
    binning: int | str = 1
    output_scale: int | None = None
    trust: bool = False
    large_bytes: int = STREAMED_BYTES

    def options(self) -> dict[str, Any]:
        """For `make_plan`; what is left to the image is not named."""
        chosen: dict[str, Any] = {
            "tile": self.tile,
            "device": self.device,
            "precision": self.precision,
        }
        chosen |= {} if self.softness == "auto" else {"softness": self.softness}
        return chosen if self.output_scale is None else chosen | {"output_scale": self.output_scale}

    def request(self, path: Path, place: Path, job: str) -> Request:
        """What is to become of an image, at `path`; `place` is that of its result, beside which
        report and maps are written.

        Nothing of it tells the time.
        """
        report = place.with_name(report_name(place.name)) if self.trust else None
        return Request(
            output=path,
            options=self.options(),
            maps=self.trust and keeps_maps(place.name),
            report=report,
            identity=job,
            dated=False,
        )

    def opened(self, source: Source) -> Micrograph:
        """An image as it is restored: lazily where its file can be read in parts, and binned.

        Raises
        ------
        MdeblurganError
            If it cannot be read, or is too small to be binned.
        """
        from napari_mdeblurgan.model import find_model, read_card
        from napari_mdeblurgan.trust.auto_binning import binned_as_wished

        image = source.open()
        model = self.model_for(image)
        opened = binned_as_wished(image, self.binning, lambda: read_card(find_model(model.name)))
        keep_kind(image, opened)
        return opened

    def model_for(self, image: Micrograph) -> ModelFile:
        """The model for an image's kind: that for grey images for what is stored in colours but has
        none, too, unless a model of the user's own was named for colours.
        """
        if image.rgb and self.rgb_model.name != BUNDLED_FOR_COLOURS:
            return self.rgb_model
        return self.grey_model if fitting_channels(image) == FOR_GREY else self.rgb_model

    def factor_for(self, image: Micrograph) -> int:
        """Pixels of the result for one of the image, along y and x."""
        return output_factor(self.output_scale, self.model_for(image))

    def blockwise(self, image: Micrograph) -> bool:
        """Whether a result is made block by block: OME-Zarr, and what is large."""
        return self.suffix == ".ome.zarr" or self.is_large(image)

    def is_large(self, image: Micrograph) -> bool:
        """Whether a result is too large to be made in memory, or its maps if it is assessed."""
        pixels = math.prod(image.data.shape) // (image.data.shape[-1] if image.rgb else 1)
        if self.trust and pixels * ASSESSED_BYTES > ASSESSED_MORE * self.large_bytes:
            return True
        return int(image.data.nbytes) * self.factor_for(image) ** 2 > self.large_bytes

    def job(self, fingerprint: Fingerprint) -> str:
        """A digest of the recipe and an image: a result of the same job need not be made again.

        The device does not count, as results differ by rounding only.
        """
        return self._digest(fingerprint.size, fingerprint.stamp)

    @property
    def settings(self) -> str:
        """A digest of the recipe alone."""
        return self._digest()

    def _digest(self, *more: object) -> str:
        models = self.rgb_model.weights_sha256, self.grey_model.weights_sha256
        parts = [_VERSION, *models, self.suffix, self.precision, self.tile, self.large_bytes, *more]
        if self.softness != "auto":
            parts.append({"softness": self.softness})
        if self.binning != 1:
            parts.append({"binning": self.binning})
        if self.output_scale is not None:
            parts.append({"output_scale": self.output_scale})
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def model_file(name_or_path: str) -> ModelFile:
    """The model of a name or path; its weights are not read, and torch is not imported.

    Raises
    ------
    ModelError
        If there is none, or its file is unfit.
    """
    from napari_mdeblurgan.model import BUNDLED_FOLDER, find_model, read_card

    path = find_model(name_or_path)
    card = read_card(path)
    name = path.stem if path.parent == BUNDLED_FOLDER else str(real_path(path))
    return ModelFile(name, card.weights_sha256, card.scale, card.output_scale)


@functools.lru_cache(maxsize=4)
def _loaded(file: ModelFile) -> Model:
    from napari_mdeblurgan.model import load_model

    model = load_model(file.name)
    if model.card.weights_sha256 != file.weights_sha256:
        raise ModelError(
            f"The model {file.name} is another one than when the batch began; start it again, with "
            "the same model everywhere."
        )
    return model
