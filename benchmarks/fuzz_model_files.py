"""Damaged model files: each must be refused in one sentence or load with its weights intact, soon
and in little memory.

    python benchmarks/fuzz_model_files.py --count 1000 --seed 0

Prints one line per kind of damage. The exit code is 1 if any file led to another exception, to a
message that is not one sentence, to altered weights, to a wait of more than 5 seconds, or to more
memory than twice the file and 8 MiB.
"""

from __future__ import annotations

import argparse
import ctypes
import dataclasses
import faulthandler
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_mdeblurgan.errors import ModelError
from napari_mdeblurgan.model import ModelCard, load_model, read_card, save_model

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.model_damage import damaged_files

SLOW_S = 5.0
HANG_S = 60.0
MEMORY_ALLOWANCE = 8 * 2**20


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one file.

    Attributes
    ----------
    verdict : {"refused", "intact", "altered", "unclear", "other"}
        Refused in one sentence; loaded with the right weights; loaded with other weights; refused
        in no sentence; another exception.
    detail : str
        The message.
    seconds : float
    memory : int
        Bytes that the process grew by at most, while it loaded; 0 where the system does not tell.
    file_bytes : int
    """

    verdict: str
    detail: str
    seconds: float
    memory: int
    file_bytes: int

    @property
    def slow(self) -> bool:
        return self.seconds > SLOW_S

    @property
    def greedy(self) -> bool:
        return self.memory > 2 * self.file_bytes + MEMORY_ALLOWANCE

    @property
    def good(self) -> bool:
        return self.verdict in ("refused", "intact") and not self.slow and not self.greedy


def intact_file(folder: Path, width: int) -> Path:
    """A small untrained model, saved as the package saves models."""
    from napari_mdeblurgan.network import Generator

    card = ModelCard(
        name="intact",
        description="Random weights",
        architecture={},
        scale=2,
        channels=1,
        halo=0,
        trained_on=("nothing", "at all"),
        blur_sigma_px=(0.5, 2.0),
        scores={"gain_db": 3.5},
    )
    save_model(Generator(width=width), card, folder / "intact.safetensors")
    return folder / "intact.safetensors"


def _memory(field: str) -> int:
    """A figure of /proc/self/status in bytes; 0 where there is none."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))
    except (OSError, StopIteration):
        return 0


def _forget_peak() -> bool:
    """Give freed memory back, so that it is counted when it is used again, and start the peak from
    here.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    except (OSError, AttributeError, TypeError):
        return False
    return True


def try_file(path: Path, weights: dict[str, np.ndarray]) -> Outcome:
    """Load a file as a user would.

    Parameters
    ----------
    path : Path
    weights : dict
        What the intact file holds.
    """
    faulthandler.dump_traceback_later(HANG_S, exit=True)
    measured = _forget_peak()
    before, begun = _memory("VmRSS"), time.perf_counter()
    try:
        try:
            read_card(path)
            model = load_model(path)
        finally:
            seconds = time.perf_counter() - begun
            memory = max(0, _memory("VmHWM") - before) if measured else 0
            faulthandler.cancel_dump_traceback_later()
    except ModelError as error:
        detail = str(error)
        clear = "\n" not in detail and detail.endswith(".") and len(detail) <= 500
        return Outcome(
            "refused" if clear else "unclear", detail, seconds, memory, path.stat().st_size
        )
    except Exception as error:
        return Outcome(
            "other", f"{type(error).__name__}: {error}", seconds, memory, path.stat().st_size
        )
    state = {name: tensor.numpy() for name, tensor in model.network.state_dict().items()}
    same = state.keys() == weights.keys() and all(
        np.array_equal(state[name], weights[name]) for name in weights
    )
    return Outcome("intact" if same else "altered", "", seconds, memory, path.stat().st_size)


def try_files(folder: Path, count: int, seed: int, width: int) -> Iterator[tuple[str, Outcome]]:
    """Try `count` damaged copies of a model of `width`, one after the other in `folder`."""
    intact = intact_file(folder, width)
    weights = {
        name: tensor.numpy() for name, tensor in load_model(intact).network.state_dict().items()
    }
    path = folder / "damaged.safetensors"
    for kind, content in damaged_files(intact.read_bytes(), count, seed):
        path.write_bytes(content)
        yield kind, try_file(path, weights)


def main() -> int:
    """Try the files, print the table, and say by the exit code whether all went well."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="files to try (default: 1000)")
    parser.add_argument(
        "--seed", type=int, default=0, help="the same seed gives the same files (default: 0)"
    )
    parser.add_argument(
        "--width",
        type=int,
        default=16,
        help="feature maps of the model that is damaged (default: 16)",
    )
    parser.add_argument("--outcomes", type=Path, help="write every outcome to this file as JSON")
    parser.add_argument(
        "--messages", action="store_true", help="show one message of each kind of damage"
    )
    options = parser.parse_args()
    outcomes: dict[str, list[Outcome]] = {}
    tried_in_order: list[tuple[str, dict[str, Any]]] = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, outcome in try_files(Path(folder), options.count, options.seed, options.width):
            outcomes.setdefault(kind, []).append(outcome)
            tried_in_order.append((kind, dataclasses.asdict(outcome)))
            if not outcome.good:
                print(f"{kind}: {outcome}", file=sys.stderr)
    if options.outcomes:
        options.outcomes.write_text(json.dumps(tried_in_order), encoding="utf-8")
    columns = ("refused", "intact", "other", "slow", "greedy", "longest s", "most MiB")
    print(f"{'damage':<20}" + "".join(f"{column:>10}" for column in columns))
    for kind, tried in (
        *outcomes.items(),
        ("all", [each for some in outcomes.values() for each in some]),
    ):
        verdicts = [each.verdict for each in tried]
        refused, intact = verdicts.count("refused"), verdicts.count("intact")
        counts = (
            refused,
            intact,
            len(tried) - refused - intact,
            *(sum(getattr(e, n) for e in tried) for n in columns[3:5]),
        )
        longest, most = (
            max(each.seconds for each in tried),
            max(each.memory for each in tried) / 2**20,
        )
        print(
            f"{kind:<20}" + "".join(f"{n:>10}" for n in counts) + f"{longest:>10.2f}{most:>10.1f}"
        )
        if options.messages and kind != "all":
            print(*sorted({f"    {each.detail}" for each in tried if each.detail})[:12], sep="\n")
    return 0 if all(each.good for tried in outcomes.values() for each in tried) else 1


if __name__ == "__main__":
    sys.exit(main())
