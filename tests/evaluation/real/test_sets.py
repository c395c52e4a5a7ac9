"""How a folder says what it holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_mdeblurgan.errors import FileError
from napari_mdeblurgan.evaluation.real.sets import find_sets, number_in


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(path)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("-9", -9),
        ("12", 12),
        ("z-3", 3),
        ("z_-3", -3),
        ("stack_z+1.5", 1.5),
        ("defocus_minus_0.3um", -0.3),
        ("defocus_plus_0.3um", 0.3),
        ("in_focus_b", None),
    ],
)
def test_the_last_number_of_a_name_counts_with_its_sign(name: str, number: float | None) -> None:
    assert number_in(name) == number


def test_planes_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, -2, 1):
        image(tmp_path / f"{number}.png")
    (real,), _ = find_sets(tmp_path)
    assert [each.number for each in real.images] == [-2, 1, 10]


def test_a_known_folder_is_found_by_its_name_and_files(tmp_path: Path) -> None:
    for plane in (1, 5):
        image(tmp_path / "real" / "retroscope-he-20x" / f"focus_stack_plane_{plane:02}.png")
    image(tmp_path / "real" / "unknown" / "a.png")
    (real,), notes = find_sets(tmp_path)
    assert real.name.startswith("H&E")
    assert len(real.images) == 2
    assert notes == ["Left out, for no real.toml says what is in there: real/unknown."]


def test_sets_are_chosen_by_a_part_of_their_name(tmp_path: Path) -> None:
    for name in ("a1", "a2", "b1", "b2"):
        image(tmp_path / f"{name}.png")
    sets = (
        f'[[set]]\nname = "{n} planes"\nkind = "focus-series"\nimages = ["{n}*.png"]\n'
        for n in "ab"
    )
    (tmp_path / "real.toml").write_text("".join(sets))
    assert [real.name for real in find_sets(tmp_path)[0]] == ["a planes", "b planes"]
    assert [real.name for real in find_sets(tmp_path, ["B pl"])[0]] == ["b planes"]
    with pytest.raises(FileError, match="no set called c; there are: a planes; b planes"):
        find_sets(tmp_path, ["c"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[set", "no valid TOML"),
        ("name = 1", "begin each with the line"),
        ('[[set]]\nname = "a"\nkind = "stack"\nimages = ["*"]', "kind"),
        (
            '[[set]]\nname = "a"\nkind = "pairs"\nimages = ["*.png"]\nfocus = 1',
            "no field called 'focus'",
        ),
        ('[[set]]\nname = "a"\nkind = "pairs"\nimages = ["*.png"]', "truth"),
        (
            '[[set]]\nname = "a"\nkind = "pairs"\nimages = ["b*.png"]\ntruth = "a.png"',
            "is called b",
        ),
        ('[[set]]\nname = "a"\nkind = "focus-series"\nimages = ["a.png"]', "only one plane"),
        (
            '[[set]]\nname = "a"\nkind = "focus-series"\nimages = ["*.png"]\nin_focus = 7',
            "no plane has the number 7",
        ),
    ],
)
def test_a_description_that_cannot_be_used_is_refused_in_one_sentence(
    tmp_path: Path, text: str, words: str
) -> None:
    image(tmp_path / "a.png")
    image(tmp_path / "c1.png")
    (tmp_path / "real.toml").write_text(text)
    with pytest.raises(FileError, match=words) as caught:
        find_sets(tmp_path)
    assert "\n" not in str(caught.value).replace("at line", "")


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no images to judge by"):
        find_sets(tmp_path)
