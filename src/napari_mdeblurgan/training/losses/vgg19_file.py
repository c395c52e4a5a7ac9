"""The published file of VGG19's weights: what is in it, where it is kept, how it is fetched, and
that it is the right one.
"""

from __future__ import annotations

import hashlib
import http.client
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from tqdm import tqdm

from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.errors import ModelError
from napari_mdeblurgan.folders import cache_folder

HASH = "dcbb9e9d"  # how the file's SHA-256 begins, which is also in its name
VGG19 = f"vgg19-{HASH}.pth"
MEGABYTES = 548
_CHUNK = 1 << 20
_PATIENCE_S = 30.0

WIDTHS = ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 512, 512), (512, 512, 512, 512))
LAYERS = tuple(
    f"relu{block}_{layer}"
    for block, widths in enumerate(WIDTHS, 1)
    for layer in range(1, len(widths) + 1)
)


def vgg19_path() -> Path:
    """Where the file is kept: in the folder MDEBLURGAN_CACHE of the environment, or in the user's
    cache folder.
    """
    return cache_folder() / VGG19


def published_address() -> str:
    """Where an installed torchvision says that the file is; empty if there is no torchvision that
    can be imported.
    """
    try:
        from torchvision.models import VGG19_Weights
    except (
        ImportError,
        OSError,
        RuntimeError,
    ):  # one built for another torch fails in several ways
        return ""
    return str(VGG19_Weights.IMAGENET1K_V1.url)


def fetch_vgg19(
    address: str = "", consent: bool = False, *, sha256: str = HASH, patience_s: float = _PATIENCE_S
) -> Path:
    """Download the file into the cache folder, once; a progress bar is shown on a terminal.

    Parameters
    ----------
    address : str
        Where from: http or https. Empty: what an installed torchvision says.
    consent : bool
        That the user has agreed to it.
    sha256 : str
        How the file's SHA-256 must begin.
    patience_s : float
        Seconds without an answer after which the server is given up.

    Returns
    -------
    Path
        The file, whole and of the right hash; anything else is deleted.

    Raises
    ------
    ModelError
        Without consent or address, if the server does not give the file, or gives another one.
    FileError
        If the cache folder cannot be written to.
    """
    target = vgg19_path()
    source = address or published_address()
    if not consent:
        raise ModelError(
            f"The perceptual loss needs VGG19's weights, {VGG19} ({MEGABYTES} MB), which would be "
            f"downloaded {f'from {source} ' if source else ''}to {target.parent}: agree with "
            f"vgg19_download = true{'' if source else ' and give the address as vgg19_address'}, "
            "name a copy as vgg19_file (--vgg19 FILE), or compare "
            'the discriminator\'s features instead with perceptual = "feature-matching".'
        )
    if not source:
        raise ModelError(
            f"Nobody has said where to download {VGG19} from: give its address as vgg19_address, "
            "install torchvision, which "
            'knows it, name a copy as vgg19_file, or choose perceptual = "feature-matching".'
        )
    if urlsplit(source).scheme not in ("http", "https"):
        raise ModelError(
            f"{source} cannot be downloaded: the address must begin with https:// or http://."
        )
    with replacing(target, make_folders=True) as file:
        digest = hashlib.sha256()
        for chunk in _received(source, patience_s):
            digest.update(chunk)
            file.write(chunk)
        if not digest.hexdigest().startswith(sha256):
            raise ModelError(
                f"What {source} gave is not {VGG19} (its SHA-256 begins with "
                f"{digest.hexdigest()[:8]}, not {sha256}); it was deleted. Try again, or give "
                "another address."
            )
    return target


def _received(source: str, patience_s: float) -> Iterator[bytes]:
    """The pieces of what a server sends."""
    try:
        with urllib.request.urlopen(source, timeout=patience_s) as answer:
            size = answer.headers.get("Content-Length")
            with tqdm(
                total=int(size) if size else None,
                desc=VGG19,
                unit="B",
                unit_scale=True,
                unit_divisor=1000,
                disable=None,
            ) as bar:
                while chunk := answer.read(_CHUNK):
                    bar.update(len(chunk))
                    yield chunk
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise ModelError(
            f"{source} could not be downloaded ({reason}); check the address and the connection, "
            "or name a copy as vgg19_file."
        ) from error


@contextmanager
def checked(path: Path, sha256: str = HASH) -> Iterator[BinaryIO]:
    """Open a file once its hash has been found right; what is read is what was checked.

    Raises
    ------
    ModelError
        If there is no such file, or its SHA-256 does not begin with `sha256`.
    """
    try:
        handle = path.open("rb")
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read; name torchvision's published {VGG19} as vgg19_file, or choose "
            'perceptual = "feature-matching".'
        ) from error
    with handle:
        found = hashlib.file_digest(handle, "sha256").hexdigest()
        if not found.startswith(sha256):
            raise ModelError(
                f"{path} is not torchvision's published file of VGG19: its SHA-256 begins with "
                f"{found[:8]}, not {sha256}; delete it and take the published one."
            )
        handle.seek(0)
        yield handle
