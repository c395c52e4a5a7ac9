"""TorchScript: the network for programs that run PyTorch without Python, such as deepImageJ.

It is only ever written here. Loading TorchScript can run what its author put into it, so this
package never does.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from napari_mdeblurgan.errors import ExportError
from napari_mdeblurgan.export.agreement import check_agreement
from napari_mdeblurgan.export.libraries import quiet

if TYPE_CHECKING:
    from napari_mdeblurgan.model import Model

NOTES = ".debug_pkl"
OWN_RECORDS = ("version", "byteorder", ".data/serialization_id")  # torch writes these itself


def torchscript_content(model: Model) -> bytes:
    """The model as the bytes of a TorchScript file for images of any size that is a multiple of 8.

    Raises
    ------
    ExportError
        If torch can no longer make one, or its results are not the network's.
    """
    import torch

    example = torch.linspace(0, 1, model.card.channels * 64 * 72, dtype=torch.float32, device="cpu")
    example = example.reshape(1, model.card.channels, 64, 72)
    try:
        with quiet(), torch.no_grad():
            traced = torch.jit.trace(model.network, example, check_trace=False)
            buffer = io.BytesIO()
            torch.jit.save(traced, buffer)
            content = _without_notes(buffer)
    except (AttributeError, RuntimeError) as error:
        raise ExportError(
            f"This version of torch ({torch.__version__}) makes no TorchScript "
            f"({type(error).__name__}); export to an .onnx file instead, or use an older Python."
        ) from error

    def run(image: np.ndarray) -> np.ndarray:
        with quiet(), torch.inference_mode():
            return traced(torch.from_numpy(image)).numpy()

    check_agreement(run, model, "TorchScript")
    return content


def _without_notes(buffer: io.BytesIO) -> bytes:
    """The same file without torch's notes for debugging, which hold paths of this machine."""
    import torch

    buffer.seek(0)
    reader, slim = torch._C.PyTorchFileReader(buffer), io.BytesIO()
    writer = torch._C.PyTorchFileWriter(slim)
    for name in reader.get_all_records():
        if not name.endswith(NOTES) and name not in OWN_RECORDS:
            record = reader.get_record(name)
            writer.write_record(name, record, len(record))
    writer.write_end_of_file()
    return slim.getvalue()
