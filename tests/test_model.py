"""Model files: round trips, the folders they are found in, and what may have which name."""

from __future__ import annotations

import copy
import dataclasses
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save
from torch.overrides import TorchFunctionMode

from napari_mdeblurgan import model as models
from napari_mdeblurgan.diagnostics import _folders as folders
from napari_mdeblurgan.errors import FileError, ModelError
from napari_mdeblurgan.model import (
    Model,
    list_models,
    load_model,
    model_path,
    read_card,
    save_model,
)
from napari_mdeblurgan.model_card import CARD_KEY, seal
from napari_mdeblurgan.model_file import MAX_HEADER_BYTES, weights_digest
from napari_mdeblurgan.network import Generator
from napari_mdeblurgan.restoration import tile_size
from tests.model_files import make_card, network, refusal, saved

__all__ = ["network", "saved"]  # fixtures


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in the place of the bundled models."""
    folder = tmp_path / "bundled"
    folder.mkdir()
    monkeypatch.setattr(models, "BUNDLED_FOLDER", folder)
    return folder


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


def test_no_mode_of_torch_is_ever_set_on_the_thread_that_loads_and_plans(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, real = list[threading.Thread](), TorchFunctionMode.__enter__
    monkeypatch.setattr(
        TorchFunctionMode,
        "__enter__",
        lambda mode: (where.append(threading.current_thread()), real(mode))[1],
    )
    card = load_model(saved).card
    tile_size._overhead.cache_clear()
    tile_size.halo_overhead(card, 128, "cpu", "float32")
    assert len(where) >= 2
    assert threading.current_thread() not in where


def test_a_model_is_shown_in_few_words_and_can_be_a_key(saved: Path) -> None:
    model = load_model(saved)
    assert len(repr(model)) < 2000
    assert {model: 1}[model] == 1


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


def test_what_is_no_network_or_no_card_is_not_saved(tmp_path: Path, network: Generator) -> None:
    for given, words in (
        ((None, make_card()), "NoneType is no network"),
        ((network, {}), "dict is no card"),
    ):
        with pytest.raises(ModelError, match=f"This {words}"):
            save_model(*given, tmp_path / "a.safetensors")


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
def test_bundled_models_are_found_where_the_folder_of_ones_own_is_out_of_reach(
    bundled: Path, models_folder: Path, network: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_model(network, make_card(), bundled / "mine.safetensors")
    look = os.stat

    def guarded(path: Any, *more: Any, **options: Any) -> os.stat_result:
        if str(path).startswith(str(models_folder)):
            raise PermissionError(13, "Permission denied", str(path))
        return look(path, *more, **options)

    monkeypatch.setattr(os, "stat", guarded)
    assert list(models.model_files()) == ["mine"]
    assert [each for each in folders() if each[0] == "models"] == [
        ("models", f"{models_folder} (not there yet)")
    ]


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


# Threads


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are listed on Linux only")
@pytest.mark.parametrize("name", ["gray-x2", "rgb-x2"])
def test_neither_loading_nor_restoring_leaves_helpers_of_openmp(name: str) -> None:
    """With more of them than processors in the process, those of the next restoration sleep."""
    program = f"""
import os, threading, time
import numpy as np, scipy.linalg, scipy.ndimage, torch
from napari_mdeblurgan import load_model, restore

def helpers():
    ours = {{thread.native_id for thread in threading.enumerate()}}
    return sum(int(each) not in ours for each in os.listdir("/proc/self/task"))

before = helpers()
model = load_model({name!r})
loaded = helpers()
colours = (3,) if model.card.channels == 3 else ()
restore(np.random.default_rng(0).random((96, 96, *colours)), model)
end = time.monotonic() + 20
while helpers() > before and time.monotonic() < end:  # those of a thread that has ended go, too
    time.sleep(0.05)
print(before, loaded, helpers())
"""
    environment = os.environ | {"OMP_NUM_THREADS": "2"}
    made = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    before, loaded, after = made.stdout.split()
    assert before == loaded == after
