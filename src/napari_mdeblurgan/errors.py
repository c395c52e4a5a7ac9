"""Errors whose message is one sentence for the user: what is wrong, and how to mend it."""

from __future__ import annotations


class MdeblurganError(ValueError):
    """Anything that the user can be told in one sentence."""


class ImageError(MdeblurganError):
    """An image that cannot be restored as it is."""


class ModelError(MdeblurganError):
    """A model file that cannot be used, or a model that does not fit the image."""


class FileError(MdeblurganError):
    """A file that cannot be read or written."""


class OutOfMemory(MdeblurganError):
    """Not even the smallest tile fits."""


class TrainingError(MdeblurganError):
    """Training that cannot start or go on as it was asked for."""


class ExportError(MdeblurganError):
    """A model that cannot be exported or imported as it was asked for."""
