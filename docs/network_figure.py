"""The figure of the network, drawn from the network itself: `python docs/network_figure.py
[PICTURE.svg]`.

What the boxes say of kernels and feature maps is read off the layers of the bundled grey model's
architecture.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from napari_mdeblurgan.network import build_generator
from napari_mdeblurgan.network.generator import Generator

IMAGES = Path(__file__).with_name("images")
IMAGE, ENCODER, DECODER, HEAD, CHOICE, ENLARGING = (
    "#ffffff",
    "#9ecae9",
    "#ffc685",
    "#b7e0c8",
    "#e3b8d3",
    "#f4e39a",
)
INK, SKIP, READ = "#222222", "#0072b2", "#3f8f5f"
WIDE, HIGH, STEP = 1.12, 0.58, 0.85
FONT = 8.5

Place = tuple[float, float]


def main(picture: Path) -> None:
    """Draw it."""
    from napari_mdeblurgan.model import find_model, read_card

    network = build_generator(read_card(find_model("gray-x2")).architecture)
    assert isinstance(network, Generator)
    figure = Figure(figsize=(10.4, 5.0), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(-0.5, 13.75), ylim=(-4.0, 2.1))
    axes.axis("off")
    draw_encoder_decoder(axes, network)
    draw_head(axes, network)
    draw_choice_and_enlarging(axes, network)
    matplotlib.rcParams["svg.hashsalt"] = "network"  # the same file each time
    figure.savefig(picture, metadata={"Date": None})


def draw_encoder_decoder(axes: Axes, network: Generator) -> None:
    """The U: four residual blocks down, three up, and the skips between them."""
    module = network.deblurring
    for level, size in enumerate(("full size", "1/2", "1/4", "1/8")):
        axes.text(
            -0.5, -level, size, ha="left", va="center", fontsize=9, color="#666666", style="italic"
        )
    box(axes, (1, 1.55), "image", IMAGE)
    box(axes, (1, 0), f"{kernel(module.first)} conv\n{module.first.out_channels}", ENCODER)
    arrow(axes, (1, 1.55), (1, 0))
    down = [(2.35 + STEP * level, -level) for level in range(4)]
    up = [(2.35 + STEP * (6 - level), -level) for level in range(3)]
    for place, block in zip(down, module.encoder, strict=True):
        box(axes, place, f"ResBlock\n{block.first.out_channels}", ENCODER)
    for place, block in zip(up, module.decoder, strict=True):
        box(axes, place, f"ResBlock\n{block.first.out_channels}", DECODER)
    last = (8.75, 0)
    box(axes, last, f"sum\n{module.last_skip.out_channels}", DECODER)
    box(axes, (8.75, 1.05), "encoder-decoder's\nimage", IMAGE, 1.75)
    way = [(1, 0), *down, *reversed(up), last, (8.75, 1.05)]
    for start, stop in pairwise(way):
        arrow(axes, start, stop)
    for start, stop in zip(down[:3], up, strict=True):
        arrow(axes, start, stop, SKIP)
    axes.annotate(
        "",
        (8.75, 0.3),
        (1, 0.3),
        arrowprops={"arrowstyle": "->", "color": SKIP, "connectionstyle": "arc3,rad=-0.07"},
    )
    axes.text(
        4.9,
        0.08,
        f"skips: {kernel(module.skips[0])} conv, added",
        ha="center",
        fontsize=FONT,
        color=SKIP,
    )


def draw_head(axes: Axes, network: Generator) -> None:
    """Five maps at a quarter of the size, and two layers back to full size."""
    module = network.deblurring
    joined, mixed, half, full = (9.1, -3.3), (10.3, -2), (10.6, -1), (10.8, 0)
    box(axes, joined, f"5 maps at 1/4 size\njoined: {module.mix.in_channels}", HEAD, 1.9)
    box(axes, mixed, f"{kernel(module.mix)} conv\n{module.mix.out_channels}", HEAD)
    box(axes, half, f"upsample\n{module.to_half.out_channels}", HEAD)
    box(axes, full, f"upsample\n{module.to_full.out_channels}", HEAD)
    for source in (*((2.35 + STEP * (6 - level), -level) for level in (2, 1, 0)), (8.75, 0)):
        arrow(axes, source, joined, READ)
    axes.annotate(
        "",
        (8.1, -3.3),
        (2.35 + 3 * STEP + WIDE / 2, -3.1),
        arrowprops={"arrowstyle": "->", "color": READ},
    )
    way = [joined, mixed, half, full]
    for start, stop in pairwise(way):
        arrow(axes, start, stop)
    box(axes, (10.8, 1.05), "deblurred\nimage", IMAGE, 1.15)
    arrow(axes, full, (10.8, 1.05))
    arrow(axes, (8.75, 1.05), (10.8, 1.05))


def draw_choice_and_enlarging(axes: Axes, network: Generator) -> None:
    """What of the three is passed on, and how that becomes an image of more pixels."""
    module = network.super_resolution
    chosen = (12.5, 1.05)
    box(axes, chosen, "optimal\napproximation\nof three", CHOICE, 1.35, 1.5)
    axes.annotate("", (11.8, 1.6), (1.58, 1.6), arrowprops={"arrowstyle": "->", "color": INK})
    axes.annotate(
        "",
        (11.8, 0.75),
        (9.65, 1.05),
        arrowprops={"arrowstyle": "->", "color": INK, "connectionstyle": "arc3,rad=0.2"},
    )
    arrow(axes, (10.8, 1.05), chosen, short=0.7)
    first = module.convolutions[0]
    steps = [
        f"{len(module.convolutions)} × {kernel(first)} conv\n{first.out_channels}",
        *(f"sub-pixel ×2\n{layer.convolution.out_channels // 4}" for layer in module.sub_pixel),
        f"{kernel(module.last)} conv\n{module.last.out_channels}",
    ]
    places = [(12.5, -0.25 - 1.0 * number) for number in range(len(steps))]
    for place, text in zip(places, steps, strict=True):
        box(axes, place, text, ENLARGING, 1.35)
    output = (12.5, -0.25 - 1.0 * len(steps))
    box(axes, output, f"output, ×{network.scale}", IMAGE, 1.35)
    axes.annotate(
        "",
        (12.5, 0.04),
        (12.5, 0.3),
        arrowprops={"arrowstyle": "->", "color": INK, "shrinkA": 0, "shrinkB": 0},
    )
    for start, stop in zip([*places], [*places[1:], output], strict=True):
        arrow(axes, start, stop)
    axes.plot((13.2, 13.6, 13.6), (1.45, 1.45, output[1]), color=SKIP, linewidth=1)
    axes.annotate(
        "", (13.18, output[1]), (13.62, output[1]), arrowprops={"arrowstyle": "->", "color": SKIP}
    )
    axes.text(
        13.45,
        -1.2,
        "skip: bicubic",
        ha="center",
        va="center",
        rotation=90,
        fontsize=FONT,
        color=SKIP,
    )


def kernel(layer: object) -> str:
    """Such as 3×3."""
    return "×".join(map(str, layer.kernel_size))  # type: ignore[attr-defined]


def box(
    axes: Axes, place: Place, text: str, colour: str, wide: float = WIDE, high: float = HIGH
) -> None:
    """A box around its middle."""
    corner = (place[0] - wide / 2, place[1] - high / 2)
    shape = {
        "boxstyle": "round,pad=0.02,rounding_size=0.08",
        "facecolor": colour,
        "edgecolor": INK,
        "linewidth": 0.8,
    }
    axes.add_patch(FancyBboxPatch(corner, wide, high, zorder=3, **shape))
    axes.text(
        *place, text, ha="center", va="center", fontsize=FONT, color=INK, zorder=4, linespacing=1.1
    )


def arrow(axes: Axes, start: Place, stop: Place, colour: str = INK, short: float = 0.0) -> None:
    """From one box to another, from edge to edge as far as they are of the usual size."""
    (x0, y0), (x1, y1) = start, stop
    if y0 == y1:
        tip, tail = (x1 - (short or WIDE / 2), y1), (x0 + WIDE / 2, y0)
    else:
        side = HIGH / 2 if y1 > y0 else -HIGH / 2
        tip, tail = (x1, y1 - side), (x0, y0 + side)
    axes.annotate(
        "",
        tip,
        tail,
        arrowprops={"arrowstyle": "->", "color": colour, "shrinkA": 0, "shrinkB": 0},
        zorder=2,
    )


if __name__ == "__main__":
    if len(sys.argv) > 2 or "-h" in sys.argv or "--help" in sys.argv:
        sys.exit("usage: python docs/network_figure.py [PICTURE.svg]")
    main(Path(sys.argv[1]) if len(sys.argv) == 2 else IMAGES / "network.svg")
