"""The files of a zarr on this machine, as far as they are files."""

from __future__ import annotations

import multiprocessing
from functools import cache
from pathlib import Path
from typing import Any

from numcodecs import Blosc
from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.folders import no_file

_NAMES_CODECS = (".zarray", ".zmetadata")  # of zarr of version 2
_IMAGECODECS = b"imagecodecs_"  # so the names of its codecs begin


@cache
def prepare_blosc() -> None:
    """Have the codec of most zarrs made ready, and leave open how this process starts others: the
    codec's lock would settle that, and refuse whoever chooses it later.
    """
    is_open = multiprocessing.get_start_method(allow_none=True) is None
    Blosc().encode(bytes(16))
    if is_open:
        multiprocessing.set_start_method(None, force=True)


@cache
def register_imagecodecs() -> None:
    """Have zarr of version 2 know the codecs of imagecodecs, such as JPEG XL and JPEG 2000."""
    from imagecodecs.numcodecs import register_codecs

    register_codecs(verbose=False)


class FileStore(LocalStore):
    """A folder in which a pipe, a device or the like in the place of a file that is to be read is
    refused rather than waited for, and which may be where files have no second names.

    Parameters
    ----------
    root : Path or str
        The folder.

    Raises
    ------
    FileError
        When such a thing is to be read.
    """

    def __init__(self, root: Path | str, *, read_only: bool = True) -> None:
        prepare_blosc()
        super().__init__(root, read_only=read_only)

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """The bytes of a file, or a part of them; None where there is none."""
        self._check(key)
        return _decodable(key, await super().get(key, prototype, byte_range))

    def get_sync(self, key: str, *arguments: Any, **options: Any) -> Buffer | None:
        """The same at once, where this version of zarr has it."""
        self._check(key)
        return _decodable(key, super().get_sync(key, *arguments, **options))

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Write a file that is not there, under its name alone: zarr gives it a second one, which
        exFAT and many network drives refuse. So nobody else may write here.
        """
        if not await self.exists(key):
            await self.set(key, value)

    def _check(self, key: str) -> None:
        place = Path(self.root) / key
        if kind := no_file(place):
            raise FileError(
                f"{place} is {kind} where a file of the image has to be; copy the image again."
            )


def _decodable(key: str, content: Buffer | None) -> Buffer | None:
    """What a file holds, once zarr knows the codecs of imagecodecs where it names one."""
    if content is not None and key.endswith(_NAMES_CODECS) and _IMAGECODECS in content.to_bytes():
        register_imagecodecs()
    return content
