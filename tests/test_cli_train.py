"""`mdeblurgan train`, from the outside: what it writes, what it says, how it ends."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

Run = Callable[..., tuple[int, str, str]]
CONFIG = """
[network]
width = 2
[data]
patch = 24
batch = 2
validation = 0.3
[degradation]
physical = 0
[schedule]
name = "cosine"
learning_rate = 3e-3
steps = 6
warm_up = 2
steps_per_epoch = 3
[run]
threads = 1
precision = "float32"
device = "cpu"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sharp").mkdir()
    for number in range(2):
        grain = gaussian_filter(np.random.default_rng(number).random((120, 120)), 1)
        pixels = 255 * (grain - grain.min()) / np.ptp(grain)
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "sharp" / f"grain-{number}.png")
    return tmp_path / "sharp"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(CONFIG)
    return path


def test_it_trains_tells_where_the_model_is_and_does_not_train_twice(
    run: Run, folder: Path, config: Path, tmp_path: Path
) -> None:
    (folder / "broken.png").write_bytes(b"no image")
    code, out, err = run(
        "train", folder, "--output", tmp_path / "run", "--config", config, "--model-name", "grain"
    )
    assert code == 0, err
    model = tmp_path / "run" / "grain.safetensors"
    assert f"model: {model}" in out
    assert "1 grey images to train on, 1 to validate on" in out
    assert "step 6 of 6" in out
    assert "PSNR" in out
    assert "bicubic enlargement" in out
    assert f"use it: mdeblurgan restore blurred.tif sharp.tif --model {model}" in out
    assert "skipped: " in err
    assert "broken.png" in err
    (tmp_path / "blurred.png").write_bytes((folder / "grain-0.png").read_bytes())
    assert (
        run("restore", tmp_path / "blurred.png", tmp_path / "sharp.png", "--model", model)[0] == 0
    )
    code, out, _ = run("train", folder, "--output", tmp_path / "run")
    assert code == 0
    assert "step " not in out
    assert f"model: {model}" in out


@pytest.mark.usefixtures("signals_of_a_terminal")
def test_interrupted_it_saves_says_how_to_go_on_and_goes_on(
    run: Run, folder: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_mdeblurgan.training.run import Run as Training

    after, before = Training._after, signal.getsignal(signal.SIGINT)

    def interrupted(training: Training, record):  # type: ignore[no-untyped-def]
        if record.step == 2:
            signal.raise_signal(signal.SIGINT)
        return after(training, record)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "_after", interrupted)
        code, _, err = run("train", folder, "--output", tmp_path / "run", "--config", config)
    assert code == 130
    assert "interrupted after step 2, which is saved" in err
    assert f"mdeblurgan train {folder} --output {tmp_path / 'run'}" in err
    code, out, _ = run("train", folder, "--output", tmp_path / "run")
    assert code == 0
    assert "going on after step 2" in out
    assert signal.getsignal(signal.SIGINT) is before


def test_another_configuration_is_wrong_use(
    run: Run, folder: Path, config: Path, tmp_path: Path
) -> None:
    assert (
        run("train", folder, "--output", tmp_path / "run", "--config", config, "--steps", 1)[0] == 0
    )
    code, _, err = run("train", folder, "--output", tmp_path / "run", "--steps", 5)
    assert code == 2
    assert "schedule.steps = 1, not 5" in err
    assert "--overwrite" in err
    assert err.count("\n") == 1
    assert (
        run(
            "train",
            folder,
            "--output",
            tmp_path / "run",
            "--config",
            config,
            "--steps",
            2,
            "--overwrite",
        )[0]
        == 0
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "--output"),
        (["--output", "run", "--config", "missing.toml"], "--print-config"),
        (["--output", "run", "--scale", "3"], "network.scale is 3"),
        (["--output", "run", "--vgg19", "vgg19.pth"], "add --perceptual vgg19"),
        (["--output", "run", "--device", "toaster"], "auto, cpu"),
        (["--output", "."], "holds other files"),
        (["--output", "sharp/run"], "lies among the images"),
        (["--output", "run", "--start", "gray-x2", "--scale", "4"], "--scale"),
    ],
)
def test_wrong_use_ends_with_code_2(
    run: Run,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run("train", folder, *options)
    assert code == 2
    assert words in " ".join(err.split())


def test_a_folder_of_both_kinds_needs_to_be_told_which(
    run: Run, folder: Path, tmp_path: Path, config: Path
) -> None:
    colours = np.random.default_rng(0).integers(0, 255, (120, 120, 3)).astype(np.uint8)
    Image.fromarray(colours).save(folder / "colours.png")
    code, _, err = run("train", folder, "--output", tmp_path / "run", "--config", config)
    assert code == 2
    assert "--kind rgb or --kind grey" in err
    assert not (tmp_path / "run").exists()


def test_a_folder_without_images_is_work_that_failed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, _, err = run("train", tmp_path / "empty", "--output", tmp_path / "run")
    assert code == 1
    assert "no image" in err
    assert run("train", tmp_path / "nowhere", "--output", tmp_path / "run")[0] == 2


def test_options_leave_what_the_file_says_of_the_loss(run: Run, tmp_path: Path) -> None:
    (tmp_path / "loss.toml").write_text('[loss]\nssim_share = 0.25\nvgg19_file = "vgg.pth"\n')
    code, out, _ = run(
        "train", "--print-config", "--config", tmp_path / "loss.toml", "--perceptual", "vgg19"
    )
    assert code == 0
    assert "ssim_share = 0.25" in out
    assert 'vgg19_file = "vgg.pth"' in out
    assert 'perceptual = "vgg19"' in out


def test_what_can_be_typed_next_is_quoted(
    run: Run, folder: Path, config: Path, tmp_path: Path
) -> None:
    spaced = tmp_path / "my run"
    code, out, _ = run("train", folder, "--output", spaced, "--config", config, "--steps", 1)
    assert code == 0
    assert f"--model '{spaced / 'my-model.safetensors'}'" in out


def test_the_printed_configuration_can_be_trained_with(run: Run, tmp_path: Path) -> None:
    from napari_mdeblurgan.training.config import read_config

    options = [
        "--kind",
        "rgb",
        "--steps",
        7,
        "--perceptual",
        "vgg19",
        "--vgg19",
        "https://example.org/vgg19.pth",
    ]
    code, out, _ = run("train", "--print-config", *options)
    assert code == 0
    (tmp_path / "printed.toml").write_text(out, encoding="utf-8")
    config = read_config(tmp_path / "printed.toml")
    assert (config.network.kind, config.schedule.steps) == ("rgb", 7)
    assert (config.loss.perceptual, config.loss.vgg19_download) == ("vgg19", True)
    assert config.loss.vgg19_address == "https://example.org/vgg19.pth"
    assert config.loss.adversarial_share > 0
