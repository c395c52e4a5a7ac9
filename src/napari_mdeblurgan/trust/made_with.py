"""How a restoration was made, in words for a report."""

from __future__ import annotations

from napari_mdeblurgan.model import ModelCard
from napari_mdeblurgan.restoration.binning import binning_in_words
from napari_mdeblurgan.restoration.device import device_label
from napari_mdeblurgan.restoration.ensemble import TIMES
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.restoration.softness import Softness


def settings_of(
    plan: RestorationPlan,
    card: ModelCard,
    ensemble: bool = False,
    binning: int = 1,
    softness: Softness | None = None,
) -> dict[str, str]:
    """Names and values, in the order in which they are shown; `softness` is that of what was made
    of the result, if anything.
    """
    softness = softness or plan.softness
    size = " × ".join(str(length) for length in plan.shape)
    area = "" if plan.region == _whole(plan) else f", of it y {plan.region[0]}, x {plan.region[1]}"
    windows = "; ".join(f"{window.low:g} … {window.high:g}" for window in plan.windows or ())
    learned = (
        f"{card.blur_sigma_px[0]:g}–{card.blur_sigma_px[1]:g} px"
        if card.blur_sigma_px
        else "not on its card"
    )
    first = {"Binning": binning_in_words(binning)} if binning > 1 else {}
    return {
        "Image": f"{size}, {plan.dtype}{area}",
        **first,
        "Model": f"{card.name}: {card.description}",
        "Weights (SHA-256)": card.weights_sha256,
        "Model's version": f"{card.version}, {card.created}",
        "Blur that it learned": learned,
        "Factor": f"×{plan.factor} along y and x",
        "Intensity range": windows,
        "Softness": f"{softness.sigma:.2g} px ({softness.reason})",
        "Device and precision": f"{device_label(plan.device)}, {plan.precision}",
        "Orientations": f"{TIMES}, their mean" if ensemble else "1",
    }


def _whole(plan: RestorationPlan) -> tuple[tuple[int, int], tuple[int, int]]:
    height, width = plan.shape[len(plan.leading) : len(plan.leading) + 2]
    return (0, height), (0, width)
