"""Build the wheel and the sdist, and see to it that they hold what they should.

Usage: python scripts/check_package.py [FOLDER]    (by default dist/; what is in it is replaced)

The wheel is built from the sdist, unpacked where there is no git: what git knows must not be
needed.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
LARGEST = 25_000_000  # bytes, of either
PACKAGE = "napari_mdeblurgan"
NEEDED = (
    "icon.png",
    "napari.yaml",
    "py.typed",
    "_version.py",
    "models/gray-x2.safetensors",
    "models/rgb-x2.safetensors",
    "models/gray-x4.safetensors",
    "models/rgb-x4.safetensors",
    "samples/ATTRIBUTION.md",
    "samples/leaf_epidermis.png",
    "samples/nuclei.tif",
    "samples/smear.tif",
    "samples/smear_stack.ome.tif",
    "trust/blur.json",
    "trust/calibrations.json",
    "evaluation/real/sets.toml",
)
NEEDED_IN_SDIST = (
    "LICENSE",
    "README.md",
    "CHANGELOG.md",
    "CITATION.cff",
    "pyproject.toml",
    "tox.ini",
    "tests/conftest.py",
)
UNWANTED = ("__pycache__", ".git/", ".venv", ".tox", "site/", ".pyc")


def wheel_names(path: Path) -> set[str]:
    """Files in a wheel."""
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def sdist_names(path: Path) -> set[str]:
    """Files in an sdist, below its one folder."""
    with tarfile.open(path) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def faults(wheel: Path, sdist: Path) -> list[str]:
    """What is wrong with the two, each in one line."""
    found = []
    packed, sources = wheel_names(wheel), sdist_names(sdist)
    found += [f"{wheel.name} lacks {name}" for name in NEEDED if f"{PACKAGE}/{name}" not in packed]
    found += [
        f"{sdist.name} lacks {name}" for name in NEEDED if f"src/{PACKAGE}/{name}" not in sources
    ]
    found += [f"{sdist.name} lacks {name}" for name in NEEDED_IN_SDIST if name not in sources]
    found += [
        f"{wheel.name} lacks its licence"
        for _ in (1,)
        if not any(n.endswith("/LICENSE") for n in packed)
    ]
    for path, names in ((wheel, packed), (sdist, sources)):
        found += [
            f"{path.name} holds {name}"
            for name in sorted(names)
            if any(part in name for part in UNWANTED)
        ]
        if path.stat().st_size > LARGEST:
            found.append(
                f"{path.name} has {path.stat().st_size / 1e6:.1f} MB, more than {LARGEST / 1e6:.0f}"
            )
    outside = {name for name in packed if not name.startswith((f"{PACKAGE}/", f"{PACKAGE}-"))}
    return found + [f"{wheel.name} would install {name}" for name in sorted(outside)]


def unpacked(sdist: Path, folder: Path) -> Path:
    """The folder that an sdist holds, unpacked into `folder`; Pythons before 3.11.4 know no filter
    yet.
    """
    safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, **safe)  # type: ignore[arg-type]
    (source,) = folder.iterdir()
    return source


def build(target: Path) -> tuple[Path, Path]:
    """Build the sdist here, and the wheel from it where there is no git; gives the wheel and the
    sdist.
    """
    _run("build", "--no-isolation", "--sdist", "--outdir", str(target), str(ROOT))
    (sdist,) = target.glob("*.tar.gz")
    with tempfile.TemporaryDirectory() as folder:
        source = unpacked(sdist, Path(folder))
        _run("build", "--no-isolation", "--wheel", "--outdir", str(target), str(source))
    (wheel,) = target.glob("*.whl")
    return wheel, sdist


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", *arguments], check=True)


def main() -> int:
    """Build, check, and say what is wrong."""
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "dist").resolve()
    for old in (*target.glob("*.whl"), *target.glob("*.tar.gz")):
        old.unlink()
    wheel, sdist = build(target)
    _run("twine", "check", "--strict", str(wheel), str(sdist))
    wrong = faults(wheel, sdist)
    for line in wrong:
        print(line, file=sys.stderr)
    for path in (wheel, sdist):
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
