"""A part of a dock that is folded away until a click on its title."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from magicgui.widgets import Container, PushButton, Widget


class Fold:
    """A title, and rows below it that are shown or not.

    Parameters
    ----------
    rows : sequence of Widget
    tooltip : str
        Of the title.
    open_ : bool
        Whether they are shown at first.
    on_fold : callable
        Called without arguments when the user has folded or unfolded them.

    Attributes
    ----------
    button, details, widget : PushButton, Container, Container
        The title, the rows, and both, to be laid out.
    """

    def __init__(
        self, rows: Sequence[Widget], tooltip: str, *, open_: bool, on_fold: Callable[[], None]
    ) -> None:
        self._on_fold, self.open, self._title = on_fold, open_, ""
        self.button = PushButton(text="", tooltip=tooltip)
        self.button.native.setFlat(True)
        self.button.native.setStyleSheet("text-align: left;")
        self.details = Container(widgets=rows, labels=False)
        self.widget = Container(widgets=[self.button, self.details], labels=False)
        for part in (self.details, self.widget):
            part.margins = (0, 0, 0, 0)
        self.details.visible = open_
        self.button.changed.connect(self._on_click)

    def tell(self, title: str) -> None:
        """Name it."""
        self.button.text = f"{'▾' if self.open else '▸'} {title}"

    def _on_click(self) -> None:
        self.open = not self.open
        self.details.visible = self.open
        self._on_fold()
