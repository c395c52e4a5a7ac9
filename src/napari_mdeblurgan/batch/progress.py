"""How far a batch has come."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_mdeblurgan.restoration.progress import Progress
    from napari_mdeblurgan.trust.verdict import Verdict

STEADY_S = 1.0  # of work before a rate is worth showing


@dataclass(frozen=True, slots=True)
class Success:
    """An image that has been restored.

    Attributes
    ----------
    name : str
        Of the image, as it was given.
    output : Path
        Where the result is.
    warnings : tuple of str
        Sentences that the user should see.
    verdict : Verdict or None
        Where the result was assessed.
    rgb : bool
        Whether it is in colour.
    values : int
        As in `Product`.
    device : str
        Where the network ran.
    seconds : float
        That it took.
    """

    name: str
    output: Path
    warnings: tuple[str, ...] = ()
    verdict: Verdict | None = None
    rgb: bool = False
    values: int = 0
    device: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Failure:
    """An image that could not be restored, and why, in one sentence.

    Attributes
    ----------
    name : str
        Of the image, as it was given.
    reason : str
        One sentence.
    """

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchProgress:
    """How far a batch has come.

    Attributes
    ----------
    total : int
        Images that are to be there in the end.
    done : int
        Images that are, those of earlier runs included.
    failed : int
        Images that failed in this run.
    current : tuple of str
        Names of the images that are being restored.
    fraction : float
        Of all the work, by the sizes of the images: 0 at the start, 1 at the end; what earlier runs
        have done counts.
    pixels : int
        Pixels of results made in this run.
    seconds : float
        Since this run began.
    mpix_per_s : float or None
        Megapixels of results per second so far in this run, less the time until its first image
        began; None while there is no rate.
    remaining_s : float or None
        Seconds still to go at the rate so far; None while there is none.
    workers : int or None
        Of the cluster; None without one.
    news : Success, Failure or None
        What has just happened.
    """

    total: int
    done: int
    failed: int
    current: tuple[str, ...]
    fraction: float
    pixels: int
    seconds: float
    mpix_per_s: float | None
    remaining_s: float | None
    workers: int | None = None
    news: Success | Failure | None = None


@dataclass
class BatchMeter:
    """Keeps count of the work, by the sizes of the images.

    Attributes
    ----------
    total_bytes, before_bytes : int
        Of all images, and of those that earlier runs have done.
    start : float
        When this run began.
    """

    total_bytes: int
    before_bytes: int
    start: float = field(default_factory=time.perf_counter)
    _working_since: float | None = None
    _ended_bytes: float = 0.0
    _own_bytes: float = 0.0
    _ended_pixels: int = 0
    _under_way: dict[str, UnderWay] = field(default_factory=dict)

    def advance(self, key: str, size: int, step: Progress) -> None:
        """An image of `size` bytes has come so far."""
        if self._working_since is None:  # imports and the model's loading are over
            self._working_since = time.perf_counter()
        last = self._under_way.get(key, UnderWay())
        own = max(last.own, step.done - step.before)
        self._under_way[key] = UnderWay(step.fraction * size, own / step.total * size, own)

    def end(self, key: str, size: int, pixels: int | None) -> None:
        """An image has come to its end: with a result of `pixels`, or without one."""
        last = self._under_way.pop(key, None)
        self._ended_bytes += size
        if pixels is not None:
            self._own_bytes += last.own_bytes if last else size
            self._ended_pixels += last.own if last else pixels

    @property
    def pixels(self) -> int:
        """Of results, made in this run."""
        return self._ended_pixels + sum(each.own for each in self._under_way.values())

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.perf_counter() - self.start

    @property
    def fraction(self) -> float:
        """Share of all the work that is done."""
        if not self.total_bytes:
            return 1.0
        under_way = sum(each.done_bytes for each in self._under_way.values())
        return min((self.before_bytes + self._ended_bytes + under_way) / self.total_bytes, 1.0)

    @property
    def mpix_per_s(self) -> float | None:
        """Megapixels of results per second so far."""
        seconds = self._working_s
        return self.pixels / seconds / 1e6 if self.pixels and seconds > 0 else None

    @property
    def remaining_s(self) -> float | None:
        """Seconds to go, as what is left is to what has been done in this run."""
        seconds, own = (
            self._working_s,
            self._own_bytes + sum(each.own_bytes for each in self._under_way.values()),
        )
        return (
            seconds * (1 - self.fraction) * self.total_bytes / own
            if own > 0 and seconds > STEADY_S
            else None
        )

    @property
    def _working_s(self) -> float:
        return time.perf_counter() - (
            self.start if self._working_since is None else self._working_since
        )


@dataclass(frozen=True, slots=True)
class UnderWay:
    """How far an image has come: bytes of it in all and in this run, and pixels of its result made
    in this run.
    """

    done_bytes: float = 0.0
    own_bytes: float = 0.0
    own: int = 0
