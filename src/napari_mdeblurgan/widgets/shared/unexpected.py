"""What the user is told of an error that has ended some work. No Qt in here."""

from __future__ import annotations

import logging

from napari_mdeblurgan.errors import MdeblurganError

log = logging.getLogger(__name__)


def in_one_sentence(error: Exception, doing: str, no_memory: str = "") -> str:
    """An error in one sentence; one that nobody expected is logged as well.

    Parameters
    ----------
    error : Exception
        That is being handled.
    doing : str
        What failed, to begin the sentence with.
    no_memory : str
        What is said where there was too little memory.
    """
    if isinstance(error, MdeblurganError):
        return str(error)
    if no_memory and isinstance(error, MemoryError):
        return no_memory
    if isinstance(error, OSError) and error.filename and error.strerror:  # as the command says it
        return f"{doing} failed: {error.filename}: {error.strerror.lower()}."
    log.exception("%s failed", doing)
    return f"{doing} failed unexpectedly ({type(error).__name__}: {error}); see the log."
