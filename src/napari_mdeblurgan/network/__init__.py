"""The M-Deblurgan generator: deblurring, optimal approximation and super-resolution in one network."""

from napari_mdeblurgan.network.generator import Generator, Restoration, build_generator

__all__ = ["Generator", "Restoration", "build_generator"]
