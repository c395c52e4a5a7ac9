"""Other docks of this plugin, opened from one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_mdeblurgan.widgets.shared.docking import dock_of
from napari_mdeblurgan.widgets.shared.wording import RUN

if TYPE_CHECKING:
    from napari import Viewer

    from napari_mdeblurgan.widgets.deblur import DeblurWidget


def deblur_widgets(viewer: Viewer) -> list[DeblurWidget]:
    """All docks **Deblur + SR** that are open in a viewer."""
    from napari_mdeblurgan.widgets.deblur import DeblurWidget

    docked = viewer.window.dock_widgets.values()
    return [widget for widget in docked if isinstance(widget, DeblurWidget)]


def offer_models_anew(viewer: Viewer) -> None:
    """Have every open dock that restores images offer the models that there are now."""
    from napari_mdeblurgan.widgets.batch.widget import BatchWidget

    for each in deblur_widgets(viewer):
        each.offer_models()
    for other in viewer.window.dock_widgets.values():
        if isinstance(other, BatchWidget):
            other.offer_models()


def deblur_widget(viewer: Viewer, *, tabify: bool = False) -> DeblurWidget:
    """The dock **Deblur + SR**, in front; it is opened if need be, with `tabify` as a tab of the
    docks that are there.
    """
    from napari_mdeblurgan.widgets.deblur import DeblurWidget

    widget = next(iter(deblur_widgets(viewer)), None)
    if widget is None:
        widget = DeblurWidget(viewer)
        viewer.window.add_dock_widget(widget, name=RUN, tabify=tabify)
    dock = dock_of(widget.native)
    if dock is not None:
        dock.show()
        dock.raise_()
    return widget
