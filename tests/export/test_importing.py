"""Importing a package: only a sound model gets in, under a name of its own, and nothing else is
touched.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_mdeblurgan.errors import MdeblurganError, ModelError
from napari_mdeblurgan.exclusive import claimed
from napari_mdeblurgan.export import importing
from napari_mdeblurgan.export.importing import import_package
from napari_mdeblurgan.model import Model, load_model, read_card, save_model


@pytest.fixture
def weights(tiny_model: Callable[..., Model], tmp_path: Path) -> bytes:
    """The content of a model file."""
    model = tiny_model(1)
    save_model(model.network, model.card, tmp_path / "a.safetensors")
    return (tmp_path / "a.safetensors").read_bytes()


@pytest.fixture
def pack(tmp_path: Path) -> Callable[..., Path]:
    """``pack({name: content})``: an archive."""

    def make(files: dict[str, bytes]) -> Path:
        path = tmp_path / "package.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return path

    return make


def refusal(path: Path, **options) -> str:
    with pytest.raises(MdeblurganError) as caught:
        import_package(path, **options)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert len(sentence) < 400
    return sentence


def test_only_the_safetensors_file_is_taken(pack, weights: bytes, models_folder: Path) -> None:
    poison = b"\x80\x04c__builtin__\neval\n."
    path = pack(
        {
            "weights.pt": poison,
            "weights.onnx": poison,
            "bioimageio.yaml": b"!!python/x",
            "a.safetensors": weights,
        }
    )
    name, file = import_package(path)
    assert name == "tiny-1-x2"
    assert file.read_bytes() == weights
    assert [each.name for each in models_folder.iterdir()] == ["tiny-1-x2.safetensors"]
    assert load_model(name).card == read_card(file)


def test_another_name_can_be_given_and_one_that_is_taken_is_not_overwritten(
    pack, weights, models_folder: Path
) -> None:
    path = pack({"a.safetensors": weights})
    assert import_package(path, "mine")[1] == models_folder / "mine.safetensors"
    (models_folder / "mine.safetensors").write_bytes(b"precious")
    assert "called mine already" in refusal(path, name="mine")
    assert (models_folder / "mine.safetensors").read_bytes() == b"precious"
    import_package(path, "mine", overwrite=True)
    assert (models_folder / "mine.safetensors").read_bytes() == weights


def test_the_name_of_a_bundled_model_is_kept_for_it(pack, weights: bytes) -> None:
    assert "comes with the plugin" in refusal(
        pack({"a.safetensors": weights}), name="gray-x2", overwrite=True
    )


@pytest.mark.parametrize("name", ["../up", "a/b", "/abs", "c:x", "con", ".hidden", "a\nb"])
def test_a_name_that_is_no_file_name_is_refused(
    pack, weights: bytes, models_folder: Path, name: str
) -> None:
    assert "cannot be a model's name" in refusal(pack({"a.safetensors": weights}), name=name)
    assert not models_folder.exists()


@pytest.mark.parametrize(
    "name", ["../a.safetensors", "/etc/a.safetensors", "c:\\a.txt", "x/../../a.txt", "\\\\host\\a"]
)
def test_an_archive_with_a_path_out_of_it_is_refused(
    pack, weights: bytes, models_folder: Path, name: str
) -> None:
    assert "outside of it" in refusal(pack({"a.safetensors": weights, name: b"x"}))
    assert not models_folder.exists()


@pytest.mark.parametrize("name", ["a.safetensors", "folder"])
def test_an_archive_with_a_link_is_refused(
    tmp_path: Path, weights: bytes, models_folder: Path, name: str
) -> None:
    link = zipfile.ZipInfo(name)
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "package.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("folder/b.safetensors", weights)
    assert f"holds a link ({name!r})" in refusal(tmp_path / "package.zip")
    assert not models_folder.exists()


def test_a_bomb_is_refused_before_it_is_unpacked(pack, models_folder: Path) -> None:
    assert "no model does" in refusal(pack({"a.safetensors": bytes(30 << 20)}))
    assert not models_folder.exists()


def test_an_entry_that_is_larger_than_it_says_is_refused(pack, weights: bytes) -> None:
    path = pack({"a.safetensors": weights})
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = content.find(signature) + offset
        assert struct.unpack_from("<I", content, at) == (len(weights),)
        struct.pack_into("<I", content, at, len(weights) // 2)
    path.write_bytes(content)
    refusal(path)


def test_an_archive_of_very_many_files_is_refused(pack, weights: bytes) -> None:
    files = {f"{index}.txt": b"" for index in range(1001)}
    assert "1002 files" in refusal(pack({"a.safetensors": weights} | files))


@pytest.mark.parametrize(
    ("names", "words"),
    [((), "no .safetensors"), (("a.safetensors", "b.safetensors"), "2 .safetensors")],
)
def test_an_archive_without_just_one_model_is_refused(
    pack, weights: bytes, names, words: str
) -> None:
    assert words in refusal(pack({"readme.txt": b"x"} | dict.fromkeys(names, weights)))


def test_a_model_that_was_altered_is_refused(pack, weights: bytes, models_folder: Path) -> None:
    altered = weights[:-4] + bytes(4)
    with pytest.raises(ModelError, match="altered"):
        import_package(pack({"a.safetensors": altered}))
    assert not models_folder.exists()


def test_what_is_no_archive_is_refused(tmp_path: Path, pack, weights: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(b"not a zip")
    assert "no archive" in refusal(tmp_path / "a.zip")
    assert "no file" in refusal(tmp_path / "b.zip")
    assert "folder" in refusal(tmp_path)
    damaged = bytearray(pack({"a.safetensors": weights}).read_bytes())
    damaged[200:300] = bytes(100)
    (tmp_path / "package.zip").write_bytes(damaged)
    assert "no archive that can be read" in refusal(tmp_path / "package.zip")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_a_pipe_and_a_device_are_refused_before_they_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.zip")
    (tmp_path / "b.zip").symlink_to("/dev/zero")
    assert "is a pipe and no file" in refusal(tmp_path / "a.zip")
    assert "is a device and no file" in refusal(tmp_path / "b.zip")


def test_a_model_by_itself_is_named_as_one(tmp_path: Path, weights: bytes, models_folder) -> None:
    assert f"copy it into {models_folder}" in refusal(tmp_path / "a.safetensors")


@pytest.mark.parametrize("beside", ["__MACOSX/._a.safetensors", "._a.safetensors"])
def test_an_archive_that_was_packed_anew_on_a_mac_is_taken(
    pack, weights: bytes, models_folder: Path, beside: str
) -> None:
    name, path = import_package(pack({"a.safetensors": weights, beside: b"\0\5\x16\7"}))
    assert path == models_folder / f"{name}.safetensors"


def test_loading_a_package_says_to_import_it(pack, weights: bytes) -> None:
    with pytest.raises(ModelError, match="mdeblurgan import"):
        load_model(pack({"a.safetensors": weights}))


def test_where_there_is_no_room_to_unpack_the_folder_of_temporary_files_is_named(
    pack, weights: bytes, models_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = pack({"a.safetensors": weights})
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(importing, "_take", full)
    assert refusal(path) == (
        f"Temporary files cannot be written to {tmp_path}: the disk is full; make room or choose "
        "another folder with TMPDIR."
    )
    assert not models_folder.exists() or not list(models_folder.iterdir())


@pytest.mark.parametrize("taken", ["models", "models/above"])
def test_a_folder_of_models_that_cannot_be_used_is_named_with_its_variable(
    pack, weights: bytes, tmp_path: Path, taken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "models" / "above" / "mine"
    monkeypatch.setenv("MDEBLURGAN_MODELS", str(folder))
    (tmp_path / taken).parent.mkdir(exist_ok=True)
    (tmp_path / taken).write_bytes(b"")
    assert refusal(pack({"a.safetensors": weights})) == (
        f"The folder of your models, {folder}, cannot be used: {tmp_path / taken} is a file; name "
        "another one with the environment variable MDEBLURGAN_MODELS."
    )


def test_a_folder_of_models_that_is_for_reading_only_is_named_before_any_work(
    pack, weights: bytes, models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    sentence = refusal(pack({"a.safetensors": weights}))
    assert f"{models_folder.parent} may not be written to" in sentence
    assert sentence.endswith("with the environment variable MDEBLURGAN_MODELS.")


def test_a_model_that_another_import_has_put_there_meanwhile_is_not_replaced(
    pack, weights: bytes, models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = models_folder / "mine.safetensors"

    def load(path: Path) -> Model:
        models_folder.mkdir()
        target.write_bytes(b"of the other")
        return load_model(path)

    monkeypatch.setattr(importing, "load_model", load)
    path = pack({"a.safetensors": weights})
    assert "There is a model called mine already" in refusal(path, name="mine")
    assert [each.name for each in models_folder.iterdir()] == [target.name]
    assert target.read_bytes() == b"of the other"


def test_a_name_that_another_import_writes_now_is_refused(
    pack, weights: bytes, models_folder: Path
) -> None:
    path = pack({"a.safetensors": weights})
    with claimed(models_folder / "mine.safetensors"):
        assert "is being made elsewhere" in refusal(path, name="mine")
    assert import_package(path, "mine")[1].read_bytes() == weights
