"""napari killed in the middle of a scan: the next session goes on, and in the end nothing shows
that it was killed.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import zarr

SESSION = Path(__file__).with_name("napari_session.py")
EDGE, TILE = 360, 128
DATE = re.compile(rb'"date": "[0-9-]+ [0-9:]+ [^"]*"')


def session(source: Path, *folders: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "ignore", str(SESSION), str(source), *map(str, folders)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def files_in(folder: Path) -> dict[str, bytes]:
    """Contents of all files of the only result in a folder, but for the date of its assessment."""
    (result,) = folder.iterdir()
    assert result.name.endswith(".ome.zarr")
    found = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in result.rglob("*")
        if path.is_file()
    }
    group = str((result / "zarr.json").relative_to(folder))
    found[group], dates = DATE.subn(rb"", found[group])
    assert dates == 1
    return found


def test_the_next_session_goes_on_and_the_result_is_that_of_one_that_was_never_killed(
    tmp_path: Path,
) -> None:
    image = np.random.default_rng(0).integers(0, 255, (EDGE, EDGE)).astype(np.uint8)
    source, killed, undisturbed = (
        tmp_path / "scan.zarr",
        tmp_path / "killed",
        tmp_path / "undisturbed",
    )
    zarr.create_array(source, data=image, chunks=(128, 128))
    with session(source, killed) as first:
        assert first.stdout is not None
        while (
            int(first.stdout.readline().split()[1]) < 6 * (2 * TILE) ** 2
        ):  # of which some are only begun
            pass
        os.kill(first.pid, signal.SIGKILL)
    assert {path.suffix for path in killed.iterdir()} == {".partial", ".lock"}
    with session(source, killed, undisturbed) as second:
        assert second.stdout is not None
        lines = second.stdout.read().splitlines()
    assert second.returncode == 0
    assert int(lines[0].split()[0]) >= 3 * (2 * TILE) ** 2  # what the second session found
    assert sum(" was made" in line for line in lines) == 2
    left, whole = files_in(killed), files_in(undisturbed)
    assert left.keys() == whole.keys()
    assert [name for name in whole if left[name] != whole[name]] == []
