"""Pictures of the page on trust: `python docs/trust_figures.py DATA`; DATA has the validation
images in rgb/ and grey/.

A planted hallucination and how it is found, and a restoration that truly went wrong. They go into
docs/images.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.degradation import PHYSICAL, Condition
from napari_mdeblurgan.evaluation.images import find_images
from napari_mdeblurgan.evaluation.protocol import degraded
from napari_mdeblurgan.restoration.plan import make_plan
from napari_mdeblurgan.trust.assess import Assessment, assess

IMAGES = Path(__file__).with_name("images")
EDGE = 400
LARGEST_BYTES = 295_000
FRAME = "#56B4E9"
FAILURE = "rgb/tissue-he-right-0.png", (244, 60)  # file and middle of the part that is shown


def main(data: Path) -> None:
    """Draw both."""
    planted(data / "rgb" / "leaf-03.png", IMAGES / "trust-planted.png")
    failed(data / FAILURE[0], PHYSICAL[2], FAILURE[1], IMAGES / "trust-failure.png")


def planted(path: Path, picture: Path) -> None:
    """Paint a filament and a spot into a restoration, take a structure away, and look at the
    consistency map.
    """
    model, low, restored, _ = restoration(path, PHYSICAL[1])
    flawed = restored.astype(np.float32)
    y, x = np.mgrid[: flawed.shape[0], : flawed.shape[1]]
    filament = np.exp(-(((y - 120) - 0.35 * (x - 130)) ** 2) / (2 * 1.3**2)) * (abs(x - 130) < 45)
    spot = np.exp(-((y - 300) ** 2 + (x - 90) ** 2) / (2 * 3.5**2))
    flawed += -70 * (filament + spot)[..., None]
    part = (slice(225, 273), slice(285, 333))
    ring = np.hypot(y[part] - 249, x[part] - 309)
    flawed[part] = np.where(
        ring[..., None] < 24, np.median(flawed[part], axis=(0, 1)), flawed[part]
    )
    flawed = flawed.clip(0, 255).astype(np.uint8)
    plan = make_plan(low, model.card)
    honest, caught = (assess(low, each, plan, model) for each in (restored, flawed))
    print("honest:", honest.sentence, "\nplanted:", caught.sentence)
    figure = Figure(figsize=(10.4, 5.6), layout="constrained")
    axes = figure.subplots(2, 3)
    shown = (
        (low, "image, out of focus"),
        (restored, "restored"),
        (flawed, "restored, with three lies planted"),
    )
    for place, (image, title) in zip(axes.flat, shown, strict=False):
        place.imshow(image, extent=(0, EDGE, EDGE, 0), interpolation="nearest")
        place.set_title(title, fontsize=10)
    frames = ((85, 95, 90, 55), (75, 285, 30, 30), (281, 221, 56, 56))
    for place in (axes[0, 2], axes[1, 2]):
        for left, top, width, height in frames:
            place.add_patch(
                Rectangle((left, top), width, height, fill=False, color=FRAME, linewidth=1.5)
            )
    axes[1, 0].set_visible(False)
    for place, found, title in (
        (axes[1, 1], honest, "consistency map of the restored"),
        (axes[1, 2], caught, "consistency map of the one with lies"),
    ):
        drawn = place.imshow(
            consistency(found), cmap="inferno", vmin=0, vmax=6, extent=(0, EDGE, EDGE, 0)
        )
        place.set_facecolor("0.7")
        place.set_title(title, fontsize=10)
    figure.colorbar(
        drawn, ax=axes[1, :], label="× noise", location="right", shrink=0.9, extend="max"
    )
    save(figure, axes, picture)


def failed(path: Path, condition: Condition, centre: tuple[int, int], picture: Path) -> None:
    """A detail that came out wrong, beside the truth, and what the maps say of it."""
    model, low, restored, truth = restoration(path, condition)
    found = assess(low, restored, make_plan(low, model.card), model)
    error = np.abs(np.atleast_3d(restored) - np.atleast_3d(truth)).mean(axis=-1)
    bar = found.map("error")
    assert bar is not None
    print("failure:", found.sentence, "\nwithin the error bar:", float((error <= bar.data).mean()))
    y, x = (slice(at - 44, at + 44) for at in centre)
    coarse = tuple(slice(part.start // 2, part.stop // 2) for part in (y, x))
    print(
        "there: error",
        error[y, x].mean(),
        "bar",
        bar.data[y, x].mean(),
        "covered",
        (error <= bar.data)[y, x].mean(),
    )
    print("there: consistency, largest", np.nanmax(consistency(found)[coarse]))
    largest = float(np.percentile(bar.data[y, x], 99.5))
    figure = Figure(figsize=(10.4, 6.2), layout="constrained")
    axes = figure.subplots(2, 3)
    limits = (
        {"vmin": float(truth[y, x].min()), "vmax": float(truth[y, x].max())}
        if truth.ndim == 2
        else {}
    )
    cuts = (
        (low[coarse], "image, out of focus", {"cmap": "gray", **limits}, ""),
        (restored[y, x], "restored", {"cmap": "gray", **limits}, ""),
        (np.rint(truth[y, x]).astype(np.uint8), "truth", {"cmap": "gray", **limits}, ""),
        (
            consistency(found)[coarse],
            "consistency map",
            {"cmap": "inferno", "vmin": 0, "vmax": 6},
            "× noise",
        ),
        (
            bar.data[y, x],
            "error bar (90 %)",
            {"cmap": "magma", "vmin": 0, "vmax": largest},
            "grey levels",
        ),
        (error[y, x], "true error", {"cmap": "magma", "vmin": 0, "vmax": largest}, "grey levels"),
    )
    for place, (image, title, look, unit) in zip(axes.flat, cuts, strict=True):
        drawn = place.imshow(image, interpolation="nearest", **look)
        place.set_title(title, fontsize=10)
        if unit:
            figure.colorbar(drawn, ax=place, label=unit, shrink=0.85, extend="max")
    save(figure, axes, picture)


def restoration(path: Path, condition: Condition) -> tuple:
    """Model, blurred image, restored image and truth, all of 8 bits: the middle 400² pixels."""
    colour = path.parent.name == "rgb"
    model = load_model("rgb-x2" if colour else "gray-x2")
    image = next(each for each in find_images(path.parent)[0] if each.path == path)
    whole = image.read(2)
    y, x = ((length - EDGE) // 2 for length in whole.shape[:2])
    low, truth = degraded(np.ascontiguousarray(whole[y : y + EDGE, x : x + EDGE]), condition, 2)
    levels = np.rint(low * 255).astype(np.uint8)
    return model, levels, restore(levels, model), truth * 255


def consistency(found: Assessment) -> np.ndarray:
    """The map."""
    made = found.map("consistency")
    assert made is not None
    return np.asarray(made.data)


def save(figure: Figure, axes: np.ndarray, picture: Path) -> None:
    """Without ticks, as large as `LARGEST_BYTES` allow."""
    for place in axes.flat:
        place.set(xticks=[], yticks=[])
    for dpi in (100, 92, 84, 76, 68):
        figure.savefig(picture, dpi=dpi, pil_kwargs={"optimize": True})
        if picture.stat().st_size < LARGEST_BYTES:
            break
    print(f"{picture.name}: {picture.stat().st_size / 1000:.0f} kB at {dpi} dpi")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
