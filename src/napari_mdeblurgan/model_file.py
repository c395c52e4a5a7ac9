"""The container of a model: a safetensors file, read without trust and in little memory.

Layout of safetensors: the header's length as eight bytes, little-endian; the header, JSON; the
tensors' bytes, one after the other. Everything that the header claims is checked before anything is
allocated for it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np

from napari_mdeblurgan.errors import ModelError

SUFFIX = ".safetensors"
PICKLE_SUFFIXES = (".pth", ".pt", ".ckpt", ".pkl", ".pickle", ".bin", ".tar")
MAX_HEADER_BYTES = 256 * 1024
MAX_DIMENSIONS = 8
CHUNK_VALUES = 1 << 18
DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2")}


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """Where one tensor lies.

    Attributes
    ----------
    name : str
    dtype : {"F32", "F16"}
    shape : tuple of int
    start : int
        Bytes from the beginning of the file.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int

    @property
    def values(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Header:
    """A checked header: tensors by name, and the text that goes with them."""

    tensors: dict[str, TensorEntry]
    metadata: dict[str, str]


def refuse_pickle(path: Path) -> None:
    """Raise `ModelError` for a file name under which PyTorch keeps pickles."""
    if path.suffix.lower() in PICKLE_SUFFIXES:
        _refuse_as_pickle(path)


def _refuse_as_pickle(path: Path) -> NoReturn:
    if path.suffix.lower() == ".zip":
        raise ModelError(
            f"{path.name} is an archive; if it is an exported model, take it in with: mdeblurgan "
            "import."
        )
    raise ModelError(
        f"{path.name} is a PyTorch checkpoint (a pickle), which could run any program when it is "
        f"opened; use a model saved as {SUFFIX}."
    )


def open_model_file(path: Path) -> BinaryIO:
    """Open a model file for reading.

    Raises
    ------
    ModelError
        If there is no such file, it cannot be read, or its name says that it is a pickle.
    """
    refuse_pickle(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ModelError(f"{path} is not a file; give the path of a {SUFFIX} file.")
        return path.open("rb")
    except FileNotFoundError:
        raise ModelError(f"There is no model file {path}; check the path.") from None
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{str(path)!r} cannot be read ({_reason(error)}); check its path and permissions."
        ) from None


def _read(file: BinaryIO, count: int) -> bytes:
    try:
        return file.read(count)
    except OSError as error:
        raise ModelError(
            f"{file.name} cannot be read ({_reason(error)}); copy it again from its source."
        ) from None


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def read_header(file: BinaryIO, name: str) -> Header:
    """Read and check the header; the tensors' bytes are only measured.

    Parameters
    ----------
    file : binary file
        Open at any position.
    name : str
        What to call the file in messages.

    Raises
    ------
    ModelError
        If the file is no safetensors file, is cut short, or its header contradicts itself or asks
        for too much.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = _read(file, 8)
    length = int.from_bytes(start, "little")
    if length > MAX_HEADER_BYTES and (
        start.startswith(b"PK") or (start[0] == 0x80 and start[1] in range(2, 6))
    ):
        _refuse_as_pickle(Path(name))
    if size < 8 or (length <= MAX_HEADER_BYTES and size < 8 + length):
        raise ModelError(f"{name} is cut short ({size} bytes); fetch or save it again.")
    if length > MAX_HEADER_BYTES:
        raise ModelError(
            f"{name} claims a header of {length} bytes where at most {MAX_HEADER_BYTES} are "
            f"allowed; it is damaged or no {SUFFIX} file."
        )
    try:
        content = parse_json(_read(file, length))
        if not isinstance(content, dict):
            raise ValueError("it is not an object")
        metadata = content.pop("__metadata__", {})
        if not isinstance(metadata, dict) or not all(
            isinstance(value, str) for value in metadata.values()
        ):
            raise ValueError("its metadata are not text")
        tensors = _entries(content, 8 + length)
    except ValueError as error:
        raise ModelError(
            f"{name} has a damaged header ({error}); fetch or save it again."
        ) from None
    end = max(
        (each.start + each.values * DTYPES[each.dtype].itemsize for each in tensors.values()),
        default=8 + length,
    )
    if end != size:
        wrong = "is cut short" if size < end else "has something after its end"
        raise ModelError(
            f"{name} {wrong} ({size} bytes where {end} belong); fetch or save it again."
        )
    return Header(tensors, metadata)


def parse_json(text: str | bytes) -> Any:
    """Strict JSON: UTF-8, no NaN or infinity, no key twice.

    Raises
    ------
    ValueError
        Its message is short and fit for a sentence to the user.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise KeyError
        return found

    def refuse(_: str) -> NoReturn:
        raise ValueError

    try:
        text = text.decode("utf-8") if isinstance(text, bytes) else text
        return json.loads(text, object_pairs_hook=once, parse_constant=refuse)
    except KeyError:
        raise ValueError("a key stands twice") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError:
        raise ValueError("it is not valid JSON") from None


def _entries(content: dict[str, Any], data_start: int) -> dict[str, TensorEntry]:
    """Tensors in the order of their bytes; these must follow each other without gap or overlap."""
    entries, spans = {}, []
    for name, facts in content.items():
        if not isinstance(facts, dict) or set(facts) != {"dtype", "shape", "data_offsets"}:
            raise ValueError(
                f"tensor {name[:60]!r} is not described by dtype, shape and data_offsets"
            )
        dtype, shape, offsets = facts["dtype"], facts["shape"], facts["data_offsets"]
        if not isinstance(dtype, str) or dtype not in DTYPES:
            raise ValueError(f"tensor {name[:60]!r} is not stored as {' or '.join(DTYPES)}")
        if not _whole_numbers(shape) or len(shape) > MAX_DIMENSIONS:
            raise ValueError(f"tensor {name[:60]!r} has no valid shape")
        if not _whole_numbers(offsets) or len(offsets) != 2:
            raise ValueError(f"tensor {name[:60]!r} has no valid offsets")
        if offsets[1] - offsets[0] != math.prod(shape) * DTYPES[dtype].itemsize:
            raise ValueError(f"tensor {name[:60]!r} has a shape that does not fit its bytes")
        entries[name] = TensorEntry(name, dtype, tuple(shape), data_start + offsets[0])
        spans.append((offsets[0], offsets[1], name))
    position = 0
    for begin, end, name in sorted(spans):
        if begin != position:
            raise ValueError(f"the bytes of tensor {name[:60]!r} overlap others or leave a gap")
        position = end
    return {name: entries[name] for _, _, name in sorted(spans)}


def _whole_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(
        type(each) is int and 0 <= each < 1 << 62 for each in value
    )


class WeightsDigest:
    """SHA-256 over names, types, shapes and bytes of tensors that are given in the order of their
    names.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def begin(self, name: str, dtype: str, shape: Iterable[int]) -> None:
        self._hash.update(json.dumps([name, dtype, list(shape)]).encode())

    def add(self, data: bytes) -> None:
        self._hash.update(data)

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def read_tensor(file: BinaryIO, entry: TensorEntry, out: np.ndarray, digest: WeightsDigest) -> bool:
    """Read one tensor straight to where it belongs, a megabyte at a time.

    Parameters
    ----------
    file : binary file
    entry : TensorEntry
    out : ndarray
        float32, C-contiguous, of the entry's shape; filled.
    digest : WeightsDigest
        Is given the tensor.

    Returns
    -------
    bool
        Whether all values are finite.

    Raises
    ------
    ModelError
        If the file ends early.
    """
    digest.begin(entry.name, entry.dtype, entry.shape)
    dtype = DTYPES[entry.dtype]
    flat, finite = out.reshape(-1), True
    file.seek(entry.start)
    for begin in range(0, entry.values, CHUNK_VALUES):
        part = flat[begin : begin + CHUNK_VALUES]
        data = _read(file, part.size * dtype.itemsize)
        if len(data) != part.size * dtype.itemsize:
            raise ModelError(
                f"The model file ended inside tensor {entry.name!r} while it was read; load it "
                "again."
            )
        digest.add(data)
        part[...] = np.frombuffer(data, dtype)
        finite = finite and bool(np.isfinite(part).all())
    return finite


def weights_digest(tensors: dict[str, np.ndarray]) -> str:
    """Digest of arrays in memory, as `read_tensor` makes it for the same arrays in a file."""
    names = {dtype: name for name, dtype in DTYPES.items()}
    digest = WeightsDigest()
    for name in sorted(tensors):
        array = tensors[name]
        digest.begin(name, names[array.dtype], array.shape)
        digest.add(array.tobytes())
    return digest.hexdigest()
