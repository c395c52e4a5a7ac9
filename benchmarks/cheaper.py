"""What the network would cost, and gain, if it were computed with fewer bits or had fewer maps.

    python benchmarks/cheaper.py DATA [--edge 512] [--rounds 5] [--threads 2] [--every 3]

In turns, on one image of EDGE² pixels: torch in float32 and in bfloat16 (as restorations are made),
each also with width 16; ONNX Runtime in float32, and with weights and maps of 8 bits (static, per
channel, calibrated on training images; the layers that make images stay in float32, or not). Prints
megapixels of the result per second (median), how many times as fast as bfloat16 in torch, and the
gain in PSNR over bicubic enlargement under the Gaussian protocol on every third grey validation
image. Width 16 is timed with random weights: its gain is told in docs/models.md.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from approximation_readings import SIGMAS, gain_over_bicubic, held_out
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch.nn.utils import convert_conv2d_weight_memory_format

from napari_mdeblurgan import load_model
from napari_mdeblurgan.degradation import gaussian_protocol
from napari_mdeblurgan.export.onnx import onnx_content
from napari_mdeblurgan.network import Generator
from napari_mdeblurgan.training.recipe import training_patches

PERCENTILE = 99.99  # of the maps' values: the range of 8 bits; better than all or the entropy's
Run = Callable[[np.ndarray], np.ndarray]  # (1, 1, y, x) float32 to the result


class Calibration(CalibrationDataReader):
    """Blurred training patches."""

    def __init__(self, data: Path, name: str, count: int) -> None:
        patches = training_patches(data / "train", 1)
        self._name, self._left = name, (patches.draw(number).blurred for number in range(count))

    def get_next(self) -> dict[str, np.ndarray] | None:
        patch = next(self._left, None)
        return None if patch is None else {self._name: patch.numpy()}


def in_torch(network: Generator, precision: torch.dtype) -> Run:
    """The network as it is, its convolutions in that precision."""

    @torch.no_grad()
    def run(image: np.ndarray) -> np.ndarray:
        enabled = precision != torch.float32
        given = torch.from_numpy(image).contiguous(memory_format=torch.channels_last)
        size = tuple((0, length) for length in image.shape[2:])
        with torch.autocast("cpu", precision, enabled=enabled):
            return network.stages.run(given, size).float().numpy()

    return run


def in_onnx(content: bytes | str, threads: int) -> Run:
    """A network that was exported."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda image: session.run(None, {name: image})[0]


def eight_bits(content: bytes, data: Path, folder: Path, whole: bool) -> str:
    """The path of the same network with weights and maps of 8 bits."""
    plain, ready = folder / "plain.onnx", folder / "ready.onnx"
    made = folder / f"eight-{whole}.onnx"
    plain.write_bytes(content)
    quant_pre_process(str(plain), str(ready), skip_symbolic_shape=True)
    session = onnxruntime.InferenceSession(str(ready), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    images = [] if whole else list(_makers_of_images(ready))
    quantize_static(
        str(ready),
        str(made),
        Calibration(data, name, 12),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "ConvTranspose"],
        nodes_to_exclude=images,
        per_channel=True,
        calibrate_method=CalibrationMethod.Percentile,
        extra_options={"CalibPercentile": PERCENTILE},
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    return str(made)


def _makers_of_images(path: Path) -> Iterator[str]:
    """Convolutions from or to at most four maps: their maps are images, or nearly so."""
    import onnx

    graph = onnx.load(path).graph
    shapes = {each.name: tuple(each.dims) for each in graph.initializer}
    for node in graph.node:
        if node.op_type in ("Conv", "ConvTranspose") and min(shapes[node.input[1]][:2]) <= 4:
            yield node.name


def main() -> None:
    """Time, score, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--edge", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--every", type=int, default=3)
    wishes = parser.parse_args()
    torch.set_num_threads(wishes.threads)
    model = load_model("gray-x2")
    narrow = Generator(1, width=16).eval().requires_grad_(False)
    convert_conv2d_weight_memory_format(narrow, torch.channels_last)
    with tempfile.TemporaryDirectory() as folder:
        content = onnx_content(model)
        ways: dict[str, Run] = {
            "torch, bfloat16": in_torch(model.network, torch.bfloat16),
            "torch, float32": in_torch(model.network, torch.float32),
            "torch, bfloat16, width 16": in_torch(narrow, torch.bfloat16),
            "torch, float32, width 16": in_torch(narrow, torch.float32),
            "ONNX Runtime, float32": in_onnx(content, wishes.threads),
        }
        for words, whole in (("8 bits", False), ("8 bits, all layers", True)):
            path = eight_bits(content, wishes.data, Path(folder), whole)
            ways[f"ONNX Runtime, {words}"] = in_onnx(path, wishes.threads)
        image = np.random.default_rng(0).random((1, 1, wishes.edge, wishes.edge), np.float32)
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(wishes.rounds + 1):
            for name, run in ways.items():
                start = time.perf_counter()
                run(image)
                seconds[name].append(time.perf_counter() - start)
        images = held_out(wishes.data / "validation" / "grey")[:: wishes.every]
        usual = statistics.median(seconds["torch, bfloat16"][1:])
        print("| way | MPix/s of the result | times bfloat16 | PSNR over bicubic |")
        print("| --- | ---: | ---: | ---: |")
        for name, run in ways.items():
            took = statistics.median(seconds[name][1:])
            gain = "–" if "width" in name else f"{_gain(run, images):+.2f} dB"
            print(f"| {name} | {4e-6 * image.size / took:.2f} | {usual / took:.2f} | {gain} |")


def _gain(run: Run, images: list[torch.Tensor]) -> float:
    gains = []
    for sharp in images:
        for sigma in SIGMAS:
            low = gaussian_protocol(sharp, sigma)
            gains.append(gain_over_bicubic(torch.from_numpy(run(low.numpy())), low, sharp))
    return float(np.mean(gains))


if __name__ == "__main__":
    main()
