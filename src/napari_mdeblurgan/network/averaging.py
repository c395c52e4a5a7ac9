"""A last stage that gives a result fewer pixels: the mean over blocks, which is what a camera of
larger pixels records.

This is how a network that multiplies the pixels restores an image at its own ones. The image that
the approximation module passes on lies on that grid as well and would take less time, but it is
further from the truth: on validation images by 0.7 to 1 dB, and on microtubules that structured
illumination has also seen by 0.3 dB (`benchmarks/same_pixels.py`).
"""

from __future__ import annotations

from functools import partial

from torch import Tensor
from torch.nn import functional

from napari_mdeblurgan.network.reach import Reach
from napari_mdeblurgan.network.stages import Stage, Stages

_NAME = "averaged output"


def averaging_network(stages: Stages, factor: int) -> Stages:
    """The same with so many pixels of the result for one of the image, carried out tile by tile
    like all stages.

    Parameters
    ----------
    stages : Stages
        Of a network whose result has a multiple of `factor` pixels for one of the image, along y
        and along x.
    factor : int
        How many there are to be; the network's own number leaves `stages` as they are.

    Raises
    ------
    ValueError
        If the result's pixels do not make whole blocks.
    """
    bare = stages.result
    made = round(1 / stages.strides[bare])
    if made == factor:
        return stages
    if factor < 1 or made % factor:
        raise ValueError(f"{made} pixels cannot be averaged to {factor}")
    last = Stage(partial(_means, edge=made // factor), _reach, (bare,), {_NAME: 1 / factor})
    return Stages((*stages.stages, last))


def averaged_to(image: Tensor, width: int) -> Tensor:
    """An image averaged over square blocks; itself where there is nothing to average.

    Parameters
    ----------
    image : Tensor
        (batch, channels, y, x).
    width : int
        Pixels along x of the result, of which those of the image are a multiple.
    """
    edge = image.shape[-1] // width
    return image if edge == 1 else _means(image, edge)[0]


def _reach(output: Reach) -> tuple[Reach]:
    """In whole pixels of the image, as that of the result: a block looks no farther than what is in
    it.
    """
    return (output,)


def _means(image: Tensor, edge: int) -> tuple[Tensor]:
    """(batch, channels, y, x) in float32, y and x multiples of the edge of a block."""
    return (functional.avg_pool2d(image.float(), edge),)
