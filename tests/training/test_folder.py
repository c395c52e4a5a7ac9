"""What is found in a folder, what is skipped and why, and how it is split."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_mdeblurgan.errors import FileError, ImageError
from napari_mdeblurgan.storage import Micrograph, read_image, write_image
from napari_mdeblurgan.storage.listing import image_files
from napari_mdeblurgan.training.data import image_store
from napari_mdeblurgan.training.data.sharp_folder import SharpFolder, kind_of, open_folder
from tests.several_images import write_series

GREY, COLOUR = (70, 80), (70, 80, 3)


def pixels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path: Path, *shape: int, seed: int = 0) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = pixels(*shape, seed=seed)
    Image.fromarray(values).save(path)
    return values


def names(folder: SharpFolder) -> list[str]:
    """Of all images, those to train on first."""
    return [image.name for source in folder.training for image in source.images] + [
        i.name for i in folder.validation
    ]


def test_images_are_found_in_nested_folders_whatever_the_case_of_their_names(
    tmp_path: Path,
) -> None:
    for name in ("b.PNG", "a/deep/c.jpeg", "a/d.tif", ".hidden.png", ".cache/e.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "scan.ome.zarr" / "0").mkdir(parents=True)
    (tmp_path / "scan.ome.zarr" / "0" / "thumbnail.png").touch()
    found = [path.relative_to(tmp_path).as_posix() for path in image_files(tmp_path)]
    assert found == ["a/d.tif", "a/deep/c.jpeg", "b.PNG", "scan.ome.zarr"]


def test_a_folder_that_holds_itself_by_a_link_is_walked_once(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").touch()
    (tmp_path / "in" / "again").symlink_to(tmp_path, target_is_directory=True)
    assert image_files(tmp_path) == [tmp_path / "in" / "a.png"]


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="is not a folder"):
        image_files(tmp_path / "none")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="has no image in it"):
        open_folder(tmp_path, 1)


def test_a_folder_of_too_small_images_is_refused_in_one_sentence(tmp_path: Path) -> None:
    save(tmp_path / "a.png", 20, 100)
    save(tmp_path / "b.png", 20, 100)
    with pytest.raises(ImageError, match=r"a\.png is too small \(20 × 100 pixels\).*1 more\.$"):
        open_folder(tmp_path, 1)


def test_files_that_cannot_be_used_are_named_and_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path / "good.png", *COLOUR)
    save(tmp_path / "small.png", 10, 10, 3)
    save(tmp_path / "grey.png", *GREY)
    Image.fromarray(np.full(COLOUR, 7, np.uint8)).save(tmp_path / "flat.png")
    (tmp_path / "empty.tif").touch()
    (tmp_path / "wrong.png").write_text("not an image")
    whole = (tmp_path / "good.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with caplog.at_level(logging.INFO):
        folder = open_folder(tmp_path, 3)
    reasons = {path.name: reason for path, reason in folder.skipped}
    assert set(reasons) == {
        "small.png",
        "grey.png",
        "flat.png",
        "empty.tif",
        "wrong.png",
        "cut.png",
    }
    assert all(str(tmp_path / name) in reason for name, reason in reasons.items())
    assert "too small" in reasons["small.png"]
    assert "grey" in reasons["grey.png"]
    assert "same value" in reasons["flat.png"]
    assert all(name in caplog.text for name in reasons)
    assert names(folder) == ["good.png"]


def test_results_of_this_program_are_no_truth_to_learn_from(tmp_path: Path) -> None:
    save(tmp_path / "a.png", *GREY)
    for ending in (".png", ".tif"):
        write_image(
            tmp_path / f"sharp{ending}", replace(read_image(tmp_path / "a.png"), restored=True)
        )
    folder = open_folder(tmp_path, 1)
    assert {path.name for path, _ in folder.skipped} == {"sharp.png", "sharp.tif"}
    assert all("no truth to learn from" in reason for _, reason in folder.skipped)


def test_masks_beside_images_are_not_learned_from(tmp_path: Path) -> None:
    save(tmp_path / "cell.png", *GREY)
    masks = np.kron(np.arange(1, 13, dtype=np.uint16).reshape(3, 4), np.ones((40, 40), np.uint16))
    write_image(tmp_path / "cell_masks.tif", Micrograph(masks * 7, "YX"))
    folder = open_folder(tmp_path, 1)
    assert names(folder) == ["cell.png"]
    ((path, reason),) = folder.skipped
    assert path.name == "cell_masks.tif"
    assert "looks like a label map" in reason


def test_the_split_is_by_file_and_always_the_same(tmp_path: Path) -> None:
    for number in range(10):
        save(tmp_path / f"cells-{number}.png", *COLOUR, seed=number)
    folder = open_folder(tmp_path, 1, validation=0.3)
    trained = {image.path for source in folder.training for image in source.images}
    judged = {image.path for image in folder.validation}
    assert (len(trained), len(judged)) == (7, 3)
    assert len(folder.validation) == 9  # three colours each
    assert not trained & judged
    assert names(open_folder(tmp_path, 1, validation=0.3)) == names(folder)
    others = {
        tuple(sorted({i.path for i in open_folder(tmp_path, 1, 0.3, seed).validation}))
        for seed in range(3)
    }
    assert len(others) > 1


@pytest.mark.parametrize(
    ("files", "share", "held_out"), [(1, 0.1, 0), (2, 0.1, 1), (2, 0.9, 1), (3, 0.0, 0)]
)
def test_one_file_is_held_out_if_there_are_two(
    tmp_path: Path, files: int, share: float, held_out: int
) -> None:
    for number in range(files):
        save(tmp_path / f"{number}.png", *GREY, seed=number)
    folder = open_folder(tmp_path, 1, validation=share)
    assert len(folder.validation) == held_out
    assert len(names(folder)) == files


def test_copies_of_a_file_are_held_out_with_it(tmp_path: Path) -> None:
    for number in range(12):
        save(tmp_path / f"{number}.png", *GREY, seed=number // 3)
    for seed in range(5):
        folder = open_folder(tmp_path, 1, 0.2, seed)
        held_out = {int(image.path.stem) for image in folder.validation}
        assert len(held_out) == 3
        assert len({number // 3 for number in held_out}) == 1


def test_where_all_files_are_copies_none_is_held_out(tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / f"{number}.png", *GREY)
    folder = open_folder(tmp_path, 1, 0.2)
    assert not folder.validation
    assert len(names(folder)) == 4


def test_files_are_grouped_by_the_word_before_the_hyphen_or_by_folder(tmp_path: Path) -> None:
    for name in ("leaf-0.png", "leaf-1.png", "blood-0.png", "muscle/1.png", "muscle/2.png"):
        save(tmp_path / name, *COLOUR)
    folder = open_folder(tmp_path, 3, validation=0, weights={"leaf": 3})
    assert {source.name: len(source.images) for source in folder.training} == {
        "leaf": 2,
        "blood": 1,
        "muscle": 2,
    }
    assert {source.name: source.weight for source in folder.training} == {
        "leaf": 3,
        "blood": 1,
        "muscle": 1,
    }
    assert kind_of(Path("nuclei/-1.png")) == "nuclei"


def test_every_plane_and_channel_is_an_image_and_channels_have_windows_of_their_own(
    tmp_path: Path,
) -> None:
    stack = np.random.default_rng(0).integers(100, 200, (2, 3, *GREY)).astype(np.uint16)
    stack[:, 1] *= 100
    tifffile.imwrite(tmp_path / "stack.ome.tif", stack, metadata={"axes": "ZCYX"})
    (source,) = open_folder(tmp_path, 1).training
    found = {image.name: image for image in source.images}
    assert set(found) == {f"stack.ome.tif [z={z}, c={c}]" for z in (0, 1) for c in (0, 1, 2)}
    bright, dim = found["stack.ome.tif [z=1, c=1]"], found["stack.ome.tif [z=1, c=2]"]
    assert bright.window.high > 50 * dim.window.high
    np.testing.assert_allclose(dim[:, :, :][0], (stack[1, 2] - 100.0) / 99, atol=0.03)


def test_an_ome_zarr_gives_its_planes(tmp_path: Path) -> None:
    import zarr

    values = pixels(2, *GREY)
    group = zarr.open_group(str(tmp_path / "a.ome.zarr"), mode="w", zarr_format=2)
    group.create_array("0", shape=values.shape, chunks=(1, 32, 32), dtype="uint8")[:] = values
    axes = [
        {"name": "z", "type": "space"},
        {"name": "y", "type": "space"},
        {"name": "x", "type": "space"},
    ]
    scale = [{"type": "scale", "scale": [1, 1, 1]}]
    levels = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": levels}]
    (source,) = open_folder(tmp_path, 1).training
    assert [image.name for image in source.images] == ["a.ome.zarr [z=0]", "a.ome.zarr [z=1]"]
    np.testing.assert_allclose(
        source.images[1][:, 20:50, 7:9][0], values[1, 20:50, 7:9] / 255, atol=1e-6
    )


def test_colours_serve_as_grey_images_and_count_less_where_there_are_grey_ones(
    tmp_path: Path,
) -> None:
    colours = save(tmp_path / "leaf-1.png", *COLOUR)
    (alone,) = open_folder(tmp_path, 1).training
    assert [image.name for image in alone.images] == [
        f"leaf-1.png [{c}]" for c in ("red", "green", "blue")
    ]
    assert alone.weight == 1
    np.testing.assert_allclose(
        alone.images[1][:, 10:20, 30:50][0], colours[10:20, 30:50, 1] / 255, atol=1e-6
    )
    save(tmp_path / "leaf-2.png", *GREY)
    weights = {
        len(source.images): source.weight
        for source in open_folder(tmp_path, 1, validation=0).training
    }
    assert weights == {3: 0.35, 1: 1.0}


def test_grey_that_was_saved_as_colour_is_one_grey_image(tmp_path: Path) -> None:
    Image.fromarray(pixels(*GREY)).convert("RGB").save(tmp_path / "a.png")
    (source,) = open_folder(tmp_path, 1).training
    assert [image.name for image in source.images] == ["a.png"]


def test_alpha_is_left_out(tmp_path: Path) -> None:
    values = save(tmp_path / "a.png", 70, 80, 4)
    (source,) = open_folder(tmp_path, 3).training
    image = source.images[0]
    assert image.shape == (3, 70, 80)
    np.testing.assert_allclose(
        np.asarray(image), values[..., :3].transpose(2, 0, 1) / 255, atol=1e-6
    )


def test_a_hot_pixel_does_not_darken_the_rest(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(100, 1000, (200, 200)).astype(np.uint16)
    values[3, 4] = 65535
    tifffile.imwrite(tmp_path / "a.tif", values)
    image = np.asarray(open_folder(tmp_path, 1).training[0].images[0])
    assert image[0, 3, 4] == 1
    assert image.dtype == np.float32
    assert np.median(image) > 0.1


def test_what_is_no_number_is_black(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((70, 80), dtype=np.float32)
    values[5, 6:8] = np.nan, np.inf
    tifffile.imwrite(tmp_path / "a.tif", values)
    image = np.asarray(open_folder(tmp_path, 1).training[0].images[0])
    assert image[0, 5, 6] == 0
    assert np.isfinite(image).all()


@pytest.mark.parametrize("budget", [0, 3 * 70 * 80, 10**6])
def test_no_more_is_held_in_memory_than_the_budget_and_a_little(
    tmp_path: Path, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_store, "RECENT_BYTES", 1)
    for number in range(5):
        save(tmp_path / f"{number}.png", *GREY, seed=number)
    store = open_folder(tmp_path, 1, memory_bytes=budget).training[0].images[0].store
    held = sum(plane.nbytes for plane in store._kept.values())
    assert held == min(budget, 5 * 70 * 80)
    assert len(store._recent) <= 1


def test_all_images_of_a_file_are_trained_on_and_held_out_together(tmp_path: Path) -> None:
    for name in ("a.ome.tif", "b.ome.tif"):
        write_series(tmp_path / name, size=(70, 80))
    folder = open_folder(tmp_path, 1, 0.5)
    assert sorted(names(folder)) == [
        f"{n}.ome.tif [{i}]" for n in "ab" for i in ("left", "middle", "right")
    ]
    assert len({image.path for image in folder.validation}) == 1
    assert len({np.asarray(image).tobytes() for image in folder.validation}) == 3
