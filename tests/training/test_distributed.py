"""Two processes learn what one learns from the same batches; only the first of them writes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from napari_mdeblurgan.training.checkpoint import load_checkpoint
from napari_mdeblurgan.training.config import ConfigError, TrainingConfig, config_toml
from napari_mdeblurgan.training.distributed import ALONE, ProcessRank, place_from_environment
from napari_mdeblurgan.training.metrics_table import read_metrics
from napari_mdeblurgan.training.run import open_run

FULL_LOSS = {"preset": "perceptual", "perceptual": "feature-matching"}


def test_two_processes_learn_what_one_learns_from_the_same_batches(
    sharp_folder: Path, tmp_path: Path, tiny_config: Callable[..., TrainingConfig]
) -> None:
    config = tiny_config(
        loss=FULL_LOSS,
        schedule={"steps": 3, "discriminator_after": 0.25, "learning_rate": 1e-3},
        run={"metrics_every": 1},
    )
    (tmp_path / "asked.toml").write_text(config_toml(config), encoding="utf-8")
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--local-addr=127.0.0.1",
        "--nproc-per-node=2",
    ]
    command = [
        "-m",
        "napari_mdeblurgan",
        "train",
        str(sharp_folder),
        "--output",
        str(tmp_path / "two"),
    ]
    done = subprocess.run(
        [*launch, *command, "--config", str(tmp_path / "asked.toml")],
        env=os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("use it: mdeblurgan restore") == 1

    with closing(open_run(sharp_folder, tmp_path / "one", config)) as run:
        for _ in run.steps():
            pass
    one, two = (read_metrics(tmp_path / name / "metrics.csv") for name in ("one", "two"))
    assert [row["step"] for row in two] == [1, 2, 3]
    assert "discriminator" in two[-1]
    for mine, yours in zip(one, two, strict=True):
        assert mine.keys() == yours.keys()
        for name in mine:
            if "per_step" not in name:
                assert yours[name] == pytest.approx(mine[name], rel=2e-3, abs=1e-6), name
    (alone, _), (together, values) = (
        load_checkpoint(tmp_path / name / "checkpoint.safetensors") for name in ("one", "two")
    )
    assert values["training"]["step"] == 3
    weights = [name for name in alone if name.startswith("averaged/")]
    assert all((alone[name] - together[name]).abs().max() < 1e-3 for name in weights)


def test_a_batch_that_the_processes_cannot_share_is_refused(
    sharp_folder: Path,
    tmp_path: Path,
    tiny_config: Callable[..., TrainingConfig],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from napari_mdeblurgan.training import preparation

    config = tiny_config()
    data = preparation.open_data(sharp_folder, preparation.resolved(config, sharp_folder, ALONE))
    with pytest.raises(ValueError, match="multiple of 3"):
        preparation.sampler_for(config, data, ProcessRank(1, 3))


def test_the_place_is_what_torchrun_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert place_from_environment() == ALONE
    assert ALONE.first
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(ConfigError, match="start the processes with torchrun"):
        place_from_environment()
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert place_from_environment() == ProcessRank(3, 4, 1)
    assert not place_from_environment().first
    monkeypatch.setenv("RANK", "4")
    with pytest.raises(ConfigError, match="RANK is 4 and WORLD_SIZE 4"):
        place_from_environment()
