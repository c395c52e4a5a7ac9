"""`mdeblurgan batch`, from the outside: what it makes, what it says, how it ends."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_mdeblurgan.batch import BatchSettings, open_batch
from napari_mdeblurgan.commands import common
from napari_mdeblurgan.storage import Micrograph, read_image, write_image

pytestmark = pytest.mark.usefixtures("tiny_defaults")


@pytest.fixture
def run(run: Callable[..., tuple[int, str, str]]) -> Callable[..., tuple[int, str, str]]:
    """``run(…)``: exit code, stdout and stderr of `mdeblurgan batch …`."""
    return lambda *arguments: run("batch", *arguments, "--device", "cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A grey and a colour image."""
    images = tmp_path / "in"
    images.mkdir()
    draw = np.random.default_rng(0)
    write_image(
        images / "grey.tif", Micrograph(draw.integers(0, 4000, (20, 24)).astype(np.uint16), "YX")
    )
    write_image(images / "rgb.png", Micrograph(draw.integers(0, 255, (20, 24, 3), np.uint8), "YXS"))
    return images


def test_each_image_is_restored_by_the_model_for_its_kind_and_said(
    run, folder: Path, tmp_path: Path
) -> None:
    code, out, error = run(folder, "--output", tmp_path / "out")
    assert (code, error) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "2 images"
    assert "1/2" in lines[1]
    assert "MPix/s" in lines[1]
    assert f"grey.tif → {tmp_path / 'out' / 'grey.ome.tif'}" in lines[1]
    assert lines[-1] == f"2 results in {tmp_path / 'out'}"
    assert read_image(tmp_path / "out" / "rgb.ome.tif").data.shape == (40, 48, 3)


def test_the_same_command_again_has_nothing_to_do(run, folder: Path, tmp_path: Path) -> None:
    run(folder, "--output", tmp_path / "out")
    code, out, _ = run(folder, "--output", tmp_path / "out")
    assert code == 0
    assert out.splitlines() == [
        "2 images, 2 of them done by earlier runs",
        f"2 results in {tmp_path / 'out'}",
    ]


def test_each_result_is_judged_and_the_table_is_named_where_that_is_asked_for(
    run, folder: Path, tmp_path: Path
) -> None:
    (folder / "rgb.png").unlink()
    code, out, _ = run(folder, "--output", tmp_path / "out", "--trust")
    assert code == 0
    news, where, last = out.splitlines()[1:]
    assert re.search(r"grey\.ome\.tif: [✓!✗] .+ · error bar relative only · ", news)
    assert where == f"table of all: {tmp_path / 'out' / 'mdeblurgan-batch.html'}"
    assert last == f"1 result in {tmp_path / 'out'}"
    assert run(folder, "--output", tmp_path / "out", "--trust")[1].startswith(
        "1 image, 1 of them done"
    )


class Hours:
    """A clock by which a watch sleeps through a few hours in no time, until Ctrl-C; images come
    meanwhile.
    """

    def __init__(self, comes: dict[int, Callable[[], object]], ends: int) -> None:
        self.now, self._sleeps, self._comes, self._ends = 0.0, 0, comes, ends

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self._sleeps += 1
        self._comes.get(self._sleeps, lambda: None)()
        if self._sleeps == self._ends:
            raise KeyboardInterrupt


def test_a_watched_folder_is_restored_until_it_is_stopped(
    run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "rgb.png").unlink()
    late = Micrograph(np.eye(20, dtype=np.float32), "YX")
    hours = Hours({100: lambda: write_image(folder / "late.tif", late)}, 200)
    monkeypatch.setattr("napari_mdeblurgan.batch.watching.time", hours)
    code, out, error = run(folder, "--output", tmp_path / "out", "--watch")
    assert (code, error) == (0, "")
    first, grey, late, last = out.splitlines()
    assert first == f"watching {folder}; Ctrl-C ends it"
    assert grey.endswith(f"grey.tif → {tmp_path / 'out' / 'grey.ome.tif'}")
    assert late.endswith(f"late.tif → {tmp_path / 'out' / 'late.ome.tif'}")
    assert last == f"stopped watching: 2 results in {tmp_path / 'out'}."


def test_what_fails_while_a_folder_is_watched_is_counted_in_the_end(
    run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "rgb.png").write_text("no image")
    monkeypatch.setattr("napari_mdeblurgan.batch.watching.time", Hours({}, 500))
    code, _, error = run(folder, "--output", tmp_path / "out", "--watch")
    assert code == 1
    reason, last = error.splitlines()
    assert "rgb.png" in reason
    assert (
        last
        == f"mdeblurgan: stopped watching: 1 result in {tmp_path / 'out'}, 1 failed as said above."
    )


def test_a_bad_file_is_named_the_rest_goes_on_and_the_code_is_1(
    run, folder: Path, tmp_path: Path
) -> None:
    (folder / "bad.tif").write_text("no image")
    code, out, error = run(folder, "--output", tmp_path / "out")
    first, last = error.splitlines()
    assert code == 1
    assert first.startswith(f"mdeblurgan: {folder / 'bad.tif'} is not a TIFF file")
    assert last.startswith("mdeblurgan: 1 of 3 images failed")
    assert "--retry-failed" in last
    assert out.count("→") == 2
    (folder / "bad.tif").unlink()
    write_image(folder / "bad.tif", Micrograph(np.eye(20, dtype=np.float32), "YX"))
    code, out, _ = run(folder, "--output", tmp_path / "out", "--retry-failed")
    assert (code, out.count("→")) == (0, 1)
    assert run(folder, "--output", tmp_path / "out", "--retry-failed")[1].startswith(
        "nothing to do"
    )


def test_progress_on_a_terminal_is_a_bar_with_rate_and_time(
    run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr("napari_mdeblurgan.batch.progress.STEADY_S", 0.0)
    code, _, error = run(folder, "--output", tmp_path / "out")
    assert code == 0
    for text in (
        "%|",
        "1/2",
        "MPix/s",
        "to go",
        "rgb.png",
        f"→ {tmp_path / 'out' / 'grey.ome.tif'}",
    ):
        assert text in error


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no.tif"], "does not exist"),
        (["in", "--model", "no-such-model"], "no model called"),
        (["in", "--workers", "2", "--scheduler", "tcp://127.0.0.1:1"], "choose one"),
        (["in", "--format", "jpeg"], "format"),
        (["no", "--watch"], "does not exist"),
        (
            ["in/grey.tif", "--watch"],
            "waits for what is written into a folder; name one, not in/grey.tif",
        ),
        (["in", "--watch", "--retry-failed"], "choose one"),
    ],
)
def test_wrong_use_is_said_before_any_work(
    run,
    folder: Path,
    tmp_path: Path,
    arguments: list[str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, error = run(*arguments, "--output", "out")
    assert code == 2
    assert words in error
    assert not (tmp_path / "out").exists()


def test_two_batches_into_one_folder_are_refused(run, folder: Path, tmp_path: Path) -> None:
    settings = BatchSettings(rgb_model=common.COLOUR_MODEL, grey_model=common.GREY_MODEL)
    with open_batch([folder], tmp_path / "out", settings):
        code, _, error = run(folder, "--output", tmp_path / "out")
    assert code == 2
    assert "Another batch is at work" in error
    assert error.count("\n") == 1


def test_the_help_has_examples(run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert "mdeblurgan batch scans --output sharp" in out


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", None)])
@pytest.mark.usefixtures("signals_of_a_terminal")
def test_an_interruption_says_what_is_kept_and_the_command_goes_on_from_there(
    run, folder: Path, tmp_path: Path, number: signal.Signals
) -> None:
    write_image(
        folder / "long.tif",
        Micrograph(np.eye(64, dtype=np.uint8)[None].repeat(4000, axis=0), "TYX"),
    )
    command = [
        sys.executable,
        "-m",
        "napari_mdeblurgan",
        "batch",
        str(folder),
        "--output",
        str(tmp_path / "out"),
    ]
    arguments = ["--model", common.GREY_MODEL, "--device", "cpu"]
    (folder / "rgb.png").unlink()
    process = subprocess.Popen(
        [*command, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "2 images\n"
    assert "→" in process.stdout.readline()
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error.startswith("mdeblurgan: interrupted; what is done is kept (1 of 2 images")
    assert error.count("\n") == 1
    (folder / "long.tif").unlink()
    code, out, _ = run(folder, "--output", tmp_path / "out", *arguments)
    assert (code, out.splitlines()[0]) == (0, "1 image, 1 of them done by earlier runs")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")
def test_a_line_break_in_a_name_breaks_no_line(run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_image(tmp_path / "in" / "a\nb.tif", Micrograph(np.eye(24, dtype=np.uint8), "YX"))
    code, out, error = run(tmp_path / "in", "--output", tmp_path / "out")
    assert (code, error) == (0, "")
    lines = out.splitlines()
    assert len(lines) == 3
    assert f"a\\nb.tif → {tmp_path / 'out'}/a_b.ome.tif" in lines[1]
