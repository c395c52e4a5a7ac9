"""The M-Deblurgan generator: deblurring, optimal approximation and super-resolution in one network;
and the U-Net + SR that it is compared with.
"""

from napari_mdeblurgan.network.generator import Generator
from napari_mdeblurgan.network.network import Network, Restoration
from napari_mdeblurgan.network.registry import build_generator
from napari_mdeblurgan.network.unet import UNetSuperResolution

__all__ = ["Generator", "Network", "Restoration", "UNetSuperResolution", "build_generator"]
