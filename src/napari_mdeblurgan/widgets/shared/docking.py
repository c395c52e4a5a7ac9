"""The docks of this plugin as tabs of one place, so that together they need no
more room than one.
"""

from __future__ import annotations

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

_PLUGIN, DISPLAYED = "napari-mdeblurgan", "M-Deblurgan"


def dock_of(widget: QWidget) -> QDockWidget | None:
    """The dock that a widget lies in."""
    above: QWidget | None = widget
    while above is not None and not isinstance(above, QDockWidget):
        above = above.parentWidget()
    return above


def shorten_title(widget: QWidget) -> None:
    """Leave the plugin's name, which napari appends, out of the title of a widget's dock: on a tab
    it hides the widget's own.

    The bar above the dock goes on telling it.
    """
    dock = dock_of(widget)
    if dock is not None:
        title = dock.windowTitle()
        for name in (_PLUGIN, DISPLAYED):  # the latter where it was opened by a menu
            title = title.removesuffix(f" ({name})")
        dock.setWindowTitle(title)


def tabify(widget: QWidget, mark: type[QObject]) -> None:
    """Make the dock of a widget a tab, the one in front, of the plugin's own docks of the same
    area.

    napari lays a plugin's dock below all others of its area, whatever their heights. Docks of
    others stay as they are, as do own ones that float or lie in another area, where the user has
    put them.

    Parameters
    ----------
    widget : QWidget
        It lies in a dock.
    mark : type of QObject
        Docks with a child of this type are the plugin's own.
    """
    dock = dock_of(widget)
    window = dock.parentWidget() if dock is not None else None
    if dock is None or not isinstance(window, QMainWindow) or dock.isFloating():
        return
    area = window.dockWidgetArea(dock)
    for other in window.findChildren(QDockWidget):
        own = other is not dock and other.findChild(mark) is not None
        if own and not other.isFloating() and window.dockWidgetArea(other) == area:
            if other not in window.tabifiedDockWidgets(dock):
                window.tabifyDockWidget(other, dock)
            dock.show()
            dock.raise_()
            return
