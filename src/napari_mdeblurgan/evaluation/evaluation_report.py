"""The report in Markdown: the paper's table and figures, remade on the user's images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from napari_mdeblurgan import __version__
from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.degradation import Condition
from napari_mdeblurgan.evaluation import tables
from napari_mdeblurgan.evaluation.cost import Cost
from napari_mdeblurgan.evaluation.method_gains import Comparison
from napari_mdeblurgan.plain_text import for_utf8

_PAPER = """\
## What the paper reports

Measured by its authors on their own pictures of pine cones (×5 out of focus against ×10 in focus),
which are not public. **None of it was measured here**, and it cannot be compared with the figures
below, which are of other images.

| on its pine cones | PSNR | SSIM |
| --- | ---: | ---: |
| M-Deblurgan | 37.53 dB | 0.9551 |
| more than the methods that it was compared with | +4.80 dB | +0.053 |
"""

_HOW = """\
## How it was measured

- **Input.** Every method is given the very same blurred image; its noise depends on the image and
  the condition alone. Gaussian protocol: bicubic reduction, Gaussian blur of σ pixels of the
  reduced image, 8 bits, no noise. Physical protocol: the point-spread function of a defocused
  objective, averaging over the camera's pixels, photon and read noise, offset, 8 bits. Strong
  protocol: more of both, σ of 3 and 4.5 pixels and 60 and 90 µm of defocus.
- **Methods.** Networks are told nothing but the image and run in float32. Richardson-Lucy is told
  the true point-spread function and the camera's offset, which no one knows of a real image. Its 30
  iterations are the same under noise, which they amplify; fewer would amplify it less and sharpen
  less.
- **Measures.** Of results clipped to [0, 1] on the camera's scale, 8 pixels left out on every side.
  PSNR for a peak of 1; SSIM with Gaussian weights of 1.5 pixels; MS-SSIM with five scales, left out
  (–) where an image is smaller than 176 pixels. In colour the error is that of all channels, the
  similarity their mean. Means are over images, each counted once.
- **Costs.** GFLOP: 10⁹ operations of the convolutions, a multiplication and an addition being two,
  without the halo of tiles. Seconds: the fastest of three runs on a megapixel. Memory: what a
  process that did nothing else took beyond what it had, looked at every 2 ms; on a GPU what was
  allocated there.
- All figures are in `scores.csv`, `backgrounds.csv` and `costs.csv`. Another run with the same
  folder measures only what is not there yet.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """All that the report is about.

    Attributes
    ----------
    data : str
        The images, in words.
    device : str
        What the networks ran on, for people.
    protocols : mapping of str to sequence of Condition
        By name.
    comparisons : tuple of Comparison
        One for each kind of image and scale.
    costs : tuple of Cost
        One for each method.
    figures : mapping of str to list of (str, str)
        File name and caption, under the comparison's slug, or under "" for those that belong to
        none.
    notes : tuple of str
        What was left out, and why.
    """

    data: str
    device: str
    protocols: Mapping[str, Sequence[Condition]]
    comparisons: tuple[Comparison, ...]
    costs: tuple[Cost, ...]
    figures: Mapping[str, list[tuple[str, str]]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def write_evaluation(path: Path, evaluation: Evaluation) -> None:
    """Write the report as Markdown; pictures are looked for beside it.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    with replacing(path, make_folders=True) as file:
        file.write(for_utf8(report(evaluation)).encode())


def report(evaluation: Evaluation) -> str:
    """The report's text."""
    parts = [
        "# Evaluation",
        f"Measured with napari-mdeblurgan {__version__} on {evaluation.data}. Networks ran on: "
        f"{evaluation.device}.",
        *([tables.bullets(evaluation.notes)] if evaluation.notes else []),
        _PAPER,
        "## What was compared",
        tables.methods(evaluation.comparisons),
    ]
    for comparison in evaluation.comparisons:
        parts += _of_comparison(comparison, evaluation)
    parts += ["## Costs", tables.costs(evaluation.costs)]
    parts += [
        "## PSNR per epoch (as the paper's Figure 6)",
        *_pictures(evaluation.figures.get("", [])),
    ]
    if not evaluation.figures.get(""):
        parts.append(
            "No folders of training runs were named (`--runs`), so there is nothing to draw."
        )
    return "\n\n".join(part.strip() for part in [*parts, _HOW]) + "\n"


def _of_comparison(comparison: Comparison, evaluation: Evaluation) -> list[str]:
    parts = [f"## {comparison.title}"]
    for protocol, conditions in evaluation.protocols.items():
        parts += [
            f"### {protocol.capitalize()} protocol (as the paper's Table 1)",
            "PSNR in dB / SSIM / MS-SSIM, means over the images; the best PSNR of a column is "
            "bold.",
            tables.scores_table(comparison, conditions),
            f"### {protocol.capitalize()} protocol: gains",
            tables.gains_table(comparison, conditions),
            tables.worst_table(comparison, conditions),
        ]
    if comparison.backgrounds:
        parts += [
            "### A flat noisy background",
            "A flat field, seen by the camera of the physical protocol: the standard deviation of "
            "the result over that of the input, before clipping. Above 1 noise was amplified, or "
            "structure invented.",
            tables.backgrounds_table(comparison.backgrounds),
        ]
    return [*parts, "### Pictures", *_pictures(evaluation.figures.get(comparison.slug, []))]


def _pictures(figures: Sequence[tuple[str, str]]) -> list[str]:
    return [f"![{caption}]({name})\n\n*{caption}*" for name, caption in figures]
