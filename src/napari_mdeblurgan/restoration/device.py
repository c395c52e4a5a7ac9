"""Where the network runs, and in which precision."""

from __future__ import annotations

from napari_mdeblurgan.errors import ImageError, need_torch

PRECISIONS = ("float32", "bfloat16", "float16")


def available_devices() -> list[str]:
    """Devices that torch can use here, the fastest first, for example ``["cuda:0", "cpu"]``.

    Raises
    ------
    NoTorch
        If PyTorch cannot be used.
    """
    need_torch()
    import torch

    found = (
        [f"cuda:{index}" for index in range(torch.cuda.device_count())]
        if torch.cuda.is_available()
        else []
    )
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def device_label(device: str) -> str:
    """A name that a person knows the device by."""
    import torch

    if device.startswith("cuda"):
        return f"{torch.cuda.get_device_name(device)} ({device})"
    if device == "mps":
        return "Apple GPU (mps)"
    threads = torch.get_num_threads()
    return f"CPU, {threads} {'thread' if threads == 1 else 'threads'}"


def pick_device(wish: str = "auto") -> str:
    """The device to use: the fastest for "auto", else the one that is wished for.

    Raises
    ------
    ImageError
        If that device is not there.
    """
    found = available_devices()
    if wish == "auto":
        return found[0]
    device = "cuda:0" if wish == "cuda" else wish
    if device not in found:
        raise ImageError(
            f"There is no device {wish!r} here; choose one of: auto, {', '.join(found)}."
        )
    return device


def pick_precision(wish: str, device: str) -> str:
    """The precision of the convolutions: for "auto" the fastest whose error is known to be small.

    bfloat16 where the hardware computes in it, else float32; float16 only on request, because its
    range is small. Images and sums over them stay in float32 in every case. What bfloat16 changes
    in the bundled models' results is at most 0.06 % of the intensity window (root mean square of an
    image), as `benchmarks/precision.py` measures.

    Raises
    ------
    ImageError
        If `wish` is no known precision, or not one for `device`.
    """
    import torch

    if wish == "auto":
        return "bfloat16" if _computes_in_bfloat16(torch, device) else "float32"
    if wish not in PRECISIONS:
        raise ImageError(
            f"There is no precision {wish!r}; choose one of: auto, {', '.join(PRECISIONS)}."
        )
    if wish == "float16" and device == "cpu":
        raise ImageError("A CPU does not compute in float16; choose auto, float32 or bfloat16.")
    if wish == "bfloat16" and device == "mps" and not _has_bfloat16(torch, device):
        raise ImageError(
            "This Apple GPU does not compute in bfloat16 under this system; choose auto or float32."
        )
    return wish


def _has_bfloat16(torch, device: str) -> bool:  # type: ignore[no-untyped-def]
    try:
        torch.zeros(1, dtype=torch.bfloat16, device=device)
    except (RuntimeError, TypeError):
        return False
    return True


def _computes_in_bfloat16(torch, device: str) -> bool:  # type: ignore[no-untyped-def]
    if device.startswith("cuda"):
        return torch.cuda.get_device_capability(device)[0] >= 8
    if device == "cpu":
        checks = (
            getattr(torch.cpu, name, None)
            for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        )
        return any(check is not None and check() for check in checks)
    return False
