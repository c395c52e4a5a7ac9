"""Model files as they are damaged: cut, grown, with other bits, headers, cards and weights."""

from __future__ import annotations

import io
import json
import pickle
import random
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from napari_mdeblurgan.model_card import CARD_KEY, seal
from napari_mdeblurgan.model_file import DTYPES, MAX_HEADER_BYTES, weights_digest

ODD_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 3, 7, 1.5, 1e308, 10**30, 2**63, -(2**63), 10**9),
    *(
        "",
        "x" * 5000,
        "\ud800",
        "two\nlines",
        "../../up",
        "affine",
        [],
        {},
        [[[]]],
        [-1],
        [0, 0],
        ["F32"],
        {"a": {"b": []}},
    ),
)


def unpack(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The header as plain JSON values, and the tensors' bytes."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def pack(header: dict[str, Any] | str, data: bytes) -> bytes:
    """A file with this header, whatever it says."""
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    return len(text).to_bytes(8, "little") + text + data


def with_card(content: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """The file with a changed card, sealed anew, as a forger would."""
    header, data = unpack(content)
    fields = json.loads(header["__metadata__"][CARD_KEY])
    del fields["sha256"]
    change(fields)
    header["__metadata__"][CARD_KEY] = seal(fields)
    return pack(header, data)


def with_weights(content: bytes, change: Callable[[dict[str, np.ndarray]], None]) -> bytes:
    """The file with weights changed in place, and all digests made anew."""
    header, data = unpack(content)
    buffer = bytearray(data)
    arrays = {}
    for name, facts in header.items():
        if name != "__metadata__":
            begin, end = facts["data_offsets"]
            arrays[name] = np.frombuffer(
                memoryview(buffer)[begin:end], DTYPES[facts["dtype"]]
            ).reshape(facts["shape"])
    change(arrays)
    digest = weights_digest(arrays)
    return with_card(
        pack(header, bytes(buffer)), lambda fields: fields.update(weights_sha256=digest)
    )


def cut(rng: random.Random, content: bytes) -> bytes:
    return content[
        : rng.choice(
            [rng.randrange(len(content)), rng.randrange(16), len(content) - 1 - rng.randrange(8)]
        )
    ]


def grow(rng: random.Random, content: bytes) -> bytes:
    return content + rng.randbytes(rng.randint(1, 5000))


def flip_bit(rng: random.Random, content: bytes) -> bytes:
    position = rng.randrange(len(content))
    return (
        content[:position]
        + bytes([content[position] ^ 1 << rng.randrange(8)])
        + content[position + 1 :]
    )


def flip_bit_of_header(rng: random.Random, content: bytes) -> bytes:
    length = 8 + int.from_bytes(content[:8], "little")
    return flip_bit(rng, content[:length]) + content[length:]


def overwrite(rng: random.Random, content: bytes) -> bytes:
    begin = rng.randrange(len(content))
    noise = rng.randbytes(rng.randint(1, 4096))
    return (content[:begin] + noise + content[begin + len(noise) :])[: len(content)]


def swap_blocks(rng: random.Random, content: bytes) -> bytes:
    size = rng.randint(1, len(content) // 4)
    a = rng.randrange(len(content) // 2 - size)
    b = rng.randrange(len(content) // 2, len(content) - size)
    return (
        content[:a]
        + content[b : b + size]
        + content[a + size : b]
        + content[a : a + size]
        + content[b + size :]
    )


def wrong_header_length(rng: random.Random, content: bytes) -> bytes:
    true = int.from_bytes(content[:8], "little")
    claims = (
        0,
        1,
        true - 1,
        true + 1,
        MAX_HEADER_BYTES,
        MAX_HEADER_BYTES + 1,
        2**40,
        2**64 - 1,
        rng.getrandbits(64),
    )
    return rng.choice(claims).to_bytes(8, "little") + content[8:]


def noise(rng: random.Random, content: bytes) -> bytes:
    return rng.randbytes(rng.choice([0, 1, 7, 8, 9, 100, len(content)]))


def pickled(rng: random.Random, content: bytes) -> bytes:
    if rng.random() < 0.5:
        return pickle.dumps(
            {"weights": content[: rng.randrange(len(content))]}, protocol=rng.randint(0, 5)
        )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", content)
    return buffer.getvalue()


def wrong_tensor_entry(rng: random.Random, content: bytes) -> bytes:
    header, data = unpack(content)
    name = rng.choice([name for name in header if name != "__metadata__"])
    facts = header[name]
    field = rng.choice(list(facts))
    kind = rng.randrange(4)
    if kind == 0:
        facts[field] = rng.choice([*ODD_VALUES, "F16", "F64", "BF16", "I8"])
    elif kind == 1:
        del facts[field]
    elif kind == 2:
        facts["shape"] = rng.choice(
            [facts["shape"][::-1], [*facts["shape"], 1], [2**31] * 4, [2**61, 8], [0], []]
        )
    else:
        shift = rng.choice([-4, 4, 2**40, -(2**40)])
        facts["data_offsets"] = [value + shift for value in facts["data_offsets"]]
    return pack(header, data)


def wrong_tensor_names(rng: random.Random, content: bytes) -> bytes:
    header, data = unpack(content)
    one, other = rng.sample([name for name in header if name != "__metadata__"], 2)
    kind = rng.randrange(4)
    if kind == 0:
        header[one], header[other] = header[other], header[one]
    elif kind == 1:
        header[rng.choice(["", "x" * 3000, "../weights", "\ud800"])] = header.pop(one)
    elif kind == 2:
        del header[one]
    else:
        header[one + ".more"] = header[one]
    return pack(header, data)


def wrong_card_field(rng: random.Random, content: bytes) -> bytes:
    def change(fields: dict[str, Any]) -> None:
        name = rng.choice([*fields, "another"])
        if rng.random() < 0.2:
            fields.pop(name, None)
        else:
            fields[name] = rng.choice(ODD_VALUES)

    return with_card(content, change)


def wrong_architecture(rng: random.Random, content: bytes) -> bytes:
    def change(fields: dict[str, Any]) -> None:
        name = rng.choice([*fields["architecture"], "another"])
        value = rng.choice([*ODD_VALUES, 1, 2, 3, 4, 512, 100_000, "none", "softmax", "nearest"])
        fields["architecture"][name] = value
        if name in ("scale", "channels") and rng.random() < 0.8:
            fields[name] = value

    return with_card(content, change)


def unsealed_card(rng: random.Random, content: bytes) -> bytes:
    header, data = unpack(content)
    text = header["__metadata__"][CARD_KEY]
    begin = rng.randrange(len(text))
    texts = (
        text[:begin],
        text[:begin] + "9" + text[begin:],
        "",
        "null",
        "[]",
        "NaN",
        '{"format": 1e999}',
        "9" * 5000,
        None,
    )
    header["__metadata__"][CARD_KEY] = rng.choice(texts)
    return pack(header, data)


def newer_card(rng: random.Random, content: bytes) -> bytes:
    return with_card(
        content,
        lambda fields: fields.update(format=rng.choice([2, 10**6, 10**30]), news={"a": [1]}),
    )


def not_finite(rng: random.Random, content: bytes) -> bytes:
    def change(arrays: dict[str, np.ndarray]) -> None:
        array = arrays[rng.choice(sorted(arrays))].reshape(-1)
        array[rng.randrange(array.size)] = rng.choice([np.nan, np.inf, -np.inf])

    return with_weights(content, change)


def overgrown_header(rng: random.Random, content: bytes) -> bytes:
    header, data = unpack(content)
    room = MAX_HEADER_BYTES - 100
    depth = rng.choice([500, 20_000, room // 12])
    texts = (
        '{"a":' + "[" * (room // 2) + "]" * (room // 2) + "}",
        '{"a":' * depth + "1" + "}" * depth,
        '{"a":[' + "[]," * (room // 3) + "1]}",
        '{"a":' + "9" * room + "}",
        "{" + ",".join(f'"{n}":{{}}' for n in range(room // 12)) + "}",
    )
    text = rng.choice(texts)
    if rng.random() < 0.5:
        return pack(text, data)
    header["__metadata__"][CARD_KEY] = text[: room // 2]
    return pack(header, data)


DAMAGES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    cut,
    grow,
    flip_bit,
    flip_bit_of_header,
    overwrite,
    swap_blocks,
    wrong_header_length,
    noise,
    pickled,
    wrong_tensor_entry,
    wrong_tensor_names,
    wrong_card_field,
    wrong_architecture,
    unsealed_card,
    newer_card,
    not_finite,
    overgrown_header,
)


def damaged_files(content: bytes, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Damaged copies of a model file, every kind of damage in turn.

    Parameters
    ----------
    content : bytes
        An intact model file.
    count : int
    seed : int
        The same seed gives the same files.

    Yields
    ------
    tuple of str and bytes
        The kind of damage, and the file.
    """
    rng = random.Random(seed)
    for index in range(count):
        damage = DAMAGES[index % len(DAMAGES)]
        yield damage.__name__, damage(rng, content)
