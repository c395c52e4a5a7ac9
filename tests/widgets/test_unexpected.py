"""Errors in one sentence each."""

from __future__ import annotations

import errno
import logging

import pytest

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.widgets.shared.unexpected import in_one_sentence


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (FileError("There is no file."), "There is no file."),
        (MemoryError(), "Close other programs."),
        (
            OSError(errno.ENAMETOOLONG, "File name too long", "a.tif"),
            "The batch failed: a.tif: file name too long; choose a shorter name.",
        ),
        (OSError("NAS is gone"), "The batch failed: NAS is gone."),
        (
            OSError("Cannot read A.h5\n(it is closed)."),
            "The batch failed: cannot read A.h5 (it is closed).",
        ),
        (KeyError("a"), "The batch failed unexpectedly (KeyError: 'a'); see the log."),
    ],
)
def test_an_error_is_said_in_one_sentence_and_logged_only_if_nobody_expected_it(
    error: Exception, sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        assert in_one_sentence(error, "The batch", "Close other programs.") == sentence
    assert [each.exc_info[1] for each in caplog.records if each.exc_info] == [
        each for each in [error] if isinstance(each, KeyError)
    ]
