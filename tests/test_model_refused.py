"""Model files that are refused: each in one clear sentence, soon and in little memory."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save

from benchmarks import fuzz_model_files as fuzz
from benchmarks.model_damage import pack, unpack, with_card, with_weights
from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.model import load_model, read_card
from napari_mdeblurgan.model_card import CARD_KEY, seal
from napari_mdeblurgan.model_file import MAX_HEADER_BYTES
from napari_mdeblurgan.network import Generator
from tests.model_files import network, refusal, saved

__all__ = ["network", "saved"]  # fixtures


def change_card(path: Path, **fields: Any) -> None:
    """Change fields of a file's card and seal it anew."""
    path.write_bytes(with_card(path.read_bytes(), lambda old: old.update(fields)))


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt", ".PTH"])
def test_a_checkpoint_is_refused_by_its_suffix(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    torch.save({"a": torch.zeros(2)}, path)
    assert "pickle" in refusal(lambda: load_model(path))
    assert "pickle" in refusal(lambda: load_model(str(path)))
    assert "pickle" in refusal(lambda: read_card(path))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_under_another_name_is_refused(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "weights.safetensors"
    torch.save({"a": torch.zeros(2)}, path, _use_new_zipfile_serialization=zipped)
    assert "pickle" in refusal(lambda: load_model(path))


@pytest.mark.parametrize(
    "name", ["missing.safetensors", "~nobody-at-all/a.safetensors", "a\0b.safetensors"]
)
def test_a_missing_file_is_refused(tmp_path: Path, name: str) -> None:
    assert "check" in refusal(lambda: load_model(tmp_path / name))
    assert "check" in refusal(lambda: load_model(name))


def test_what_is_no_path_is_refused(saved: Path) -> None:
    with pytest.raises(FileError, match="ModelCard is no path"):
        load_model(read_card(saved))  # type: ignore[arg-type]


def test_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").mkdir()
    path = tmp_path / "a.safetensors"
    told = refusal(lambda: load_model(path))
    assert told == f"{path} is not a file; give the path of a .safetensors file."


def test_a_pointer_of_git_lfs_is_called_so(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    assert "a pointer of Git LFS and not the file itself" in refusal(lambda: load_model(path))
    path.write_text("<!DOCTYPE html><html>404</html>")
    assert "a web page and not the file itself" in refusal(lambda: read_card(path))


@pytest.mark.parametrize("kept", [0, 5, 8, 300, -4, -1])
def test_a_file_cut_short_is_refused(saved: Path, kept: int) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[:kept])
    for reader in (read_card, load_model):
        assert "cut short" in refusal(lambda reader=reader: reader(saved))


def test_a_file_with_more_after_its_end_is_refused(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes() + b"\0")
    assert "after its end" in refusal(lambda: read_card(saved))


def test_one_flipped_bit_of_the_weights_is_refused(saved: Path) -> None:
    content = bytearray(saved.read_bytes())
    content[-1000] ^= 1
    saved.write_bytes(content)
    assert "altered" in refusal(lambda: load_model(saved))


def test_one_changed_letter_of_the_card_is_refused(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes().replace(b"A test", b"A pest"))
    assert "altered" in refusal(lambda: read_card(saved))


def test_two_tensors_of_one_shape_that_changed_places_are_refused(saved: Path) -> None:
    header, data = unpack(saved.read_bytes())
    one, other = "deblurring.encoder.0.first.weight", "deblurring.encoder.0.second.weight"
    header[one], header[other] = header[other], header[one]
    saved.write_bytes(pack(header, data))
    assert "altered" in refusal(lambda: load_model(saved))


def test_weights_that_are_not_finite_are_refused(saved: Path) -> None:
    def spoil(arrays: dict[str, np.ndarray]) -> None:
        arrays["deblurring.mix.weight"][0, 0, 0, 0] = np.inf

    saved.write_bytes(with_weights(saved.read_bytes(), spoil))
    assert "deblurring.mix.weight" in refusal(lambda: load_model(saved))


def test_a_card_of_a_newer_format_asks_for_an_update(saved: Path) -> None:
    change_card(saved, format=2, unheard_of={"a": 1})
    for reader in (read_card, load_model):
        assert "update the plugin" in refusal(lambda reader=reader: reader(saved))


def test_a_safetensors_file_without_a_card_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(save({"a": np.zeros(3, np.float32)}))
    assert "no model card" in refusal(lambda: load_model(tmp_path / "a.safetensors"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", 3),
        ("name", "../../up"),
        ("description", None),
        ("description", "a\x1b[2Jb"),
        ("architecture", []),
        ("architecture", {"width": [1]}),
        ("scale", 2.0),
        ("scale", True),
        ("channels", "3"),
        ("halo", -8),
        ("halo", 10**30),
        ("trained_on", "cells"),
        ("blur_sigma_px", [1.0]),
        ("scores", [1]),
        ("weights_sha256", "0" * 63),
        ("weights_sha256", ""),
        ("format", "1"),
        ("format", 0),
        ("surprise", 1),
    ],
)
def test_a_card_field_of_the_wrong_kind_is_refused_by_name(
    saved: Path, field: str, value: Any
) -> None:
    change_card(saved, **{field: value})
    for reader in (read_card, load_model):
        assert f"'{field}" in refusal(lambda reader=reader: reader(saved))


def test_a_card_without_a_needed_field_is_refused(saved: Path) -> None:
    saved.write_bytes(with_card(saved.read_bytes(), lambda fields: fields.pop("halo")))
    assert "'halo'" in refusal(lambda: read_card(saved))


@pytest.mark.parametrize(("field", "value"), [("scale", 2), ("channels", 1), ("halo", 80)])
def test_a_card_that_disagrees_with_its_architecture_is_refused(
    saved: Path, field: str, value: int
) -> None:
    change_card(saved, **{field: value})
    assert field in refusal(lambda: load_model(saved))


@pytest.mark.parametrize("width", [0, -1, 10**9, 10**30, "2"])
def test_an_absurd_width_is_refused_before_anything_is_built(
    saved: Path, width: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    architecture = read_card(saved).architecture | {"width": width}
    change_card(saved, architecture=architecture)
    monkeypatch.setattr(
        "napari_mdeblurgan.network.build_generator", lambda _: pytest.fail("was built")
    )
    assert "width" in refusal(lambda: load_model(saved))


def test_a_width_that_the_file_does_not_hold_allocates_nothing(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_mdeblurgan.network import build_generator

    built = []

    def spy(architecture: dict[str, Any]) -> Generator:
        built.append(build_generator(architecture))
        return built[-1]

    monkeypatch.setattr("napari_mdeblurgan.network.build_generator", spy)
    change_card(saved, architecture=read_card(saved).architecture | {"width": 512})
    assert "does not fit its card" in refusal(lambda: load_model(saved))
    assert {values.device.type for network in built for values in network.parameters()} == {"meta"}


@pytest.mark.parametrize("change", [{"name": "another"}, {"approximation": "sum"}, {"depth": 3}])
def test_an_unknown_architecture_is_refused(saved: Path, change: dict[str, Any]) -> None:
    change_card(saved, architecture=read_card(saved).architecture | change)
    assert "architecture" in refusal(lambda: load_model(saved))


def _tensors(saved: Path, change: Callable[[dict[str, np.ndarray]], None]) -> None:
    tensors = load_file(saved)
    change(tensors)
    fields = dataclasses.asdict(read_card(saved)) | {"weights_sha256": "0" * 64}
    saved.write_bytes(save(tensors, {CARD_KEY: seal(fields)}))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda tensors: tensors.pop("deblurring.mix.weight"), "deblurring.mix.weight"),
        (lambda tensors: tensors.update(extra=np.zeros(4, np.float32)), "extra"),
        (
            lambda tensors: tensors.update(
                {"deblurring.mix.weight": np.zeros((8, 20), np.float32)}
            ),
            "8 × 20",
        ),
        (
            lambda tensors: tensors.update(
                {"deblurring.mix.weight": np.zeros((8, 20, 3, 3), np.float64)}
            ),
            "F32",
        ),
        (
            lambda tensors: tensors.update(
                {"deblurring.mix.weight": np.zeros((8, 20, 3, 3), np.int8)}
            ),
            "F32",
        ),
    ],
    ids=["missing", "unknown", "shape", "float64", "int8"],
)
def test_tensors_that_do_not_fit_the_card_are_refused_by_name(
    saved: Path, change: Any, word: str
) -> None:
    _tensors(saved, change)
    assert word in refusal(lambda: load_model(saved))


@pytest.mark.parametrize("length", [MAX_HEADER_BYTES + 1, 2**40, 2**64 - 1])
def test_an_absurd_header_is_refused_before_it_is_read(tmp_path: Path, length: int) -> None:
    (tmp_path / "a.safetensors").write_bytes(length.to_bytes(8, "little") + b"{}")
    assert str(length) in refusal(lambda: load_model(tmp_path / "a.safetensors"))


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"dtype": "F32", "shape": [3], "data_offsets": [4, 16]}, "overlap"),
        ({"dtype": "F32", "shape": [1], "data_offsets": [12, 16]}, "gap"),
        ({"dtype": "F32", "shape": [4], "data_offsets": [8, 24]}, "cut short"),
        ({"dtype": "F32", "shape": [2**40], "data_offsets": [8, 8 + 2**42]}, "cut short"),
        ({"dtype": "F32", "shape": [3], "data_offsets": [8, 16]}, "fit its bytes"),
        ({"dtype": "F32", "shape": [2**61, 8], "data_offsets": [8, 8]}, "fit its bytes"),
        ({"dtype": "F32", "shape": [-2], "data_offsets": [16, 8]}, "shape"),
        ({"dtype": "F32", "shape": [2.0], "data_offsets": [8, 16]}, "shape"),
        ({"dtype": "F32", "shape": [True, 2], "data_offsets": [8, 16]}, "shape"),
        ({"dtype": "F32", "shape": [2], "data_offsets": [8, 12, 16]}, "offsets"),
        ({"dtype": "F32", "shape": [2]}, "described"),
        ({"dtype": ["F32"], "shape": [2], "data_offsets": [8, 16]}, "stored"),
        (None, "described"),
    ],
)
def test_tensors_that_do_not_lie_one_after_the_other_are_refused(
    tmp_path: Path, facts: Any, why: str
) -> None:
    header = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "b": facts}
    (tmp_path / "a.safetensors").write_bytes(pack(header, bytes(16)))
    assert why in refusal(lambda: read_card(tmp_path / "a.safetensors"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '{"a":1',
        "{" * 50_000,
        "[" * 50_000,
        '{"a":NaN}',
        '{"a":1,"a":1}',
        '{"__metadata__":{"a":1}}',
    ],
)
def test_a_header_that_is_no_header_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.safetensors").write_bytes(pack(text, b""))
    assert "header" in refusal(lambda: read_card(tmp_path / "a.safetensors"))


@pytest.mark.parametrize("text", ["", "null", "[" * 50_000, "NaN", json.dumps({"format": 1})])
def test_a_card_that_is_no_card_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.safetensors").write_bytes(pack({"__metadata__": {CARD_KEY: text}}, b""))
    assert "card" in refusal(lambda: read_card(tmp_path / "a.safetensors"))


@pytest.mark.parametrize("index", range(100))
def test_a_damaged_file_is_refused_or_loads_intact_soon_and_in_little_memory(
    index: int, damaged: list[Any]
) -> None:
    kind, outcome = damaged[index]
    assert outcome.good, (kind, outcome)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """Outcomes of a process of its own: what its memory grew by is nobody else's."""
    path = tmp_path_factory.mktemp("damaged") / "outcomes.json"
    command = [
        sys.executable,
        fuzz.__file__,
        "--count",
        "100",
        "--seed",
        "7",
        "--width",
        "4",
        "--outcomes",
        str(path),
    ]
    subprocess.run(command, check=False, capture_output=True)
    return [
        (kind, fuzz.Outcome(**outcome))
        for kind, outcome in json.loads(path.read_text(encoding="utf-8"))
    ]
