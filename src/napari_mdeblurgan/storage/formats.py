"""Which file formats are read, and by what: one line for each, and one file of its own.

A format is a module with two functions, which take a path that exists and is not empty:

``open_image(path, image=None)``
    the image of that name or number as a `Micrograph`, lazily where the file can be read in parts;
    None takes the default;
``list_images(path)``
    an `ImageList` of the names of all images, made unique by `unique_names`. No pixels are read.

What they raise is turned into one sentence that names the file, unless it is a `FileError` already.
Nothing of a format is imported before a file of it is opened.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.storage.pillow import JPEG_START, PNG_SIGNATURE

EXTRA = "pip install 'napari-mdeblurgan[formats]'"
# how files begin, and what the names of such end in
_SIGNATURES = {
    PNG_SIGNATURE: ".png",
    JPEG_START: ".jpg",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
    b"II+\0": ".tif",
    b"MM\0+": ".tif",
}
OME = r"(?:\.ome)?"  # what may stand before the ending of a name
BIG_TIFF = (".btf", ".tf2", ".tf8")  # what OME-TIFF may end in beside .tif


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A kind of file that images are read from.

    Attributes
    ----------
    title : str
        What it is called in sentences and tables: "Zeiss CZI".
    endings : tuple of str
        Of the names of its files, in lower case, with the dot.
    module : str
        Full name of the module with `open_image` and `list_images`.
    package : str
        What has to be installed for it beside what the program always needs; empty where nothing
        has. It is a package of the extra ``formats``, unless the format was registered from
        outside.
    python : (int, int)
        The oldest Python that this package is made for.
    folders : tuple of str
        Endings of folders that hold parts of such a file, in lower case; what is in them is no
        image of its own.
    """

    title: str
    endings: tuple[str, ...]
    module: str
    package: str = ""
    python: tuple[int, int] = (3, 11)
    folders: tuple[str, ...] = ()

    def reader(self, path: Path) -> ModuleType:
        """The module, imported.

        Parameters
        ----------
        path : Path
            The file that is to be read, for messages.

        Raises
        ------
        FileError
            If the package that it needs is missing.
        """
        if self.package and importlib.util.find_spec(self.package) is None:
            raise FileError(f"{path} cannot be read: {self.title} needs {self._mend()}")
        return importlib.import_module(self.module)

    def _mend(self) -> str:
        if sys.version_info < self.python:
            version = ".".join(map(str, self.python))
            return (
                f"the package {self.package}, which needs Python {version} or newer; save the "
                "image as OME-TIFF."
            )
        return f"the package {self.package}; install it with: {EXTRA}."


def _ours(module: str) -> str:
    return f"napari_mdeblurgan.storage.{module}"


ZARR_FORMAT = FileFormat(
    "OME-Zarr", (".zarr",), _ours("ome_zarr.ome_zarr_image")
)  # the only one whose files are folders
_formats: list[FileFormat] = [
    FileFormat("TIFF", (".tif", ".tiff", *BIG_TIFF), _ours("tiff.tiff_lazy")),
    FileFormat("PNG", (".png",), _ours("raster")),
    FileFormat("JPEG", (".jpg", ".jpeg"), _ours("raster")),
    FileFormat("BMP", (".bmp",), _ours("raster")),
    ZARR_FORMAT,
    FileFormat("Zeiss CZI", (".czi",), _ours("microscopes.czi")),
    FileFormat("Zeiss LSM", (".lsm",), _ours("tiff.tiff_lazy")),
    FileFormat("MetaMorph STK", (".stk",), _ours("tiff.tiff_lazy")),
    FileFormat("Leica LIF", (".lif", ".lof"), _ours("microscopes.lif"), "liffile"),
    FileFormat("Nikon ND2", (".nd2",), _ours("microscopes.nd2_file"), "nd2"),
    FileFormat("DeltaVision DV", (".dv", ".r3d"), _ours("microscopes.dv"), "mrc"),
    FileFormat(
        "Olympus OIB and OIF",
        (".oib", ".oif"),
        _ours("microscopes.oif"),
        "oiffile",
        folders=(".oif.files",),
    ),
    FileFormat("Olympus OIR", (".oir",), _ours("microscopes.oir"), "oirfile", python=(3, 12)),
    FileFormat("Aperio SVS", (".svs",), _ours("tiff.tiff_lazy")),
    FileFormat("Hamamatsu NDPI", (".ndpi",), _ours("tiff.tiff_lazy")),
    FileFormat("Leica SCN", (".scn",), _ours("tiff.tiff_lazy")),
    FileFormat("Akoya QPTIFF", (".qptiff",), _ours("tiff.tiff_lazy")),
]


PLAIN = (
    ".tif",
    ".png",
    ".jpg",
    ".bmp",
    ".zarr",
)  # an ending of each format that napari and other programs have readers for


def is_of_a_microscope(file: Path) -> bool:
    """Whether a file is of a format that only microscopes write, so that napari itself cannot read
    it.
    """
    found = format_of(file)
    return file.is_file() and found is not None and not set(found.endings) & set(PLAIN)


def formats() -> tuple[FileFormat, ...]:
    """All formats that are read."""
    return tuple(_formats)


def register(new: FileFormat) -> None:
    """Read a further format from now on, everywhere: in Python, on the command line, in batches and
    in the widgets.

    Other processes, such as the workers of a cluster, know of it once they have registered it
    themselves.

    Raises
    ------
    ValueError
        If another format has one of its endings.
    """
    taken = [ending for ending in new.endings if ending in readable()]
    if taken:
        raise ValueError(
            f"Files ending in {taken[0]} are read as {_by_ending()[taken[0]].title} already."
        )
    _formats.append(new)


def unregister(old: FileFormat) -> None:
    """Read a format no more that was registered."""
    _formats.remove(old)


def readable() -> tuple[str, ...]:
    """The endings of the names of all files that are read, in lower case: ".tif", ".zarr", …"""
    return tuple(_by_ending())


def format_of(path: Path) -> FileFormat | None:
    """The format of a file or of an OME-Zarr by the ending of its name; None
    where that is of none.
    """
    return _by_ending().get(path.suffix.lower())


def ending_by_content(start: bytes, named: FileFormat) -> str | None:
    """What the name of a file that begins so should end in, where another format of this package
    reads it than the one that it is named after; else None.

    Parameters
    ----------
    start : bytes
        The first bytes of the file, 8 or more.
    named : FileFormat
        By the name of the file.
    """
    if not named.module.startswith(_ours("")):
        return None
    endings = (ending for begins, ending in _SIGNATURES.items() if start.startswith(begins))
    found = next(endings, None)
    return None if found is None or _by_ending()[found].module == named.module else found


def is_readable(name: str) -> bool:
    """Whether a name ends as that of a file that is read."""
    return name.lower().endswith(readable())


def holds_parts(folder: str) -> bool:
    """Whether a folder of this name holds parts of a file that lies beside it, and no images of
    their own.
    """
    return any(folder.lower().endswith(ending) for each in _formats for ending in each.folders)


def ending_pattern() -> str:
    """A regular expression, without regard to case, for the ending of a name of a file that is
    read, with OME's before it.
    """
    return f"{OME}(?:{'|'.join(map(re.escape, readable()))})"


def packages() -> Iterator[str]:
    """The packages that the formats need beside what the program always needs."""
    return (each.package for each in _formats if each.package)


def _by_ending() -> dict[str, FileFormat]:
    return {ending: each for each in _formats for ending in each.endings}
