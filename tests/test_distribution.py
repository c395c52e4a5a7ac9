"""What is built and what builds it: sdist and wheel without git, and the files that other services
read.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from scripts.check_package import faults, unpacked

ROOT = Path(__file__).parents[1]
GITHUB = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / ".github").rglob("*.yml"))


def hatch(target: str, source: Path, folder: Path, **environment: str) -> Path:
    build = [
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "--target",
        target,
        "--directory",
        str(folder),
    ]
    subprocess.run(build, cwd=source, env=os.environ | environment, check=True, capture_output=True)
    (made,) = folder.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return made


def test_a_wheel_that_is_built_from_the_sdist_without_git_lacks_nothing(tmp_path: Path) -> None:
    sdist = hatch("sdist", ROOT, tmp_path / "dist", HATCH_BUILD_NO_HOOKS="true")
    source = unpacked(sdist, tmp_path / "source")
    wheel = hatch("wheel", source, tmp_path / "dist", PATH="/nonexistent")
    assert wheel.name.split("-")[1] == sdist.name.removesuffix(".tar.gz").split("-")[1]
    unmade = f"{sdist.name} lacks _version.py"  # without git's hook there is none in the sdist
    assert set(faults(wheel, sdist)) <= {unmade}


@pytest.mark.parametrize("file", GITHUB)
def test_what_github_reads_is_yaml_of_the_right_kind(file: str) -> None:
    content = yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))
    if "workflows" in file:
        assert content[True]  # "on", which YAML 1.1 takes for a truth value
        for job in content["jobs"].values():
            assert job["runs-on"]
            assert all(("uses" in step) != ("run" in step) for step in job["steps"])
            assert all(
                re.fullmatch(r"[\w./-]+@v\d+", step["uses"])
                for step in job["steps"]
                if "uses" in step
            )
    elif "ISSUE_TEMPLATE" in file and "config" not in file:
        assert content["name"]
        assert content["description"]
        assert content["body"]


def test_the_tests_run_on_three_systems_and_every_supported_python() -> None:
    job = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8"))[
        "jobs"
    ]["test"]
    matrix = job["strategy"]["matrix"]
    assert {each["os"] for each in matrix["include"]} | set(matrix["os"]) == {
        "ubuntu-latest",
        "windows-latest",
        "macos-latest",
    }
    classifiers = re.findall(
        r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    )
    assert matrix["python"] == classifiers


def test_publishing_is_trusted_and_no_workflow_holds_a_secret() -> None:
    text = "\n".join((ROOT / file).read_text(encoding="utf-8") for file in GITHUB)
    assert "secrets." not in text
    publish = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8"))[
        "jobs"
    ]["publish"]
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["environment"] == "release"


def test_importing_the_package_and_registering_the_plugin_are_quick() -> None:
    """Against limits of 0.3 and 0.1 s, the best of three in fresh processes, for the machine may be
    busy.
    """
    from benchmarks.startup import MEASURED, seconds

    limits = {"import napari_mdeblurgan": 0.3, "register the plugin": 0.1}
    for name, limit in limits.items():
        (program,) = (
            program for title, program in MEASURED.items() if title.startswith(f"{name} (")
        )
        assert min(seconds(program) for _ in range(3)) <= limit, name
