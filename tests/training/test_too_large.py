"""A batch that is too large for the memory of a device."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import torch

from napari_mdeblurgan.errors import OutOfMemory
from napari_mdeblurgan.training.config import TrainingConfig
from napari_mdeblurgan.training.run import open_run

Make = Callable[..., TrainingConfig]


def test_a_batch_that_does_not_fit_is_told_in_one_sentence_and_the_training_goes_on_later(
    sharp_folder: Path, tmp_path: Path, tiny_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "backward", full)
        run = open_run(sharp_folder, tmp_path / "run", tiny_config())
        with closing(run), pytest.raises(OutOfMemory) as caught:
            for _ in run.steps():
                pass
    assert str(caught.value) == (
        "Memory on cpu ran out after step 0; close other programs and go on, or begin anew with a "
        "smaller data.batch or data.patch."
    )
    with closing(open_run(sharp_folder, tmp_path / "run")) as run:
        for _ in run.steps():
            pass
    assert run.finished
