"""Names of results: no two the same on any file system, none of them an input."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from napari_mdeblurgan.batch.inputs import Source

# bytes of a name before its suffix; file systems take 255 with it, and temporary names are longer
LONGEST = 180
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?$", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[<>:"|?*\\\x00-\x1f]')


def name_results(
    sources: Sequence[Source],
    suffix: str,
    folder: Path,
    known: Mapping[str, str],
    taken: Iterable[str] = (),
) -> dict[str, str]:
    """A name for every result, relative to the output folder, with "/" between its parts.

    Names that differ only in case or in the way that accents are written count as the same. Where
    two images would get the same name, or an image the name of an input, the later one has "-2",
    "-3", … added. Characters that some file system does not allow become "_".

    Parameters
    ----------
    sources : sequence of Source
        What is restored.
    suffix : str
        Of the results, for example ".ome.tif".
    folder : Path
        The output folder.
    known : mapping of str to str
        Names that earlier runs have given, by the sources' keys; they are kept.
    taken : iterable of str
        Further names that are given away.

    Returns
    -------
    dict of str to str
        By the sources' keys.
    """
    root = os.path.realpath(folder)
    inputs = {
        _folded(os.path.realpath(source.path)) for source in sources if source.path is not None
    }
    used = {_folded(name) for name in (*known.values(), *taken)}
    names: dict[str, str] = {}
    for source in sources:
        if source.key in known:
            names[source.key] = known[source.key]
            continue
        stem = PurePosixPath(*(_allowed(part) for part in source.place.parts))
        number, name = 1, f"{stem}{suffix}"
        while _folded(name) in used or _folded(os.path.join(root, *name.split("/"))) in inputs:  # noqa: PTH118
            number += 1
            name = f"{stem}-{number}{suffix}"
        used.add(_folded(name))
        names[source.key] = name
    return names


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _allowed(part: str) -> str:
    """A part of a path that every file system takes."""
    part = _FORBIDDEN.sub("_", part).rstrip(". ") or "_"
    part = f"_{part}" if RESERVED.match(part) or part.startswith(".") else part
    encoded = part.encode("utf-8", "surrogateescape")
    if len(encoded) <= LONGEST:
        return part
    digest = hashlib.sha256(encoded).hexdigest()[:8]
    return f"{encoded[: LONGEST - 9].decode('utf-8', 'ignore')}-{digest}"
