"""The notebook of the documentation runs as it stands, and shows what it says that it shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebook.ipynb"
CHECKS = """
assert sharp.shape == (256, 320) and sharp.dtype == blurred.dtype, (sharp.shape, sharp.dtype)
assert len(plt.gcf().axes) == 2
assert scores["gray-x2"][0] > scores["bicubic"][0], scores
assert (folder / "sharp.tif").is_file()
"""


def test_the_cells_of_the_notebook_run_one_after_the_other(tmp_path: Path) -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    environment = os.environ | {"MPLBACKEND": "agg", "TMPDIR": str(tmp_path), "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", code + CHECKS],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "PSNR" in done.stdout


def test_the_notebook_is_kept_without_results() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
