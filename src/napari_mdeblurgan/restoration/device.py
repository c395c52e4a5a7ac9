"""Where the network runs, and in which precision."""

from __future__ import annotations

import re

from napari_mdeblurgan.errors import ImageError, need_torch

PRECISIONS = ("float32", "bfloat16", "float16")

_COMPUTED: set[str] = set()  # GPUs that have done so in this process


def available_devices() -> list[str]:
    """Devices that torch can use here, the fastest first, for example ``["cuda:0", "cpu"]``; not
    those of `unsupported_gpus`.

    Raises
    ------
    NoTorch
        If PyTorch cannot be used.
    """
    need_torch()
    import torch

    unsupported = unsupported_gpus()
    found = [device for device in _gpus(torch) if device not in unsupported]
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def unsupported_gpus() -> dict[str, str]:
    """GPUs that torch sees but has no code for, as a build leaves out those that are too old and
    those that are too new for it; each with a sentence that says so.
    """
    import torch

    reasons = {device: _unsupported(torch, device) for device in _gpus(torch)}
    return {device: reason for device, reason in reasons.items() if reason}


def _gpus(torch) -> list[str]:  # type: ignore[no-untyped-def]
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return [f"cuda:{index}" for index in range(count)]


def _unsupported(torch, device: str) -> str:  # type: ignore[no-untyped-def]
    try:
        own = torch.cuda.get_device_capability(device)
        built = [
            re.fullmatch(r"(\w+?)_(\d+)(\d)[a-z]?", name) for name in torch.cuda.get_arch_list()
        ]
    except Exception:  # what is wrong is said when it is chosen
        return ""
    least = [(each[1], int(each[2]), int(each[3])) for each in built if each]
    fits = (
        (kind == "compute" or major == own[0]) and (major, minor) <= own
        for kind, major, minor in least
    )
    if not least or any(fits):
        return ""
    name = torch.cuda.get_device_name(device)
    return (
        f"{device} ({name}) has compute capability {own[0]}.{own[1]}, "
        "which this build of PyTorch has no code for; install one that has, or choose another "
        "device."
    )


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
        If that device is not there, or does not compute.
    """
    found, wish = available_devices(), str(wish)  # a device of torch is called as we call it
    device = next((each for each in found if wish in ("auto", each.partition(":")[0])), wish)
    if device not in found:
        unsupported = unsupported_gpus().get("cuda:0" if wish == "cuda" else wish)
        raise ImageError(
            unsupported
            or f"There is no device {wish!r} here; choose one of: auto, {', '.join(found)}."
        )
    if device != "cpu" and device not in _COMPUTED:
        _compute(device)
        _COMPUTED.add(device)
    return device


def _compute(device: str) -> None:
    """Find out whether a GPU is there for us: another program may have it to itself, or its driver
    may have come to grief.
    """
    import torch

    from napari_mdeblurgan.restoration.out_of_memory import is_out_of_memory

    try:
        torch.zeros(1, dtype=torch.float32, device=device).add_(1).item()
    except Exception as error:
        if is_out_of_memory(error):  # what fits is seen later
            return
        reason = next(iter(str(error).splitlines()), "").rstrip(".") or type(error).__name__
        raise ImageError(
            f"{device} cannot be used ({reason[:160]}); choose another device, or see to its "
            "driver."
        ) from error


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
