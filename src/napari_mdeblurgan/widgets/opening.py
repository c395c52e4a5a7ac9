"""Other docks of this plugin, opened from one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_mdeblurgan.widgets.docking import dock_of
from napari_mdeblurgan.widgets.wording import RUN

if TYPE_CHECKING:
    from napari import Viewer

    from napari_mdeblurgan.widgets.deblur import DeblurWidget


def deblur_widget(viewer: Viewer) -> DeblurWidget:
    """The dock **Deblur + SR**, in front; it is opened if need be."""
    from napari_mdeblurgan.widgets.deblur import DeblurWidget

    docked = viewer.window.dock_widgets.values()
    widget = next((each for each in docked if isinstance(each, DeblurWidget)), None)
    if widget is None:
        widget = DeblurWidget(viewer)
        viewer.window.add_dock_widget(widget, name=RUN)
    dock = dock_of(widget.native)
    if dock is not None:
        dock.show()
        dock.raise_()
    return widget
