"""The container of a model: a safetensors file, read without trust and in little memory.

Layout of safetensors: the header's length as eight bytes, little-endian; the header, JSON; the
tensors' bytes, one after the other. safetensors itself checks what the header claims, before
anything is allocated; here are checked what it lets pass (a key that stands twice, headers of up to
100 MB, types that no model has), and the values are read in little memory.
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
from safetensors import SafetensorError, safe_open

from napari_mdeblurgan.errors import ModelError
from napari_mdeblurgan.stand_ins import LONGEST_START, stand_in

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
    except ModelError:
        raise
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
    if instead := stand_in(_read(file, LONGEST_START)):
        raise ModelError(f"{name} is {instead}.")
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
    text = _read(file, length)
    try:
        with safe_open(file.name, framework="numpy") as opened:
            parse_json(text)  # for safetensors lets a key stand twice
            return Header(_entries(opened, 8 + length), opened.metadata() or {})
    except SafetensorError as error:
        wrong = _in_words(str(error), text, size - 8 - length)
    except ValueError as error:
        wrong = f"has a damaged header ({error})"
    except OSError as error:
        wrong = f"cannot be read ({_reason(error)})"
    raise ModelError(f"{name} {wrong}; fetch or save it again.")


def _in_words(problem: str, header: bytes, data_bytes: int) -> str:
    """What safetensors refused, as the rest of a sentence about the file.

    Its versions name the same problems as words or as one word: "invalid offset", "InvalidOffset".
    """
    kind = problem.lower().replace(" ", "")
    if "notfullycovered" in kind or "incompletebuffer" in kind:
        content = json.loads(header)  # which safetensors has found to be in order
        content.pop("__metadata__", None)
        end = max((facts["data_offsets"][1] for facts in content.values()), default=0)
        short = "is cut short" if data_bytes < end else "has something after its end"
        return f"{short} ({data_bytes} bytes of weights where {end} belong)"
    if "invalidoffset" in kind:
        why = "the bytes of a tensor overlap others or leave a gap"
    elif "invalidshape" in kind or "tensorinvalid" in kind or "overflow" in kind:
        why = "a tensor has a shape that does not fit its bytes"
    else:
        why = (
            "metadata must be text, and tensors described by shape, data_offsets and the type that "
            f"they are stored as: {' '.join(problem.rpartition('header: ')[2].split())[:120]}"
        )
    return f"has a damaged header ({why})"


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


def _entries(opened: Any, data_start: int) -> dict[str, TensorEntry]:
    """Tensors in the order of their bytes, which follow each other without gap or overlap."""
    entries = {}
    for name in opened.offset_keys():
        part = opened.get_slice(name)
        dtype, shape = str(part.get_dtype()), tuple(part.get_shape())
        if dtype not in DTYPES:
            raise ValueError(f"tensor {name[:60]!r} is not stored as {' or '.join(DTYPES)}")
        if len(shape) > MAX_DIMENSIONS:
            raise ValueError(f"tensor {name[:60]!r} has no valid shape")
        entries[name] = TensorEntry(name, dtype, shape, data_start)
        data_start += entries[name].values * DTYPES[dtype].itemsize
    return entries


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
