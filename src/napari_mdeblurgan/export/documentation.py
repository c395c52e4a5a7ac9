"""The Markdown that goes with a package: what the model is for, what its description cannot say,
how to check it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_mdeblurgan.restoration.intensity import PERCENTILES

if TYPE_CHECKING:
    from napari_mdeblurgan.export.example import Example
    from napari_mdeblurgan.model import ModelCard

PAPER = (
    "M-Deblurgan: large depth-of-field, super-resolved microscopy with a generative adversarial "
    "network. International Journal of Optics, 2021, article 6493130."
)
PAPER_DOI = "10.1155/2021/6493130"


def documentation(card: ModelCard, example: Example, licence: str, files: dict[str, str]) -> str:
    """The text of the package's README.md.

    Parameters
    ----------
    card : ModelCard
    example : Example
        What the test tensors were made of.
    licence : str
        SPDX identifier.
    files : dict
        File names of the weights, and what each of them is.
    """
    kind = "grey images, one channel at a time" if card.channels == 1 else "RGB images"
    low, high = PERCENTILES
    parts = [
        f"# {card.name}",
        card.description,
        f"An M-Deblurgan network for {kind}: it removes blur and gives {card.scale} times the "
        f"pixel density along y and x. Architecture: {_pairs(card.architecture)}.",
        "## Input and output",
        f"- Input: batch, channel ({card.channels}), y, x; y and x are multiples of 8. Output: "
        f"the same axes, {card.scale} "
        "times as many pixels along y and x.\n"
        f"- A pixel of the output depends on at most {card.halo} pixels of the input on each "
        "side; that is the halo. The "
        "output is cropped by as much, and the input is mirrored beyond its edges.\n"
        f"- Intensities: the network sees the percentiles {low:g} and {high:g} of the whole image "
        "as 0 and 1; values outside "
        "are not clipped. The colours of an RGB image share one window. It has to be that of the "
        "whole image, never that of "
        "a tile or of a single plane of a stack, or tiles and planes will not match.",
        "## What the description of this package cannot say",
        "- **The way back.** The output is in units of the window: 0 is the lower percentile of "
        "the input, 1 the upper one. "
        "`output · (high − low) + low` is in the input's units; round and clip it to the input's "
        "type. The plugin does this.\n"
        "- **The percentile.** The plugin takes the nearest value of the image rather than "
        "interpolating, from about a million "
        "values of a large image; where the two percentiles are equal, the smallest and the "
        "largest value. A division by the "
        "width of the window has no epsilon there. For ordinary images none of this can be seen.\n"
        "- **The edges.** The plugin mirrors 24 pixels beyond an edge, other programs mirror the "
        "whole halo; within the halo "
        "of an edge the results differ a little.\n"
        "- **Pixels without a value** (NaN) are filled in by the plugin and must not be given to "
        "the network.",
        *_own_pixels(card),
        "## Trained on",
        "\n".join(f"- {each}" for each in card.trained_on) or "Not recorded.",
        _blur(card),
        "## Validation",
        "On images that it never saw, the model's card records:\n\n"
        + "\n".join(_scores(card.scores))
        if card.scores
        else "The model's card records no scores.",
        "To validate it on images of your own, make them coarser and blurred, restore them, and "
        "compare with what they were: `mdeblurgan evaluate FOLDER --model FILE` does that and "
        "writes a report. Do not count or measure on a restored image what cannot be seen in the "
        "original.",
        "## Files",
        "\n".join(f"- `{name}`: {what}" for name, what in files.items()),
        f"The test input and the cover show: {example.attribution}.",
        f"Licence of the weights: {licence}. Written by napari-mdeblurgan; the model was made on "
        f"{card.created or 'a day'} by version {card.version or 'unknown'}.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _own_pixels(card: ModelCard) -> list[str]:
    """What is to be done with the output of a model that was fine-tuned for fewer pixels than it
    makes.
    """
    if card.output_scale is None:
        return []
    edge = card.scale // card.output_scale
    return [
        f"- **The pixels.** The network was fine-tuned for ×{card.output_scale}: average the "
        f"output over blocks of {edge} × {edge} pixels. Finer detail of it was not trained. The "
        "plugin does this."
    ]


def _blur(card: ModelCard) -> str:
    if card.blur_sigma_px is None:
        return ""
    low, high = card.blur_sigma_px
    return f"Blur that it learned: Gaussian, σ from {low:g} to {high:g} pixels of the input."


def _scores(scores: dict[str, Any], prefix: str = "") -> list[str]:
    lines: list[str] = []
    for name, value in scores.items():
        if isinstance(value, dict):
            lines += _scores(value, f"{prefix}{name}, ")
        else:
            lines.append(f"- {prefix}{name}: {value}")
    return lines
