"""The dock widget **Deblur + SR**: the main job, on the image that is open."""

from napari_mdeblurgan.widgets.deblur.widget import DeblurWidget

__all__ = ["DeblurWidget"]
