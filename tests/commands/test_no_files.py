"""Pipes, and links that go in a circle, where a command is to write its result."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")


@pytest.mark.parametrize("options", [[], ["--overwrite"]])
def test_what_is_no_file_is_refused_before_any_work(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, options: list[str]
) -> None:
    tifffile.imwrite(tmp_path / "in.tif", np.zeros((40, 48), np.uint8))
    os.mkfifo(tmp_path / "pipe.tif")
    for name in ("round.tif", "round"):
        (tmp_path / name).symlink_to(name)
    for name in ("pipe.tif", "round.tif", "round/out.tif"):
        code, out, said = run("restore", tmp_path / "in.tif", tmp_path / name, *options)
        assert (code, out, said.count("\n")) == (2, "", 1)
        assert "no file" in said or "is there already" in said
    assert stat.S_ISFIFO(os.lstat(tmp_path / "pipe.tif").st_mode)


def test_a_folder_for_results_behind_a_link_that_leads_nowhere_is_said(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    tifffile.imwrite(tmp_path / "in.tif", np.zeros((40, 48), np.uint8))
    (tmp_path / "round").symlink_to("round")
    code, _, said = run("batch", tmp_path / "in.tif", "--output", tmp_path / "round")
    assert code == 2
    assert "round is a link that leads nowhere; remove it, or choose another folder" in said


def test_a_folder_in_the_place_of_a_result_is_not_to_be_removed(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    tifffile.imwrite(tmp_path / "in.tif", np.zeros((40, 48), np.uint8))
    for name, mend in (
        ("there.tif", "name a file in it"),
        ("there.ome.zarr", "remove it, or choose another name"),
    ):
        (tmp_path / name).mkdir()
        code, _, said = run("restore", tmp_path / "in.tif", tmp_path / name)
        assert code == 2
        assert f"{name} is there already; {mend}." in said
