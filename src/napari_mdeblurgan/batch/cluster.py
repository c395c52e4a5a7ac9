"""A batch on a dask.distributed cluster: the user's, or processes of this machine.

This process looks at the images, hands out work, a little at a time, takes note of what arrives and
gives results their names. A worker that dies costs what it was at: the scheduler hands that out
again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import re
import secrets
import signal
import sys
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from multiprocessing import resource_tracker
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

from napari_mdeblurgan import __version__
from napari_mdeblurgan.atomic import no_temporary_folder
from napari_mdeblurgan.batch.batch_recipe import Recipe
from napari_mdeblurgan.batch.cluster_images import Answer, Call, ClusterImage
from napari_mdeblurgan.batch.item import Advanced, BatchStep, Begun, Ended, Item, Refusal, refusal
from napari_mdeblurgan.batch.output_folder import OutputFolder
from napari_mdeblurgan.batch.worker import OtherVersionError, done_alike
from napari_mdeblurgan.errors import MdeblurganError

if TYPE_CHECKING:
    from distributed import Client, Future

AHEAD = 2  # tasks for every worker, so that none waits for the next
_HEARTBEAT_S = 0.5
COUNT_EVERY_S = 2.0
CONNECT_S = 20
ANSWER_S = 5
HIGHEST_PORT = 65_535
_PACKAGE = "napari_mdeblurgan"
LOST = "results so far are kept, so start the batch again"


class ClusterError(MdeblurganError):
    """A cluster that cannot be used."""


@contextmanager
def connected(scheduler: str | None, workers: int | None) -> Iterator[Client]:
    """A client of the scheduler at an address, or of so many processes on this machine, which end
    with it.

    Raises
    ------
    ClusterError
        If dask.distributed is not installed, nothing answers at the address, or the processes do
        not start.
    """
    try:
        from distributed import Client, LocalCluster
        from distributed.deploy.spec import SpecCluster
    except ImportError:
        raise ClusterError(
            "A cluster needs the package distributed: `pip install 'napari-mdeblurgan[cluster]'`."
        ) from None
    if scheduler is not None:
        _check_scheduler(scheduler)
        try:
            client = Client(scheduler, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise _no_scheduler(scheduler, _short(error)) from error
        with client:
            yield client
        return
    count = workers or 1
    threads = max(1, (os.cpu_count() or 1) // count)
    environment = {f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "MKL", "OPENBLAS")}
    others = set(SpecCluster._instances)
    with _loop_of_processes() as loop:
        try:
            cluster = LocalCluster(
                loop=loop,
                n_workers=count,
                threads_per_worker=1,
                processes=True,
                dashboard_address="127.0.0.1:0",
                security=True,  # nobody else on this machine can have these processes do something
                memory_limit=None,
                silence_logs=logging.CRITICAL,
                env=environment,
                preload=["napari_mdeblurgan.batch.worker"],
            )
        except (OSError, RuntimeError, TimeoutError, ImportError) as error:
            reason = no_temporary_folder() or (
                f"{_short(error)}; ask for fewer, and let what a script does stand under "
                '`if __name__ == "__main__":`'
            )
            raise ClusterError(f"{count} worker processes do not start: {reason}.") from error
        except KeyboardInterrupt:
            for half_begun in set(SpecCluster._instances) - others:
                half_begun.shutdown_on_close = False  # closing it when Python ends would fail
            raise
        with cluster, Client(cluster, set_as_default=False) as client:
            yield client


@contextmanager
def _loop_of_processes() -> Iterator[Any]:
    """A loop in whose thread Ctrl-C is blocked, and so in the processes that begin there: one that
    is still being loaded would end with a traceback. They end with this process, anyway.
    """
    from distributed.utils import LoopRunner

    runner = LoopRunner()
    with _ctrl_c_blocked():
        runner.start()
    try:
        yield runner.loop
    finally:
        runner.stop()


@contextmanager
def _ctrl_c_blocked() -> Iterator[None]:
    """What a thread or process begins with that begins here; Windows knows no such thing."""
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # its start, with the first process, would end the blocking
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _check_scheduler(address: str) -> None:
    """Make sure that a scheduler answers before a client of it is made: where something else does,
    or nobody, a client waits for ever, or does when it is closed.

    Raises
    ------
    ClusterError
        If none does.
    """
    import dask

    if dask.config.get("distributed.client.security-loader", None):
        return  # how to speak to that one, a client alone knows
    port = re.search(r":(-?\d+)/?$", address)
    if port and not 0 < int(port[1]) <= HIGHEST_PORT:  # tried again and again, as others are
        raise _no_scheduler(address, f"ports are numbers from 1 to {HIGHEST_PORT:,}")
    asked = Thread(target=lambda: answer.put(_said(address)), daemon=True)  # beside any loop here
    answer: SimpleQueue[str] = SimpleQueue()
    asked.start()
    if reason := answer.get():
        raise _no_scheduler(address, reason)


def _no_scheduler(address: str, reason: str) -> ClusterError:
    return ClusterError(
        f"No scheduler answers at {address or repr(address)} ({reason}); start one with `dask "
        "scheduler`, or check the address."
    )


def _said(address: str) -> str:
    """Why what is at an address is no scheduler; empty where it is one."""
    from distributed import Security
    from distributed.comm.core import connect

    async def kind() -> str:
        options = Security().get_connection_args("client")
        comm = await connect(address, timeout=CONNECT_S, **options)
        try:
            await comm.write({"op": "identity", "reply": True})
            return str((await comm.read())["type"])
        finally:
            comm.abort()

    try:
        found = asyncio.run(asyncio.wait_for(kind(), CONNECT_S + ANSWER_S))
    except TimeoutError:
        return f"what is there says nothing for {CONNECT_S} s"
    except (OSError, ValueError, TypeError) as error:  # the last is of tls:// without keys
        return _short(error)
    except Exception as error:  # whatever the words of a stranger lead to
        return f"what is there has other words: {_short(error)}"
    return "" if found == "Scheduler" else f"it is a {found}"


def make_there(
    items: list[Item], recipe: Recipe, folder: OutputFolder, client: Client
) -> Generator[BatchStep, None, None]:
    """Make the results on a cluster; closing the generator calls off what has not begun.

    Raises
    ------
    ClusterError
        If the cluster is lost.
    """
    from distributed import CancelledError
    from distributed.comm.core import CommClosedError

    try:
        yield from Hand(items, recipe, folder, client).steps()
    except (CommClosedError, CancelledError, OSError) as error:
        raise ClusterError(f"The cluster no longer answers ({_short(error)}); {LOST}.") from error


class Hand:
    """Hands out work, a little more than the workers have hands for, and gathers what they have
    done.
    """

    def __init__(
        self, items: list[Item], recipe: Recipe, folder: OutputFolder, client: Client
    ) -> None:
        self._queue = deque(items)
        self._recipe, self._folder, self._client = recipe, folder, client
        self._run = secrets.token_hex(4)
        self._images: list[ClusterImage] = []  # under way, the oldest first
        self._pending: dict[Future, tuple[ClusterImage, Call]] = {}
        self._arrivals: SimpleQueue[Future] = SimpleQueue()
        self._workers, self._counted = 0, -math.inf
        self._alike: set[str] = set()  # addresses of workers of our version

    def steps(self) -> Generator[BatchStep, None, None]:
        """Until all is done."""
        try:
            yield from self._hand_out()
            while self._pending or self._images or self._queue:
                yield Advanced(workers=self._count())
                for future in self._back():
                    try:
                        answer = self._answer(future)
                    except TimeoutError:  # its worker has died since, and it is done again
                        self._arrivals.put(future)
                        continue
                    image, call = self._pending.pop(future)
                    image.returned(call, answer)
                    if image.outcome is None:
                        yield Advanced(image.item, image.progress, self._workers)
                yield from self._hand_out()
        finally:
            with contextlib.suppress(Exception):  # the cluster may be gone
                self._client.cancel(list(self._pending), force=True)

    def _hand_out(self) -> Generator[BatchStep, None, None]:
        """First of what is under way, then of the next image; nothing before there is a worker that
        was looked at.
        """
        while len(self._pending) < AHEAD * self._count():
            for image in self._images:
                if (call := image.next_call()) is not None:
                    future = self._client.submit(
                        done_alike, __version__, call.function, *call.arguments, pure=False
                    )
                    self._pending[future] = image, call
                    future.add_done_callback(self._arrivals.put)
                    break
            else:
                yield from self._ended()
                if not self._queue:
                    break
                item = self._queue.popleft()
                yield Begun(item)
                self._images.append(ClusterImage(item, self._recipe, self._folder, self._run))
        yield from self._ended()

    def _ended(self) -> Generator[BatchStep, None, None]:
        for image in list(self._images):
            if image.outcome is not None:
                self._images.remove(image)
                yield Ended(image.item, image.outcome)

    def _back(self) -> list[Future]:
        """What has come back within a moment."""
        back = []
        with contextlib.suppress(Empty):
            back.append(self._arrivals.get(timeout=_HEARTBEAT_S))
            while True:
                back.append(self._arrivals.get_nowait())
        return back

    def _answer(self, future: Future) -> Answer:
        """What a worker says; where it could not say anything, why."""
        from distributed import CancelledError, KilledWorker

        name = self._pending[future][0].item.source.name
        error = future.exception(timeout=ANSWER_S)
        if error is None:
            return future.result(timeout=ANSWER_S)
        if isinstance(error, CancelledError):
            raise error
        if isinstance(error, KilledWorker):
            return Refusal(
                f"{name} has cost several workers their lives; give them more memory, or use a "
                "smaller --tile."
            )
        if isinstance(error, OtherVersionError):
            version, host = error.args
            raise ClusterError(_other_version(f"A worker on {host}", version))
        if isinstance(
            error, ImportError | AttributeError | TypeError
        ):  # what fails in our functions comes back as an answer
            raise ClusterError(
                f"The workers cannot do it ({_short(error)}); install version {__version__} of "
                "napari-mdeblurgan there."
            )
        return refusal(error, name)

    def _count(self) -> int:
        """Number of workers; asked for once in a while."""
        if time.monotonic() - self._counted > COUNT_EVERY_S:
            workers = set(self._client.nthreads())
            if not workers <= self._alike:
                self._alike = check_versions(self._client)
            self._workers, self._counted = len(workers), time.monotonic()
        return self._workers


def check_versions(client: Client) -> set[str]:
    """Make sure that all workers have this version of the package, with which they can work, and
    give their addresses.

    Raises
    ------
    ClusterError
        Naming a worker that has another one, or none, or that cannot import it.
    """
    from distributed.comm.core import CommClosedError

    told: Any = client.get_versions(packages=[_PACKAGE])
    found = told["workers"]
    for address, versions in found.items():
        packages = dict(versions.get("packages", {})) if isinstance(versions, Mapping) else {}
        if packages.get(_PACKAGE) != __version__:
            raise ClusterError(_other_version(f"The worker {address}", packages.get(_PACKAGE)))
    # which is asked of Python itself: a worker that cannot import what it is to call never answers
    made = client.run(import_module, done_alike.__module__, on_error="return")
    for address, trouble in made.items():
        if isinstance(trouble, Exception) and not isinstance(trouble, CommClosedError):
            raise ClusterError(
                f"The worker {address} cannot import napari-mdeblurgan ({_short(trouble)}); "
                "install it there again with all that it needs, or stop the worker."
            )
    return set(found)


def _other_version(worker: str, version: str | None) -> str:
    has = f"version {version} of napari-mdeblurgan" if version else "no napari-mdeblurgan"
    return (
        f"{worker} has {has}, and the batch is of version {__version__}; install that there, "
        "or stop the worker."
    )


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:120].rstrip(".") or type(error).__name__
