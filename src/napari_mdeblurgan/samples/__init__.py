"""Blurred micrographs that come with the package, to try it on; where they are from is in
ATTRIBUTION.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_mdeblurgan.errors import FileError


@dataclass(frozen=True, slots=True)
class Sample:
    """A bundled micrograph.

    Attributes
    ----------
    name : str
        Key in `SAMPLES`.
    file : str
        File name in this folder.
    description : str
        One line: what it shows, and what blurred it.
    rgb : bool
        Whether it is in colour.
    stack : bool
        Whether it is a focus stack.
    """

    name: str
    file: str
    description: str
    rgb: bool
    stack: bool = False


SAMPLES: dict[str, Sample] = {
    sample.name: sample
    for sample in (
        Sample(
            "leaf_epidermis",
            "leaf_epidermis.png",
            "Living leaf epidermis with stomata, brightfield; out of focus in part, as the "
            "microscope took it.",
            rgb=True,
        ),
        Sample(
            "nuclei",
            "nuclei.tif",
            "U2OS nuclei, Hoechst, widefield ×20; a real image made coarser (×½), blurred "
            "(Gaussian, σ = 1.5 pixels) and given camera noise by computer.",
            rgb=False,
        ),
        Sample(
            "smear",
            "smear.tif",
            "Vaginal smear, brightfield; five steps out of focus, as the microscope took it, "
            "averaged 2 × 2.",
            rgb=False,
        ),
        Sample(
            "smear_stack",
            "smear_stack.ome.tif",
            "The same smear at its own pixels: 19 planes of a focus series, the tenth in focus, "
            "laid on each other.",
            rgb=False,
            stack=True,
        ),
    )
}


def sample_path(name: str) -> Path:
    """File of the sample called `name`.

    Raises
    ------
    FileError
        If there is no such sample; the message names those that there are.
    """
    if name not in SAMPLES:
        raise FileError(f"There is no sample called {name!r}; choose one of {', '.join(SAMPLES)}.")
    return Path(__file__).parent / SAMPLES[name].file


def attribution(name: str) -> str:
    """Where a sample comes from and under which licence: its line in ATTRIBUTION.md."""
    path = sample_path(name)
    lines = path.with_name("ATTRIBUTION.md").read_text(encoding="utf-8").splitlines()
    line = next(line for line in lines if line.startswith(f"| `{path.name}` |"))
    _, what, origin, licence = (cell.strip() for cell in line.strip("|").split("|"))
    return f"{what}; from {origin}; licence: {licence}"
