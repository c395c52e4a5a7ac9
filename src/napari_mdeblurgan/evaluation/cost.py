"""What a method costs when it runs: seconds and memory for one megapixel of the result, measured in
a process of its own.

``python -m napari_mdeblurgan.evaluation.cost SOURCE SCALE CHANNELS DEVICE EDGE`` measures and
prints JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from napari_mdeblurgan.errors import MdeblurganError

if TYPE_CHECKING:
    from napari_mdeblurgan.evaluation.methods import Method

_EDGE = 1024
_RUNS = 3
SAMPLING_S = 0.002
LOOK_UP_S = 1.0
MIB = 2**20


class CostError(MdeblurganError):
    """The process that measures came to grief."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one method costs on one device.

    Attributes
    ----------
    method, device : str
        Names.
    parameters : int
        That are learned.
    gflop_per_mpix : float or None
        10⁹ floating-point operations for 10⁶ pixels of the result; None where they are not counted.
    seconds_per_mpix : float
        The fastest of three runs.
    peak_mib_per_mpix : float
        Memory that the first run took beyond what the process had before, a small image having been
        restored already. On the processor: its resident memory, looked at every 2 ms; on a GPU:
        what torch allocated there.
    method_id : str
        As in `Score`.
    """

    method: str
    device: str
    parameters: int
    gflop_per_mpix: float | None
    seconds_per_mpix: float
    peak_mib_per_mpix: float
    method_id: str


COST_KEYS = ("method_id", "device")


def measure(method: Method, channels: int, device: str, label: str, edge: int = _EDGE) -> Cost:
    """Measure a method in a fresh process, whose memory nothing else has used.

    Parameters
    ----------
    method : Method
        Is made again there.
    channels : {1, 3}
        Of the image.
    device, label : str
        For torch, and for people.
    edge : int
        Pixels of the result along y and x.

    Raises
    ------
    CostError
        If the process fails.
    """
    wish = [method.source, str(method.scale), str(channels), device, str(edge)]
    done = subprocess.run(
        [sys.executable, "-m", __name__, *wish], capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise CostError(
            f"The cost of {method.name} could not be measured ({last}); see to the error, or free "
            "memory."
        )
    found = json.loads(done.stdout.splitlines()[-1])
    gflop = method.gflop_per_mpix
    return Cost(
        method=method.name,
        device=label,
        parameters=method.parameters,
        gflop_per_mpix=None if gflop is None else round(gflop, 3),
        seconds_per_mpix=round(found["seconds"], 4),
        peak_mib_per_mpix=round(found["mib"], 1),
        method_id=method.identity,
    )


def probe(source: str, scale: int, channels: int, device: str, edge: int) -> dict[str, float]:
    """Run a method in this process: seconds and MiB for one megapixel of the result."""
    import numpy as np

    from napari_mdeblurgan.degradation import GAUSSIAN
    from napari_mdeblurgan.evaluation.methods import method_from

    method, condition = method_from(source, scale, device), GAUSSIAN[1]
    shape = (edge // scale, edge // scale, 3)[: 2 + (channels == 3)]
    image = np.random.default_rng(0).random(shape, np.float32)
    method.restore(image[:64, :64], condition)
    seconds = []
    with peak_mib(device) as peak:
        seconds.append(_timed(method, image, condition))
    seconds += [_timed(method, image, condition) for _ in range(_RUNS - 1)]
    megapixels = edge**2 / 1e6
    return {"seconds": min(seconds) / megapixels, "mib": peak[0] / megapixels}


def _timed(method: Method, image: object, condition: object) -> float:
    start = time.perf_counter()
    method.restore(image, condition)  # type: ignore[arg-type]
    return time.perf_counter() - start


@contextmanager
def peak_mib(device: str) -> Iterator[list[float]]:
    """A list whose one entry is, at the end, what memory rose by in between."""
    found = [0.0]
    if device.startswith("cuda"):
        import torch

        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield found
        found[0] = (torch.cuda.max_memory_allocated(device) - before) / MIB
        return
    process, over = psutil.Process(), threading.Event()
    before = process.memory_info().rss

    def watch() -> None:
        while not over.wait(SAMPLING_S):
            found[0] = max(found[0], (process.memory_info().rss - before) / MIB)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()


def end_with_parent() -> None:
    """End this process soon after the one that waits for it, however that ended."""
    parent = os.getppid()
    while os.getppid() == parent and psutil.pid_exists(parent):
        time.sleep(LOOK_UP_S)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    source, scale, channels, device, edge = sys.argv[1:]
    print(json.dumps(probe(source, int(scale), int(channels), device, int(edge))))
