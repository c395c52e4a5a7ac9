"""What every test starts from: few threads, no files of the user's, a tiny model at hand."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["NAPARI_CONFIG"] = ""  # napari's settings stay in memory

import functools
import gc
import signal
import sys
import zipfile
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from napari_mdeblurgan import network as networks
    from napari_mdeblurgan.model import Model

for profile, examples in (("every-run", 60), ("nightly", 1000)):
    settings.register_profile(
        profile,
        max_examples=examples,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "every-run"))

ON_A_CLUSTER = {
    "batch/test_cluster.py",
    "commands/test_binning.py",
    "commands/test_output_scale.py",
    "widgets/test_batch_cluster.py",
}
ALONE = {  # measure time or memory, or start clusters: one after another, in one worker
    *ON_A_CLUSTER,
    *("test_killed.py", "test_distributed.py"),
    *(
        "test_tile_size.py",
        "test_package.py",
        "test_memory.py",
        "test_neighbours.py",
        "test_strangers.py",
    ),
}


def is_among(names: set[str], file: str) -> bool:
    """Whether a file has one of these names, some of them with the folder's."""
    return any(f"/{file}".endswith(f"/{name}") for name in names)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Among the million objects of the modules that are imported meanwhile no garbage is looked
    for, neither now nor later.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files whose tests share one cluster come last, so that nothing is measured beside it."""
    items.sort(key=lambda item: is_among(ON_A_CLUSTER, item.path.as_posix()))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Each file has one worker, which makes what its tests share once; so have all files that
    others would disturb.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Files(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            if is_among(ALONE, file):
                return "alone"
            return (
                "exports"
                if "/export/" in file or is_among({"test_documentation.py"}, file)
                else file
            )

    config.option.loadscopereorder = (
        False  # the files with the most tests are not those that take longest
    )
    return Files(config, log)


CLUSTER: pytest.StashKey[Any] = pytest.StashKey()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests of a GPU are skipped where there is none; a cluster that no later test needs ends, for
    it works when idle, too.
    """
    if CLUSTER in item.session.stash and not is_among(ON_A_CLUSTER, item.path.as_posix()):
        item.session.stash[CLUSTER].close()
        del item.session.stash[CLUSTER]
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("there is no GPU here")


@pytest.fixture(autouse=True)
def models_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's models for the length of one test: a folder that does not exist yet."""
    folder = tmp_path / "models"
    monkeypatch.setenv("MDEBLURGAN_MODELS", str(folder))
    return folder


@pytest.fixture
def signals_of_a_terminal() -> Iterator[None]:
    """For the length of one test nothing that ends a command is ignored, as in a background job it
    would be.
    """
    names = [name for name in ("SIGINT", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.getsignal(getattr(signal, name)) for name in names}
    for name in names:
        default = signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL
        signal.signal(getattr(signal, name), default)
    yield
    for name, handler in before.items():
        signal.signal(getattr(signal, name), handler)


def random_generator(channels: int, scale: int) -> networks.Generator:
    """The smallest network whose every layer matters: width 2, seeded weights,
    none of them zero.
    """
    import torch

    from napari_mdeblurgan.network import Generator

    random = torch.Generator().manual_seed(10 * channels + scale)
    network = Generator(channels=channels, scale=scale, width=2)
    with torch.no_grad():
        for weights in network.parameters():
            spread = 0.5 / weights[0].numel() ** 0.5
            weights.copy_(spread * torch.randn(weights.shape, generator=random))
    return network.eval()


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Model]:
    """``tiny_model(channels=1, scale=2)``: a model of random weights, saved to a file and loaded
    from it.
    """
    from napari_mdeblurgan.model import ModelCard, load_model, save_model

    folder = tmp_path_factory.mktemp("tiny-models")

    @functools.cache
    def make(channels: int = 1, scale: int = 2) -> Model:
        network = random_generator(channels, scale)
        card = ModelCard(
            name=f"tiny-{channels}-x{scale}",
            description="A tiny network of random weights.",
            architecture=network.architecture,
            scale=scale,
            channels=channels,
            halo=network.halo,
        )
        path = folder / f"{card.name}.safetensors"
        save_model(network, card, path)
        return load_model(path)

    return make


@pytest.fixture(scope="session")
def carded_model(tiny_model: Callable[..., Model]) -> Model:
    """A grey model with a card as full as a trained one's."""
    from napari_mdeblurgan.model import Model

    tiny = tiny_model(1)
    scores = {"psnr_db": 30.5, "by image": {"nuclei": 31}}
    card = replace(
        tiny.card,
        trained_on=("noise",),
        blur_sigma_px=(0.5, 2.0),
        scores=scores,
        licence="CC-BY-4.0",
    )
    return Model(card, tiny.network)


@pytest.fixture(scope="session")
def exported_package(carded_model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bioimage.io package of this model."""
    from napari_mdeblurgan.export.description import Author
    from napari_mdeblurgan.export.package import export_package

    path = tmp_path_factory.mktemp("package") / "tiny.zip"
    export_package(
        carded_model, path, [Author("Ada Lovelace", "Somewhere"), Author("Grace Hopper")]
    )
    return path


@pytest.fixture(scope="session")
def grey_onnx(request: pytest.FixtureRequest, carded_model: Model) -> bytes:
    """The ONNX file of this model: the package's where one can be made, for every export takes
    seconds.
    """
    from napari_mdeblurgan.errors import ExportError
    from napari_mdeblurgan.export.onnx import onnx_content

    try:
        path = request.getfixturevalue("exported_package")
    except ExportError:
        return onnx_content(carded_model)
    with zipfile.ZipFile(path) as archive:
        return archive.read("weights.onnx")


@pytest.fixture
def tiny_defaults(
    tiny_model: Callable[..., Model], models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tiny models among the user's, which the commands take by default."""
    from napari_mdeblurgan.commands import common
    from napari_mdeblurgan.model import save_model

    for name, channels in (("COLOUR_MODEL", 3), ("GREY_MODEL", 1)):
        model = tiny_model(channels)
        save_model(model.network, model.card, models_folder / f"{model.card.name}.safetensors")
        monkeypatch.setattr(common, name, model.card.name)


@pytest.fixture(scope="session")
def cluster_address(request: pytest.FixtureRequest) -> Iterator[str]:
    """A scheduler with two worker processes, for tests that are not about
    starting or ending them.
    """
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as workers:
        request.session.stash[CLUSTER] = workers
        yield workers.scheduler_address


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """``run("restore", …)``: exit code, stdout and stderr of a command."""
    from napari_mdeblurgan import cli

    def command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mdeblurgan", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return command


@pytest.fixture
def processors(request: pytest.FixtureRequest) -> Iterator[int]:
    """As many as torch thinks that there are."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)
