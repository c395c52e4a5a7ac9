"""`mdeblurgan pairs`, from the outside: what it writes and says, how it ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from napari_mdeblurgan.commands.pairs import objective_pair
from napari_mdeblurgan.pairs import table
from napari_mdeblurgan.storage import Micrograph, write_image


@pytest.fixture
def run(run: Callable[..., tuple[int, str, str]]) -> Callable[..., tuple[int, str, str]]:
    """``run(…)``: exit code, stdout and stderr of `mdeblurgan pairs …`."""
    return lambda *arguments: run("pairs", *arguments)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two fields, low/N_x5.tif and high/N_x10.tif: high is a crop of what low shows at half the
    density.
    """
    folder = tmp_path_factory.mktemp("fields")
    for side in ("low", "high"):
        (folder / side).mkdir()
    for number in (1, 2):
        random = np.random.default_rng(number)
        sharp = (ndimage.gaussian_filter(random.random((256, 256)), 2) > 0.5) * 200.0
        low = ndimage.gaussian_filter(sharp, 2).reshape(128, 2, 128, 2).mean(axis=(1, 3))
        write_image(folder / "low" / f"{number}_x5.tif", Micrograph(low.astype(np.uint8), "YX"))
        write_image(
            folder / "high" / f"{number}_x10.tif",
            Micrograph(sharp[60:200, 80:220].astype(np.uint8), "YX"),
        )
    return folder / "low", folder / "high"


def test_every_pair_gets_two_overlays_and_a_row(run, folders, tmp_path: Path) -> None:
    code, out, error = run("--low", folders[0], "--high", folders[1], "--output", tmp_path / "out")
    assert (code, error) == (0, "")
    assert "1 of 2: 1, accepted" in out
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == sorted(
        [
            "pairs.csv",
            *(f"{n}.{kind}.png" for n in (1, 2) for kind in ("checkerboard", "magenta-green")),
        ]
    )
    assert len((tmp_path / "out" / "pairs.csv").read_text("utf-8-sig").splitlines()) == 3
    assert out.splitlines()[-1] == str(tmp_path / "out" / "pairs.csv")


def test_pairs_that_do_not_fit_end_in_code_1_and_a_reason(run, folders, tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text(f"{folders[0]}/1_x5.tif,{folders[1]}/2_x10.tif,mixed\n")
    code, out, error = run("--csv", tmp_path / "pairs.csv", "--output", tmp_path / "out")
    assert code == 1
    assert "mixed" in out
    assert "  no  " in out
    assert error.startswith("mdeblurgan: 1 of 1 pairs cannot be used (mixed)")
    assert error.count("\n") == 1


def test_swapped_folders_are_noticed(run, folders, tmp_path: Path) -> None:
    code, out, _ = run("--low", folders[1], "--high", folders[0], "--output", tmp_path / "out")
    assert code == 1
    assert out.count("Low and high are swapped") == 2


def test_files_without_a_partner_are_named(run, folders, tmp_path: Path) -> None:
    low = tmp_path / "low"
    low.mkdir()
    for path in folders[0].iterdir():
        (low / path.name).write_bytes(path.read_bytes())
    (low / "3_x5.tif").write_bytes(b"")
    code, _, error = run("--low", low, "--high", folders[1], "--output", tmp_path / "out")
    assert code == 0
    assert "3_x5.tif has no namesake" in error


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--csv"),
        (("--low", "."), "--high"),
        (("--csv", "x.csv", "--low", "."), "not both"),
        (("--csv", "no-such.csv"), "does not exist"),
        (("--low", "no-such", "--high", "."), "no folder"),
        (("--low", ".", "--high", ".", "--low-objective", "20"), "weaker"),
        (("--csv", "x.csv", "--low-objective", "5", "--ratio", "2"), "not both"),
    ],
)
def test_wrong_use_is_code_2_and_one_line(
    run, arguments, words, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, error = run(*arguments)
    assert code == 2
    assert words in error
    assert error.count("\n") == 1


def test_where_no_folder_can_be_made_another_place_is_asked_for(run, folders) -> None:
    code, _, error = run("--low", folders[0], "--high", folders[1], "--output", "/proc/pairs")
    assert code == 1
    assert "nothing can be made in /proc; choose another folder." in error


def test_a_folder_of_other_files_is_left_alone(run, folders, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    code, _, error = run("--low", folders[0], "--high", folders[1], "--output", tmp_path)
    assert code == 2
    assert "mine.txt" in error
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_same_command_begins_again_where_it_was_interrupted(
    run, folders, tmp_path: Path, monkeypatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    given = ("--low", folders[0], "--high", folders[1], "--output", tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr(table, "checkerboard", interrupted)  # the second picture of a pair
        assert run(*given)[0] == 130
    assert run(*given)[0] == 0
    assert len(list((tmp_path / "out").iterdir())) == 5


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ((None, None), None),
        ((20.0, 20.0), (20.0, 20.0)),
        ((4.0, None), (4.0, 10.0)),
        ((None, 20.0), (5.0, 20.0)),
    ],
)
def test_two_objectives_may_be_the_same_and_one_may_be_left_out(given, meant) -> None:
    assert objective_pair(*given) == meant
