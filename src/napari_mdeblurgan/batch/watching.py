"""A folder that is watched: what is written into it is restored as soon as it is whole, until
somebody stops it.

The folder is looked at once in a while, which works on every file system, network drives included,
where the notices of the operating system do not arrive.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from napari_mdeblurgan.batch.fingerprint import Fingerprint, path_fingerprint
from napari_mdeblurgan.batch.inputs import Source, candidates, sources_in
from napari_mdeblurgan.batch.planned import results_in
from napari_mdeblurgan.batch.progress import BatchProgress
from napari_mdeblurgan.batch.run import Batch, open_empty_batch
from napari_mdeblurgan.batch.settings import BatchSettings
from napari_mdeblurgan.errors import FileError, MdeblurganError
from napari_mdeblurgan.outputs import local_path
from napari_mdeblurgan.storage.formats import format_of
from napari_mdeblurgan.storage.provenance import is_result
from napari_mdeblurgan.trust.verdict import Verdict

LOOK_EVERY_S = 1.0
LOOKING_SHARE = 0.2  # of the time, at most: large folders are looked at more rarely
STILL_S = 3.0  # that a file keeps its size and its time of change before it may be whole
WATCH_PATIENCE_S = 60.0  # that one which cannot be read may stay still before it is a failure
WATCH_HEARTBEAT_S = 0.25


@dataclass(frozen=True, slots=True)
class Found:
    """Images that are restored next: the name of each, and whether its result is there already;
    verdicts on these by name.
    """

    images: tuple[tuple[str, bool], ...]
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Waiting:
    """All that is whole is done.

    Attributes
    ----------
    done, failed : int
        Results that are there of the images that were seen so far, and images that failed.
    growing : int
        Files that are not whole yet.
    trouble : str
        Why the folder cannot be looked at now, in one sentence; empty where it can.
    """

    done: int
    failed: int
    growing: int
    trouble: str = ""


@dataclass(slots=True)
class _Seen:
    """A file as it was last looked at, and since when it has been so."""

    stamp: Fingerprint
    since: float


@dataclass
class Watch:
    """A batch that waits for more; made by `open_watch`, used in a ``with`` block or closed by
    hand.

    Attributes
    ----------
    batch : Batch
        What was done so far.
    """

    batch: Batch
    inputs: tuple[str | Path, ...]
    _seen: dict[Path, _Seen] = field(default_factory=dict)
    _settled: dict[Path, Fingerprint] = field(
        default_factory=dict
    )  # files that are done, failed or not to be restored
    _sources: dict[Path, list[str]] = field(default_factory=dict)  # keys of a file's images
    _trouble: str = ""

    def steps(self) -> Generator[Found | BatchProgress | Waiting, None, None]:
        """Restore what is there, then what comes; it ends only when it is closed. Yields several
        times a second.

        Closing the generator ends the work; what is done is kept, and another watch or batch goes
        on from there. The table of all images is written whenever all that is whole is done, and at
        the end.

        Raises
        ------
        MdeblurganError
            In one sentence, where no image can be restored any more, or results of other settings
            would be replaced.
        """
        told = False
        try:
            while True:
                began = time.monotonic()
                ready = yield from self._ready()
                if ready:
                    told = False
                    self.batch.take(ready)
                    missing = {item.source.key for item in self.batch.todo}
                    there = tuple((each.name, each.key not in missing) for each in ready)
                    verdicts = (
                        self.batch.verdicts() if any(is_there for _, is_there in there) else {}
                    )
                    yield Found(there, verdicts)
                    yield from self.batch.work()
                    self._take_back()
                    continue
                if not told:
                    told = True
                    self.batch.summarise()
                pause = max(LOOK_EVERY_S, (time.monotonic() - began) / LOOKING_SHARE)
                while time.monotonic() - began < pause:
                    yield self._waiting()
                    time.sleep(min(WATCH_HEARTBEAT_S, pause))
        finally:
            self.batch.summarise()

    def close(self) -> None:
        """Let go of the output folder."""
        self.batch.close()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _waiting(self) -> Waiting:
        growing = sum(self._settled.get(path) != seen.stamp for path, seen in self._seen.items())
        return Waiting(len(self.batch.outputs), len(self.batch.failures), growing, self._trouble)

    def _ready(self) -> Generator[Waiting, None, list[Source]]:
        """The images of all files that are whole and were not seen to as they are now, in the order
        of their names.

        Yields once in a while.
        """
        try:
            files = candidates(self.inputs, self.batch.folder.path)
            self._trouble = ""
        except (MdeblurganError, OSError) as error:  # a drive that is away for a while
            self._trouble = (
                str(error)
                if isinstance(error, FileError)
                else f"The folder cannot be read: {error}."
            )
            return []
        now, ready = time.monotonic(), dict[str, Source]()
        told = now
        own: set[str] | None = None
        seen: dict[Path, _Seen] = {}
        for path, base in files.items():
            if time.monotonic() - told > WATCH_HEARTBEAT_S:
                told = time.monotonic()
                yield self._waiting()
            try:
                stamp = path_fingerprint(path)
            except (MdeblurganError, OSError):  # gone again
                continue
            last = self._seen.get(path)
            seen[path] = last if last and last.stamp == stamp else _Seen(stamp, now)
            still = now - seen[path].since
            if self._settled.get(path) == stamp or still < STILL_S or not stamp.size:
                continue
            if not is_whole(path) and still < WATCH_PATIENCE_S:
                continue
            self._settled[path] = stamp
            own = (
                results_in(self.batch.folder.manifest, self.batch.folder.path)
                if own is None
                else own
            )
            if os.path.realpath(path) in own or is_result(path):
                continue
            sources = sources_in(path, base, self.batch.settings.image)
            self._sources[path] = [source.key for source in sources]
            for source in sources:  # by links, a file may be there twice
                ready.setdefault(source.key, source)
        self._seen = seen
        return list(ready.values())

    def _take_back(self) -> None:
        """Wait again for files that have changed while they were restored."""
        if not self.batch.postponed:
            return
        keys = {item.source.key for item in self.batch.postponed}
        for path, own in self._sources.items():
            if keys.intersection(own):
                self._settled.pop(path, None)
                self._seen.pop(path, None)


def open_watch(
    inputs: Iterable[str | Path] | str | Path,
    output: str | Path,
    settings: BatchSettings | None = None,
) -> Watch:
    """Begin to watch folders, and take hold of the output folder.

    Parameters
    ----------
    inputs : str or Path, or an iterable of these
        Folders, or patterns such as ``"run*/*.tif"``; files that are named are restored again when
        they change. Results of this program are never taken for images.
    output : str or Path
        Folder for the results; it may lie in a folder that is watched, or be it.
    settings : BatchSettings, optional
        What the user wishes; the defaults, where nothing.

    Raises
    ------
    MdeblurganError
        In one sentence, if a folder does not exist, or as from `open_batch`.
    """
    watched = (inputs,) if isinstance(inputs, str | Path) else tuple(inputs)
    if not watched:
        raise FileError("No folder to watch is named; name at least one.")
    candidates(watched, local_path(output))
    return Watch(open_empty_batch(output, settings or BatchSettings()), watched)


def is_whole(path: Path) -> bool:
    """Whether all images of a file can be opened, and the pixels that come last be read; also of
    one that is of no kind that is read, which nothing will change.
    """
    if format_of(path) is None:
        return True
    try:
        return all(_ends(source) for source in sources_in(path, path.parent))
    # whatever half a file leads the decoders to; once it is restored, that is said in a sentence
    except Exception:
        return False


def _ends(source: Source) -> bool:
    image = source.open()
    end = [slice(-1, None)] * image.data.ndim
    if image.rgb:
        end[-1] = slice(None)
    import numpy as np

    return bool(np.asarray(image.data[tuple(end)]).size)
