"""Restore generated arrays: each must give a result of the right shape and type, or one of our own
clear errors.

    python benchmarks/fuzz_arrays.py [--count 1000]

Prints a table and exits with 1 if anything else happened, or if one array took more than 20
seconds.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections import Counter
from typing import Any

import numpy as np

DTYPES = "? b B h H i I l L e f d >i2 >u2 >f4 >f8 F O U3 S2 M8[s] m8[s] V4".split()
LIMIT_S = 20.0


def generated_array(seed: int) -> tuple[Any, dict[str, Any]]:
    """An array, good or bad, and wishes for its restoration; the same for the same seed."""
    random = np.random.default_rng(seed)
    ndim = int(random.choice([0, 1, 2, 2, 2, 2, 3, 3, 4]))
    shape = [int(random.choice([0, 1, 2, 3, 4, 5, 7, 16, 33, 90])) for _ in range(ndim)]
    for axis in range(ndim - 3):
        shape[axis] = min(shape[axis], 3)
    if random.random() < 0.7:
        shape[-2:] = [int(random.integers(2, 100)) for _ in shape[-2:]]
    if random.random() < 0.3:
        shape.append(int(random.choice([3, 4])))
    dtype = np.dtype(str(random.choice(DTYPES[:16] if random.random() < 0.8 else DTYPES)))
    image = _filled(tuple(shape), dtype, random)
    if random.random() < 0.2 and image.ndim >= 2:
        image = image[::-1, ::2] if random.random() < 0.5 else np.swapaxes(image, 0, 1)
    wishes: dict[str, Any] = {}
    if random.random() < 0.2:
        wishes["tile"] = int(random.choice([-1, 0, 63, 64, 100, 10_000]))
    if random.random() < 0.1:
        wishes["window"] = tuple(random.choice([-1.0, 0.0, 1.0, 1e300, np.nan], 2).tolist())
    if random.random() < 0.1:
        wishes["channel_axis"] = int(random.integers(-3, 3))
    if random.random() < 0.1:
        wishes["region"] = tuple(tuple(random.integers(-2, 100, 2).tolist()) for _ in range(2))
    return image, wishes


def fitting_channels(image: Any, seed: int) -> int:
    """Channels of the model to try: those of the image, mostly."""
    colour = np.ndim(image) >= 3 and np.shape(image)[-1] in (3, 4)
    return 3 if colour != (seed % 10 == 0) else 1


def _filled(shape: tuple[int, ...], dtype: np.dtype, random: np.random.Generator) -> np.ndarray:
    if dtype.kind in "OUSMmV":
        return np.zeros(shape, dtype)
    kind = int(random.integers(5))
    if kind == 0:
        return np.full(shape, random.integers(0, 2), dtype)
    if kind == 1:  # any bits at all: subnormal, huge, NaN and infinite floats among them
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        raw = random.integers(0, 2 if dtype.kind == "b" else 256, size, dtype=np.uint8)
        return raw.view(dtype).reshape(shape)
    values = random.random(shape) * float(random.choice([1e-30, 1, 200, 6e4]))
    if kind == 2 and values.size:
        values = np.where(random.random(shape) < 0.1, np.nan, values)
    with np.errstate(all="ignore"):
        return np.nan_to_num(values).astype(dtype) if dtype.kind in "biu" else values.astype(dtype)


def tiny_model(channels: int) -> Any:
    """A network of width 2 with random weights, as a model."""
    import torch

    from napari_mdeblurgan.model import Model, ModelCard
    from napari_mdeblurgan.network import Generator

    torch.manual_seed(0)
    network = Generator(channels=channels, width=2).eval().requires_grad_(False)
    for weights in network.parameters():
        weights.normal_(std=0.5 / weights[0].numel() ** 0.5)
    card = ModelCard(
        name=f"tiny-{channels}",
        description="random weights",
        architecture=network.architecture,
        scale=2,
        channels=channels,
        halo=network.halo,
    )
    return Model(card, network)


def main() -> int:
    """Run the fuzz and print what happened."""
    from napari_mdeblurgan import restore
    from napari_mdeblurgan.errors import MdeblurganError

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1000)
    count = parser.parse_args().count
    models = {channels: tiny_model(channels) for channels in (1, 3)}
    outcomes: Counter[str] = Counter()
    trouble = []
    warnings.simplefilter("error", RuntimeWarning)
    warnings.filterwarnings("ignore", ".*NaN or infinite")
    slowest = 0.0
    for seed in range(count):
        image, wishes = generated_array(seed)
        start = time.perf_counter()
        try:
            restored = restore(image, models[fitting_channels(image, seed)], **wishes)
        except MdeblurganError:
            outcomes["refused in a sentence"] += 1
        except Exception as error:  # everything else is what is looked for
            outcomes["another error"] += 1
            trouble.append(
                f"seed {seed}: {image.dtype} {image.shape} {wishes}: {type(error).__name__}: "
                f"{error}"
            )
        else:
            good = restored.dtype == image.dtype and restored.ndim == image.ndim
            outcomes["restored" if good else "wrong shape or type"] += 1
        slowest = max(slowest, time.perf_counter() - start)
    print(f"{count} arrays, the slowest took {slowest:.2f} s")
    for outcome, number in outcomes.most_common():
        print(f"{number:6d}  {outcome}")
    print("\n".join(trouble[:20]))
    return int(bool(trouble) or "wrong shape or type" in outcomes or slowest > LIMIT_S)


if __name__ == "__main__":
    sys.exit(main())
