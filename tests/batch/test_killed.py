"""Batches that are killed: the soak of `benchmarks/`, with five kills."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the soak forks")
def test_after_kills_at_random_moments_results_equal_those_of_an_undisturbed_run(
    tmp_path: Path,
) -> None:
    script = ROOT / "benchmarks" / "soak_batch.py"
    command = [
        sys.executable,
        str(script),
        "--kills",
        "5",
        "--seed",
        "1",
        "--folder",
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "5 kills" in done.stdout
    assert "all results equal" in done.stdout
