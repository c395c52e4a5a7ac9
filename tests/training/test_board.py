"""What TensorBoard shows, and a disk that is full when it is to be written."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import RecordWriter

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.training.board import Board, open_board
from napari_mdeblurgan.training.config import TrainingConfig
from napari_mdeblurgan.training.run import open_run

ROW = {"step": 7, "epoch": 1.0, "loss": 0.5, "validation_psnr_db": 30.0, "share of ssim": 0.25}


def events(folder: Path) -> list[Event]:
    (path,) = folder.glob("events.out.tfevents.*")
    raw, found = path.read_bytes(), []
    while raw:  # length, its checksum, the event, its checksum
        length = int.from_bytes(raw[:8], "little")
        found.append(Event.FromString(raw[12 : 12 + length]))
        raw = raw[16 + length :]
    return found


def test_rows_are_shown_in_groups_after_a_mark_that_hides_what_is_done_again(
    tmp_path: Path,
) -> None:
    with closing(Board(tmp_path / "board", 4)) as board:
        board.show(ROW)
    written = events(tmp_path / "board")
    assert [each.step for each in written if each.session_log.status] == [5]
    shown = {each.summary.value[0].tag: each for each in written if each.summary.value}
    assert {name: each.summary.value[0].simple_value for name, each in shown.items()} == {
        "training/loss": 0.5,
        "validation/validation_psnr_db": 30,
        "shares/ssim": 0.25,
    }
    assert {each.step for each in shown.values()} == {7}


def failing(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("act", ["show", "flush", "close"])
def test_a_full_disk_is_said_once_and_the_board_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    board = open_board(tmp_path, 0)
    assert board is not None
    monkeypatch.setattr(RecordWriter, "write", failing)
    monkeypatch.setattr(RecordWriter, "flush", failing)
    with pytest.raises(FileError, match="the disk is full"):
        board.show(ROW) if act == "show" else getattr(board, act)()
    board.show(ROW)
    board.flush()
    board.close()


def test_a_training_ends_in_a_sentence_where_only_its_events_find_the_disk_full(
    sharp_folder: Path,
    tmp_path: Path,
    tiny_config: Callable[..., TrainingConfig],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with closing(open_run(sharp_folder, tmp_path / "run", tiny_config())) as run:
        monkeypatch.setattr(EventsWriter, "write_event", failing)
        with pytest.raises(FileError, match=r"tensorboard cannot be written: the disk is full"):
            for _ in run.steps():
                pass
    monkeypatch.undo()
    run = open_run(sharp_folder, tmp_path / "run", tiny_config())
    with monkeypatch.context() as patch:
        patch.setattr(EventsWriter, "close", failing)
        with pytest.raises(FileError, match="the disk is full"):
            run.close()
    with closing(open_run(sharp_folder, tmp_path / "run", tiny_config())) as run:  # let go of
        for _ in run.steps():
            pass
        assert run.finished
        assert run.model_path.is_file()
