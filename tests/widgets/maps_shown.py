"""The maps of the shown result, asked for as a user does: a click on **Trust maps**, and keys in
the drop-down beside it.
"""

from __future__ import annotations

from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_mdeblurgan.trust.maps import MAPS
from napari_mdeblurgan.widgets.deblur import DeblurWidget


def tick_maps(widget: DeblurWidget) -> None:
    """Click the box, where its tick is."""
    box = widget.controls.maps.native
    QTest.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))


def show_map(widget: DeblurWidget, name: str) -> None:
    """Show one map, by its key of `MAPS`."""
    which = widget.controls.which_map.native
    QTest.keyClick(which, Qt.Key.Key_Home)
    for _ in range(which.findText(MAPS[name].title)):
        QTest.keyClick(which, Qt.Key.Key_Down)
    if not widget.controls.maps.value:
        tick_maps(widget)
    assert widget.controls.which_map.value == name


def show_each_map(widget: DeblurWidget) -> None:
    """Show one after the other, and hide the last."""
    for name in widget.controls.which_map.choices:
        show_map(widget, name)
    tick_maps(widget)
