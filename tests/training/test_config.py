"""Configurations: the paper's schedule by default, TOML both ways, mistakes
named field by field.
"""

from __future__ import annotations

import tomllib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from napari_mdeblurgan.training.config import (
    ConfigError,
    TrainingConfig,
    config_toml,
    differences,
    parse_config,
    read_config,
)
from napari_mdeblurgan.training.losses.loss_config import preset
from napari_mdeblurgan.training.preparation import schedule_for
from napari_mdeblurgan.training.run import open_run


def test_the_defaults_are_the_papers_schedule() -> None:
    config = parse_config({"schedule": {"steps": 200}})
    rates = [schedule_for(config).rate(step) for step in range(200)]
    assert rates[:150] == [1e-4] * 150
    assert rates[-1] == pytest.approx(1e-7)
    assert (config.schedule.constant_epochs, config.schedule.falling_epochs) == (150, 50)
    assert config.optimizer.name == "adam"


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    config = parse_config(
        {
            "model": {"name": "µ-scope (2)", "description": 'He said "sharp" # not a comment'},
            "data": {"weights": {"nuclei": 3.0, "a b": 0.5}},
            "degradation": {"sigma": [0.5, 1.5]},
            "loss": {"preset": "perceptual", "vgg19_file": "C:\\weights\\vgg.pth"},
            "schedule": {"learning_rate": 2e-3},
        }
    )
    (tmp_path / "config.toml").write_text(config_toml(config), encoding="utf-8")
    assert read_config(tmp_path / "config.toml") == config
    assert read_config(str(tmp_path / "config.toml")) == config
    assert list(differences(config, read_config(tmp_path / "config.toml"))) == []


def test_every_field_is_explained() -> None:
    lines = config_toml(TrainingConfig()).splitlines()
    fields = [line for line in lines if " = " in line.split("#")[0]]
    assert len(fields) > 50
    assert all("  # " in line for line in fields)


def test_fields_that_are_left_out_keep_what_they_had() -> None:
    base = parse_config({"network": {"width": 5}, "run": {"seed": 3}})
    config = parse_config({"network": {"slope": 0.2}}, base=base)
    assert (config.network.width, config.network.slope, config.run.seed) == (5, 0.2, 3)


def test_a_preset_of_the_losses_can_be_changed_field_by_field() -> None:
    loss = parse_config({"loss": {"preset": "perceptual", "perceptual": "feature-matching"}}).loss
    assert loss == replace(preset("perceptual"), perceptual="feature-matching")


def test_a_preset_put_over_a_configuration_changes_only_what_presets_differ_in() -> None:
    base = parse_config({"loss": {"ssim_share": 0.25, "border": 4, "vgg19_file": "vgg.pth"}})
    loss = parse_config({"loss": {"preset": "perceptual"}}, base=base).loss
    assert loss == replace(preset("perceptual"), ssim_share=0.25, border=4, vgg19_file="vgg.pth")
    assert (
        parse_config(
            {"loss": {"preset": "faithful"}}, base=parse_config({"loss": asdict(loss)})
        ).loss
        == base.loss
    )


def test_a_border_that_leaves_nothing_of_a_patch_is_refused() -> None:
    parse_config({"loss": {"border": 6}, "data": {"patch": 24}})
    with pytest.raises(
        ConfigError, match=r"^loss\.border = 7 leaves less than 11 pixels of data\.patch = 24"
    ):
        parse_config({"loss": {"border": 7}, "data": {"patch": 24}})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"shedule": {}}, ["'shedule'", "did you mean schedule"]),
        (
            {"schedule": {"learning_rat": 1}},
            ["[schedule]", "'learning_rat'", "did you mean learning_rate"],
        ),
        (
            {"schedule": {"learning_rate": -1}},
            ["schedule.learning_rate is -1", "greater than 0", "default is 0.0001"],
        ),
        (
            {"schedule": {"learning_rate": "fast"}},
            ["schedule.learning_rate is 'fast'", "valid number"],
        ),
        ({"schedule": 3}, ["schedule is a section", "[schedule]"]),
        ({"data": {"patch": 30}}, ["data.patch is 30", "multiple of 8"]),
        ({"network": {"approximation": "best"}}, ["network.approximation is 'best'", "'affine'"]),
        ({"degradation": {"gaussian": -1}}, ["degradation: the shares"]),
        ({"loss": {"ssim_share": 2.0}}, ["loss: ssim_share must be"]),
        ({"loss": {"preset": "pretty"}}, ["loss.preset", "faithful, perceptual"]),
        ({"model": {"name": "../x"}}, ["model: name must be"]),
        ({"model": {"name": "Checkpoint"}}, ["model: name is 'Checkpoint'", "choose another"]),
    ],
)
def test_a_mistake_is_named_with_its_field_and_mend(
    values: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(values, "train.toml")
    message = str(caught.value)
    assert message.startswith("train.toml: ")
    assert "\n" not in message
    for word in words:
        assert word in message


def test_what_holds_no_sections_is_refused_with_an_example() -> None:
    for strange in (None, 5, "fast"):
        with pytest.raises(ConfigError, match=r'give them as in \{"schedule": '):
            parse_config(strange)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="no section called 5; there are model, "):
        parse_config({5: {}})  # type: ignore[dict-item]


def test_plain_values_are_no_configuration_for_a_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="This dict is no configuration; pass what"):
        open_run(tmp_path, tmp_path / "run", {"schedule": {"steps": 2}})  # type: ignore[arg-type]


def test_a_file_that_is_no_toml_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "train.toml"
    path.write_text("[run]\nseed 3\n")
    with pytest.raises(ConfigError, match=r"train\.toml is no valid TOML: .*line 2"):
        read_config(path)
    with pytest.raises(ConfigError, match="--print-config"):
        read_config(tmp_path / "other.toml")


def test_only_what_changes_what_is_learned_is_a_difference() -> None:
    first = TrainingConfig()
    text = (
        "run.device = 'cpu'\nrun.threads = 3\nloss.vgg19_file = "
        "'moved.pth'\nschedule.learning_rate = 1e-3"
    )
    second = parse_config(tomllib.loads(text))
    assert list(differences(first, second)) == [("schedule.learning_rate", 1e-4, 1e-3)]
