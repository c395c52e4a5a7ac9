"""The manifest of an output folder: a line for every image that was restored or could not be, in
the order of events.

Lines are JSON, only ever appended, and safe on disk before the result that they tell of gets its
name: a line and a result that fits to it make an image done. A line that a killed run has left
unfinished counts as not there.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from napari_mdeblurgan.atomic import in_words, reason_of
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.own_folder import open_own, refuse_links

MANIFEST = "mdeblurgan-batch.jsonl"
BEGUN = "begun"
_FORMAT = {"event": "manifest", "program": "napari-mdeblurgan", "version": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeEntry:
    """A result that is whole, under its name or about to get it.

    Attributes
    ----------
    input : str
        The source's key.
    output : str
        Where the result is in the output folder, with "/" between parts.
    job, settings : str
        Digests of what made it, see `Recipe`.
    mark : str
        What the result is known by, see `mark_of`.
    work : str
        Where it was made, within the folder for work in progress.
    pixels : int
        Of the result.
    size : int
        Bytes of the source.
    model, device, precision : str
        What was used.
    seconds : float
        That it took.
    trust : dict or None
        As in `Product`.
    maps : tuple of str
        Names of the maps beside the result, without their folder.
    """

    event: ClassVar[str] = "made"

    input: str
    output: str
    job: str
    settings: str
    mark: str
    work: str
    pixels: int
    size: int
    model: str
    device: str
    precision: str
    seconds: float
    trust: dict[str, Any] | None = None
    maps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedEntry:
    """An image that could not be restored, and why.

    Attributes
    ----------
    input, output
        As in `MadeEntry`.
    reason : str
        One sentence.
    """

    event: ClassVar[str] = "failed"

    input: str
    output: str
    reason: str


@dataclass(frozen=True, slots=True)
class ManifestRecord:
    """All that a manifest says of one input and one output.

    Attributes
    ----------
    last : MadeEntry or FailedEntry
        What was said last.
    made : MadeEntry or None
        The last result.
    marks : frozenset of str
        Of all results that were ever made under the name.
    reported : bool
        Whether one of them had a report.
    maps : frozenset of str
        Names of the maps that one of them had.
    """

    last: MadeEntry | FailedEntry
    made: MadeEntry | None = None
    marks: frozenset[str] = field(default_factory=frozenset)
    reported: bool = False
    maps: frozenset[str] = field(default_factory=frozenset)

    def and_then(self, entry: MadeEntry | FailedEntry) -> ManifestRecord:
        """With one more entry."""
        if isinstance(entry, FailedEntry):
            return replace(self, last=entry)
        reported, maps = self.reported or bool(entry.trust), self.maps | set(entry.maps)
        return ManifestRecord(entry, entry, self.marks | {entry.mark}, reported, maps)


class Manifest:
    """The manifest of a folder, as it is read at the start and grows.

    Attributes
    ----------
    path : Path
        Of its file.
    records : dict
        By input and output.
    begun : set of str
        Outputs that a batch has begun to make, and may have left something of.

    Raises
    ------
    FileError
        If it cannot be read, is a link, or is of a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: dict[tuple[str, str], ManifestRecord] = {}
        self.begun: set[str] = set()
        self._torn = False
        for document in self._read():
            with contextlib.suppress(KeyError, TypeError, ValueError):
                if document["event"] == BEGUN:
                    self.begun.add(_within(document["output"]))
                else:
                    self._take(_entry(document))

    def outputs(self, suffix: str) -> dict[str, str]:
        """The names that results ending in `suffix` were given, by input."""
        longer = f".ome{suffix}" if not suffix.startswith(".ome") else None
        return {
            given: output
            for given, output in self.records
            if output.endswith(suffix) and not (longer and output.endswith(longer))
        }

    def add(self, entry: MadeEntry | FailedEntry) -> None:
        """Append a line; when this returns it is safe on disk.

        Raises
        ------
        FileError
            If it cannot be written.
        """
        self._append({"event": entry.event, **asdict(entry)})
        self._take(entry)

    def begin(self, output: str) -> None:
        """Take note that a result is being made, so that what a killed run leaves of it is known.

        Raises
        ------
        FileError
            If it cannot be written.
        """
        if output not in self.begun:
            self._append({"event": BEGUN, "output": output})
            self.begun.add(output)

    def _append(self, document: dict[str, Any]) -> None:
        text = json.dumps({**document, "time": _now()}) + "\n"
        try:
            with open_own(self.path, "ab") as file:
                if self._torn:
                    text, self._torn = "\n" + text, False
                elif not file.tell():
                    text = json.dumps(_FORMAT) + "\n" + text
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self._torn = True
            raise FileError(
                f"{self.path} cannot be written: {reason_of(error, self.path.parent)}."
            ) from error

    def _take(self, entry: MadeEntry | FailedEntry) -> None:
        key = entry.input, entry.output
        self.begun.add(entry.output)
        self.records[key] = self.records.get(key, ManifestRecord(entry)).and_then(entry)

    def _read(self) -> Iterator[dict[str, Any]]:
        refuse_links([self.path])
        if self.path.exists() and not self.path.is_file():
            raise FileError(f"{self.path} is not a file; move it away, or choose another folder.")
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise FileError(f"{self.path} cannot be read: {in_words(error)}.") from error
        self._torn = bool(content) and not content.endswith(b"\n")
        for line in content.splitlines():
            try:
                document = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if not isinstance(document, dict):
                continue
            if (
                document.get("event") == "manifest"
                and document.get("version") != _FORMAT["version"]
            ):
                raise FileError(
                    f"{self.path} is of another version of the plugin; update it, or choose "
                    "another folder."
                )
            yield document


def _entry(document: dict[str, Any]) -> MadeEntry | FailedEntry:
    kind: type[MadeEntry] | type[FailedEntry] = {"made": MadeEntry, "failed": FailedEntry}[
        document["event"]
    ]
    told = {
        each.name: document[each.name]
        for each in fields(kind)
        if each.name in document or each.default is MISSING
    }
    return _checked(kind(**told))


def _checked(entry: MadeEntry | FailedEntry) -> MadeEntry | FailedEntry:
    """Refuse what would lead out of the output folder, or is not what it should be."""
    if not isinstance(entry.input, str):
        raise ValueError("not a name")
    if isinstance(entry, MadeEntry) and not (
        isinstance(entry.mark, str) and isinstance(entry.size, int)
    ):
        raise ValueError("not a mark")
    if isinstance(entry, MadeEntry) and not isinstance(entry.trust, dict | None):
        raise ValueError("not a verdict")
    if isinstance(entry, MadeEntry):
        if any(len(PurePosixPath(_within(name)).parts) > 1 for name in entry.maps):
            raise ValueError("not beside the result")
        entry = replace(entry, maps=tuple(entry.maps))
    for name in [entry.output, entry.work] if isinstance(entry, MadeEntry) else [entry.output]:
        _within(name)
    return entry


def _within(name: object) -> str:
    """A name that stays within the output folder."""
    if not isinstance(name, str):
        raise ValueError("not a name")
    path = PurePosixPath(name)
    outside = (
        path.is_absolute()
        or ".." in path.parts
        or not path.parts
        or "\\" in name
        or ":" in path.parts[0]
    )
    if outside or "\0" in name:
        raise ValueError(f"{name} is not within the folder")
    name.encode("utf-8", "surrogateescape")  # no file is called what this cannot do
    return name


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
