"""A run: killed and resumed without a trace, refused where it would mix, stopped with a clear word;
all it writes.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from napari_mdeblurgan.errors import FileError, MdeblurganError, TrainingError
from napari_mdeblurgan.model import load_model
from napari_mdeblurgan.restoration.engine import restore
from napari_mdeblurgan.samples import sample_path
from napari_mdeblurgan.training.checkpoint import load_checkpoint, previous
from napari_mdeblurgan.training.config import ConfigError, TrainingConfig, config_toml
from napari_mdeblurgan.training.data.dataset import Patches, PatchSampler
from napari_mdeblurgan.training.metrics_table import Metrics, read_metrics
from napari_mdeblurgan.training.run import Run, open_run
from napari_mdeblurgan.training.run_folder import RunFolder

Make = Callable[..., TrainingConfig]
FULL_LOSS = {"preset": "perceptual", "perceptual": "feature-matching"}
PROGRAM = """
import sys
from pathlib import Path
from napari_mdeblurgan.training.config import read_config
from napari_mdeblurgan.training.run import open_run
images, folder, config = map(Path, sys.argv[1:])
for progress in open_run(images, folder, read_config(config)).steps():
    print(progress.step, flush=True)
"""


def finish(run: Run) -> Run:
    with closing(run):
        for _ in run.steps():
            pass
    return run


def table(folder: Path) -> list[dict[str, float]]:
    """The metrics, less what the clock says."""
    rows = read_metrics(folder / "metrics.csv")
    return [{name: value for name, value in row.items() if "per_step" not in name} for row in rows]


def assert_same(one: Path, other: Path) -> None:
    assert table(one) == table(other)
    (mine, values), (yours, others) = (
        load_checkpoint(folder / "checkpoint.safetensors") for folder in (one, other)
    )
    assert values["training"] == others["training"]
    assert values["validation"] == others["validation"]
    assert all(torch.equal(mine[name], yours[name]) for name in mine.keys() | yours.keys())
    digests = [
        load_model(folder / "my-model.safetensors").card.weights_sha256 for folder in (one, other)
    ]
    assert digests[0] == digests[1]


def test_killed_at_any_step_and_resumed_equals_never_killed(
    sharp_folder: Path, tmp_path: Path, tiny_config: Make
) -> None:
    config = tiny_config(loss=FULL_LOSS)
    finish(open_run(sharp_folder, tmp_path / "straight", config))
    (tmp_path / "asked.toml").write_text(config_toml(config), encoding="utf-8")
    last = random.SystemRandom().randrange(1, 8)
    killed = subprocess.Popen(
        [
            sys.executable,
            "-c",
            PROGRAM,
            str(sharp_folder),
            str(tmp_path / "killed"),
            str(tmp_path / "asked.toml"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert killed.stdout is not None
    for line in killed.stdout:
        if int(line) == last:
            killed.kill()
            break
    killed.stdout.close()
    assert killed.wait(60) != 0, f"ended by itself before it could be killed after step {last}"
    resumed = finish(open_run(sharp_folder, tmp_path / "killed"))
    assert resumed.resumed <= last + 1
    assert_same(tmp_path / "straight", tmp_path / "killed")


def test_closed_and_resumed_equals_never_closed(
    sharp_folder: Path, tmp_path: Path, tiny_config: Make
) -> None:
    config = tiny_config(run={"checkpoint_steps": 0})
    finish(open_run(sharp_folder, tmp_path / "straight", config))
    for after in (1, 3):
        with closing(open_run(sharp_folder, tmp_path / "stopped", config)) as run:
            steps = run.steps()
            for progress in steps:
                if progress.step == run.resumed + after:
                    break
            steps.close()
    run = finish(open_run(sharp_folder, tmp_path / "stopped"))
    assert run.resumed == 4
    assert_same(tmp_path / "straight", tmp_path / "stopped")


def test_everything_that_a_run_should_leave_is_there(
    sharp_folder: Path, tmp_path: Path, tiny_config: Make
) -> None:
    config = tiny_config(model={"name": "grain", "licence": "CC0-1.0"}, run={"validate_every": 0})
    (tmp_path / "sharp").mkdir()
    for path in sharp_folder.iterdir():
        (tmp_path / "sharp" / path.name).symlink_to(path)
    (tmp_path / "sharp" / "broken.png").write_bytes(b"no image")
    run = finish(open_run(tmp_path / "sharp", tmp_path / "run", config))
    assert [path.name for path, _ in run.data.folder.skipped] == ["broken.png"]
    listing = json.loads((tmp_path / "run" / "images.json").read_text())
    assert (len(listing["training"]), len(listing["validation"]), list(listing["skipped"])) == (
        2,
        1,
        ["broken.png"],
    )

    rows = read_metrics(tmp_path / "run" / "metrics.csv")
    assert [row["step"] for row in rows] == [3, 4, 6, 8]
    assert [row["epoch"] for row in rows] == [0.75, 1, 1.5, 2]
    assert ["validation_psnr_db" in row for row in rows] == [False, True, False, True]
    assert {"loss", "output", "ssim", "share of ssim", "learning_rate", "seconds_per_step"} <= rows[
        0
    ].keys()
    shares = [value for name, value in rows[-1].items() if name.startswith("share of ")]
    assert sum(shares) == pytest.approx(1)
    assert rows[-1]["loss"] == pytest.approx(
        sum(
            rows[-1][name]
            for name in ("output", "encoder-decoder", "deblurred", "ssim", "distances")
        )
    )

    for picture in ("curves.png", "samples/step-0000004.png", "samples/step-0000008.png"):
        with Image.open(tmp_path / "run" / picture) as image:
            assert np.asarray(image).std() > 0
    assert list((tmp_path / "run" / "tensorboard").glob("events.out.tfevents.*"))
    card = load_model(tmp_path / "run" / "grain.safetensors").card
    assert card.licence == "CC0-1.0"
    assert card.trained_on[0] == "2 grey image files of sharp"
    assert card.scores["validation_psnr_db"] == pytest.approx(
        rows[-1]["validation_psnr_db"], abs=0.01
    )
    assert not list((tmp_path / "run").glob(".*.part"))


def test_a_run_from_scratch_ends_with_a_model_better_than_it_began(
    tmp_path: Path, tiny_config: Make
) -> None:
    (tmp_path / "sharp").mkdir()
    for name in ("leaf_epidermis", "nuclei"):
        path = sample_path(name)
        (tmp_path / "sharp" / path.name).symlink_to(path)
    config = tiny_config(
        network={"kind": "grey", "width": 4},
        data={"batch": 4},
        schedule={"steps": 40, "learning_rate": 4e-3},
        optimizer={"averaging": 0.8},
        run={"checkpoint_steps": 0, "validate_every": 40},
    )
    run = finish(open_run(tmp_path / "sharp", tmp_path / "run", config))
    assert run.last_validation is not None
    assert run.last_validation.psnr_db > run.last_validation.bicubic_psnr_db + 0.1
    model = load_model(run.model_path)
    assert restore(np.random.default_rng(0).random((24, 24), np.float32), model).shape == (48, 48)


def test_another_configuration_is_refused_and_overwrite_begins_anew(
    sharp_folder: Path, tmp_path: Path, tiny_config: Make
) -> None:
    with closing(open_run(sharp_folder, tmp_path / "run", tiny_config())) as run:
        next(run.steps())
    (tmp_path / "run" / "note.txt").write_text("mine")
    other = tiny_config(schedule={"learning_rate": 1e-3})
    with pytest.raises(
        ConfigError, match=r"schedule\.learning_rate = 0\.003, not 0\.001; .*--overwrite"
    ):
        open_run(sharp_folder, tmp_path / "run", other)
    assert run.folder.checkpoint.exists()
    with closing(
        open_run(
            sharp_folder,
            tmp_path / "run",
            tiny_config(run={"device": "auto", "checkpoint_steps": 1}),
        )
    ):
        pass
    with closing(open_run(sharp_folder, tmp_path / "run", other, overwrite=True)) as anew:
        assert anew.resumed == 0
    assert not anew.folder.checkpoint.exists()
    assert (tmp_path / "run" / "note.txt").read_text() == "mine"


def test_overwrite_removes_nothing_before_another_run_can_begin(
    sharp_folder: Path, tmp_path: Path, tiny_config: Make
) -> None:
    with closing(
        open_run(sharp_folder, tmp_path / "run", tiny_config(run={"checkpoint_steps": 1}))
    ) as run:
        next(run.steps())
    before = sorted(path.name for path in (tmp_path / "run").iterdir())
    (tmp_path / "empty").mkdir()
    with pytest.raises(MdeblurganError, match="has no image"):
        open_run(tmp_path / "empty", tmp_path / "run", tiny_config(), overwrite=True)
    with pytest.raises(MdeblurganError):
        open_run(
            sharp_folder,
            tmp_path / "run",
            tiny_config(network={"start": "nothing"}),
            overwrite=True,
        )
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == before


def test_a_folder_is_one_training_at_a_time(
    sharp_folder: Path, tmp_path: Path, tiny_config: Make
) -> None:
    with closing(open_run(sharp_folder, tmp_path / "run", tiny_config())):
        for overwrite in (False, True):
            with pytest.raises(
                FileError, match=r"^Another training is at work in .*run; wait until"
            ):
                open_run(sharp_folder, tmp_path / "run", tiny_config(), overwrite=overwrite)
    with closing(open_run(sharp_folder, tmp_path / "run", tiny_config())):
        pass


def test_a_damaged_configuration_does_not_keep_one_from_beginning_anew(
    sharp_folder: Path, tmp_path: Path, tiny_config: Make
) -> None:
    finish(open_run(sharp_folder, tmp_path / "run", tiny_config()))
    (tmp_path / "run" / "config.toml").write_text("[network]\nslopee = 1\n")
    with pytest.raises(ConfigError, match="slopee"):
        open_run(sharp_folder, tmp_path / "run")
    with closing(open_run(sharp_folder, tmp_path / "run", tiny_config(), overwrite=True)) as anew:
        assert anew.resumed == 0


def test_a_run_among_its_images_is_refused(sharp_folder: Path, tiny_config: Make) -> None:
    for output in (sharp_folder, sharp_folder / "deep" / "run"):
        with pytest.raises(MdeblurganError, match=r"lies among the images|holds other files"):
            open_run(sharp_folder, output, tiny_config())
    assert not (sharp_folder / "deep").exists()


def test_what_is_learned_from_is_not_validated_on(
    sharp_folder: Path, tmp_path: Path, tiny_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        ConfigError,
        match=r"grain-\d\.png or a copy of it is among the images to train on and in data\.v",
    ):
        open_run(
            sharp_folder,
            tmp_path / "run",
            tiny_config(data={"validation_folder": str(sharp_folder)}),
        )
    (tmp_path / "others").mkdir()
    other = tmp_path / "others" / "grain-9.png"
    other.write_bytes((sharp_folder / "grain-1.png").read_bytes())
    monkeypatch.chdir(tmp_path)
    config = tiny_config(data={"validation_folder": "others"})
    with pytest.raises(ConfigError, match=r"grain-9\.png or a copy of it is among"):
        open_run(sharp_folder, tmp_path / "run", config)
    with Image.open(sharp_folder / "grain-1.png") as image:
        image.transpose(Image.Transpose.ROTATE_90).save(other)
    with closing(open_run(sharp_folder, tmp_path / "run", config)) as run:
        assert [image.name for image in run.data.judged] == ["grain-9.png"]
    monkeypatch.chdir(sharp_folder)
    with closing(open_run(sharp_folder, tmp_path / "run")) as run:
        assert run.config.data.validation_folder == str(tmp_path / "others")


def test_sources_that_all_weigh_nothing_are_refused(
    sharp_folder: Path, tmp_path: Path, tiny_config: Make
) -> None:
    with pytest.raises(ConfigError, match=r"data\.weights are 0 for all sources"):
        open_run(sharp_folder, tmp_path / "run", tiny_config(data={"weights": {"grain": 0.0}}))


@pytest.mark.parametrize("output", ["file/run", "file"])
def test_a_folder_that_cannot_be_is_refused_before_any_image_is_read(
    tmp_path: Path, output: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=r"file is a file; name a folder for the run"):
        open_run(tmp_path / "nowhere", tmp_path / output)


def test_other_images_are_refused(sharp_folder: Path, tmp_path: Path, tiny_config: Make) -> None:
    (tmp_path / "sharp").mkdir()
    for path in sharp_folder.iterdir():
        (tmp_path / "sharp" / path.name).write_bytes(path.read_bytes())
    with closing(open_run(tmp_path / "sharp", tmp_path / "run", tiny_config())) as run:
        gone = run.data.training[0].name
    (tmp_path / "sharp" / gone).unlink()
    with pytest.raises(ConfigError, match=f"{gone} is gone from the training images"):
        open_run(tmp_path / "sharp", tmp_path / "run")


def test_a_folder_of_something_else_is_refused(sharp_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("…")
    with pytest.raises(FileError, match=r"holds other files \(thesis\.txt"):
        open_run(sharp_folder, tmp_path)
    with pytest.raises(FileError, match="is a file"):
        open_run(sharp_folder, tmp_path / "thesis.txt")


def test_a_loss_that_is_not_finite_names_step_term_and_the_last_good_checkpoint(
    sharp_folder: Path, tmp_path: Path, tiny_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = PatchSampler.draw

    def spoiled(sampler: PatchSampler, number: int) -> Patches:
        patches = draw(sampler, number)
        if number == 4:
            patches.sharp[0, 0, 24, 24] = float("nan")
        return patches

    with monkeypatch.context() as patch:
        patch.setattr(PatchSampler, "draw", spoiled)
        run = open_run(sharp_folder, tmp_path / "run", tiny_config())
        with (
            closing(run),
            pytest.raises(TrainingError, match=r"in step 5 the loss term 'output'") as caught,
        ):
            for _ in run.steps():
                pass
    assert f"the last good checkpoint, after step 3, is {run.folder.checkpoint}" in str(
        caught.value
    )
    tensors, values = load_checkpoint(run.folder.checkpoint)
    assert values["training"]["step"] == 3
    assert all(torch.isfinite(value).all() for value in tensors.values())
    assert finish(open_run(sharp_folder, tmp_path / "run")).finished


def test_a_damaged_checkpoint_is_refused_and_names_the_one_before(
    sharp_folder: Path, tmp_path: Path, tiny_config: Make
) -> None:
    finish(open_run(sharp_folder, tmp_path / "run", tiny_config()))
    checkpoint = RunFolder(tmp_path / "run").checkpoint
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        FileError,
        match=r"cannot be read .*remove it, and checkpoint-previous\.safetensors beside it",
    ):
        open_run(sharp_folder, tmp_path / "run")
    checkpoint.unlink()
    (tmp_path / "run" / ".0123456789abcdef.part").write_bytes(b"cut off")
    with closing(open_run(sharp_folder, tmp_path / "run")) as run:
        assert run.resumed == load_checkpoint(previous(checkpoint))[1]["training"]["step"]
        assert any("going on from the one before" in note for note in run.notes)
    assert not list((tmp_path / "run").glob(".*.part"))


def test_a_start_of_another_scale_is_refused(
    sharp_folder: Path, tmp_path: Path, tiny_config: Make
) -> None:
    config = tiny_config(network={"start": "gray-x2", "scale": 4})
    with pytest.raises(ConfigError, match=r"gray-x2 is a ×2 model .* ×4 one; leave network\.scale"):
        open_run(sharp_folder, tmp_path / "run", config)


def test_training_starts_from_a_model(
    sharp_folder: Path, tmp_path: Path, tiny_config: Make, tiny_model
) -> None:
    model = tiny_model(1)
    path = tmp_path / "start.safetensors"
    from napari_mdeblurgan.model import save_model

    save_model(model.network, model.card, path)
    config = tiny_config(network={"start": str(path), "width": 7})
    with closing(open_run(sharp_folder, tmp_path / "run", config)) as run:
        assert run.config.network.width == 2
        for mine, given in zip(
            run.training.network.parameters(), model.network.parameters(), strict=True
        ):
            assert torch.equal(mine, given)
            assert mine.requires_grad


def test_the_time_is_up_before_the_steps_are_and_the_model_is_written(
    sharp_folder: Path, tmp_path: Path, tiny_config: Make
) -> None:
    with closing(open_run(sharp_folder, tmp_path / "run", tiny_config())) as run:
        taken = [progress.step for progress in run.steps(minutes=0)]
    assert taken == [1]
    assert load_model(run.model_path).card.scores["training_steps"] == 1
    assert not run.finished


def test_without_tensorboard_the_run_says_so_and_goes_on(
    sharp_folder: Path, tmp_path: Path, tiny_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    run = finish(open_run(sharp_folder, tmp_path / "run", tiny_config(schedule={"steps": 1})))
    assert any("tensorboardX is not installed" in note for note in run.notes)
    assert not run.folder.tensorboard.exists()
    assert len(table(tmp_path / "run")) == 1


def test_rows_after_the_checkpoint_and_half_lines_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("step,epoch,loss\n3,0.75,1.5\n6,1.5,1.25\n9,2.2")
    metrics = Metrics(path, 4)
    metrics.restore({"sums": {"loss": 1.0}, "counts": {"loss": 1}}, 3)
    metrics.write(6, None)
    assert [(row["step"], row["loss"]) for row in read_metrics(path)] == [(3, 1.5), (6, 1.0)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("signals_of_a_terminal")
def test_stop_ends_after_the_step_with_a_checkpoint(
    sharp_folder: Path, tmp_path: Path, tiny_config: Make, number: int
) -> None:
    from napari_mdeblurgan.interruption import stopped_by_signals

    with closing(
        open_run(sharp_folder, tmp_path / "run", tiny_config(run={"checkpoint_steps": 0}))
    ) as run:
        with stopped_by_signals(run.stop) as came:
            for progress in run.steps():
                if progress.step == 2:
                    os.kill(os.getpid(), number)
        assert came == [number]
        assert (run.training.step, run.finished) == (2, False)
    assert load_checkpoint(run.folder.checkpoint)[1]["training"]["step"] == 2
