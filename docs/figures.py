"""Make every figure and screenshot of the documentation anew: `python docs/figures.py [--data DATA]
[--only NAME ...]`.

Each is made by a script of its own, which this one runs; what needs a screen gets a virtual one
(xvfb-run) where there is none. DATA has train/ and validation/, each with rgb/ and grey/; what
needs it is left out without it. Some figures take minutes; `--list` tells what there is. Have a
look at what was made before it is kept.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parent
ROOT = DOCS.parent
LEAVES = 7  # sharp images of one kind for the pictures of fine-tuning
SCALES = ("1.25", "1.5", "2")


@dataclass(frozen=True, slots=True)
class Job:
    """A script, and how it is run.

    Attributes
    ----------
    script : str
        Relative to the repository.
    what : str
        What it makes, in a few words.
    arguments : tuple of str
        DATA, LEAVES and SHOTS stand for folders.
    screen : bool
        Whether it opens windows.
    """

    script: str
    what: str
    arguments: tuple[str, ...] = ()
    screen: bool = False

    @property
    def needs_data(self) -> bool:
        return any(part in argument for argument in self.arguments for part in ("DATA", "LEAVES"))


JOBS = {
    "icon": Job("docs/icon.py", "the plugin's icon"),
    "network": Job("docs/network_figure.py", "the network"),
    "layers": Job("docs/layers_figure.py", "the layers of the package"),
    "before-after": Job("docs/before_after.py", "a sample before and after"),
    "deblur": Job(
        "docs/screenshots.py",
        "the widget Deblur + SR, and the moving picture of it",
        ("SHOTS",),
        screen=True,
    ),
    "scan": Job(
        "docs/screenshots_scan.py",
        "a scan that fills in, stacks, the widget Batch",
        ("SHOTS",),
        screen=True,
    ),
    "focus": Job("docs/screenshots_focus.py", "the widget Focus stack", ("SHOTS",), screen=True),
    "shapes": Job("docs/screenshots_shapes.py", "Only here", ("SHOTS",), screen=True),
    "fine-tuning": Job(
        "docs/screenshots_fine_tuning.py",
        "the widget Fine-tune, with a training",
        ("LEAVES", "SHOTS"),
        screen=True,
    ),
    "pairs": Job("docs/pairs_figure.py", "overlays of registered pairs", ("DATA/train/rgb",)),
    "trust": Job("docs/trust_figures.py", "planted lies, and a failure", ("DATA/validation",)),
    "calibration": Job(
        "benchmarks/calibration.py",
        "the error bar, judged (long)",
        ("DATA/validation", "--output", "SHOTS"),
    ),
    "appearance": Job(
        "docs/screenshots_appearance.py",
        "all docks in both themes, to look at",
        ("SHOTS",),
        screen=True,
    ),
}
LONG = {"calibration"}  # made only when named


def main(wishes: argparse.Namespace) -> int:
    """Run what is wanted; how many failed."""
    if wishes.list:
        print("\n".join(f"{name:13} {job.what}" for name, job in JOBS.items()))
        return 0
    names = wishes.only or [name for name in JOBS if name not in LONG]
    failed = []
    with tempfile.TemporaryDirectory() as kept:
        shots = wishes.shots or Path(kept, "shots")
        shots.mkdir(parents=True, exist_ok=True)
        for name in names:
            job = JOBS[name]
            if job.needs_data and wishes.data is None:
                print(f"{name}: left out, as it needs --data", flush=True)
                if wishes.only:
                    failed.append(name)
                continue
            print(f"{name}: {job.what} …", flush=True)
            if not all(
                run(job, places(wishes.data, shots, Path(kept)), scale) for scale in scales(name)
            ):
                failed.append(name)
            if name == "calibration" and name not in failed:
                shutil.copy(shots / "calibration.png", DOCS / "images" / "trust-calibration.png")
    print(f"failed: {', '.join(failed)}" if failed else "Look at what was made.")
    return len(failed)


def scales(name: str) -> tuple[str, ...]:
    """At which sizes of the screen's letters a job is run."""
    return ("1", *SCALES) if name == "appearance" else ("1",)


def places(data: Path | None, shots: Path, kept: Path) -> dict[str, str]:
    """What the placeholders of arguments stand for."""
    found = {"SHOTS": str(shots)}
    if data is not None:
        leaves = kept / "leaves"
        leaves.mkdir(exist_ok=True)
        for path in sorted((data / "train" / "rgb").glob("leaf-*"))[:LEAVES]:
            shutil.copy(path, leaves)
        found |= {"DATA": str(data.resolve()), "LEAVES": str(leaves)}
    return found


def run(job: Job, found: dict[str, str], scale: str) -> bool:
    """Run one script to its end."""
    command: list[str] = [*screen()] if job.screen else []
    command += [
        sys.executable,
        str(ROOT / job.script),
        *(filled(each, found) for each in job.arguments),
    ]
    environment = os.environ | ({"QT_SCALE_FACTOR": scale} if scale != "1" else {})
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode == 0


def filled(argument: str, found: dict[str, str]) -> str:
    """An argument with the folder that its placeholder stands for."""
    for name, folder in found.items():
        argument = argument.replace(name, folder)
    return argument


def screen() -> Sequence[str]:
    """What a command is run by where there is no screen."""
    if sys.platform != "linux" or os.environ.get("DISPLAY"):
        return ()
    return ("xvfb-run", "-a", "-s", "-screen 0 2600x2000x24")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="sharp micrographs")
    parser.add_argument("--only", nargs="+", choices=JOBS, help="these alone", metavar="NAME")
    parser.add_argument(
        "--shots", type=Path, help="keep all pictures in this folder, those that are not used too"
    )
    parser.add_argument("--list", action="store_true", help="tell what there is")
    sys.exit(main(parser.parse_args()))
