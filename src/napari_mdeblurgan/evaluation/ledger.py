"""A CSV file of measurements that grows line by line, so that what was measured once need not be
measured again.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import typing
from collections.abc import Hashable
from pathlib import Path
from typing import Any, Generic, TypeVar

from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.exclusive import Lock, locked
from napari_mdeblurgan.own_folder import open_own, refuse_links
from napari_mdeblurgan.plain_text import for_spreadsheet, from_spreadsheet

WHILE_MEASURED = ".lock"  # a lock in the folder of ledgers
_Record = TypeVar("_Record")


def measured_alone(folder: Path) -> Lock:
    """Take a folder of ledgers for this process: two at once would write each line twice; see
    `locked`.
    """
    return locked(folder, folder / WHILE_MEASURED, "evaluation", temporary=True)


def _reader(kind: Any) -> Any:
    """From the text of a cell to a value; an empty cell is None where the field may be."""
    options = typing.get_args(kind)
    if options:
        inner = next(each for each in options if each is not type(None))
        return lambda text: inner(text) if text else None
    return kind


class Ledger(Generic[_Record]):
    """Records of one dataclass in a CSV file.

    Parameters
    ----------
    path : Path
        Read if it is there; lines that are cut short, as after a power cut, are dropped.
    kind : type
        A dataclass whose fields are str, int, float or one of these or None.
    keys : tuple of str
        The fields that say what was measured; a record with the same ones replaces an older one.

    Raises
    ------
    FileError
        If the file has other columns, or is a link.
    """

    def __init__(self, path: Path, kind: type[_Record], keys: tuple[str, ...]) -> None:
        self.path, self.kind, self.keys = path, kind, keys
        hints = typing.get_type_hints(kind)
        fields = dataclasses.fields(kind)  # type: ignore[arg-type]
        self._readers = {field.name: _reader(hints[field.name]) for field in fields}
        self._records: dict[Hashable, _Record] = {}
        refuse_links([path])
        if path.exists():
            self._load()
        else:
            self._rewrite()

    def _load(self) -> None:
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]
        rows = csv.DictReader(io.StringIO("".join(whole)))
        if tuple(rows.fieldnames or ()) != tuple(self._readers):
            raise FileError(
                f"{self.path} is of another kind of evaluation, by simulated or by real blur, or "
                "of another version; choose another folder."
            )
        broken = len(whole) < len(lines)
        for row in rows:
            try:
                record = self.kind(
                    **{
                        name: read(from_spreadsheet(row[name]))
                        for name, read in self._readers.items()
                    }
                )
            except (TypeError, ValueError):
                broken = True
            else:
                self._records[self._key(record)] = record
        if broken:
            self._rewrite()

    def _key(self, record: _Record) -> Hashable:
        return tuple(getattr(record, name) for name in self.keys)

    def find(self, **facts: Any) -> _Record | None:
        """The record whose key is `facts`, or None."""
        return self._records.get(tuple(facts[name] for name in self.keys))

    def add(self, record: _Record) -> None:
        """Write a record down."""
        self._records[self._key(record)] = record
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(self._cells(record))
        with open_own(self.path, "ab") as file:
            file.write(text.getvalue().encode())

    @staticmethod
    def _cells(record: Any) -> list[str]:
        values = dataclasses.astuple(record)
        return ["" if value is None else for_spreadsheet(str(value)) for value in values]

    def _rewrite(self) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self._readers)
        writer.writerows(self._cells(record) for record in self._records.values())
        with replacing(self.path, make_folders=True) as file:
            file.write(text.getvalue().encode())
