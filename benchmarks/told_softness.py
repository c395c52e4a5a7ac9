"""Is a network that is told how soft its result is to be better than a filter behind it?

    python benchmarks/told_softness.py DATA [--start gray-x2] [--steps 2500] [--every 3]

Trains the grey model START on twice, on the same patches, 60 % of which show a truth softened by a
known Gaussian of up to 3.5 pixels: once blurred by that Gaussian behind the network, as results
are, and once with the strength told to the network, which scales each of its feature maps by a
function of it (one at first; so a flat area stays flat, and once the softness is settled the
kernels can take it in). Prints for each softness and each blur of the Gaussian protocol the mean
gain in PSNR over bicubic enlargement and the worst image, on every third validation image.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from napari_mdeblurgan import load_model
from napari_mdeblurgan.degradation import gaussian_blur, gaussian_protocol, softened
from napari_mdeblurgan.evaluation.baselines import bicubic
from napari_mdeblurgan.evaluation.metrics import cropped, psnr
from napari_mdeblurgan.network import Generator
from napari_mdeblurgan.training.data.dataset import Patches, image_files, read_sharp
from napari_mdeblurgan.training.losses.loss_config import LossConfig
from napari_mdeblurgan.training.optimisers.schedule import Schedule
from napari_mdeblurgan.training.recipe import MIXTURE, training_patches
from napari_mdeblurgan.training.trainer import StepMethod, Training

SOFT = {"soft": 0.6, "softness": (0.0, 3.5), "told": 1.0}
SIGMAS = (0.7, 1.2, 2.0, 3.0, 4.5)
SOFTNESSES = (0.0, 0.5, 1.0, 2.0, 3.0)
BORDER, EDGE = 16, 512


class Told:
    """What a network is told: its feature maps are scaled by 1 + a function of the softness."""

    def __init__(self) -> None:
        self.softness: Tensor | None = None

    def __deepcopy__(self, _: dict) -> Told:
        """Itself: copies of a network are told the same."""
        return self

    def attach(self, network: Generator) -> Generator:
        """`network`, listening; its last layers, which make images, are left as they are."""
        images = (
            network.deblurring.to_image,
            network.deblurring.head_to_image,
            network.super_resolution.last,
        )
        for part in (network.deblurring, network.super_resolution):
            for layer in part.modules():
                if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer not in images:
                    layer.told = nn.Parameter(torch.zeros(layer.out_channels, 3))
                    layer.register_forward_hook(self._scale)
        return network

    def _scale(self, layer: nn.Module, _: object, features: Tensor) -> Tensor:
        if self.softness is None:
            raise ValueError("the network was not told how soft the result is to be")
        scales = 1 + _functions(self.softness) @ layer.told.T
        return features * scales[:, :, None, None].to(features.dtype)

    def telling(self, batches: Iterable[Patches]) -> Iterator[Patches]:
        """Batches whose softness the network knows, so that no filter is put behind it."""
        for patches in batches:
            known = patches.softness
            self.softness = torch.zeros(len(patches.blurred)) if known is None else known
            yield patches._replace(softness=None)


def _functions(softness: Tensor) -> Tensor:
    """(n, 3) of (n,)."""
    share = softness[:, None] / SOFT["softness"][1]
    return torch.cat([share, share**2, 1 - torch.exp(-softness[:, None])], dim=1)


def trained(network: Generator, batches: Iterable[Patches], steps: int) -> Generator:
    """`network` after so many steps, with its averaged weights."""
    schedule = Schedule(steps, 5e-4, "cosine", warm_up=200)
    method = StepMethod(optimizer="muon", averaging=0.999, precision="bfloat16")
    training = Training(network, schedule, method, LossConfig(ssim_share=0.0, passed_on=0.15))
    for record in training.run(batches):
        if record.step % 250 == 0:
            print(f"step {record.step}", flush=True)
    return training.averaged


@torch.no_grad()
def report(name: str, restore: Callable[[Tensor, Tensor], Tensor], files: list[Path]) -> None:
    """Print the gains of one way, a line for each softness."""
    for softness in SOFTNESSES:
        found = [_gains(path, torch.tensor([softness]), restore) for path in files]
        cells = [f"{mean:+.2f} ({worst:+.2f})" for mean, worst in _means(np.array(found))]
        print(f"{name:6} {softness:3.1f} px  " + "  ".join(cells), flush=True)


def _means(gains: np.ndarray) -> Iterator[tuple[float, float]]:
    return zip(gains.mean(axis=0), gains.min(axis=0), strict=True)


def _gains(path: Path, softness: Tensor, restore: Callable) -> list[float]:
    sharp = read_sharp(path)
    height, width = (min(length, EDGE) // 16 * 16 for length in sharp.shape)
    planes = torch.from_numpy(np.ascontiguousarray(sharp[:height, :width]))[None, None].float()
    truth = gaussian_blur(planes, softness)
    right = cropped(truth[0, 0].numpy(), BORDER)
    gains = []
    for sigma in SIGMAS:
        low = gaussian_protocol(truth, sigma)
        own, plain = restore(low, softness)[0, 0].numpy(), bicubic(low[0, 0].numpy(), 2)
        made, usual = (psnr(cropped(each.clip(0, 1), BORDER), right) for each in (own, plain))
        gains.append(made - usual)
    return gains


def main() -> None:
    """Train both, and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--start", default="gray-x2")
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--every", type=int, default=3)
    parser.add_argument("--patch", type=int, default=128)
    parser.add_argument("--batch", type=int, default=4)
    wishes = parser.parse_args()
    files = image_files(wishes.data / "validation" / "grey")[:: wishes.every]
    patches = replace(
        training_patches(wishes.data / "train", 1),
        size=wishes.patch,
        batch=wishes.batch,
        mixture=replace(MIXTURE, **SOFT),
    )
    print("way    softness  mean (worst) at σ =", *SIGMAS)

    plain = trained(
        load_model(wishes.start).network.requires_grad_(True), patches.batches(), wishes.steps
    )
    report("filter", lambda low, soft: softened(plain(low).float(), soft), files)

    told = Told()
    network = told.attach(load_model(wishes.start).network.requires_grad_(True))
    informed = trained(network, told.telling(patches.batches()), wishes.steps)

    def restore(low: Tensor, softness: Tensor) -> Tensor:
        told.softness = softness
        return informed(low).float()

    report("told", restore, files)


if __name__ == "__main__":
    main()
