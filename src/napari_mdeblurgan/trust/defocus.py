"""Where a field is blurred, and how much of it: the map of local blur, and its shares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_mdeblurgan.model import ModelCard
from napari_mdeblurgan.restoration.arrays import read
from napari_mdeblurgan.restoration.intensity import Window, hot_as_gaps
from napari_mdeblurgan.restoration.plan import RestorationPlan
from napari_mdeblurgan.restoration.tiling import Tile
from napari_mdeblurgan.stopping import look_up
from napari_mdeblurgan.trust.blur import BLOCK, LARGEST_PX, Read, blur_fit, blur_of_blocks
from napari_mdeblurgan.trust.noise import Noise
from napari_mdeblurgan.trust.samples import grey, sampled_planes

SHARP_PX = 0.45
# σ from which contrast is below 1 % for all that is finer than half of what pixels can hold
HALVED_PX = 2.0
HALVED_SHARE = 0.6  # of what can be judged
WHOLE_BLOCKS = 32 * 32  # of a plane: up to here all are looked at
DEFOCUS_SAMPLES, SAMPLE_BLOCKS = 5, 6  # along y and x of a larger plane, and of each of them


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldBlur:
    """How blurred a field is, from the σ of its blocks.

    Attributes
    ----------
    sigma_px : float or None
        Standard deviation of the Gaussian that would blur as much, in pixels of the image: median
        of all blocks that can be judged; None if there is none.
    beyond, within, sharp, unknown : float
        Shares of the field that are blurred beyond what the model learned, within it, already
        sharp, and that cannot be judged; together 1. Without knowing what it learned, nothing is
        beyond it.
    beyond_px : float or None
        Median of the blocks that are blurred beyond what the model learned; None if there is none.
    halves : bool
        Whether most of the field shows nothing finer than half of what its pixels can hold, so
        that binned 2 × 2 it loses next to nothing.
    """

    sigma_px: float | None
    beyond: float
    within: float
    sharp: float
    unknown: float
    beyond_px: float | None = None
    halves: bool = False

    @property
    def judged(self) -> float:
        """Share of the field that can be judged."""
        return 1 - self.unknown

    @property
    def largest_px(self) -> float | None:
        """The σ of the field, or of its part that is blurred beyond what the model learned."""
        return self.sigma_px if self.beyond_px is None else self.beyond_px


def field_blur(sigmas: np.ndarray, card: ModelCard) -> FieldBlur:
    """Sort the σ of blocks by what a model learned.

    Parameters
    ----------
    sigmas : ndarray
        In pixels, of any shape; NaN where nothing can be judged.
    card : ModelCard
        Of the model.
    """
    known = sigmas[np.isfinite(sigmas)]
    if not known.size:
        return FieldBlur(sigma_px=None, beyond=0.0, within=0.0, sharp=0.0, unknown=1.0)
    most = np.inf if card.blur_sigma_px is None else card.blur_sigma_px[1] + blur_fit().error_px
    over = known > most if most < LARGEST_PX or np.isinf(most) else known >= LARGEST_PX
    sharp = known < SHARP_PX
    share = known.size / sigmas.size
    return FieldBlur(
        sigma_px=float(np.median(known)),
        beyond=float(over.mean()) * share,
        within=float((~over & ~sharp).mean()) * share,
        sharp=float(sharp.mean()) * share,
        unknown=1 - share,
        beyond_px=float(np.median(known[over])) if over.any() else None,
        halves=bool((known >= HALVED_PX).mean() >= HALVED_SHARE),
    )


def sampled_sigmas(
    image: Any, plan: RestorationPlan, window: Window, noise: Noise, channel: int | None = None
) -> np.ndarray:
    """The blur of the blocks of a few planes, or of one channel's; of large planes some parts that
    are spread evenly.

    Parameters
    ----------
    image : array
        What the plan was made for; a lazy one is read at these places alone.
    plan : RestorationPlan
    window : Window
        Of the image, or of the channel.
    noise : Noise
        Of the mean of its colours.
    channel : int, optional
        Number of its window of intensity.

    Returns
    -------
    (blocks,) float32, NaN where nothing can be judged.
    """
    shape, found = _area(plan), []
    for index in sampled_planes(plan, channel):
        for blocks in _sampled_blocks(shape):
            look_up()
            found.append(
                blur_of_blocks(_reader(image, index, plan, window), shape, blocks, noise).ravel()
            )
    return np.concatenate(found) if found else np.zeros(0, np.float32)


def defocus_of_tile(
    image: Any,
    index: tuple[int, ...],
    tile: Tile,
    plan: RestorationPlan,
    window: Window,
    noise: Noise,
) -> np.ndarray:
    """The map of local blur of one tile: (y, x) float32, σ in pixels on the image's grid, NaN where
    nothing can be judged.
    """
    spans = [
        (span.start - start, span.stop - start)
        for span, (start, _) in zip((tile.y, tile.x), plan.region, strict=True)
    ]
    blocks = [range(start // BLOCK, -(-stop // BLOCK)) for start, stop in spans]
    found = blur_of_blocks(
        _reader(image, index, plan, window), _area(plan), (blocks[0], blocks[1]), noise
    )
    whole = found.repeat(BLOCK, axis=0).repeat(BLOCK, axis=1)
    rows, columns = (
        slice(start - each.start * BLOCK, stop - each.start * BLOCK)
        for (start, stop), each in zip(spans, blocks, strict=True)
    )
    return whole[rows, columns]


def _area(plan: RestorationPlan) -> tuple[int, int]:
    (y0, y1), (x0, x1) = plan.region
    return y1 - y0, x1 - x0


def _sampled_blocks(shape: Sequence[int]) -> Iterator[tuple[range, range]]:
    rows, columns = (-(-length // BLOCK) for length in shape)
    if rows * columns <= WHOLE_BLOCKS:
        yield range(rows), range(columns)
        return
    for y in _spread(rows):
        for x in _spread(columns):
            yield y, x


def _spread(blocks: int) -> list[range]:
    edge = min(SAMPLE_BLOCKS, blocks)
    count = min(DEFOCUS_SAMPLES, blocks // edge)
    starts = np.linspace(0, blocks - edge, count) if count > 1 else [(blocks - edge) // 2]
    return [range(round(start), round(start) + edge) for start in starts]


def _reader(image: Any, index: tuple[int, ...], plan: RestorationPlan, window: Window) -> Read:
    """Reads parts of one plane of the plan's region: (y, x) float32 in windows, mean over the
    colours.
    """
    top, left = plan.origin

    def part(y: slice, x: slice) -> np.ndarray:
        block = read(
            image,
            (*index, slice(y.start + top, y.stop + top), slice(x.start + left, x.stop + left)),
        )
        return grey(hot_as_gaps(window.normalise_finite(plan.seen(block))))

    return part
