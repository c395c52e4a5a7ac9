"""Model files: round trips, the folders they are found in, and one clear sentence for each that is
refused.
"""

from __future__ import annotations

import copy
import dataclasses
import importlib.util
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save

from napari_mdeblurgan import model as models
from napari_mdeblurgan.errors import FileError, ModelError
from napari_mdeblurgan.model import (
    Model,
    ModelCard,
    list_models,
    load_model,
    model_path,
    read_card,
    save_model,
)
from napari_mdeblurgan.model_card import CARD_KEY, seal
from napari_mdeblurgan.model_file import MAX_HEADER_BYTES, weights_digest
from napari_mdeblurgan.network import Generator


def _fuzz() -> ModuleType:
    path = Path(__file__).parents[1] / "benchmarks" / "fuzz_model_files.py"
    spec = importlib.util.spec_from_file_location("fuzz_model_files", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


fuzz = _fuzz()


def make_card(**facts: Any) -> ModelCard:
    known = {
        "name": "tiny",
        "description": "A test",
        "architecture": {},
        "scale": 1,
        "channels": 1,
        "halo": 0,
    }
    return ModelCard(**(known | facts))


@pytest.fixture
def network() -> Generator:
    torch.manual_seed(1)
    network = Generator(channels=3, scale=4, width=2)
    with torch.no_grad():
        for values in network.parameters():
            values.normal_()
    return network


@pytest.fixture
def saved(tmp_path: Path, network: Generator) -> Path:
    path = tmp_path / "tiny.safetensors"
    save_model(network, make_card(), path)
    return path


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in the place of the bundled models."""
    folder = tmp_path / "bundled"
    folder.mkdir()
    monkeypatch.setattr(models, "BUNDLED_FOLDER", folder)
    return folder


def refusal(action: Callable[[], object]) -> str:
    """The message of the refusal, which must be one sentence."""
    with pytest.raises(ModelError) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert len(message) < 400
    return message


def change_card(path: Path, **fields: Any) -> None:
    """Change fields of a file's card and seal it anew."""
    path.write_bytes(fuzz.with_card(path.read_bytes(), lambda old: old.update(fields)))


def same_weights(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(
        torch.equal(ours[name], theirs[name]) for name in ours
    )


# What is saved comes back


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", [2, 4])
def test_weights_come_back_bit_for_bit(tmp_path: Path, channels: int, scale: int) -> None:
    network = Generator(channels=channels, scale=scale, width=3)
    save_model(network, make_card(), tmp_path / "a.safetensors")
    assert same_weights(load_model(tmp_path / "a.safetensors").network, network)


@pytest.mark.parametrize("reading", ["affine", "softmax", "nearest", "none"])
def test_every_reading_of_the_approximation_comes_back(tmp_path: Path, reading: str) -> None:
    network = Generator(width=2, approximation=reading)
    save_model(network, make_card(), tmp_path / "a.safetensors")
    loaded = load_model(tmp_path / "a.safetensors").network
    assert loaded.architecture == network.architecture
    assert same_weights(loaded, network)


def test_the_card_comes_back_as_it_was_written(tmp_path: Path, network: Generator) -> None:
    card = make_card(
        trained_on=("sections", "cells"),
        blur_sigma_px=(0.5, 2.0),
        scores={"gain_db": {"mean": 3.25}},
        licence="CC0-1.0",
    )
    written = save_model(network, card, tmp_path / "a.safetensors")
    assert read_card(tmp_path / "a.safetensors") == written
    assert load_model(str(tmp_path / "a.safetensors")).card == written
    for field in ("name", "description", "trained_on", "blur_sigma_px", "scores", "licence"):
        assert getattr(written, field) == getattr(card, field)


def test_the_network_fills_in_its_own_facts(tmp_path: Path, network: Generator) -> None:
    wrong = make_card(
        architecture={"name": "another"}, scale=2, channels=1, halo=1, version="9", created="never"
    )
    card = save_model(network, wrong, tmp_path / "a.safetensors")
    assert card.architecture == network.architecture
    assert (card.scale, card.channels, card.halo) == (4, 3, network.halo)
    assert len(card.weights_sha256) == 64
    assert card.version != "9"
    assert card.created != "never"


def test_a_loaded_network_is_ready_for_work(saved: Path, network: Generator) -> None:
    loaded = load_model(saved).network
    assert not loaded.training
    assert {values.dtype for values in loaded.parameters()} == {torch.float32}
    assert not any(values.requires_grad for values in loaded.parameters())
    image = torch.rand(1, 3, 16, 24, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(loaded.double()(image), network.eval().double()(image))


def test_maps_of_a_loaded_network_have_the_features_of_a_pixel_side_by_side(
    tiny_model: Callable[..., Model],
) -> None:
    loaded, maps = copy.deepcopy(tiny_model(1).network), list[torch.Tensor]()
    for module in loaded.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            module.register_forward_hook(lambda *given: maps.append(given[-1]))
    with torch.inference_mode():
        loaded.stages.run(torch.rand(1, 1, 64, 64), ((0, 64), (0, 64)))
    wide = [each for each in maps if each.shape[1] > 1]
    assert len(wide) > 20
    assert all(each.is_contiguous(memory_format=torch.channels_last) for each in wide)


def test_loading_leaves_the_random_numbers_alone(saved: Path) -> None:
    before = torch.get_rng_state()
    load_model(saved)
    assert torch.equal(torch.get_rng_state(), before)


def test_half_precision_weights_load_as_float32(saved: Path, network: Generator) -> None:
    halves = {name: value.astype("<f2") for name, value in load_file(saved).items()}
    fields = dataclasses.asdict(read_card(saved)) | {"weights_sha256": weights_digest(halves)}
    saved.write_bytes(save(halves, {CARD_KEY: seal(fields)}))
    loaded = load_model(saved).network.state_dict()
    assert {value.dtype for value in loaded.values()} == {torch.float32}
    for name, value in network.state_dict().items():
        assert torch.equal(loaded[name], value.half().float())


def test_other_programs_can_read_the_weights(saved: Path, network: Generator) -> None:
    read = load_file(saved)
    assert all(
        np.array_equal(read[name], value.numpy()) for name, value in network.state_dict().items()
    )


def test_saving_twice_gives_the_same_bytes(saved: Path, network: Generator, tmp_path: Path) -> None:
    save_model(network, make_card(), tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == saved.read_bytes()


def test_saving_leaves_the_network_as_it_was(tmp_path: Path, network: Generator) -> None:
    network.double().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    save_model(network, make_card(), tmp_path / "a.safetensors")
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_dask_knows_a_model_by_its_weights(saved: Path, network: Generator, tmp_path: Path) -> None:
    from dask.base import tokenize

    with torch.no_grad():
        network.super_resolution.last.weight += 1
    save_model(network, make_card(), tmp_path / "other.safetensors")
    assert tokenize(load_model(saved)) == tokenize(load_model(saved))
    assert tokenize(load_model(saved)) != tokenize(load_model(tmp_path / "other.safetensors"))


# Saving is all or nothing


def test_saving_makes_the_folder_and_leaves_nothing_else(
    tmp_path: Path, network: Generator
) -> None:
    save_model(network, make_card(), tmp_path / "new" / "folder" / "a.safetensors")
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["a.safetensors"]


def test_a_failed_save_keeps_the_old_file(
    saved: Path, network: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()

    def fail(_: Path, target: Path) -> None:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(FileError, match="the disk is full"):
        save_model(network, make_card(description="New"), saved)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path, network: Generator) -> None:
    with torch.no_grad():
        network.deblurring.mix.weight[0, 0, 0, 0] = torch.nan
    assert "deblurring.mix.weight" in refusal(
        lambda: save_model(network, make_card(), tmp_path / "a.safetensors")
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name",
    ["", "../up", "a/b", "a\\b", ".hidden", "nul", "COM1.x", "a\n", "x" * 101, "a:b", "end."],
)
def test_a_name_that_is_no_safe_file_name_is_not_saved(
    tmp_path: Path, network: Generator, name: str
) -> None:
    assert "'name'" in refusal(
        lambda: save_model(network, make_card(name=name), tmp_path / "a.safetensors")
    )


@pytest.mark.parametrize("name", ["rgb-x2", "My cells (5x) 2.1a", "Zürich 2026", "a", "a_b+c.d"])
def test_usual_names_are_saved(tmp_path: Path, network: Generator, name: str) -> None:
    assert save_model(network, make_card(name=name), tmp_path / "a.safetensors").name == name


@pytest.mark.parametrize(
    "facts",
    [
        {"description": "two\nlines"},
        {"scores": {"gain": float("nan")}},
        {"scores": {"gain": object()}},
        {"blur_sigma_px": (-1.0, 2.0)},
        {"trained_on": (1, 2)},
    ],
)
def test_an_unfit_card_is_not_saved(
    tmp_path: Path, network: Generator, facts: dict[str, Any]
) -> None:
    refusal(lambda: save_model(network, make_card(**facts), tmp_path / "a.safetensors"))
    assert not list(tmp_path.iterdir())


def test_a_card_too_long_to_be_read_again_is_not_saved(tmp_path: Path, network: Generator) -> None:
    card = make_card(trained_on=("x" * 1000,) * (MAX_HEADER_BYTES // 1000))
    assert "too long" in refusal(lambda: save_model(network, card, tmp_path / "a.safetensors"))


def test_only_safetensors_files_are_saved(tmp_path: Path, network: Generator) -> None:
    assert ".safetensors" in refusal(lambda: save_model(network, make_card(), tmp_path / "a.pth"))


# Models are found by name, in the package first, then in the user's folder


def test_a_users_model_is_found_by_name(models_folder: Path, network: Generator) -> None:
    save_model(network, make_card(name="mine"), models_folder / "mine.safetensors")
    assert model_path("mine") == models_folder / "mine.safetensors"
    assert isinstance(load_model("mine"), Model)
    assert "mine" in [card.name for card in list_models()]


def test_bundled_models_come_first(bundled: Path, models_folder: Path, network: Generator) -> None:
    save_model(network, make_card(name="zebra"), bundled / "zebra.safetensors")
    save_model(network, make_card(name="ant"), models_folder / "ant.safetensors")
    assert [card.name for card in list_models()] == ["zebra", "ant"]


@pytest.mark.usefixtures("bundled")
def test_a_model_is_listed_under_its_files_name(models_folder: Path, network: Generator) -> None:
    save_model(network, make_card(name="before"), models_folder / "after.safetensors")
    assert [card.name for card in list_models()] == ["after"]


def test_a_users_model_cannot_hide_a_bundled_one(
    bundled: Path, models_folder: Path, network: Generator, caplog: pytest.LogCaptureFixture
) -> None:
    for folder in (bundled, models_folder):
        save_model(network, make_card(description=folder.name), folder / "same.safetensors")
    with caplog.at_level(logging.WARNING):
        assert [card.description for card in list_models()] == ["bundled"]
    assert "rename the file" in caplog.text


@pytest.mark.usefixtures("bundled")
def test_a_broken_file_is_left_out_with_a_warning(
    models_folder: Path, network: Generator, caplog: pytest.LogCaptureFixture
) -> None:
    save_model(network, make_card(), models_folder / "good.safetensors")
    (models_folder / "broken.safetensors").write_bytes(b"nothing")
    with caplog.at_level(logging.WARNING):
        assert [card.name for card in list_models()] == ["good"]
    assert "broken.safetensors" in caplog.text


@pytest.mark.usefixtures("bundled")
def test_without_a_folder_there_are_no_user_models() -> None:
    assert list_models() == []


@pytest.mark.usefixtures("bundled")
def test_an_unknown_name_is_refused_with_the_known_ones(
    models_folder: Path, network: Generator
) -> None:
    for name in ("cells", "scans"):
        save_model(network, make_card(), models_folder / f"{name}.safetensors")
    message = refusal(lambda: load_model("cels"))
    assert "'cels'" in message
    assert "cells, scans" in message


@pytest.mark.usefixtures("bundled")
def test_an_unknown_name_where_there_is_no_model_names_the_folder(models_folder: Path) -> None:
    assert str(models_folder) in refusal(lambda: model_path("rgb-x2"))


def test_listing_and_reading_cards_does_not_import_torch(saved: Path) -> None:
    program = (
        "import sys; from napari_mdeblurgan.model import list_models, read_card; from pathlib "
        f"import Path;read_card(Path({str(saved)!r})); list_models(); sys.exit('torch' in "
        "sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=120).returncode == 0


# Files that are refused


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


def test_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").mkdir()
    assert "not a file" in refusal(lambda: load_model(tmp_path / "a.safetensors"))


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
    header, data = fuzz.unpack(saved.read_bytes())
    one, other = "deblurring.encoder.0.first.weight", "deblurring.encoder.0.second.weight"
    header[one], header[other] = header[other], header[one]
    saved.write_bytes(fuzz.pack(header, data))
    assert "altered" in refusal(lambda: load_model(saved))


def test_weights_that_are_not_finite_are_refused(saved: Path) -> None:
    def spoil(arrays: dict[str, np.ndarray]) -> None:
        arrays["deblurring.mix.weight"][0, 0, 0, 0] = np.inf

    saved.write_bytes(fuzz.with_weights(saved.read_bytes(), spoil))
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
    saved.write_bytes(fuzz.with_card(saved.read_bytes(), lambda fields: fields.pop("halo")))
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
    (tmp_path / "a.safetensors").write_bytes(fuzz.pack(header, bytes(16)))
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
    (tmp_path / "a.safetensors").write_bytes(fuzz.pack(text, b""))
    assert "header" in refusal(lambda: read_card(tmp_path / "a.safetensors"))


@pytest.mark.parametrize("text", ["", "null", "[" * 50_000, "NaN", json.dumps({"format": 1})])
def test_a_card_that_is_no_card_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.safetensors").write_bytes(fuzz.pack({"__metadata__": {CARD_KEY: text}}, b""))
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
