"""What is to be done with one image, and how it ended."""

from __future__ import annotations

import dataclasses
import errno
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.atomic import in_words
from napari_mdeblurgan.batch.batch_recipe import Recipe
from napari_mdeblurgan.batch.fingerprint import Fingerprint, fingerprint
from napari_mdeblurgan.batch.inputs import Source
from napari_mdeblurgan.errors import MdeblurganError, in_short
from napari_mdeblurgan.storage.stems import file_stem

if TYPE_CHECKING:
    from napari_mdeblurgan.restoration.progress import Progress

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Item:
    """An image of a batch.

    Attributes
    ----------
    source : Source
        The image.
    output : str
        Name of the result in the output folder, with "/" between parts.
    seen : Fingerprint
        Of the image, when it was last looked at.
    job : str
        See `Recipe.job`.
    """

    source: Source
    output: str
    seen: Fingerprint
    job: str

    def looked_at(self, recipe: Recipe) -> Item:
        """The same as the image is now.

        Raises
        ------
        FileError
            If it is gone.
        """
        seen = fingerprint(self.source)
        return dataclasses.replace(self, seen=seen, job=recipe.job(seen))


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A result that is whole but has not got its name yet.

    Attributes
    ----------
    place : str
        Where it is, within its folder for work in progress.
    pixels : int
        Of the result.
    model, device, precision : str
        What was used.
    warnings : tuple of str
        Sentences that the user should see.
    trust : dict or None
        Where it was assessed, the verdict as `Verdict.document` has it, and a report lies beside
        it, see `report_name`. Empty where it was to be assessed but could not be; None where that
        was not wished.
    maps : tuple of str
        Names of the maps that lie beside it.
    rgb : bool
        Whether it is in colour.
    values : int
        Of the image that this run took through the network, colours counted one by one; 0 where an
        earlier run did a part of it.
    """

    place: str
    pixels: int
    model: str
    device: str
    precision: str
    warnings: tuple[str, ...] = ()
    trust: dict[str, Any] | None = None
    maps: tuple[str, ...] = ()
    rgb: bool = False
    values: int = 0


@dataclass(frozen=True, slots=True)
class Assessed:
    """A large result that was assessed.

    Attributes
    ----------
    trust : dict
        As in `Product`.
    """

    trust: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no result.

    Attributes
    ----------
    reason : str
        One sentence.
    stops : bool
        Whether no other image of the batch would fare better, as the disk is full.
    """

    reason: str
    stops: bool = False


@dataclass(frozen=True, slots=True)
class Begun:
    """Work on an image has begun."""

    item: Item


@dataclass(frozen=True, slots=True)
class Advanced:
    """Work on an image has come so far; None where there is only a sign of life."""

    item: Item | None = None
    progress: Progress | None = None
    workers: int | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """Work on an image has ended."""

    item: Item
    outcome: Product | Refusal


BatchStep = Begun | Advanced | Ended


def is_full(error: BaseException | None) -> bool:
    """Whether an error came about because a disk is full."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return True
        error = error.__cause__
    return False


def refusal(error: Exception, name: str) -> Refusal:
    """What an error means for the image `name`, which it names; one that is not foreseen is logged
    as well.
    """
    if is_full(error):
        return Refusal(str(error), stops=True)
    match error:
        case MdeblurganError():
            return Refusal(str(error) if _names(str(error), name) else f"{name}: {error}")
        case MemoryError():
            return Refusal(f"{name} does not fit into memory; close other programs.")
        case OSError():
            return Refusal(f"{name} could not be restored: {in_words(error)}.")
    log.error("restoring %s failed", name, exc_info=error)
    return Refusal(f"{name} failed unexpectedly ({in_short(error)}); see the log.")


def _names(reason: str, name: str) -> bool:
    """Whether a sentence says which image it is about: its file, or a result called like that."""
    stem = file_stem(Path(Path(name).name.partition(" [")[0]))
    return bool(re.search(rf"(?<![\w.]){re.escape(stem)}\.\w", reason)) or name in reason
