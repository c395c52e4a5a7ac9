"""What users would pick instead, as far as its speed goes: layers as published, weights at random.

- Cellpose 3's restoration network (Stringer and Pachitariu 2025): the residual U-Net of Cellpose
  with style vectors, for one channel, 32 to 256 features, 6.6 million parameters.
- A U-Net of CAREamics' default size: two levels, 32 features at full size, batch norm.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (32, 64, 128, 256)


class BatchConvolution(nn.Sequential):
    def __init__(self, inputs: int, outputs: int, size: int = 3, *, relu: bool = True) -> None:
        layers = [nn.BatchNorm2d(inputs), nn.ReLU()] if relu else [nn.BatchNorm2d(inputs)]
        super().__init__(*layers, nn.Conv2d(inputs, outputs, size, padding=size // 2))


class Down(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.project = BatchConvolution(inputs, outputs, 1, relu=False)
        self.layers = nn.ModuleList(
            BatchConvolution(outputs if n else inputs, outputs) for n in range(4)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.project(x) + self.layers[1](self.layers[0](x))
        return x + self.layers[3](self.layers[2](x))


class Up(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.project = BatchConvolution(inputs, outputs, 1, relu=False)
        self.layers = nn.ModuleList(
            BatchConvolution(outputs if n else inputs, outputs) for n in range(4)
        )
        self.styles = nn.ModuleList(nn.Linear(WIDTHS[-1], outputs) for _ in range(3))

    def _styled(self, n: int, x: Tensor, style: Tensor) -> Tensor:
        return self.layers[n](x + self.styles[n - 1](style)[:, :, None, None])

    def forward(self, x: Tensor, kept: Tensor, style: Tensor) -> Tensor:
        x = self.project(x) + self._styled(1, self.layers[0](x) + kept, style)
        return x + self._styled(3, self._styled(2, x, style), style)


class CellposeRestoration(nn.Module):
    """As many pixels out as in."""

    scale = 1

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            Down(*pair) for pair in zip((1, *WIDTHS[:-1]), WIDTHS, strict=True)
        )
        self.up = nn.ModuleList(
            Up(*pair) for pair in zip((*WIDTHS[1:], WIDTHS[-1]), WIDTHS, strict=True)
        )
        self.output = BatchConvolution(WIDTHS[0], 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for n, block in enumerate(self.down):
            x = block(functional.max_pool2d(x, 2) if n else x)
            kept.append(x)
        style = functional.normalize(x.mean(dim=(2, 3)), dim=1)
        for n in reversed(range(len(WIDTHS))):
            x = self.up[n](x, kept[n], style)
            x = functional.interpolate(x, scale_factor=2, mode="nearest") if n else x
        return self.output(x)


class TwoConvolutions(nn.Sequential):
    def __init__(self, inputs: int, between: int, outputs: int) -> None:
        layers: list[nn.Module] = []
        for before, after in ((inputs, between), (between, outputs)):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
        super().__init__(*layers)


class CareamicsUNet(nn.Module):
    """As many pixels out as in."""

    scale = 1

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        w = width
        self.down = nn.ModuleList([TwoConvolutions(1, w, w), TwoConvolutions(w, 2 * w, 2 * w)])
        self.bottom = TwoConvolutions(2 * w, 4 * w, 2 * w)
        self.up = nn.ModuleList(
            [TwoConvolutions(4 * w, 2 * w, w), TwoConvolutions(2 * w, 2 * w, w)]
        )
        self.output = nn.Conv2d(w, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for block in self.down:
            kept.append(block(x))
            x = functional.max_pool2d(kept[-1], 2)
        x = self.bottom(x)
        for block in self.up:
            x = functional.interpolate(x, scale_factor=2, mode="bilinear")
            x = block(torch.cat([x, kept.pop()], dim=1))
        return self.output(x)
