"""Errors whose message is one sentence for the user: what is wrong, and how to mend it."""

from __future__ import annotations

_LONGEST_VALUE = 100


class MdeblurganError(ValueError):
    """Anything that the user can be told in one sentence."""


class ImageError(MdeblurganError):
    """An image that cannot be restored as it is."""


class ModelError(MdeblurganError):
    """A model file that cannot be used, or a model that does not fit the image."""


class FileError(MdeblurganError):
    """A file that cannot be read or written."""


class NoSuchImage(FileError):
    """A path that names no image, or a file that has none of the name that was asked for."""


class Unassessed(FileError):
    """A result that was written, but could not be assessed.

    Attributes
    ----------
    why : str
        What stood in the way, as the end of a sentence.
    """

    def __init__(self, sentence: str, why: str = "") -> None:
        super().__init__(sentence)
        self.why = why


class OutOfMemory(MdeblurganError):
    """Not even the smallest tile fits."""


class TrainingError(MdeblurganError):
    """Training that cannot start or go on as it was asked for."""


class ExportError(MdeblurganError):
    """A model that cannot be exported or imported as it was asked for."""


class ImportMisused(ExportError):
    """A path that names no package, or a name that an imported model cannot have."""


class NoTorch(MdeblurganError):
    """PyTorch is not installed, or cannot be loaded."""


def in_code(value: object) -> str:
    """A value as Python writes it, for a sentence: on one line, which arrays are not by themselves,
    and cut off where it is long.
    """
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def in_short(error: BaseException) -> str:
    """Type and text of an error that was not foreseen, on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}".removesuffix(": ")


# what the system says of a library for which there is no room
_NO_MEMORY = "failed to map segment", "cannot map", "annot allocate memory"


def lacks_memory(error: Exception) -> bool:
    """Whether something, a library perhaps, found no room in the memory."""
    return isinstance(error, MemoryError) or any(each in str(error) for each in _NO_MEMORY)


def need_torch() -> None:
    """Import torch before any work, so that what it lacks is said in one sentence; a second time
    this costs nothing.

    Raises
    ------
    NoTorch
        If it is not installed, or its installation is broken: libraries that are missing or do not
        fit each other.
    """
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "torch":
            raise NoTorch(
                "PyTorch, which the models run on, is not installed; install it with `pip install "
                "torch`, and start anew."
            ) from None
        raise _broken(error) from None
    # a damaged installation raises OSError, ImportError, RuntimeError, AttributeError …
    except Exception as error:
        raise _broken(error) from None


def _broken(error: Exception) -> NoTorch:
    reason = " ".join(str(error).split())[:160].rstrip(".") or type(error).__name__
    if lacks_memory(error):
        return NoTorch(
            f"PyTorch, which the models run on, does not fit into the memory ({reason}); close "
            "other programs, or raise the limit (`ulimit -v`) where there is one."
        )
    return NoTorch(
        f"PyTorch, which the models run on, cannot be loaded ({reason}); install it again, as `pip "
        "install --force-reinstall torch` does, and start anew."
    )
