"""What the user is told of an error that has ended some work. No Qt in here."""

from __future__ import annotations

import logging

from napari_mdeblurgan.atomic import in_words
from napari_mdeblurgan.errors import MdeblurganError, in_short

log = logging.getLogger(__name__)


def in_one_sentence(error: Exception, doing: str, no_memory: str = "") -> str:
    """An error in one sentence; one that nobody expected is logged as well.

    Parameters
    ----------
    error : Exception
        Whether it is being handled or was kept.
    doing : str
        What failed, to begin the sentence with.
    no_memory : str
        What is said where there was too little memory.
    """
    if isinstance(error, MdeblurganError):
        return str(error)
    if no_memory and isinstance(error, MemoryError):
        return no_memory
    if isinstance(error, OSError):  # as the command says it
        name = f"{error.filename}: " if error.filename else ""
        return f"{doing} failed: {name}{in_words(error)}."
    log.error("%s failed", doing, exc_info=error)
    return f"{doing} failed unexpectedly ({in_short(error)}); see the log."
