"""What torch and the libraries below it say when memory runs out, in their own words."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from napari_mdeblurgan.model import Model
from napari_mdeblurgan.restoration import inference
from napari_mdeblurgan.restoration.engine import restore
from napari_mdeblurgan.restoration.out_of_memory import is_out_of_memory

SAID = (
    "CUDA out of memory. Tried to allocate 20.00 MiB",
    "[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory: you tried to "
    "allocate 8 bytes",
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "FIND was unable to find an engine to execute this computation",
    "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR",
    "cuDNN error: CUDNN_STATUS_NOT_INITIALIZED",
    "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
    "could not create a primitive",
    "Invalid buffer size: 12.21 GB",
    "MPS backend out of memory (MPS allocated: 8.00 GB)",
)


@pytest.mark.parametrize("words", SAID)
def test_memory_that_runs_out_is_known_by_the_words(words: str) -> None:
    assert is_out_of_memory(RuntimeError(words))


def test_it_is_known_by_its_type_too_and_nothing_else_is_taken_for_it() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("?"))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_what_filled_the_memory_is_gone_when_the_smaller_tiles_are_tried(
    tiny_model: Callable[..., Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    forward, held, alive = inference._forward, [], []

    def limited(stages: Any, names: Any, images: torch.Tensor, *more: Any) -> list[torch.Tensor]:
        gc.collect()
        alive.append(sum(each() is not None for each in held))
        if images.shape[-1] > 220:
            large = torch.zeros(1000)
            held.append(weakref.ref(large))
            raise RuntimeError("could not create a primitive")
        return forward(stages, names, images, *more)

    monkeypatch.setattr(inference, "_forward", limited)
    image = np.random.default_rng(0).integers(0, 256, (200, 200), np.uint8)
    restore(image, tiny_model())
    assert len(held) >= 1
    assert not any(alive)
