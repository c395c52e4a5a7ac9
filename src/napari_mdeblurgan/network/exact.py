"""Real numbers of 32 bits are computed as such, whatever the process was told to do with them.

How exact products are, and which of its algorithms cuDNN takes, is settled for the whole process;
torch knows no setting for a part of it. So it is set while a network works, a tile or a training
step at a time, and put back when the last has ended.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

EXACT = (
    "none",
    "ieee",
)  # settings of a precision by which nothing is rounded; "none" asks the next above


@dataclass
class _Work:
    """What works in one process.

    Attributes
    ----------
    lock : Lock
        Of what follows.
    count : int
        How many are at work.
    before, ours : dict
        The settings that were found, and those that were made of them.
    """

    lock: Any = field(default_factory=threading.Lock)
    count: int = 0
    before: dict[str, Any] = field(default_factory=dict)
    ours: dict[str, Any] = field(default_factory=dict)


_WORK: dict[
    int, _Work
] = {}  # by process: a child of a fork knows nothing of the threads that held a lock


@contextmanager
def exact_float32() -> Iterator[None]:
    """Compute float32 exactly; for functions that run to their end, not for
    generators that wait.
    """
    work = _WORK.setdefault(os.getpid(), _Work())
    with work.lock:
        if not work.count:
            work.before = _settings()
            _make_exact(work.before)
            work.ours = _settings()
        work.count += 1
    try:
        yield
    finally:
        with work.lock:
            work.count -= 1
            if (
                not work.count and _settings() == work.ours
            ):  # else somebody has set others meanwhile
                _put_back(work.before)


def _parts() -> dict[str, Any]:
    """What has a precision of its own, in torch 2.9 and later."""
    backends: Any = torch.backends
    if not hasattr(backends.mkldnn, "conv"):
        return {}
    found = {"mkldnn.matmul": backends.mkldnn.matmul, "mkldnn.conv": backends.mkldnn.conv}
    return found | {"cuda.matmul": backends.cuda.matmul, "cudnn.conv": backends.cudnn.conv}


def _settings() -> dict[str, Any]:
    found = {name: part.fp32_precision for name, part in _parts().items()}
    found |= {"benchmark": torch.backends.cudnn.benchmark, "cudnn": torch.backends.cudnn.enabled}
    # torch refuses to tell where somebody has used both its old names for settings and its new ones
    try:
        found["matmul"] = torch.get_float32_matmul_precision()
        found["tf32"] = torch.backends.cudnn.allow_tf32
    except RuntimeError:
        found.pop("matmul", None)
    return found


def _make_exact(before: dict[str, Any]) -> None:
    torch.backends.cudnn.benchmark, torch.backends.cudnn.enabled = False, True
    if before.get("matmul", "highest") != "highest":
        torch.set_float32_matmul_precision("highest")
    if before.get("tf32", False):
        torch.backends.cudnn.allow_tf32 = False
    for part in _parts().values():
        if part.fp32_precision not in EXACT:
            part.fp32_precision = "ieee"


def _put_back(before: dict[str, Any]) -> None:
    torch.backends.cudnn.benchmark, torch.backends.cudnn.enabled = (
        before["benchmark"],
        before["cudnn"],
    )
    if before.get("matmul", "highest") != "highest":
        torch.set_float32_matmul_precision(before["matmul"])
    if before.get("tf32", False):
        torch.backends.cudnn.allow_tf32 = True
    for name, part in _parts().items():
        if part.fp32_precision != before[name]:
            part.fp32_precision = "none"
            if part.fp32_precision != before[name]:
                part.fp32_precision = before[name]
