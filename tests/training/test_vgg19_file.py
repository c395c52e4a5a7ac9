"""The file of VGG19's weights: fetched with consent alone, checked before it is opened, never left
half there.
"""

from __future__ import annotations

import hashlib
import sys
import types
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from napari_mdeblurgan.errors import FileError, ModelError
from napari_mdeblurgan.training.losses.vgg19_file import (
    VGG19,
    checked,
    fetch_vgg19,
    published_address,
    vgg19_path,
)

CONTENT = bytes(range(256)) * 6000  # more than one chunk
PREFIX = hashlib.sha256(CONTENT).hexdigest()[:8]


class Shelf(BaseHTTPRequestHandler):
    """Gives the content whole, cut short, from another place, or not at all."""

    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/whole")
            self.end_headers()
            return
        if self.path not in ("/whole", "/cut", "/unmeasured"):
            self.send_error(404)
            return
        self.send_response(200)
        if self.path != "/unmeasured":
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: len(CONTENT) // 2] if self.path == "/cut" else CONTENT)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Shelf) as shelf:
        thread = Thread(target=shelf.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{shelf.server_port}"
        shelf.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MDEBLURGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    return tmp_path / "cache"


def left(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.exists() else []


@pytest.mark.parametrize("page", ["whole", "moved", "unmeasured"])
def test_the_file_is_fetched_into_the_cache_folder(server: str, cache: Path, page: str) -> None:
    path = fetch_vgg19(f"{server}/{page}", consent=True, sha256=PREFIX)
    assert path == vgg19_path() == cache / VGG19
    assert path.read_bytes() == CONTENT
    assert left(cache) == [VGG19]


def test_without_consent_nothing_is_fetched_and_the_message_says_what_would_be(
    server: str, cache: Path
) -> None:
    with pytest.raises(ModelError) as refusal:
        fetch_vgg19(f"{server}/whole")
    message = str(refusal.value)
    for part in (
        VGG19,
        "548 MB",
        f"{server}/whole",
        str(cache),
        "vgg19_download = true",
        "vgg19_file",
        "feature-matching",
    ):
        assert part in message
    assert left(cache) == []


def test_another_file_is_named_and_deleted(server: str, cache: Path) -> None:
    with pytest.raises(ModelError, match=f"begins with {PREFIX}, not dcbb9e9d.*deleted") as refusal:
        fetch_vgg19(f"{server}/whole", consent=True)
    assert f"{server}/whole" in str(refusal.value)
    assert left(cache) == []


@pytest.mark.parametrize("page", ["cut", "missing"])
def test_a_download_that_fails_leaves_nothing(server: str, cache: Path, page: str) -> None:
    with pytest.raises(ModelError, match=f"/{page}"):
        fetch_vgg19(f"{server}/{page}", consent=True, sha256=PREFIX)
    assert left(cache) == []


def test_a_server_that_is_not_there_is_said_so(cache: Path) -> None:
    with pytest.raises(ModelError, match="could not be downloaded"):
        fetch_vgg19("http://127.0.0.1:9/file", consent=True, patience_s=2)
    assert left(cache) == []


@pytest.mark.parametrize("address", ["file:///etc/hostname", "ftp://127.0.0.1/file", "weights.pth"])
def test_only_http_is_downloaded_from(address: str, cache: Path) -> None:
    with pytest.raises(ModelError, match="must begin with https:// or http://"):
        fetch_vgg19(address, consent=True)
    assert left(cache) == []


def test_consent_without_an_address_is_not_enough() -> None:
    with pytest.raises(ModelError, match="vgg19_address"):
        fetch_vgg19(consent=True)


def test_an_installed_torchvision_knows_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    assert published_address() == ""
    weights = types.SimpleNamespace(
        IMAGENET1K_V1=types.SimpleNamespace(url="https://weights.example/vgg19.pth")
    )
    models = types.ModuleType("torchvision.models")
    models.VGG19_Weights = weights  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.models", models)
    assert published_address() == "https://weights.example/vgg19.pth"


def test_a_cache_folder_that_cannot_be_made_is_said_so(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taken").write_text("")
    monkeypatch.setenv("MDEBLURGAN_CACHE", str(tmp_path / "taken" / "cache"))
    with pytest.raises(FileError, match="cannot be written"):
        fetch_vgg19(f"{server}/whole", consent=True, sha256=PREFIX)


def test_a_file_is_opened_once_its_hash_is_right(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(CONTENT)
    with checked(path, PREFIX) as handle:
        assert handle.read() == CONTENT
    with pytest.raises(ModelError, match=f"begins with {PREFIX}, not dcbb9e9d"), checked(path):
        pass
    assert path.exists()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(ModelError, match=r"nowhere\.pth cannot be read"),
        checked(tmp_path / "nowhere.pth"),
    ):
        pass
