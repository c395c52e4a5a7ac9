"""The blur that is read off an image, fitted and judged: `python benchmarks/blur.py DATA [--fit] [--output DIR]`.

DATA has the subfolders train/ and validation/, each with rgb/ and grey/. Sharp images are reduced by two and blurred by Gaussians
and by an objective out of focus; noise is added. With `--fit` the coefficients are fitted on train/ and written into the package.
Then the estimate is judged on validation/, and DIR gets blur.csv and blur.png.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from napari_mdeblurgan.evaluation.images import find_images
from napari_mdeblurgan.model import model_path, read_card
from napari_mdeblurgan.restoration.intensity import Window
from napari_mdeblurgan.restoration.plan import make_plan
from napari_mdeblurgan.training.degradation import Optics, defocus_psf
from napari_mdeblurgan.training.degradation.gaussian import downsample, gaussian_blur, quantise
from napari_mdeblurgan.training.degradation.optics import blur
from napari_mdeblurgan.trust import blur as measured
from napari_mdeblurgan.trust.noise import measure_noise
from napari_mdeblurgan.trust.psf import gaussian_equivalent
from napari_mdeblurgan.trust.samples import normalised, rich_places

SIGMAS = (0.0, 0.5, 0.7, 1.2, 2.0, 2.4, 3.0, 4.0, 5.0)
DEFOCI_UM = (0.0, 15.0, 30.0, 45.0)
NOISES = (0.0, 0.005, 0.02, 0.04)
EDGE = 512
RIDGE = 1.0


def main() -> None:
    """Fit if that is wished, judge, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--output", type=Path, default=Path("blur-report"))
    wishes = parser.parse_args()
    if wishes.fit:
        write_fit(wishes.data)
        measured.blur_fit.cache_clear()
    rows = list(judged(wishes.data / "validation"))
    wishes.output.mkdir(parents=True, exist_ok=True)
    with (wishes.output / "blur.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "kind", "blur", "true_px", "estimated_px"), *rows])
    report(rows)
    draw(rows, wishes.output / "blur.png")


def write_fit(data: Path) -> None:
    """Fit the coefficients on the training images; a fifth of them, held out, gives the error that is written beside them."""
    known: dict[bool, list[tuple[np.ndarray, float]]] = {False: [], True: []}
    for number, (name, kind, low) in enumerate(sharp_images(data / "train", 90)):
        random = np.random.default_rng(number)
        for _, sigma, image in blurred(low, random, random.uniform(0, 5.5, 5)):
            parts, noise = prepared(image)
            for part in parts[:3]:
                values = measured.blur_features(part, noise)
                if values is not None:
                    known[number % 5 == 0].append((values, sigma))
        print(f"{number}: {kind} {name}", flush=True)
    values, sigma = (np.array(each) for each in zip(*known[False], strict=True))
    mean, spread = values.mean(axis=0), values.std(axis=0)
    terms = measured.quadratic(np.clip((values - mean) / spread, -4, 4))
    target = np.hypot(sigma, measured.PIXEL_SIGMA)
    weights = 1 / target
    left = (terms * weights[:, None]).T @ terms + RIDGE * np.eye(terms.shape[1])
    coefficients = np.linalg.solve(left, (terms * weights[:, None]).T @ target)
    fit = measured.BlurFit(tuple(mean), tuple(spread), tuple(coefficients), 0.0)
    error = float(np.median([abs(fit.sigma_px(v) - s) for v, s in known[True]]))
    fields = {"made_by": "benchmarks/blur.py --fit", "parts": len(sigma), "error_px": round(error, 3)}
    fields |= {
        n: [round(float(v), 6) for v in each]
        for n, each in zip(("mean", "spread", "coefficients"), (mean, spread, coefficients), strict=True)
    }
    measured.FITTED.write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")


def judged(folder: Path) -> Iterator[tuple[str, str, str, float, float]]:
    """Image, kind, blur, true and estimated standard deviation."""
    for number, (name, kind, low) in enumerate(sharp_images(folder)):
        for label, sigma, image in blurred(low, np.random.default_rng(1000 + number), np.array(SIGMAS)):
            estimate = measured.measure_blur(*prepared(image))
            yield name, kind, label, sigma, float("nan") if estimate is None else estimate


def sharp_images(folder: Path, limit: int | None = None) -> Iterator[tuple[str, str, np.ndarray]]:
    """Name, kind and the middle of each image, mean over the colours, for low-resolution images of at most 256² pixels."""
    found = [(kind, image) for kind in ("rgb", "grey") for image in find_images(folder / kind)[0]]
    if limit is not None:
        found = [found[i] for i in np.random.default_rng(0).permutation(len(found))[:limit]]
    for kind, image in found:
        sharp = image.read(2)
        sharp = sharp.mean(axis=-1) if sharp.ndim == 3 else sharp
        height, width = (min(n, EDGE) // 2 * 2 for n in sharp.shape)
        y, x = (sharp.shape[0] - height) // 2, (sharp.shape[1] - width) // 2
        yield image.path.stem, kind, np.ascontiguousarray(sharp[y : y + height, x : x + width], dtype=np.float32)


def blurred(
    sharp: np.ndarray, random: np.random.Generator, sigmas: np.ndarray
) -> Iterator[tuple[str, float, np.ndarray]]:
    """Label, Gaussian-equivalent standard deviation and image for Gaussian blurs and for an objective out of focus."""
    planes = torch.from_numpy(sharp)[None, None]
    low = downsample(planes, 2)
    found = [
        ("gaussian", float(s), gaussian_blur(low, torch.tensor([max(s, 1e-3)], dtype=torch.float32))) for s in sigmas
    ]
    for defocus in DEFOCI_UM:
        optics = Optics(0.15, 0.53, 0.65)
        psf = defocus_psf(optics, defocus, 30)
        found.append((f"defocus {defocus:g} µm", gaussian_equivalent(psf, 2), blur(planes, psf, 2)))
    for label, sigma, image in found:
        noise = float(random.choice(NOISES))
        grain = torch.from_numpy(random.standard_normal(image.shape[-2:], dtype=np.float32))
        yield label, sigma, quantise(image + noise * grain)[0, 0].numpy()


def prepared(image: np.ndarray) -> tuple[list[np.ndarray], float]:
    """The rich parts of an image in windows, and its noise: as for an assessment."""
    low, high = np.percentile(image, (0.1, 99.9))
    window = Window(float(low), float(max(high, low + 1e-3)))
    plan = make_plan(image, read_card(model_path("gray-x2")), window=(window.low, window.high))
    parts = [normalised(place, image, plan, window) for place in rich_places(image, plan)]
    noise = measure_noise(parts, 1 / 255 / (window.high - window.low))
    return [part.mean(axis=-1) for part in parts], noise.typical


def report(rows: list[tuple[str, str, str, float, float]]) -> None:
    """Print medians and spreads by true blur."""
    true, estimate = (np.array([row[at] for row in rows]) for at in (3, 4))
    print("true σ [px]   n   median   10 %   90 %   median |error|")
    for sigma in sorted({round(t, 2) for t in true}):
        of = estimate[(np.round(true, 2) == sigma) & np.isfinite(estimate)]
        low, middle, high = np.quantile(of, (0.1, 0.5, 0.9))
        print(f"{sigma:8.2f} {len(of):6} {middle:8.2f} {low:6.2f} {high:6.2f} {np.median(np.abs(of - sigma)):10.2f}")
    known = np.isfinite(estimate)
    print(
        f"all: median |error| {np.median(np.abs(estimate - true)[known]):.2f} px; nothing to see it by: {(~known).sum()}"
    )


def draw(rows: list[tuple[str, str, str, float, float]], path: Path) -> None:
    """Estimated against true blur."""
    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    axes = figure.subplots()
    for kind, colour, shift in (("rgb", "#D55E00", -0.05), ("grey", "#0072B2", 0.05)):
        points = np.array([row[3:] for row in rows if row[1] == kind])
        axes.plot(
            points[:, 0] + shift, points[:, 1], ".", color=colour, alpha=0.5, label={"rgb": "colour"}.get(kind, kind)
        )
    axes.plot([0, 5.5], [0, 5.5], color="black", linewidth=1)
    axes.set(
        xlabel="true blur σ [input pixels]", ylabel="estimated from the image alone", xlim=(-0.2, 5.6), ylim=(-0.2, 6.2)
    )
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
