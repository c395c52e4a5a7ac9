"""What the libraries underneath are told about the processor's memory."""

from __future__ import annotations

import os

import pytest

from napari_mdeblurgan.restoration import memory


def test_kernels_are_few_unless_the_user_says_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(memory.KERNELS_VARIABLE, "7")
    memory.keep.__wrapped__()
    assert os.environ[memory.KERNELS_VARIABLE] == "7"
    monkeypatch.delenv(memory.KERNELS_VARIABLE)
    memory.keep.__wrapped__()
    assert os.environ[memory.KERNELS_VARIABLE] == str(memory.KERNELS)
