"""How torch and the libraries below it say that memory ran out."""

from __future__ import annotations

import torch

OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "alloc_failed",  # cuBLAS and cuDNN
    "cudnn_status_not_initialized",  # where there is no room for what they keep themselves
    "cublas_status_not_initialized",
    "unable to find an engine",  # cuDNN, where no way of computing fits
    "cudnn_status_internal_error",
    "could not create a primitive",  # oneDNN
    "invalid buffer size",  # MPS
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch says that memory ran out, by its type or by what the libraries
    below it say.
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return any(words in text for words in OUT_OF_MEMORY)
