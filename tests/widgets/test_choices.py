"""What is remembered for the next time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from napari_mdeblurgan.widgets.shared.choices import (
    Choices,
    choices_path,
    read_choices,
    write_choices,
)


def test_choices_come_back() -> None:
    write_choices(Choices(device="cpu", rgb_model="a", grey_model="b"))
    assert read_choices() == Choices(device="cpu", rgb_model="a", grey_model="b")


def test_nothing_was_chosen_at_first() -> None:
    assert read_choices() == Choices()


@pytest.mark.parametrize(
    "content", ['{"a":' * 10_000, "", "[1]", '{"device": 3, "colour": "x"}', "\x00", '{"device":']
)
def test_a_spoilt_file_is_as_if_nothing_had_been_chosen(content: str) -> None:
    choices_path().parent.mkdir()
    choices_path().write_text(content)
    assert read_choices() == Choices()


def test_a_folder_that_cannot_be_written_does_no_harm(choices_folder: Path) -> None:
    choices_folder.write_text("a file where the folder should be")
    write_choices(Choices(device="cpu"))
    assert read_choices() == Choices()


def test_choices_are_kept_whole_or_not_at_all(
    choices_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_choices(Choices(device="cpu"))

    def failing(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", failing)
    write_choices(Choices(device="mps"))
    assert read_choices() == Choices(device="cpu")
    assert [file.name for file in choices_folder.iterdir()] == ["choices.json"]
