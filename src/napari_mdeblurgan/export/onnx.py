"""ONNX: the network as a graph that needs neither PyTorch nor this package.

The graph takes (batch, channels, y, x) float32, y and x any multiples of 8, in which 0 and 1 are
the ends of the image's intensity window, and gives (batch, channels, scale · y, scale · x) in the
same units.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.export.agreement import check_agreement
from napari_mdeblurgan.export.libraries import FOR_ONNX, check_installed, quiet
from napari_mdeblurgan.model import Model
from napari_mdeblurgan.model_card import CARD_KEY
from napari_mdeblurgan.restoration.checking import checked_card

OPSET = 18
_TELEMETRY_OFF = "ORT_DISABLE_TELEMETRY"
INPUT, OUTPUT = "input", "output"
EXAMPLE = (2, 64, 72)  # batch, y, x: no two alike, so that none is taken for another


def export_onnx(model: Model, path: str | Path) -> None:
    """Write a model as ONNX, once its results are known to be those of PyTorch.

    Parameters
    ----------
    model : Model
        From `load_model`.
    path : str or Path
        An older file is replaced once the new one is complete.

    Raises
    ------
    ExportError
        If a library is missing, or the graph's results are not the network's.
    ModelError
        If `model` is none.
    FileError
        If the file cannot be written.
    """
    content = onnx_content(model)
    with replacing(path) as file:
        file.write(content)


def onnx_content(model: Model) -> bytes:
    """The model as the bytes of an ONNX file; the card is among its metadata, as JSON under
    "mdeblurgan".

    Raises
    ------
    ExportError
        If a library is missing, or the graph's results are not the network's.
    """
    checked_card(model)
    check_installed(FOR_ONNX)
    import torch

    batch, height, width = EXAMPLE
    step = model.network.downsampling
    rows, columns = torch.export.Dim("rows", min=1), torch.export.Dim("columns", min=1)
    example = torch.linspace(
        0, 1, batch * model.card.channels * height * width, dtype=torch.float32, device="cpu"
    )
    with quiet():
        program = torch.onnx.export(
            model.network,
            (example.reshape(batch, model.card.channels, height, width),),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=(
                {0: torch.export.Dim("batch", min=1), 2: step * rows, 3: step * columns},
            ),
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    content = _tidied(program.model_proto, model).SerializeToString()
    check_agreement(lambda image: run_onnx(content, image), model, "ONNX")
    return content


def _tidied(proto: Any, model: Model) -> Any:
    """The graph without torch's notes on it, which hold paths of this machine, and with the model's
    card.
    """
    graph = proto.graph
    for part in (
        graph,
        *graph.node,
        *graph.value_info,
        *graph.input,
        *graph.output,
        *graph.initializer,
    ):
        del part.metadata_props[:]
        part.ClearField("doc_string")
    del graph.value_info[:]
    factor = model.card.scale * model.network.downsampling
    for size, name in zip(
        graph.output[0].type.tensor_type.shape.dim[2:], ("rows", "columns"), strict=True
    ):
        size.dim_param = f"{factor}*{name}"
    del proto.metadata_props[:]
    proto.metadata_props.add(key=CARD_KEY, value=json.dumps(asdict(model.card)))
    proto.doc_string = f"{model.card.name}: {model.card.description}"
    return proto


def run_onnx(content: bytes, image: np.ndarray) -> np.ndarray:
    """The result of an ONNX file's graph on the processor, for `image` as the graph takes it."""
    with _without_telemetry():
        import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run([OUTPUT], {INPUT: image})[0])


@contextmanager
def _without_telemetry() -> Iterator[None]:
    """ONNX Runtime, loaded within, sends nothing to its makers and keeps no number of this machine
    at home, unless the user says otherwise.
    """
    if _TELEMETRY_OFF in os.environ:
        yield
        return
    os.environ[_TELEMETRY_OFF] = "1"
    try:
        yield
    finally:
        del os.environ[_TELEMETRY_OFF]
