"""A result that is claimed: what a killed process has left of it goes, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from napari_mdeblurgan.atomic import PART, replacing
from napari_mdeblurgan.exclusive import claimed

KILLED = """
import os, sys
from pathlib import Path
from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.exclusive import claimed

path = Path(sys.argv[1])
with claimed(path), replacing(path) as file:
    file.write(b"half")
    file.flush()
    os._exit(9)
"""


def killed_while_writing(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == 9


def hidden(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if PART.fullmatch(path.name))


def test_what_a_killed_process_has_left_of_a_result_goes_when_it_is_made_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "sharp.tif"
    killed_while_writing(path)
    assert len(hidden(tmp_path)) == 1
    assert not path.exists()
    with claimed(path), replacing(path) as file:
        assert len(hidden(tmp_path)) == 1
        file.write(b"whole")
    assert [each.name for each in tmp_path.iterdir()] == ["sharp.tif"]
    assert path.read_bytes() == b"whole"


def test_what_others_are_writing_in_the_folder_stays(tmp_path: Path) -> None:
    for name in ("sharp.tif", "other.tif"):
        killed_while_writing(tmp_path / name)
    (tmp_path / ".0123456789abcdef.part").mkdir()
    before = hidden(tmp_path)
    with claimed(tmp_path / "third.tif"):
        assert hidden(tmp_path) == before
    with replacing(tmp_path / "other.tif") as file, claimed(tmp_path / "sharp.tif"):
        file.write(b"whole")
        assert len(hidden(tmp_path)) == 3  # the folder, what was left of the other, and its file
    assert (tmp_path / "other.tif").read_bytes() == b"whole"


def test_where_a_link_leads_nothing_goes(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    killed_while_writing(place / "sharp.tif")
    (tmp_path / "sharp.tif").symlink_to(place / "sharp.tif")
    with claimed(tmp_path / "sharp.tif"):
        assert len(hidden(place)) == 1


def test_what_is_being_written_without_a_claim_stays(tmp_path: Path) -> None:
    path = tmp_path / "sharp.tif"
    with replacing(path) as file:
        file.write(b"whole")
        with claimed(path):
            assert len(hidden(tmp_path)) == 1
    assert path.read_bytes() == b"whole"
