"""Batches on a cluster of real worker processes on this machine."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

import dask.array as da
import numpy as np
import pytest
from distributed import Client

from napari_mdeblurgan.batch import (
    Batch,
    BatchSettings,
    Source,
    Success,
    cluster,
    open_batch,
)
from napari_mdeblurgan.batch.cluster import ClusterError
from napari_mdeblurgan.batch.cluster_images import UNASSESSED
from napari_mdeblurgan.batch.item import Refusal
from napari_mdeblurgan.batch.output_folder import WORK
from napari_mdeblurgan.batch.worker import make_image
from napari_mdeblurgan.storage import Micrograph, read_image
from tests.several_images import write_series

from .conftest import grey, names_in, write

LARGE = {"large_bytes": 60_000, "tile": 64}


def inputs_in(folder: Path) -> list[Path | Micrograph]:
    """Small and large images in files, in memory and lazy."""
    write(folder / "in" / "small.tif")
    write(
        folder / "in" / "stack.tif",
        grey(2, 130, 140),
        axes="CYX",
        pixel_size={"X": 0.5, "Y": 0.5},
        unit="µm",
    )
    write(folder / "in" / "slide.ome.zarr", grey(150, 130))
    large = grey(140, 150, seed=3)
    lazy = Micrograph(da.from_array(large, (70, 70)), "YX", name="lazy layer")
    return [
        folder / "in",
        Micrograph(grey(20, 30), "YX", name="layer"),
        Micrograph(large, "YX", name="large"),
        lazy,
    ]


def contents(folder: Path) -> dict[str, bytes]:
    """Bytes of OME-Zarr, pixels of files, by their names."""
    found = {}
    for name in names_in(folder):
        whole = ".zarr" in name
        found[name] = (
            (folder / name).read_bytes() if whole else read_image(folder / name).data.tobytes()
        )
    return found


def run(inputs: object, output: Path, settings: BatchSettings) -> Batch:
    with open_batch(inputs, output, settings) as batch:
        for _ in batch.steps():
            pass
    return batch


@pytest.mark.parametrize("form", ["ome-tiff", "ome-zarr"])
def test_results_are_the_same_bytes_as_without_a_cluster(
    settings: Callable[..., BatchSettings], tmp_path: Path, cluster_address: str, form: str
) -> None:
    inputs = inputs_in(tmp_path)
    run(inputs, tmp_path / "here", settings(format=form, **LARGE))
    batch = run(
        inputs, tmp_path / "there", settings(format=form, scheduler=cluster_address, **LARGE)
    )
    assert not batch.failures
    assert contents(tmp_path / "there") == contents(tmp_path / "here") != {}
    assert [path.name for path in (tmp_path / "there" / WORK).iterdir()] == ["lock"]


def test_paths_that_begin_where_the_batch_was_started_are_found_by_workers_in_other_folders(
    settings: Callable[..., BatchSettings],
    tmp_path: Path,
    cluster_address: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = {"small": (20, 30), "large": (140, 150)}
    for name, size in sizes.items():
        write(tmp_path / "in" / f"{name}.tif", grey(*size))
    run(tmp_path / "in", tmp_path / "here", settings(**LARGE))
    monkeypatch.chdir(tmp_path)
    batch = run("in", Path("there"), settings(scheduler=cluster_address, **LARGE))
    assert [failure.reason for failure in batch.failures] == []
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    assert set(contents(tmp_path / "here")) == {"small.ome.tif", "large.ome.tif"}


def test_workers_assess_what_is_in_files_and_layers_that_are_small(
    settings: Callable[..., BatchSettings], tmp_path: Path, cluster_address: str
) -> None:
    sizes = {"small": (30, 40), "large": (100, 90)}
    files = [write(tmp_path / f"{name}.tif", grey(*size)) for name, size in sizes.items()]
    layers = [Micrograph(grey(*size), "YX", name=f"{name} layer") for name, size in sizes.items()]
    wishes = settings(scheduler=cluster_address, trust=True, **LARGE)
    with open_batch([*files, *layers], tmp_path / "out", wishes) as batch:
        news = [step.news for step in batch.steps() if isinstance(step.news, Success)]
    assert {each.output.name for each in news if each.verdict is None} == {"large layer.ome.tif"}
    assert {warning for each in news for warning in each.warnings} == {UNASSESSED}
    pages = [name for name in names_in(tmp_path / "out") if name.endswith(".html")]
    assert pages == ["large.ome.tif.html", "small layer.ome.tif.html", "small.ome.tif.html"]
    maps = [name for name in names_in(tmp_path / "out") if name.endswith("-error.tif")]
    assert maps == ["large-error.tif", "small layer-error.tif", "small-error.tif"]
    with open_batch([*files, *layers], tmp_path / "out", wishes) as batch:
        assert not batch.todo


def test_a_local_cluster_is_started_and_ended(
    settings: Callable[..., BatchSettings], tmp_path: Path
) -> None:
    source = write(tmp_path / "a.tif")
    with open_batch([source], tmp_path / "out", settings(workers=1)) as batch:
        seen = {step.workers for step in batch.steps()}
    assert batch.outputs
    assert 1 in seen


def test_a_bad_file_is_named_and_the_rest_goes_on(
    settings: Callable[..., BatchSettings], tmp_path: Path, cluster_address: str
) -> None:
    (tmp_path / "bad.tif").write_text("no image")
    write(tmp_path / "empty.tif", np.full((9, 9), np.nan, np.float32))
    inputs = [tmp_path / "bad.tif", tmp_path / "empty.tif", write(tmp_path / "good.tif")]
    batch = run(inputs, tmp_path / "out", settings(scheduler=cluster_address))
    assert [Path(failure.name).name for failure in batch.failures] == ["bad.tif", "empty.tif"]
    assert names_in(tmp_path / "out") == ["good.ome.tif"]


def test_a_batch_that_was_closed_goes_on_without_the_cluster(
    settings: Callable[..., BatchSettings], tmp_path: Path, cluster_address: str
) -> None:
    source = write(tmp_path / "a.tif", grey(300, 300))
    with open_batch(
        [source], tmp_path / "out", settings(scheduler=cluster_address, **LARGE)
    ) as batch:
        steps = batch.steps()
        while next(steps).fraction < 0.3:
            pass
        steps.close()
    with open_batch([source], tmp_path / "out", settings(**LARGE)) as batch:
        assert max(step.pixels for step in batch.steps()) < 0.8 * 600**2
    run([source], tmp_path / "here", settings(**LARGE))
    assert contents(tmp_path / "out") == contents(tmp_path / "here")


def test_a_worker_that_is_killed_costs_only_its_tiles(
    settings: Callable[..., BatchSettings], tmp_path: Path, cluster_address: str
) -> None:
    inputs = [write(tmp_path / f"{number}.tif", grey(60, 60, seed=number)) for number in range(4)]
    inputs.append(write(tmp_path / "large.tif", grey(300, 300)))
    run(inputs, tmp_path / "here", settings(format="ome-zarr", **LARGE))
    killed = None
    with open_batch(
        inputs, tmp_path / "there", settings(format="ome-zarr", scheduler=cluster_address, **LARGE)
    ) as batch:
        for step in batch.steps():
            if step.fraction > 0.2 and killed is None:
                with Client(cluster_address, set_as_default=False) as client:
                    killed = next(iter(client.run(os.getpid).values()))
                os.kill(killed, signal.SIGKILL)
                assert step.fraction < 0.9
    assert killed is not None
    assert not batch.failures
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[tuple[subprocess.Popen, str]]:
    """A scheduler without workers, in a process that can be killed."""
    file = tmp_path / "scheduler.json"
    script = "from distributed.cli.dask_scheduler import main; main()"
    options = "--port=0 --no-dashboard --dashboard-address=127.0.0.1:0 --host=127.0.0.1".split()
    options.append(f"--scheduler-file={file}")
    with subprocess.Popen(
        [sys.executable, "-c", script, *options], stderr=subprocess.DEVNULL
    ) as process:
        try:
            while not file.exists() or not file.read_text().endswith("}"):
                assert process.poll() is None
                time.sleep(0.05)
            yield process, json.loads(file.read_text())["address"]
        finally:
            process.kill()


def test_a_cluster_that_is_lost_is_said_and_what_is_done_is_kept(
    settings: Callable[..., BatchSettings], tmp_path: Path, scheduler: tuple[subprocess.Popen, str]
) -> None:
    process, at = scheduler
    with open_batch([write(tmp_path / "a.tif")], tmp_path / "out", settings(scheduler=at)) as batch:
        steps = batch.steps()
        waiting = 0  # told first before the scheduler is asked, then by the scheduler
        while waiting < 2:
            waiting += next(steps).workers == 0
        process.kill()
        with pytest.raises(ClusterError, match="no longer answers"):
            list(steps)


def test_no_scheduler_at_the_address_is_said(
    settings: Callable[..., BatchSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "CONNECT_S", 0.5)
    with (
        open_batch(
            [write(tmp_path / "a.tif")], tmp_path / "out", settings(scheduler="tcp://127.0.0.1:9")
        ) as batch,
        pytest.raises(ClusterError, match=r"No scheduler answers at tcp://127.0.0.1:9"),
    ):
        list(batch.steps())


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (b"", "says nothing for 0.5 s"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "has other words"),
        (None, "missing port number"),
    ],
    ids=["silent", "of the web", "without a port"],
)
def test_what_is_no_scheduler_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, words: bytes | None, reason: str
) -> None:
    monkeypatch.setattr(cluster, "CONNECT_S", 0.5)
    monkeypatch.setattr(cluster, "ANSWER_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as calls:

        def answer() -> None:
            with contextlib.suppress(OSError):
                call = calls.enter_context(server.accept()[0])
                call.sendall(words or b"")

        threading.Thread(target=answer, daemon=True).start()
        at = "host" if words is None else f"tcp://127.0.0.1:{server.getsockname()[1]}"
        begun = time.monotonic()
        with (
            pytest.raises(ClusterError, match=f"^No scheduler answers at {at} .*{reason}"),
            cluster.connected(at, None),
        ):
            pass
        assert time.monotonic() - begun < 20


@pytest.mark.parametrize("port", [99999, -5, 0])
def test_a_port_that_there_cannot_be_is_said_and_not_tried(port: int) -> None:
    with (
        pytest.raises(ClusterError, match=rf":{port} \(ports are numbers from 1 to 65,535\)"),
        cluster.connected(f"tcp://127.0.0.1:{port}", None),
    ):
        pass


@pytest.mark.parametrize("address", ["nonsense", "foo://127.0.0.1:9", "tls://127.0.0.1:9", ""])
def test_an_address_that_cannot_be_meant_is_said_and_no_client_is_left(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "CONNECT_S", 0.5)
    made: list[object] = []
    monkeypatch.setattr("distributed.Client", lambda *_, **__: made.append(1))
    with (
        pytest.raises(ClusterError, match=rf"^No scheduler answers at {address or '..'} \("),
        cluster.connected(address, None),
    ):
        pass
    assert not made


def test_a_missing_package_is_said_with_how_to_get_it(
    settings: Callable[..., BatchSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        open_batch([write(tmp_path / "a.tif")], tmp_path / "out", settings(workers=2)) as batch,
        pytest.raises(ClusterError, match=r"napari-mdeblurgan\[cluster\]"),
    ):
        list(batch.steps())


def test_ctrl_c_while_the_processes_start_ends_without_a_traceback() -> None:
    program = """
from distributed.deploy.spec import SpecCluster
from napari_mdeblurgan.batch.cluster import connected

def interrupted(self, work, *arguments, **options):
    global kept
    kept = self
    if work == self._start:
        raise KeyboardInterrupt
    return sync(self, work, *arguments, **options)

async def half_begun(self):
    raise AssertionError("Status.init")

sync = SpecCluster.sync
SpecCluster.sync, SpecCluster._close = interrupted, half_begun
try:
    with connected(None, 1):
        pass
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("interrupted\n", "")


def test_a_worker_that_does_not_see_the_files_says_so(
    settings: Callable[..., BatchSettings], tmp_path: Path
) -> None:
    path = tmp_path / "elsewhere" / "a.tif"
    source = Source(str(path), str(path), PurePosixPath("a"), path)
    answer = make_image(source, settings().recipe(), tmp_path / "out" / "a.ome.tif", "job")
    assert isinstance(answer, Refusal)
    assert "does not see" in answer.reason
    assert "the same path on all machines" in answer.reason


def test_a_large_image_is_restored_on_whatever_device_a_worker_has(
    settings: Callable[..., BatchSettings], tmp_path: Path, cluster_address: str
) -> None:
    large = write(tmp_path / "a.tif", grey(140, 150))
    wishes = settings(scheduler=cluster_address, device="auto", **LARGE)
    batch = run([large], tmp_path / "out", wishes)
    assert not batch.failures
    found = read_image(batch.outputs[0]).data.astype(int)
    exact = read_image(run([large], tmp_path / "here", settings(**LARGE)).outputs[0]).data
    np.testing.assert_allclose(found, exact, rtol=0, atol=1)


def test_images_of_one_file_are_kept_apart_on_a_cluster(
    settings: Callable[..., BatchSettings], tmp_path: Path, cluster_address: str
) -> None:
    path = write_series(tmp_path / "a.ome.tif")
    run([path], tmp_path / "here", settings())
    for form in ({}, {"large_bytes": 500}):
        batch = run(
            [path], tmp_path / "there", settings(scheduler=cluster_address, overwrite=True, **form)
        )
        assert not batch.failures
        assert contents(tmp_path / "there") == contents(tmp_path / "here")


def refused(folder: Path, settings: BatchSettings, told: str) -> None:
    """A batch of one image ends with what is told of a worker, and makes nothing."""
    with (
        open_batch([write(folder / "a.tif")], folder / "out", settings) as batch,
        pytest.raises(ClusterError, match=told),
    ):
        list(batch.steps())
    assert not names_in(folder / "out")


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_a_worker_of_another_version_is_refused_by_name_before_work(
    settings: Callable[..., BatchSettings],
    tmp_path: Path,
    cluster_address: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cluster, "__version__", "9.9.9")
    told = r"The worker tcp://\S+ has version \S+ .* of version 9\.9\.9; install that there"
    refused(tmp_path, settings(scheduler=cluster_address), told)


def test_a_worker_of_another_version_that_joins_late_does_nothing(
    settings: Callable[..., BatchSettings],
    tmp_path: Path,
    cluster_address: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cluster, "__version__", "9.9.9")
    monkeypatch.setattr(
        cluster, "check_versions", lambda client: set(client.nthreads())
    )  # as if there were none yet
    refused(tmp_path, settings(scheduler=cluster_address), r"A worker on \S+ has version")


def test_a_worker_that_cannot_import_the_package_is_named_and_not_waited_for(
    settings: Callable[..., BatchSettings], tmp_path: Path, scheduler: tuple[subprocess.Popen, str]
) -> None:
    _, at = scheduler
    script = (
        "import sys; sys.modules['napari_mdeblurgan.batch.worker'] = None; "
        "from distributed.cli.dask_worker import main; main()"
    )
    options = (at, "--no-nanny", "--no-dashboard", f"--local-directory={tmp_path}")
    with subprocess.Popen(
        [sys.executable, "-c", script, *options], stderr=subprocess.DEVNULL
    ) as worker:
        try:
            told = r"The worker tcp://\S+ cannot import .* \(.*halted.*\); install it"
            refused(tmp_path, settings(scheduler=at), told)
        finally:
            worker.kill()


@pytest.mark.skipif(os.name == "nt", reason="Windows blocks no signals")
def test_ctrl_c_does_not_reach_processes_while_they_are_loaded() -> None:
    with cluster.connected(None, 1) as client:
        blocked = client.run(lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    assert [signal.SIGINT in each for each in blocked.values()] == [True]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
