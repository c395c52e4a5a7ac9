"""The dock widget **Focus stack**: one image that is sharp everywhere, its heights, and the same
choice for other layers.
"""

from napari_mdeblurgan.widgets.focus_stack.widget import FocusStackWidget

__all__ = ["FocusStackWidget"]
